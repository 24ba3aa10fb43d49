#include "hub/admin/admin_api.h"

#include <stdio.h>

#include "common/http/reply.h"
#include "common/config/values.h"
#include "common/http/percent.h"
#include "hub/admin/admin_bans.h"
#include "hub/client/answer.h"

#define BANS_PATH "/api/bans/"
#define HEALTH_PATH "/health"

static void refuse(struct admin_verdict *v, int status, const char *why)
{
    v->status = status;
    v->why = why;
}

/* ---- where it comes from ---- */

/* Nobody can make a browser take a name for one of these. */
static bool host_is_ours(struct str authority)
{
    struct str host;
    struct ip_addr ip;
    return value_split_authority(authority, &host) == 0 &&
           (str_eq_nocase(host, STR("localhost")) || ip_parse(host, &ip) == 0);
}

/* A page sends Origin with whatever could change something. Ours are http://HOST. */
static bool origin_is_ours(const struct http_request *r)
{
    static const struct str name = {"Origin", 6}, scheme = {"http://", 7};
    for (unsigned i = 0; i < r->nfields; i++) {
        const struct http_field *f = &r->fields[i];
        struct str host;
        if (!str_eq_nocase(f->name, name)) {
            continue;
        }
        if (f->value.n < scheme.n || memcmp(f->value.p, scheme.p, scheme.n) != 0) {
            return false;
        }
        host = (struct str){f->value.p + scheme.n, f->value.n - scheme.n};
        if (!str_eq_nocase(host, r->authority)) {
            return false;
        }
    }
    return true;
}

/* `Authorization: Bearer TOKEN`, once. */
static bool token_given(const struct http_request *r, const struct secret *token)
{
    static const struct str scheme = {"Bearer ", 7};
    const struct http_field *found = NULL;
    for (unsigned i = 0; i < r->nfields; i++) {
        if (r->fields[i].id == HTTP_AUTHORIZATION) {
            if (found) {
                return false;
            }
            found = &r->fields[i];
        }
    }
    if (!found || found->value.n < scheme.n ||
        !str_eq_nocase((struct str){found->value.p, scheme.n}, scheme)) {
        return false;
    }
    return secret_matches(token,
                          (struct str){found->value.p + scheme.n, found->value.n - scheme.n});
}

/* Behind it may stand a query, which means nothing here. */
static struct str path_of(const struct http_request *r)
{
    const char *query = memchr(r->path.p, '?', r->path.n);
    return (struct str){r->path.p, query ? (size_t)(query - r->path.p) : r->path.n};
}

/* false: refused. The token is not asked for by who only wants to know whether the hub is well: a container's
 * health check, from elsewhere, should not need it. */
static bool may_ask(struct admin_verdict *v, const struct http_request *r,
                    const struct admin_rules *rules)
{
    if (r->authority.n == 0) {
        refuse(v, 400, "no Host");
    } else if (!rules->token && rules->check_host && !host_is_ours(r->authority)) {
        refuse(v, 403, "Host must be localhost or an IP address, unless a token is set");
    } else if (!rules->token && rules->check_host && !origin_is_ours(r)) {
        refuse(v, 403, "the page that asks has another origin");
    } else if (rules->token && !token_given(r, rules->token) &&
               !str_eq(path_of(r), STR(HEALTH_PATH))) {
        refuse(v, 401, "the token of HP_ADMIN_TOKEN is asked for, as Authorization: Bearer TOKEN");
    }
    return v->status == 0;
}

/* ---- what it asks for ---- */

static void route_lift(struct admin_verdict *v, const struct http_request *r, struct str address)
{
    char text[3 * ADMIN_BAN_TEXT_MAX]; /* if all of it is encoded */
    if (r->method_id != HTTP_DELETE) {
        refuse(v, 405, "only DELETE");
        v->allow = "DELETE";
        return;
    }
    size_t n = MIN(address.n, sizeof(text));
    memcpy(text, address.p, n);
    if (n < address.n ||
        admin_ban_parse((struct str){text, http_percent_decode(text, n)}, &v->ip) != 0) {
        refuse(v, 400, "no IP address stands behind " BANS_PATH);
        return;
    }
    v->op = ADMIN_OP_LIFT;
}

/* Paths are compared as they were sent: what would have to be decoded or cleaned up to be one of
 * these is none of them. */
static void route(struct admin_verdict *v, const struct http_request *r)
{
    static const struct {
        struct str path;
        enum admin_op op;
    } reads[] = {
        {{"/heartbeat", 10}, ADMIN_OP_HEARTBEAT},
        {{"/info", 5}, ADMIN_OP_INFO},
        {{HEALTH_PATH, sizeof(HEALTH_PATH) - 1}, ADMIN_OP_HEALTH},
        {{"/status", 7}, ADMIN_OP_STATUS},
        {{"/api/bans", 9}, ADMIN_OP_BANS},
        {{"/api/engines", 12}, ADMIN_OP_ENGINES},
    };
    struct str path = path_of(r);
    for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
        if (str_eq(path, reads[i].path)) {
            v->op = reads[i].op;
            if (r->method_id != HTTP_GET && r->method_id != HTTP_HEAD) {
                refuse(v, 405, "only GET and HEAD");
                v->allow = "GET, HEAD";
            }
            return;
        }
    }
    struct str bans = STR(BANS_PATH);
    if (path.n > bans.n && memcmp(path.p, bans.p, bans.n) == 0) {
        route_lift(v, r, (struct str){path.p + bans.n, path.n - bans.n});
    } else {
        refuse(v, 404, "no such path");
    }
}

void admin_judge(struct admin_verdict *v, const struct http_request *r,
                 const struct admin_rules *rules)
{
    *v = (struct admin_verdict){.head = r->method_id == HTTP_HEAD};
    if (r->framing == HTTP_BODY_CHUNKED) {
        refuse(v, 400, "Transfer-Encoding is not taken here");
    } else if (r->framing == HTTP_BODY_LENGTH && r->length > 0) {
        refuse(v, 413, "no request here has a body");
    } else if (r->absolute) {
        refuse(v, 400, "the request is made for a proxy");
    } else if (may_ask(v, r, rules)) {
        route(v, r);
    }
}

/* ---- answers ---- */

size_t admin_answer_head(char out[ADMIN_HEAD_MAX], const struct admin_answer *a)
{
    int n = snprintf(out, ADMIN_HEAD_MAX,
                     "HTTP/1.1 %d %s\r\n"
                     "Cache-Control: no-store\r\n"
                     "X-Content-Type-Options: nosniff\r\n"
                     "Connection: close\r\n",
                     a->status, http_status_words(a->status));
    if (a->status != 204) { /* which must have neither (RFC 9110 8.6) */
        n += snprintf(out + n, ADMIN_HEAD_MAX - (size_t)n,
                      "Content-Type: %s\r\nContent-Length: %zu\r\n",
                      a->json ? "application/json" : "text/plain", a->n);
    }
    if (a->status == 401) {
        n += snprintf(out + n, ADMIN_HEAD_MAX - (size_t)n, "WWW-Authenticate: Bearer\r\n");
    }
    if (a->allow) {
        n += snprintf(out + n, ADMIN_HEAD_MAX - (size_t)n, "Allow: %s\r\n", a->allow);
    }
    n += snprintf(out + n, ADMIN_HEAD_MAX - (size_t)n, "\r\n");
    return (size_t)n;
}
