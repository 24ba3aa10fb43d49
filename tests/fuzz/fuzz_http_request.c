/* Request heads: any cut into reads gives the verdict of the whole; slices lie in the input;
 * what was taken holds the promises of head.h. */
#include <stdlib.h>

#include "common/http/head.h"

#define REQUIRE(x)                                                                                 \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http_request whole, cut;

static bool inside(struct str s, const char *p, size_t n)
{
    return s.n == 0 || (s.p >= p && s.p + s.n <= p + n);
}

static void check_taken(const struct http_request *r, const char *p, size_t n)
{
    unsigned hosts = 0, lengths = 0, codings = 0;

    REQUIRE(r->status == 0 && !r->why && r->nfields <= HTTP_MAX_FIELDS);
    REQUIRE(n >= 4 && memcmp(p + n - 4, "\r\n\r\n", 4) == 0);
    REQUIRE(!memchr(p, 0, n));
    REQUIRE(r->method.n && inside(r->method, p, n) && inside(r->target, p, n));
    REQUIRE(inside(r->authority, p, n));
    REQUIRE(r->path.n && (r->path.p[0] == '/' || str_eq(r->path, STR("*"))));
    REQUIRE(!memchr(r->path.p, '#', r->path.n) && !memchr(r->path.p, ' ', r->path.n));
    REQUIRE(r->authority.n || r->minor == 0);
    REQUIRE(r->framing != HTTP_BODY_TO_EOF);
    for (unsigned i = 0; i < r->nfields; i++) {
        const struct http_field *f = &r->fields[i];

        REQUIRE(f->name.n && inside(f->name, p, n) && inside(f->value, p, n));
        REQUIRE(f->name.p[f->name.n] == ':');
        REQUIRE(!memchr(f->value.p, '\r', f->value.n) && !memchr(f->value.p, '\n', f->value.n));
        REQUIRE(f->id == http_name_lookup(f->name) && f->id != HTTP_FRAMING_ALIAS);
        REQUIRE(f->drop || !http_name_is_hop_by_hop(f->id) ||
                (r->upgrade && f->id == HTTP_UPGRADE));
        hosts += f->id == HTTP_HOST;
        lengths += f->id == HTTP_CONTENT_LENGTH;
        codings += f->id == HTTP_TRANSFER_ENCODING;
        REQUIRE(f->id != HTTP_CONTENT_LENGTH || !f->drop);
    }
    REQUIRE(hosts <= 1 && hosts >= r->minor && lengths + codings <= 1);
    REQUIRE((r->framing == HTTP_BODY_LENGTH) == (lengths == 1));
    REQUIRE((r->framing == HTTP_BODY_CHUNKED) == (codings == 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_limits l = HTTP_LIMITS_DEFAULT;
    size_t scanned = 0, scanned_cut = 0, have = 0;
    unsigned seed;
    const char *p;
    int rc, rc_cut = 0;

    if (size < 1)
        return 0;
    seed = data[0];
    p = (const char *)data + 1;
    size--;
    if (seed & 1) /* small limits are met more often */
        l = (struct http_limits){.line = 40, .head = 100, .fields = 3};
    rc = http_parse_request(&whole, p, size, &l, &scanned);
    REQUIRE(rc <= (int)size);
    if (rc > 0)
        check_taken(&whole, p, (size_t)rc);
    if (rc < 0)
        REQUIRE(whole.why && (whole.status == 400 || whole.status == 414 || whole.status == 417 ||
                              whole.status == 431 || whole.status == 501 || whole.status == 505));
    while (have < size && rc_cut == 0) {
        char *copy;

        seed = seed * 1103515245 + 12345;
        have += MIN(size - have, 1 + (seed >> 16) % 7);
        copy = malloc(have);
        memcpy(copy, p, have);
        rc_cut = http_parse_request(&cut, copy, have, &l, &scanned_cut);
        free(copy);
    }
    REQUIRE(rc_cut == rc);
    if (rc < 0)
        REQUIRE(cut.status == whole.status && cut.why == whole.why);
    if (rc > 0) {
        REQUIRE(cut.nfields == whole.nfields && cut.framing == whole.framing &&
                cut.length == whole.length && cut.keep_alive == whole.keep_alive &&
                cut.upgrade == whole.upgrade && cut.expect_continue == whole.expect_continue &&
                cut.absolute == whole.absolute && cut.path.n == whole.path.n);
        for (unsigned i = 0; i < cut.nfields; i++)
            REQUIRE(cut.fields[i].drop == whole.fields[i].drop &&
                    cut.fields[i].id == whole.fields[i].id);
    }
    return 0;
}
