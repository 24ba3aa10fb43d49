/* Heads sent on: what the parser took and the hub rewrote is taken again, with the same framing,
 * without a field the client may not set, and with nothing of its own lost or changed. */
#include <stdlib.h>

#include "common/http/reply.h"
#include "hub/client/rewrite.h"

#define REQUIRE(x)                                                                                 \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http_request in, out;
static struct http_response answer_in, answer_out;

/* As large as the hub's own bounds, and more than any client's head. */
static const struct http_limits wide = {.line = 16384, .head = 60000, .fields = HTTP_MAX_FIELDS};

static bool own(uint8_t id)
{
    return id >= HTTP_EX_APP_ID && id <= HTTP_DOCKER_ENGINE_PORT;
}

static unsigned count(const struct http_request *r, enum http_name id, struct str value)
{
    unsigned n = 0;
    for (unsigned i = 0; i < r->nfields; i++) {
        if (r->fields[i].id == id) {
            REQUIRE(str_eq(r->fields[i].value, value));
            REQUIRE(str_eq(r->fields[i].name, http_name_text(id)));
            n++;
        }
    }
    return n;
}

/* A field that goes through as it came. */
static bool passes(const struct http_field *f)
{
    return !f->drop && !own(f->id);
}

/* The fields of both that are neither the hub's nor about framing, in the same order. */
static void same_fields(const struct http_request *a, const struct http_request *b, bool stripped)
{
    unsigned k = 0;
    for (unsigned i = 0; i < a->nfields; i++) {
        const struct http_field *f = &a->fields[i], *g;
        if (!passes(f) || f->id == HTTP_HOST ||
            (stripped && (f->id == HTTP_COOKIE || f->id == HTTP_AUTHORIZATION))) {
            continue;
        }
        do {
            REQUIRE(k < b->nfields);
            g = &b->fields[k++];
        } while (g->id == HTTP_HOST || own(g->id) || (stripped && g->id == HTTP_COOKIE));
        REQUIRE(str_eq(f->name, g->name) && str_eq(f->value, g->value));
    }
}

static void check_request(const char *p, size_t n, bool strip, bool appapi)
{
    static const struct http_limits l = HTTP_LIMITS_DEFAULT;
    struct rewrite_app app = {.id = STR("Id.1"),
                              .version = STR("1.2"),
                              .authorization = STR("OnQ="),
                              .appapi = appapi,
                              .strip_credentials = strip};
    size_t scanned = 0;
    if (http_parse_request(&in, p, n, &l, &scanned) <= 0) {
        return;
    }
    app.slash = in.path.p[0] != '/';
    app.path = app.slash ? STR("?x") : in.path;
    char *head = malloc(REWRITE_MAX);
    size_t len = rewrite_request(head, REWRITE_MAX, &in, &app);
    REQUIRE(len > 0);
    REQUIRE(rewrite_request(head, len - 1, &in, &app) == 0);
    char *exact = malloc(len);
    REQUIRE(rewrite_request(exact, len, &in, &app) == len);
    free(head);
    /* A head that is full of fields may have some more now. */
    if (in.nfields + 6 <= HTTP_MAX_FIELDS) {
        scanned = 0;
        REQUIRE(http_parse_request(&out, exact, len, &wide, &scanned) == (int)len);
        REQUIRE(str_eq(out.method, in.method) && out.minor == 1);
        REQUIRE(str_eq(out.path, app.slash ? STR("/?x") : app.path));
        REQUIRE(out.framing == in.framing && out.length == in.length);
        REQUIRE(out.upgrade == in.upgrade && !out.absolute && out.keep_alive);
        REQUIRE(out.expect_continue == in.expect_continue);
        REQUIRE(str_eq(out.authority, in.authority.n ? in.authority : STR("localhost")));
        REQUIRE(count(&out, HTTP_EX_APP_ID, app.id) == 1);
        REQUIRE(count(&out, HTTP_EX_APP_VERSION, app.version) == 1);
        REQUIRE(appapi || count(&out, HTTP_AUTHORIZATION_APP_API, app.authorization) == 1);
        REQUIRE(count(&out, HTTP_AA_VERSION, STR("32")) == 1);
        for (unsigned i = 0; i < out.nfields; i++) {
            uint8_t id = out.fields[i].id;
            REQUIRE(appapi || (id != HTTP_EX_APP_HOST && id != HTTP_EX_APP_PORT));
            REQUIRE(id != HTTP_HARP_SHARED_KEY && id != HTTP_DOCKER_ENGINE_PORT);
            REQUIRE(!strip || id != HTTP_AUTHORIZATION);
            REQUIRE(id != HTTP_HTTP2_SETTINGS && id != HTTP_TE && id != HTTP_KEEP_ALIVE);
            if (strip && id == HTTP_COOKIE) {
                struct str v = out.fields[i].value;
                REQUIRE(!memmem(v.p, v.n, "; nc_token=", 11));
                REQUIRE(v.n < 9 || memcmp(v.p, "nc_token=", 9) != 0);
            }
        }
        same_fields(&in, &out, strip);
    }
    free(exact);
}

