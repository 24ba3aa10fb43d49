/* Heads as the hub sends them on: what is dropped, what is set, what stays byte for byte. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/http/reply.h"
#include "hub/client/rewrite.h"

#define OWN                                                                                        \
    "EX-APP-ID: App\r\nEX-APP-VERSION: 1.2\r\nAUTHORIZATION-APP-API: OnQ=\r\nAA-VERSION: 32\r\n"

static struct http_request req;
static struct http_response res;
static char out[REWRITE_MAX + 1];

static const struct rewrite_app app = {
    .path = {"/p?q", 4}, .id = {"App", 3}, .version = {"1.2", 3}, .authorization = {"OnQ=", 4}};

static void parse_request(const char *head)
{
    size_t scanned = 0;
    int n = http_parse_request(&req, head, strlen(head), &HTTP_LIMITS_DEFAULT, &scanned);
    if (n != (int)strlen(head)) {
        fail_msg("the test's own request is bad (%d): %s", n, head);
    }
}

static void parse_response(const char *head)
{
    size_t scanned = 0;
    int n = http_parse_response(&res, HTTP_GET, head, strlen(head), &HTTP_LIMITS_DEFAULT, &scanned);
    if (n != (int)strlen(head)) {
        fail_msg("the test's own response is bad (%d): %s", n, head);
    }
}

static void expect(size_t n, const char *want)
{
    if (n != strlen(want) || memcmp(out, want, n) != 0) {
        fail_msg("got:\n%.*s\nwanted:\n%s", (int)n, out, want);
    }
}

static void expect_request(const char *head, const struct rewrite_app *to, const char *want)
{
    parse_request(head);
    expect(rewrite_request(out, sizeof(out), &req, to), want);
}

struct pair {
    const char *in, *want;
};

/* Fields between Host and the hub's own, in and out. */
static void check_fields(const struct pair *rows, size_t count, const struct rewrite_app *to)
{
    for (size_t i = 0; i < count; i++) {
        char in[1024], want[1024];
        snprintf(in, sizeof(in), "GET /exapps/App/p?q HTTP/1.1\r\nHost: h\r\n%s\r\n", rows[i].in);
        snprintf(want, sizeof(want), "GET /p?q HTTP/1.1\r\nHost: h\r\n%s" OWN "\r\n", rows[i].want);
        expect_request(in, to, want);
    }
}

static void sets_the_hubs_own_fields(void **state)
{
    (void)state;
    expect_request("GET /exapps/App/p?q HTTP/1.1\r\nHost: h:80\r\n\r\n", &app,
                   "GET /p?q HTTP/1.1\r\nHost: h:80\r\n" OWN "\r\n");
    expect_request("M-SEARCH /exapps/App/p?q HTTP/1.1\r\nHost: h\r\n\r\n", &app,
                   "M-SEARCH /p?q HTTP/1.1\r\nHost: h\r\n" OWN "\r\n");
}

static void replaces_own_fields_in_every_spelling(void **state)
{
    static const char *const names[] = {"EX-APP-ID",       "EX-APP-VERSION",        "EX-APP-HOST",
                                        "EX-APP-PORT",     "AUTHORIZATION-APP-API", "AA-VERSION",
                                        "HARP-SHARED-KEY", "DOCKER-ENGINE-PORT"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        for (int spelling = 0; spelling < 6; spelling++) {
            char name[32], in[256];
            size_t n = strlen(names[i]);
            unsigned dashes = 0;
            for (size_t k = 0; k <= n; k++) {
                char c = names[i][k];
                if ((spelling & 1) || (spelling == 4 && k % 2)) {
                    c = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
                }
                /* 2, 3: every dash; 4, 5: the first one only */
                if (c == '-' && (spelling == 2 || spelling == 3 || (spelling > 3 && !dashes++))) {
                    c = '_';
                }
                name[k] = c;
            }
            snprintf(in, sizeof(in), "a: 1\r\n%s: evil\r\nb: 2\r\n%s:evil\r\n", name, name);
            const struct pair row = {in, "a: 1\r\nb: 2\r\n"};
            check_fields(&row, 1, &app);
        }
    }
}

