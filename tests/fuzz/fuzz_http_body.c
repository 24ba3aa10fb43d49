/* Chunked bodies: any cut into reads passes the same bytes and ends the same way; a plain decoder
 * written for this test finds in the verbatim bytes exactly the data that decoding passes. */
#include <stdlib.h>

#include "common/http/body.h"

#define REQUIRE(x)                                                                                 \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum http_body_result result;
    char *pass;
    size_t passed, used, trailers;
    bool fields; /* the trailers are fields */
    const char *why;
    uint64_t data;
};

static void run(struct outcome *o, bool decode, const char *p, size_t n, unsigned seed)
{
    struct http_body b;
    size_t have = 0;

    memset(o, 0, sizeof(*o));
    o->pass = malloc(n + 1);
    http_body_init(&b, HTTP_BODY_CHUNKED, 0, decode);
    do {
        if (seed) {
            seed = seed * 1103515245 + 12345;
            have += MIN(n - have, 1 + (seed >> 16) % 7);
        } else {
            have = n;
        }
        for (;;) {
            size_t used, held = have - o->used;
            char *input = malloc(held + 1);
            struct str pass;

            memcpy(input, p + o->used, held);
            o->result = http_body_feed(&b, input, held, &used, &pass);
            REQUIRE(used <= held && pass.n <= used);
            REQUIRE(pass.p >= input && pass.p + pass.n <= input + used);
            memcpy(o->pass + o->passed, pass.p, pass.n);
            o->passed += pass.n;
            o->used += used;
            if (b.trailers.n && o->result != HTTP_BODY_MORE) {
                static const struct http_limits limits = {8192, 32768, HTTP_MAX_FIELDS, false};
                struct http_field fields[HTTP_MAX_FIELDS];
                const char *why;
                REQUIRE(b.trailers.p >= input && b.trailers.p + b.trailers.n == input + used);
                o->fields = http_parse_trailers(fields, HTTP_MAX_FIELDS, b.trailers.p, b.trailers.n,
                                                &limits, &why) >= 0;
            }
            free(input);
            if (o->result != HTTP_BODY_MORE || used == 0)
                break;
        }
        REQUIRE(o->result != HTTP_BODY_MORE || have - o->used <= HTTP_BODY_HOLD);
    } while (have < n && o->result == HTTP_BODY_MORE);
    o->trailers = b.trailers.n;
    o->why = b.why;
    o->data = http_body_passed(&b);
    REQUIRE((o->result == HTTP_BODY_BAD) == (b.why != NULL));
}

/* Bytes of data in verbatim chunks p[0..n), copied to out. Knows no extensions: none may be
 * left. `whole`: the last chunk must be there. */
static size_t reference(const char *p, size_t n, char *out, bool whole)
{
    size_t i = 0, count = 0;

    while (i < n) {
        unsigned long long size;
        size_t digits = 0;
        char line[17];

        while (i + digits < n && p[i + digits] != '\r') {
            REQUIRE(digits < 16 && strchr("0123456789abcdefABCDEF", p[i + digits]) &&
                    p[i + digits]);
            line[digits] = p[i + digits];
            digits++;
        }
        line[digits] = 0;
        i += digits;
        if (n - i < 2) /* a fault or the input's end came behind the digits */
            break;
        REQUIRE(digits && p[i] == '\r' && p[i + 1] == '\n');
        i += 2;
        size = strtoull(line, NULL, 16);
        if (size == 0) {
            REQUIRE(i == n || (i + 2 == n && p[i] == '\r' && p[i + 1] == '\n'));
            return count;
        }
        for (; size && i < n; size--)
            out[count++] = p[i++];
        if (n - i < 2) {
            REQUIRE(!whole);
            return count;
        }
        REQUIRE(p[i] == '\r' && p[i + 1] == '\n');
        i += 2;
    }
    REQUIRE(!whole);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, cut, decoded, decoded_cut;
    const char *p = (const char *)data + 1;
    char *plain;
    size_t n;

    if (size < 1)
        return 0;
    size--;
    run(&whole, false, p, size, 0);
    run(&cut, false, p, size, data[0] + 1u);
    run(&decoded, true, p, size, 0);
    run(&decoded_cut, true, p, size, data[0] + 1u);
    REQUIRE(whole.result == cut.result && whole.passed == cut.passed && whole.why == cut.why);
    REQUIRE(whole.used == cut.used && whole.data == cut.data && whole.trailers == cut.trailers);
    REQUIRE(memcmp(whole.pass, cut.pass, whole.passed) == 0);
    REQUIRE(decoded.result == decoded_cut.result && decoded.passed == decoded_cut.passed);
    REQUIRE(memcmp(decoded.pass, decoded_cut.pass, decoded.passed) == 0);
    /* Who decodes does not look at trailers: so they are looked at for it. */
    if (whole.result == HTTP_BODY_TRAILERS)
        REQUIRE(decoded.result == (whole.fields ? HTTP_BODY_DONE : HTTP_BODY_BAD));
    else
        REQUIRE(decoded.result == whole.result);
    REQUIRE(decoded.data == whole.data && decoded.data == decoded.passed);
    plain = malloc(size + 1);
    n = reference(whole.pass, whole.passed, plain,
                  whole.result == HTTP_BODY_DONE || whole.result == HTTP_BODY_TRAILERS);
    REQUIRE(n == decoded.passed && memcmp(plain, decoded.pass, n) == 0);
    free(plain);
    free(whole.pass);
    free(cut.pass);
    free(decoded.pass);
    free(decoded_cut.pass);
    return 0;
}
