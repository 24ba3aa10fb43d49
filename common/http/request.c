#include "common/http/head.h"

#include "common/http/parts.h"
#include "common/http/syntax.h"

static enum http_method method_lookup(struct str m)
{
    static const struct {
        struct str text;
        enum http_method id;
    } methods[] = {
        {{"GET", 3}, HTTP_GET},         {{"POST", 4}, HTTP_POST},     {{"PUT", 3}, HTTP_PUT},
        {{"HEAD", 4}, HTTP_HEAD},       {{"DELETE", 6}, HTTP_DELETE}, {{"PATCH", 5}, HTTP_PATCH},
        {{"OPTIONS", 7}, HTTP_OPTIONS}, {{"TRACE", 5}, HTTP_TRACE},
    };

    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (str_eq(m, methods[i].text))
            return methods[i].id;
    }
    return HTTP_METHOD_OTHER;
}

/* scheme "://" authority [path] [?query]; http and https only (RFC 9112 3.2.2). */
static int absolute_target(struct http_walk *w, struct http_request *r)
{
    const char *p = r->target.p, *end = p + r->target.n, *from;

    if (r->target.n > 7 && strncasecmp(p, "http://", 7) == 0)
        p += 7;
    else if (r->target.n > 8 && strncasecmp(p, "https://", 8) == 0)
        p += 8;
    else
        return http_refuse(w, 400, "target is neither a path nor an http URI");
    from = p;
    while (p < end && *p != '/' && *p != '?')
        p++;
    r->absolute = true;
    r->authority = (struct str){from, (size_t)(p - from)};
    r->path = (struct str){p, (size_t)(end - p)};
    if (!http_authority_valid(r->authority))
        return http_refuse(w, 400, "bad authority in the target");
    if (p == end) /* RFC 9112 3.2.4: such an OPTIONS asks about the server */
        r->path = r->method_id == HTTP_OPTIONS ? STR("*") : STR("/");
    else if (*p == '?')
        return http_refuse(w, 400, "target without a path before its query");
    return 0;
}

static int request_line(struct http_walk *w, const char *line, const char *eol)
{
    struct http_request *r = w->message;
    const char *p = line, *target;
    int minor;

    while (http_is(*p, HTTP_C_TOKEN))
        p++;
    r->method = (struct str){line, (size_t)(p - line)};
    if (p == eol)
        return http_refuse(w, 400,
                           p == line ? "empty request line" : "request line without target");
    if (*p != ' ' || p == line)
        return http_refuse(w, 400, "method is not a token");
    target = ++p;
    while (http_is(*p, HTTP_C_TARGET))
        p++;
    r->target = (struct str){target, (size_t)(p - target)};
    if (*p == '#')
        return http_refuse(w, 400, "fragment in the target");
    if (p == eol)
        return http_refuse(w, 400, "request line without version");
    if (*p != ' ')
        return http_refuse(w, 400, "byte that may not stand in a target");
    if (p == target)
        return http_refuse(w, 400, "more than one space in the request line");
    p++;
    minor = http_version_read(p, (size_t)(eol - p));
    if (minor == -1)
        return http_refuse(w, 400, "malformed version");
    if (str_eq(r->method, STR("CONNECT")))
        return http_refuse(w, 400, "CONNECT is not served");
    r->method_id = method_lookup(r->method);
    r->absolute = false;
    r->authority = (struct str){NULL, 0};
    r->path = r->target;
    if (*target == '*') {
        if (str_eq(r->method, STR("PRI")))
            return http_refuse(w, 400, "HTTP/2 preface");
        if (r->target.n > 1 || r->method_id != HTTP_OPTIONS)
            return http_refuse(w, 400, "target '*' is for OPTIONS only");
    } else if (*target != '/' && absolute_target(w, r) < 0) {
        return -1;
    }
    if (minor < 0)
        return http_refuse(w, 505, "HTTP version is not 1.0 or 1.1");
    r->minor = (uint8_t)minor;
    return 0;
}

/* An empty Host is for targets without an authority (RFC 9112 3.2), and an http URI always has one
 * (RFC 9110 4.2.1). With an absolute target it must be well-formed as well. */
static int host(struct http_walk *w, struct http_request *r, const struct http_limits *l)
{
    struct str value;

    if (!http_seen(w, HTTP_HOST))
        return r->minor ? http_refuse(w, 400, "no Host field") : 0;
    if (http_repeated(w, HTTP_HOST))
        return http_refuse(w, 400, "several Host fields");
    value = http_first(w, HTTP_HOST)->value;
    if (!http_authority_valid(value) && !(l->empty_host && value.n == 0 && !r->absolute))
        return http_refuse(w, 400, "bad Host value");
    if (!r->absolute)
        r->authority = value;
    return 0;
}

static int expect(struct http_walk *w, struct http_request *r)
{
    r->expect_continue = false;
    if (!http_seen(w, HTTP_EXPECT))
        return 0;
    if (http_repeated(w, HTTP_EXPECT) ||
        !str_eq_nocase(http_first(w, HTTP_EXPECT)->value, STR("100-continue")))
        return http_refuse(w, 417, "unknown expectation");
    if (r->minor == 0)
        http_walk_drop(w, HTTP_EXPECT, true);
    r->expect_continue =
        !http_first(w, HTTP_EXPECT)->drop && (r->framing == HTTP_BODY_CHUNKED || r->length > 0);
    return 0;
}

static int judge_fields(struct http_walk *w, struct http_request *r, const struct http_limits *l)
{
    bool allowed;

    if (host(w, r, l) < 0 || http_walk_framing(w, r->minor, &r->framing, &r->length) < 0 ||
        http_walk_connection(w) < 0 || http_walk_upgrade(w, &allowed) < 0 || expect(w, r) < 0)
        return -1;
    r->keep_alive = !w->close && (r->minor || w->keep_alive);
    /* HTTP/1.0 cannot upgrade: RFC 9110 7.8. */
    r->upgrade = allowed && w->upgrade && r->minor;
    if (r->upgrade)
        http_walk_drop(w, HTTP_UPGRADE, false);
    if (r->absolute)
        http_walk_drop(w, HTTP_HOST, true);
    return 0;
}

int http_parse_request(struct http_request *r, const char *p, size_t n, const struct http_limits *l,
                       size_t *scanned)
{
    struct http_walk w;
    int rc;

    w.start_line = request_line;
    w.message = r;
    w.fields = r->fields;
    w.nfields = 0;
    w.skip_blank = true;
    w.seen = w.repeated = 0;
    w.status = 0;
    w.why = NULL;
    rc = http_walk_lines(&w, p, n, l, scanned);
    if (rc > 0 && judge_fields(&w, r, l) < 0)
        rc = -1;
    r->nfields = rc > 0 ? w.nfields : 0;
    r->status = w.status;
    r->why = w.why;
    return rc;
}