static void drops_hop_by_hop_fields(void **state)
{
    static const struct pair rows[] = {
        {"Connection: keep-alive\r\n", ""},
        {"Connection: close\r\na: 1\r\n", "a: 1\r\n"},
        {"Connection: x-hop, close\r\nX-Hop: 1\r\nx-hop2: 2\r\n", "x-hop2: 2\r\n"},
        {"X-HOP: 1\r\nconnection: x-hop\r\n", ""},
        {"Keep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Connection: x\r\n", ""},
        {"Proxy-Authorization: Basic eA==\r\nProxy-Authenticate: x\r\n", ""},
        {"HTTP2-Settings: AAMAAABkAAQAAP__\r\nUpgrade: h2c\r\n"
         "Connection: Upgrade, HTTP2-Settings\r\n",
         ""},
        {"Upgrade: websocket\r\n", ""}, /* without Connection: upgrade */
        {"Connection: ex-app-id\r\nEX-APP-ID: x\r\n", ""},
    };
    (void)state;
    check_fields(rows, ARRAY_LEN(rows), &app);
}

static void keeps_all_other_fields_as_sent(void **state)
{
    static const struct pair rows[] = {
        {"x: 1\r\nX: 2\r\nx: 1\r\n", "x: 1\r\nX: 2\r\nx: 1\r\n"},
        {"Cookie: a=1\r\nx: y\r\ncookie: b=2\r\n", "Cookie: a=1\r\nx: y\r\ncookie: b=2\r\n"},
        {"Accept: a\r\nAccept: b, c\r\n", "Accept: a\r\nAccept: b, c\r\n"},
        {"x:y\r\nz: \t v w \t \r\n", "x: y\r\nz: v w\r\n"}, /* blanks around a value mean nothing */
        {"x:\r\n", "x: \r\n"},
        {"x: \xC3\xA4\x80\xFF\r\n", "x: \xC3\xA4\x80\xFF\r\n"},
        {"Authorization: Bearer x\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=x\r\n",
         "Authorization: Bearer x\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=x\r\n"},
        {"Expect: 100-continue\r\nContent-Length: 5\r\n",
         "Expect: 100-continue\r\nContent-Length: 5\r\n"},
        {"Content-Length: 0\r\n", "Content-Length: 0\r\n"},
        {"Trailer: x\r\n", "Trailer: x\r\n"},
        {"EX-APP: 1\r\nEX-APP-IDS: 2\r\nAPP-API: 3\r\n",
         "EX-APP: 1\r\nEX-APP-IDS: 2\r\nAPP-API: 3\r\n"},
    };
    (void)state;
    check_fields(rows, ARRAY_LEN(rows), &app);
}

static void takes_host_from_an_absolute_target(void **state)
{
    (void)state;
    expect_request("GET http://real:81/exapps/App/p?q HTTP/1.1\r\na: 1\r\nHost: other\r\n"
                   "b: 2\r\n\r\n",
                   &app, "GET /p?q HTTP/1.1\r\nHost: real:81\r\na: 1\r\nb: 2\r\n" OWN "\r\n");
}

static void puts_a_slash_before_a_bare_query(void **state)
{
    struct rewrite_app bare = app;
    (void)state;
    bare.slash = true;
    bare.path = STR("?q");
    expect_request("GET /exapps/App?q HTTP/1.1\r\nHost: h\r\n\r\n", &bare,
                   "GET /?q HTTP/1.1\r\nHost: h\r\n" OWN "\r\n");
    bare.path = (struct str){NULL, 0};
    expect_request("GET /exapps/App HTTP/1.1\r\nHost: h\r\n\r\n", &bare,
                   "GET / HTTP/1.1\r\nHost: h\r\n" OWN "\r\n");
}

static void request_without_host_gets_one(void **state)
{
    (void)state;
    expect_request("GET /exapps/App/p?q HTTP/1.0\r\na: 1\r\n\r\n", &app,
                   "GET /p?q HTTP/1.1\r\nHost: localhost\r\na: 1\r\n" OWN "\r\n");
    expect_request("GET /exapps/App/p?q HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",
                   &app, "GET /p?q HTTP/1.1\r\nHost: h\r\n" OWN "\r\n");
    expect_request("GET http://real/exapps/App/p?q HTTP/1.0\r\n\r\n", &app,
                   "GET /p?q HTTP/1.1\r\nHost: real\r\n" OWN "\r\n");
}

static void passes_an_upgrade_on(void **state)
{
    (void)state;
    expect_request(
        "GET /exapps/App/p?q HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
        "Connection: x, Upgrade\r\nX: 1\r\nSec-WebSocket-Key: k\r\n\r\n",
        &app,
        "GET /p?q HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n" OWN
        "Connection: upgrade\r\n\r\n");
}

static void frames_a_chunked_request_anew(void **state)
{
    (void)state;
    expect_request(
        "POST /exapps/App/p?q HTTP/1.1\r\nHost: h\r\ntransfer-encoding: Chunked\r\n"
        "a: 1\r\n\r\n",
        &app, "POST /p?q HTTP/1.1\r\nHost: h\r\na: 1\r\n" OWN "Transfer-Encoding: chunked\r\n\r\n");
}

