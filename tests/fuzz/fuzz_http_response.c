/* Response heads and trailer sections, as fuzz_http_request.c. */
#include <stdlib.h>

#include "common/http/head.h"

#define REQUIRE(x)                                                                                 \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http_response whole, cut;

static bool inside(struct str s, const char *p, size_t n)
{
    return s.n == 0 || (s.p >= p && s.p + s.n <= p + n);
}

static void check_taken(const struct http_response *r, enum http_method method, const char *p,
                        size_t n)
{
    unsigned lengths = 0, codings = 0;

    REQUIRE(!r->why && r->nfields <= HTTP_MAX_FIELDS && inside(r->reason, p, n));
    REQUIRE(r->status >= 100 && r->status <= 599 && r->upgrade == (r->status == 101));
    for (unsigned i = 0; i < r->nfields; i++) {
        const struct http_field *f = &r->fields[i];

        REQUIRE(f->name.n && inside(f->name, p, n) && inside(f->value, p, n));
        REQUIRE(f->drop || !http_name_is_hop_by_hop(f->id) ||
                (r->upgrade && f->id == HTTP_UPGRADE));
        lengths += f->id == HTTP_CONTENT_LENGTH;
        codings += f->id == HTTP_TRANSFER_ENCODING;
    }
    REQUIRE(lengths + codings <= 1);
    if (method == HTTP_HEAD || r->status < 200 || r->status == 204 || r->status == 304)
        REQUIRE(r->framing == HTTP_BODY_NONE);
    else
        REQUIRE(r->framing == (codings   ? HTTP_BODY_CHUNKED
                               : lengths ? HTTP_BODY_LENGTH
                                         : HTTP_BODY_TO_EOF));
    REQUIRE(!r->keep_alive || r->framing != HTTP_BODY_TO_EOF);
}

static void check_trailers(const char *p, size_t n)
{
    static struct http_field f[HTTP_MAX_FIELDS];
    const char *why;
    int count = http_parse_trailers(f, HTTP_MAX_FIELDS, p, n, &HTTP_LIMITS_DEFAULT, &why);

    REQUIRE((count < 0) == (why != NULL));
    for (int i = 0; i < count; i++) {
        REQUIRE(f[i].name.n && inside(f[i].name, p, n) && inside(f[i].value, p, n));
        REQUIRE(f[i].drop || f[i].id == HTTP_NAME_OTHER);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_limits l = HTTP_LIMITS_DEFAULT;
    size_t scanned = 0, scanned_cut = 0, have = 0;
    enum http_method method;
    unsigned seed;
    const char *p;
    int rc, rc_cut = 0;

    if (size < 1)
        return 0;
    seed = data[0];
    p = (const char *)data + 1;
    size--;
    if (seed & 1)
        l = (struct http_limits){.line = 40, .head = 100, .fields = 3};
    method = seed & 2 ? HTTP_HEAD : HTTP_GET;
    check_trailers(p, size);
    rc = http_parse_response(&whole, method, p, size, &l, &scanned);
    REQUIRE(rc <= (int)size && (rc >= 0 || whole.why));
    if (rc > 0)
        check_taken(&whole, method, p, (size_t)rc);
    while (have < size && rc_cut == 0) {
        char *copy;

        seed = seed * 1103515245 + 12345;
        have += MIN(size - have, 1 + (seed >> 16) % 7);
        copy = malloc(have);
        memcpy(copy, p, have);
        rc_cut = http_parse_response(&cut, method, copy, have, &l, &scanned_cut);
        free(copy);
    }
    REQUIRE(rc_cut == rc);
    if (rc < 0)
        REQUIRE(cut.why == whole.why);
    if (rc > 0)
        REQUIRE(cut.status == whole.status && cut.nfields == whole.nfields &&
                cut.framing == whole.framing && cut.length == whole.length &&
                cut.keep_alive == whole.keep_alive && cut.reason.n == whole.reason.n);
    return 0;
}
