#include "hub/access/exapp_meta.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/config/values.h"
#include "common/crypto/secret.h"
#include "common/json/json.h"

void exapp_meta_free(struct exapp_meta *m)
{
    for (size_t i = 0; i < m->nroutes; i++) {
        free(m->routes[i].url);
    }
    if (m->token) {
        secret_wipe(m->token, strlen(m->token));
    }
    free(m->routes);
    free(m->token);
    free(m->id);
    free(m->version);
    free(m->host);
    *m = (struct exapp_meta){0};
}

static bool routes_equal(const struct exapp_route *a, const struct exapp_route *b)
{
    return strcmp(a->url, b->url) == 0 && a->access == b->access && a->nstatus == b->nstatus &&
           memcmp(a->status, b->status, a->nstatus * sizeof(a->status[0])) == 0;
}

bool exapp_meta_equal(const struct exapp_meta *a, const struct exapp_meta *b)
{
    if (strcmp(a->id, b->id) != 0 || !secret_equal(str_of(a->token), str_of(b->token)) ||
        strcmp(a->version, b->version) != 0 || strcmp(a->host, b->host) != 0 ||
        a->port != b->port || a->nroutes != b->nroutes) {
        return false;
    }
    for (size_t i = 0; i < a->nroutes; i++) {
        if (!routes_equal(&a->routes[i], &b->routes[i])) {
            return false;
        }
    }
    return true;
}

bool exapp_id_valid(struct str id)
{
    size_t dots = 0;
    if (id.n == 0 || id.n > EXAPP_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        dots += c == '.';
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '.' || c == '-')) {
            return false;
        }
    }
    return dots != id.n;
}

void exapp_id_lower(char *out, struct str id)
{
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    out[id.n] = '\0';
}

bool exapp_version_valid(struct str version)
{
    return version.n > 0 && version.n <= EXAPP_VERSION_MAX && value_is_printable(version) &&
           version.p[0] != ' ' && version.p[version.n - 1] != ' ';
}

/* ---- JSON ---- */

struct reader {
    char *err;
    size_t errlen;
};