static void strips_nextclouds_credentials_when_told_to(void **state)
{
    struct rewrite_app strip = app;
    static const struct pair rows[] = {
        {"Authorization: Basic x\r\na: 1\r\nauthorization: y\r\n", "a: 1\r\n"},
        {"Cookie: oc_sessionPassphrase=x\r\n", ""},
        {"Cookie: a=1; oc_sessionPassphrase=x; b=2\r\n", "Cookie: a=1; b=2\r\n"},
        {"Cookie: nc_username=u; nc_token=t; nc_session_id=s; z=9\r\n", "Cookie: z=9\r\n"},
        {"Cookie: a=1;\tnc_token=t; \t nc_session_id=s;b=2\r\n", "Cookie: a=1; b=2\r\n"},
        {"Cookie: oc12345abcde=sess; a=1\r\n", "Cookie: a=1\r\n"},
        {"Cookie: a=1;oc12345abcde=sess;b=2\r\n", "Cookie: a=1; b=2\r\n"},
        {"cookie: nc_token=1\r\nCookie: a=1\r\nCookie: b=2; nc_token=2\r\n",
         "Cookie: a=1\r\nCookie: b=2\r\n"},
        /* others, however like them */
        {"Cookie: oc_sessionPassphrases=x; xnc_token=1; nc_token; oc1234=x\r\n",
         "Cookie: oc_sessionPassphrases=x; xnc_token=1; nc_token; oc1234=x\r\n"},
        {"Cookie: a=nc_token=1; b=\"x y\"\r\n", "Cookie: a=nc_token=1; b=\"x y\"\r\n"},
        {"Cookie: ;; a=1;;\r\n", "Cookie: a=1\r\n"},
        {"Cookie: \r\n", ""},
        {"X-Cookie: nc_token=1\r\n", "X-Cookie: nc_token=1\r\n"},
    };
    static const struct pair kept[] = {
        {"Authorization: Basic x\r\nCookie: nc_token=1; a=2\r\n",
         "Authorization: Basic x\r\nCookie: nc_token=1; a=2\r\n"},
    };
    (void)state;
    strip.strip_credentials = true;
    check_fields(rows, ARRAY_LEN(rows), &strip);
    check_fields(kept, ARRAY_LEN(kept), &app);
}

