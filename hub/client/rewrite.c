#include "hub/client/rewrite.h"

#include <stdio.h>

#include "common/base/writer.h"

static void put_field(struct writer *w, struct str name, struct str value)
{
    writer_put(w, name);
    writer_put(w, STR(": "));
    writer_put(w, value);
    writer_put(w, STR("\r\n"));
}

/* What AppAPI tells the app by itself. Connection can't take it away: whoever names these fields there
 * has the shared key. */
static bool appapi_field(uint8_t id)
{
    return id == HTTP_AUTHORIZATION_APP_API || id == HTTP_EX_APP_HOST || id == HTTP_EX_APP_PORT;
}

/* Cookies that are a Nextcloud session or a way to get one. */
static bool session_cookie(struct str pair)
{
    static const char *const names[] = {"oc_sessionPassphrase", "nc_username", "nc_token",
                                        "nc_session_id"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        size_t n = strlen(names[i]);
        if (pair.n > n && memcmp(pair.p, names[i], n) == 0 && pair.p[n] == '=') {
            return true;
        }
    }
    /* The PHP session's cookie is named by the instance id: "oc" and ten letters or digits. */
    return pair.n > 13 && pair.p[0] == 'o' && pair.p[1] == 'c' && pair.p[12] == '=';
}

static void put_cookies(struct writer *w, const struct http_field *f)
{
    const char *p = f->value.p, *end = p + f->value.n;
    bool first = true;
    while (p < end) {
        const char *semi = memchr(p, ';', (size_t)(end - p));
        struct str pair = {p, (size_t)((semi ? semi : end) - p)};
        p = semi ? semi + 1 : end;
        while (pair.n > 0 && (*pair.p == ' ' || *pair.p == '\t')) {
            pair.p++;
            pair.n--;
        }
        if (pair.n > 0 && !session_cookie(pair)) {
            writer_put(w, first ? f->name : STR("; "));
            writer_put(w, first ? STR(": ") : STR(""));
            writer_put(w, pair);
            first = false;
        }
    }
    writer_put(w, first ? STR("") : STR("\r\n"));
}

size_t rewrite_request(char *out, size_t cap, const struct http_request *r,
                       const struct rewrite_app *app)
{
    struct writer w = {out, out + cap, false};
    writer_put(&w, r->method);
    writer_put(&w, app->slash ? STR(" /") : STR(" "));
    writer_put(&w, app->path);
    writer_put(&w, STR(" HTTP/1.1\r\n"));
    if (r->absolute) {
        put_field(&w, STR("Host"), r->authority);
    } else if (r->authority.n == 0) {
        writer_put(&w, STR("Host: localhost\r\n")); /* HTTP/1.0 needs none, what is sent on does */
    }
    for (unsigned i = 0; i < r->nfields; i++) {
        const struct http_field *f = &r->fields[i];
        bool own = app->appapi && appapi_field(f->id);
        if ((f->drop || http_name_is_hub(f->id)) && !own) {
            continue;
        }
        if (app->strip_credentials && f->id == HTTP_AUTHORIZATION) {
            continue;
        }
        if (app->strip_credentials && f->id == HTTP_COOKIE) {
            put_cookies(&w, f);
            continue;
        }
        put_field(&w, f->name, f->value);
    }
    put_field(&w, STR("EX-APP-ID"), app->id);
    put_field(&w, STR("EX-APP-VERSION"), app->version);
    if (!app->appapi) {
        put_field(&w, STR("AUTHORIZATION-APP-API"), app->authorization);
    }
    writer_put(&w, STR("AA-VERSION: 32\r\n"));
    if (r->framing == HTTP_BODY_CHUNKED) {
        writer_put(&w, STR("Transfer-Encoding: chunked\r\n"));
    }
    writer_put(&w, r->upgrade ? STR("Connection: upgrade\r\n\r\n") : STR("\r\n"));
    return writer_end(&w, out);
}
