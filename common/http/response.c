#include "common/http/head.h"

#include "common/http/parts.h"
#include "common/http/syntax.h"

/* "HTTP/1.1 200 OK". The reason may be empty, and the space before it missing: the grammar of
 * RFC 9112 4 wants that space, but servers without it are common and nothing depends on it. */
static int status_line(struct http_walk *w, const char *line, const char *eol)
{
    struct http_response *r = w->message;
    size_t n = (size_t)(eol - line);
    const char *p = line + 9;
    int minor = n < 12 ? -1 : http_version_read(line, 8);

    if (minor == -2)
        return http_refuse(w, 502, "HTTP version is not 1.0 or 1.1");
    if (minor < 0 || line[8] != ' ')
        return http_refuse(w, 502, "malformed status line");
    if (!http_is(p[0], HTTP_C_DIGIT) || !http_is(p[1], HTTP_C_DIGIT) ||
        !http_is(p[2], HTTP_C_DIGIT) || (n > 12 && p[3] != ' '))
        return http_refuse(w, 502, "status is not three digits");
    if (p[0] < '1' || p[0] > '5')
        return http_refuse(w, 502, "status is not 100 to 599");
    r->minor = (uint8_t)minor;
    r->status = (uint16_t)((p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0'));
    r->reason = n > 13 ? (struct str){line + 13, n - 13} : (struct str){eol, 0};
    return 0;
}

/* RFC 9112 6.3 */
static int body(struct http_walk *w, struct http_response *r, enum http_method request_method)
{
    bool never = r->status < 200 || r->status == 204;

    if (http_walk_framing(w, r->minor, &r->framing, &r->length) < 0)
        return -1;
    if (never && http_seen(w, HTTP_TRANSFER_ENCODING))
        return http_refuse(w, 502, "Transfer-Encoding in a 1xx or 204");
    if (never)
        http_walk_drop(w, HTTP_CONTENT_LENGTH, true);
    if (never || r->status == 304 || request_method == HTTP_HEAD) {
        r->framing = HTTP_BODY_NONE;
        r->length = 0;
    } else if (r->framing == HTTP_BODY_NONE) {
        r->framing = HTTP_BODY_TO_EOF;
    }
    return 0;
}

static int judge_fields(struct http_walk *w, struct http_response *r,
                        enum http_method request_method)
{
    bool named = http_seen(w, HTTP_UPGRADE), allowed;

    r->upgrade = false;
    if (http_walk_connection(w) < 0 || body(w, r, request_method) < 0)
        return -1;
    /* Servers also offer protocols (`Upgrade: h2,h2c`) in answers that upgrade nothing; those are
     * not passed on, so only a 101 is held to the field's grammar. */
    if (r->status == 101) {
        if (!r->minor || !named || !w->upgrade)
            return http_refuse(w, 502, "101 without an upgrade");
        if (http_walk_upgrade(w, &allowed) < 0)
            return -1;
        if (!allowed)
            return http_refuse(w, 502, "101 to a protocol that may not pass");
        http_walk_drop(w, HTTP_UPGRADE, false);
        r->upgrade = true;
    }
    r->keep_alive =
        !w->close && (r->minor || w->keep_alive) && r->framing != HTTP_BODY_TO_EOF && !r->upgrade;
    return 0;
}

int http_parse_response(struct http_response *r, enum http_method request_method, const char *p,
                        size_t n, const struct http_limits *l, size_t *scanned)
{
    struct http_walk w;
    int rc;

    w.start_line = status_line;
    w.message = r;
    w.fields = r->fields;
    w.nfields = 0;
    w.skip_blank = false;
    w.seen = w.repeated = 0;
    w.status = 0;
    w.why = NULL;
    rc = http_walk_lines(&w, p, n, l, scanned);
    if (rc > 0 && judge_fields(&w, r, request_method) < 0)
        rc = -1;
    r->nfields = rc > 0 ? w.nfields : 0;
    r->why = w.why;
    return rc;
}