static int fail(const struct reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int fail(const struct reader *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(r->err, r->errlen, fmt, args);
    va_end(args);
    return -1;
}

static int read_string(const struct reader *r, const struct json_node *object, const char *key,
                       size_t min, size_t max, struct str *out)
{
    const struct json_node *node = json_get(object, key);
    if (!node) {
        return fail(r, "%s is missing", key);
    }
    if (json_str(node, out) < 0) {
        return fail(r, "%s is not a string but: %s", key, json_type_name(node));
    }
    if (out->n < min || out->n > max) {
        return fail(r, "%s is %s", key, out->n < min ? "empty" : "too long");
    }
    if (memchr(out->p, '\0', out->n)) {
        return fail(r, "%s has a NUL in it", key);
    }
    return 0;
}

/* PHP is not always sure whether a number is one: digits in a string count, too. */
static int read_number(const struct reader *r, const struct json_node *node, const char *what,
                       int64_t min, int64_t max, int64_t *out)
{
    struct str digits;
    if (!node) {
        return fail(r, "%s is missing", what);
    }
    if (json_int(node, out) == 0
            ? *out >= min && *out <= max
            : json_str(node, &digits) == 0 && value_parse_int(digits, min, max, out) == 0) {
        return 0;
    }
    return fail(r, "%s is no whole number from %lld to %lld", what, (long long)min, (long long)max);
}

static int read_route(const struct reader *r, const struct json_node *node, struct exapp_route *to)
{
    struct str url = {0};
    int64_t number = 0;
    if (json_type(node) != JSON_OBJECT) {
        return fail(r, "a route is not an object but: %s", json_type_name(node));
    }
    if (read_string(r, node, "url", 0, EXAPP_META_BYTES, &url) < 0 ||
        read_number(r, json_get(node, "access_level"), "access_level", EXAPP_PUBLIC, EXAPP_ADMIN,
                    &number) < 0) {
        return -1;
    }
    to->access = (enum exapp_access)number;
    const struct json_node *list = json_get(node, "bruteforce_protection");
    if (list && json_type(list) != JSON_ARRAY && json_type(list) != JSON_NULL) {
        return fail(r, "bruteforce_protection is not an array but: %s", json_type_name(list));
    }
    if (json_count(list) > EXAPP_ROUTE_STATUS_MAX) {
        return fail(r, "bruteforce_protection has more than %d entries", EXAPP_ROUTE_STATUS_MAX);
    }
    for (const struct json_node *n = json_first(list); n; n = json_next(n)) {
        if (read_number(r, n, "a status of bruteforce_protection", 100, 599, &number) < 0) {
            return -1;
        }
        to->status[to->nstatus++] = (uint16_t)number;
    }
    to->url = xstrndup(url.p, url.n);
    return 0;
}

static int read_meta(const struct reader *r, struct exapp_meta *m, const struct json_node *root)
{
    struct str token = {0}, version = {0}, host = {0};
    int64_t port = 0;
    if (json_type(root) != JSON_OBJECT) {
        return fail(r, "it is not an object but: %s", json_type_name(root));
    }
    if (read_string(r, root, "exapp_token", 1, EXAPP_TOKEN_MAX, &token) < 0 ||
        read_string(r, root, "exapp_version", 1, EXAPP_VERSION_MAX, &version) < 0 ||
        read_string(r, root, "host", 1, EXAPP_HOST_MAX, &host) < 0 ||
        read_number(r, json_get(root, "port"), "port", 1, UINT16_MAX, &port) < 0) {
        return -1;
    }
    if (!value_is_printable(token)) {
        return fail(r, "exapp_token has other than printable ASCII in it");
    }
    if (!exapp_version_valid(version)) {
        return fail(r, "exapp_version can't stand in a header field");
    }
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
        host = (struct str){host.p + 1, host.n - 2};
    }
    if (!value_is_host(host)) {
        return fail(r, "host is neither a host name nor an address");
    }
    m->token = xstrndup(token.p, token.n);
    m->version = xstrndup(version.p, version.n);
    m->host = xstrndup(host.p, host.n);
    m->port = (uint16_t)port;
    const struct json_node *routes = json_get(root, "routes");
    if (routes && json_type(routes) != JSON_ARRAY && json_type(routes) != JSON_NULL) {
        return fail(r, "routes is not an array but: %s", json_type_name(routes));
    }
    if (json_count(routes) > EXAPP_ROUTES_MAX) {
        return fail(r, "it has more than %d routes", EXAPP_ROUTES_MAX);
    }
    m->routes = xcalloc(MAX(json_count(routes), 1), sizeof(*m->routes));
    for (const struct json_node *n = json_first(routes); n; n = json_next(n)) {
        if (read_route(r, n, &m->routes[m->nroutes]) < 0) {
            return -1;
        }
        m->nroutes++;
    }
    return 0;
}

int exapp_meta_read(struct exapp_meta *m, struct str id, struct str json, char *err, size_t errlen)
{
    struct reader r = {err, errlen};
    char lower[EXAPP_ID_MAX + 1];
    *m = (struct exapp_meta){0};
    if (!exapp_id_valid(id)) {
        return fail(&r, "the app's id is not valid");
    }
    char why[160];
    struct json_doc *doc = json_parse(json.p, json.n, NULL, why, sizeof(why));
    if (!doc) {
        return fail(&r, "not good JSON: %s", why);
    }
    int rc = read_meta(&r, m, json_root(doc));
    json_free(doc);
    if (rc < 0) {
        exapp_meta_free(m);
        return -1;
    }
    exapp_id_lower(lower, id);
    m->id = xstrndup(lower, id.n);
    return 0;
}