static void passes_a_response_on(void **state)
{
    static const struct {
        const char *in;
        struct http_reply reply;
        const char *want;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a\r\nx: 1\r\nset-cookie: b\r\n\r\n",
         {0},
         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a\r\nx: 1\r\nset-cookie: b\r\n\r\n"},
        {"HTTP/1.0 404 Not here\r\nConnection: x, keep-alive\r\nx: 1\r\nKeep-Alive: 5\r\n"
         "Content-Length: 0\r\n\r\n",
         {0},
         "HTTP/1.1 404 Not here\r\nContent-Length: 0\r\n\r\n"},
        {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
         {.close = true},
         "HTTP/1.1 200 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
         {.keep_alive = true},
         "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
         {.close = true, .keep_alive = true},
         "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n",
         {.chunked = true},
         "HTTP/1.1 200 OK\r\nTrailer: x\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", /* decoded for an old client */
         {.close = true},
         "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nUpgrade: h2,h2c\r\nContent-Length: 0\r\n\r\n",
         {0},
         "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
        {"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
         {0},
         "HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nConnection: upgrade\r\n\r\n"},
        {"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", {0}, "HTTP/1.1 204 No\r\n\r\n"},
        {"HTTP/1.1 100 Continue\r\nx: 1\r\n\r\n", {0}, "HTTP/1.1 100 Continue\r\nx: 1\r\n\r\n"},
        {"HTTP/1.1 304 Not\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n",
         {0},
         "HTTP/1.1 304 Not\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        parse_response(rows[i].in);
        expect(http_write_response(out, sizeof(out), &res, &rows[i].reply), rows[i].want);
    }
}

static void leaves_forbidden_fields_out_of_trailers(void **state)
{
    static const char in[] =
        "x: 1\r\nContent-Length: 5\r\nEX_APP_ID: x\r\nAuthorization: y\r\n"
        "harp-shared-key: z\r\nX: 2\r\nHost: h\r\nTransfer-Encoding: c\r\n\r\n";
    struct http_field fields[HTTP_MAX_FIELDS];
    const char *why;
    (void)state;
    int n = http_parse_trailers(fields, HTTP_MAX_FIELDS, in, sizeof(in) - 1, &HTTP_LIMITS_DEFAULT,
                                &why);
    assert_true(n > 0);
    expect(http_write_trailers(out, sizeof(out), fields, (unsigned)n), "x: 1\r\nX: 2\r\n\r\n");
    expect(http_write_trailers(out, sizeof(out), fields, 0), "\r\n");
    /* Also when nobody marked them. */
    for (int i = 0; i < n; i++) {
        fields[i].drop = false;
    }
    size_t len = http_write_trailers(out, sizeof(out), fields, (unsigned)n);
    out[len] = '\0';
    assert_null(strcasestr(out, "ex_app_id"));
    assert_null(strcasestr(out, "harp"));
}

static void too_small_a_buffer_gives_nothing(void **state)
{
    struct http_field field = {.name = {"x", 1}, .value = {"1", 1}};
    struct http_reply reply = {.close = true, .chunked = true};
    struct rewrite_app strip = app;
    (void)state;
    strip.strip_credentials = true;
    parse_request("POST http://h/exapps/App/p?q HTTP/1.1\r\nHost: h\r\nCookie: a=1; b=2\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n");
    parse_response("HTTP/1.1 200 OK\r\nx: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
    size_t whole[] = {rewrite_request(out, sizeof(out), &req, &strip),
                      http_write_response(out, sizeof(out), &res, &reply),
                      http_write_trailers(out, sizeof(out), &field, 1)};
    for (int kind = 0; kind < 3; kind++) {
        for (size_t cap = 0; cap <= whole[kind]; cap++) {
            char *exact = malloc(cap ? cap : 1);
            size_t n = kind == 0   ? rewrite_request(exact, cap, &req, &strip)
                       : kind == 1 ? http_write_response(exact, cap, &res, &reply)
                                   : http_write_trailers(exact, cap, &field, 1);
            free(exact);
            assert_int_equal(n, cap == whole[kind] ? cap : 0);
        }
    }
}

static void largest_head_fits(void **state)
{
    /* As many fields as may be, in as many bytes as may be. */
    char *head = malloc(40000);
    size_t n = (size_t)sprintf(head, "GET /exapps/App/p?q HTTP/1.1\r\nHost:h\r\n");
    (void)state;
    for (int i = 0; i < HTTP_MAX_FIELDS - 1; i++) {
        n += (size_t)sprintf(head + n, "x:%0240d\r\n", i);
    }
    memcpy(head + n, "\r\n", 3);
    parse_request(head);
    assert_int_equal(req.nfields, HTTP_MAX_FIELDS);
    size_t len = rewrite_request(out, REWRITE_MAX, &req, &app);
    assert_true(len > n);
    free(head);
}

/* Its credentials and the app's address pass as sent, even if Connection names them; the rest of the
 * hub's fields is set and taken away as always. */
static void a_call_of_appapis_keeps_its_own_fields(void **state)
{
    struct rewrite_app to = app;
    (void)state;
    to.appapi = true;
    expect_request("PUT /exapps/App/p?q HTTP/1.1\r\nHost: h\r\nEX-APP-ID: x\r\nex-app-host: a\r\n"
                   "Connection: authorization-app-api, X\r\nX: y\r\nharp-shared-key: k\r\n"
                   "AUTHORIZATION-APP-API: YTpi\r\nAA-VERSION: 34\r\nex-app-port: 1\r\n"
                   "docker-engine-port: 24000\r\nContent-Length: 0\r\n\r\n",
                   &to,
                   "PUT /p?q HTTP/1.1\r\nHost: h\r\nex-app-host: a\r\n"
                   "AUTHORIZATION-APP-API: YTpi\r\nex-app-port: 1\r\nContent-Length: 0\r\n"
                   "EX-APP-ID: App\r\nEX-APP-VERSION: 1.2\r\nAA-VERSION: 32\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_the_hubs_own_fields),
        cmocka_unit_test(replaces_own_fields_in_every_spelling),
        cmocka_unit_test(drops_hop_by_hop_fields),
        cmocka_unit_test(keeps_all_other_fields_as_sent),
        cmocka_unit_test(takes_host_from_an_absolute_target),
        cmocka_unit_test(puts_a_slash_before_a_bare_query),
        cmocka_unit_test(request_without_host_gets_one),
        cmocka_unit_test(passes_an_upgrade_on),
        cmocka_unit_test(frames_a_chunked_request_anew),
        cmocka_unit_test(strips_nextclouds_credentials_when_told_to),
        cmocka_unit_test(passes_a_response_on),
        cmocka_unit_test(leaves_forbidden_fields_out_of_trailers),
        cmocka_unit_test(too_small_a_buffer_gives_nothing),
        cmocka_unit_test(a_call_of_appapis_keeps_its_own_fields),
        cmocka_unit_test(largest_head_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
