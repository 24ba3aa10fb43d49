/* Whom a request counts for: never an address that nobody said, and never one of a list whose sender is
 * not trusted. The first byte tells whether it is. */
#include <stdlib.h>

#include "hub/access/client_address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth) {
        abort();
    }
}

static struct http_field field(enum http_name id, const char *p, size_t n)
{
    return (struct http_field){.value = {p, n}, .id = (uint8_t)id};
}

/* Bytes up to the next newline are one field's value; every third is an X-Real-IP. */
static void fill(struct http_request *r, const char *p, size_t n)
{
    while (n > 0 && r->nfields < HTTP_MAX_FIELDS) {
        const char *nl = memchr(p, '\n', n);
        size_t len = nl ? (size_t)(nl - p) : n;
        r->fields[r->nfields] =
            field(r->nfields % 3 == 2 ? HTTP_X_REAL_IP : HTTP_X_FORWARDED_FOR, p, len);
        r->nfields++;
        len += nl != NULL;
        p += len;
        n -= len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_request r;
    static struct ip_set trusted;
    struct ip_addr peer, known = {{0}};
    if (size == 0) {
        return 0;
    }
    if (trusted.n == 0) {
        must(ip_set_parse(&trusted, STR("10.0.0.0/8,2001:db8::/32"), NULL, NULL) == 0);
    }
    bool is_trusted = data[0] & 1;
    must(ip_parse(is_trusted ? STR("10.0.0.1") : STR("192.0.2.1"), &peer) == 0);
    r.nfields = 0;
    fill(&r, (const char *)data + 1, size - 1);
    struct ip_addr ip = client_address(&r, &peer, &trusted);
    must(is_trusted || ip_equal(&ip, &peer));
    if (ip_equal(&ip, &peer)) {
        return 0;
    }
    /* What stands left of the list is hearsay: whatever is put there changes nothing. */
    if (r.nfields > 0 && r.nfields < HTTP_MAX_FIELDS && !ip_set_contains(&trusted, &ip)) {
        memmove(&r.fields[1], &r.fields[0], r.nfields * sizeof(r.fields[0]));
        r.fields[0] = field(HTTP_X_FORWARDED_FOR, "203.0.113.77", 12);
        r.nfields++;
        struct ip_addr spoofed = client_address(&r, &peer, &trusted);
        must(ip_parse(STR("203.0.113.77"), &known) == 0);
        /* Unless all of the list was trusted, and X-Real-IP had to answer. */
        must(ip_equal(&spoofed, &ip) || ip_equal(&spoofed, &known));
    }
    return 0;
}