static void check_response(const char *p, size_t n, enum http_method method, bool close)
{
    static const struct http_limits l = HTTP_LIMITS_DEFAULT;
    size_t scanned = 0;
    if (http_parse_response(&answer_in, method, p, n, &l, &scanned) <= 0) {
        return;
    }
    const struct http_response *r = &answer_in;
    struct http_reply reply = {.close = close || r->framing == HTTP_BODY_TO_EOF,
                               .keep_alive = !close,
                               .chunked = r->framing == HTTP_BODY_CHUNKED};
    char *head = malloc(REWRITE_MAX);
    size_t len = http_write_response(head, REWRITE_MAX, r, &reply);
    REQUIRE(len > 0 && http_write_response(head, len - 1, r, &reply) == 0);
    REQUIRE(http_write_response(head, len, r, &reply) == len);
    if (r->nfields + 2 <= HTTP_MAX_FIELDS) {
        scanned = 0;
        REQUIRE(http_parse_response(&answer_out, method, head, len, &wide, &scanned) == (int)len);
        REQUIRE(answer_out.status == r->status && answer_out.framing == r->framing &&
                answer_out.length == r->length && answer_out.upgrade == r->upgrade);
        REQUIRE(answer_out.minor == 1 && str_eq(answer_out.reason, r->reason));
        REQUIRE(r->upgrade || answer_out.keep_alive == !reply.close);
    }
    free(head);
}

static void check_trailers(const char *p, size_t n)
{
    static const struct http_limits l = HTTP_LIMITS_DEFAULT;
    struct http_field fields[HTTP_MAX_FIELDS], again[HTTP_MAX_FIELDS];
    const char *why;
    int have = http_parse_trailers(fields, HTTP_MAX_FIELDS, p, n, &l, &why);
    if (have < 0) {
        return;
    }
    char *section = malloc(REWRITE_MAX);
    size_t len = http_write_trailers(section, REWRITE_MAX, fields, (unsigned)have);
    REQUIRE(len >= 2 && http_write_trailers(section, len - 1, fields, (unsigned)have) == 0);
    REQUIRE(http_write_trailers(section, len, fields, (unsigned)have) == len);
    int left = http_parse_trailers(again, HTTP_MAX_FIELDS, section, len, &wide, &why);
    REQUIRE(left >= 0 && left <= have);
    for (int i = 0; i < left; i++) {
        REQUIRE(!again[i].drop && !own(again[i].id));
    }
    free(section);
}

/* The first byte chooses; the rest is a head. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    uint8_t how = data[0];
    char *p = malloc(size);
    memcpy(p, data + 1, size - 1);
    switch (how & 3) {
    case 0:
    case 1:
        check_request(p, size - 1, how & 1, how & 4);
        break;
    case 2:
        check_response(p, size - 1, how & 4 ? HTTP_HEAD : HTTP_GET, how & 8);
        break;
    default:
        check_trailers(p, size - 1);
        break;
    }
    free(p);
    return 0;
}
