#include "common/http/head.h"

#include "common/http/parts.h"
#include "common/http/syntax.h"

static const char *const too_many_fields = "too many fields";

static int add_field(struct http_walk *w, unsigned max, const char *line, const char *eol)
{
    struct http_field spare;
    /* cppcheck-suppress uninitvar ; its address is taken, it is only written */
    struct http_field *f = w->nfields < max ? &w->fields[w->nfields] : &spare;
    const char *why = http_field_read(f, line, eol);
    uint64_t bit;

    if (why)
        return http_refuse(w, 400, why);
    bit = UINT64_C(1) << f->id;
    if (!(w->seen & bit))
        w->at[f->id] = (uint8_t)w->nfields;
    w->repeated |= w->seen & bit;
    w->seen |= bit;
    w->nfields++;
    return 0;
}

int http_walk_lines(struct http_walk *w, const char *p, size_t n, const struct http_limits *l,
                    size_t *scanned)
{
    const char *end = p + MIN(n, (size_t)l->head);
    const char *from = p + MIN(*scanned, (size_t)(end - p));
    const char *line = p, *eol = p;
    unsigned max = MIN(l->fields, HTTP_MAX_FIELDS);
    bool first = true, whole = true;

    /* Lines that an earlier call found good are not looked at again before the end is there. */
    if (from > p) {
        const char *lf = memrchr(p, '\n', (size_t)(from - p));

        if (lf) {
            line = lf + 1;
            first = w->skip_blank && *p == '\r' && line == p + 2;
            whole = false;
        }
    }
    for (;;) {
        switch (http_line_find(line, from, end, l->line, &eol, &w->why)) {
        case HTTP_LINE_OK:
            break;
        case HTTP_LINE_PARTIAL:
            if (n >= l->head)
                return http_refuse(w, 431, "head too long");
            *scanned = (size_t)(eol - p);
            return 0;
        case HTTP_LINE_LONG:
            return first ? http_refuse(w, 414, "start line too long")
                         : http_refuse(w, 431, "field line too long");
        case HTTP_LINE_BAD:
            return http_refuse(w, 400, w->why);
        }
        if (first && eol == p && w->skip_blank) {
            from = line = eol + 2;
            continue;
        }
        if (first) {
            first = false;
            if (w->start_line(w, line, eol) < 0)
                return -1;
        } else if (eol == line) {
            if (whole)
                break;
            /* The end is there: once more from the start, to keep the fields this time. */
            w->seen = w->repeated = 0;
            w->nfields = 0;
            first = whole = true;
            from = line = p;
            continue;
        } else if (add_field(w, max, line, eol) < 0) {
            return -1;
        }
        from = line = eol + 2;
    }
    *scanned = (size_t)(eol + 2 - p);
    /* Told last: what a call sees of the earlier lines depends on how the bytes were cut. */
    if (w->nfields > max)
        return http_refuse(w, 431, too_many_fields);
    return (int)(eol + 2 - p);
}

static int nominate(struct http_walk *w, struct str name)
{
    enum http_name id = http_name_lookup(name);

    if (id == HTTP_HOST || id == HTTP_CONTENT_LENGTH || id == HTTP_TRANSFER_ENCODING ||
        id == HTTP_FRAMING_ALIAS)
        return http_refuse(w, 400, "Connection names a field that frames or routes");
    if (id != HTTP_NAME_OTHER) {
        http_walk_drop(w, id, true);
        return 0;
    }
    for (unsigned i = 0; i < w->nfields; i++) {
        struct http_field *f = &w->fields[i];

        if (f->id == HTTP_NAME_OTHER && str_eq_nocase(f->name, name))
            f->drop = true;
    }
    return 0;
}

int http_walk_connection(struct http_walk *w)
{
    unsigned options = 0;

    w->close = w->keep_alive = w->upgrade = false;
    if (!http_seen(w, HTTP_CONNECTION))
        return 0;
    for (unsigned i = w->at[HTTP_CONNECTION]; i < w->nfields; i++) {
        struct str rest = w->fields[i].value, option;
        int more;

        if (w->fields[i].id != HTTP_CONNECTION)
            continue;
        while ((more = http_list_next(&rest, &option, false)) > 0) {
            if (++options > HTTP_MAX_CONNECTION_OPTIONS)
                return http_refuse(w, 400, "too many Connection options");
            if (str_eq_nocase(option, STR("keep-alive")))
                w->keep_alive = true;
            else if (str_eq_nocase(option, STR("close")))
                w->close = true;
            else if (str_eq_nocase(option, STR("upgrade")))
                w->upgrade = true;
            else if (nominate(w, option) < 0)
                return -1;
        }
        if (more < 0)
            return http_refuse(w, 400, "Connection is not a list of tokens");
    }
    return 0;
}

int http_walk_framing(struct http_walk *w, unsigned minor, enum http_framing *framing,
                      uint64_t *length)
{
    *framing = HTTP_BODY_NONE;
    *length = 0;
    if (http_seen(w, HTTP_CONTENT_LENGTH)) {
        if (http_repeated(w, HTTP_CONTENT_LENGTH))
            return http_refuse(w, 400, "several Content-Length fields");
        if (!http_length_read(http_first(w, HTTP_CONTENT_LENGTH)->value, length))
            return http_refuse(w, 400, "malformed Content-Length");
        *framing = HTTP_BODY_LENGTH;
    }
    if (http_seen(w, HTTP_TRANSFER_ENCODING)) {
        if (minor == 0)
            return http_refuse(w, 400, "Transfer-Encoding in HTTP/1.0");
        if (*framing == HTTP_BODY_LENGTH)
            return http_refuse(w, 400, "Content-Length with Transfer-Encoding");
        if (http_repeated(w, HTTP_TRANSFER_ENCODING))
            return http_refuse(w, 400, "several Transfer-Encoding fields");
        switch (http_codings_read(http_first(w, HTTP_TRANSFER_ENCODING)->value, &w->why)) {
        case HTTP_CODINGS_CHUNKED:
            break;
        case HTTP_CODINGS_UNKNOWN:
            return http_refuse(w, 501, w->why);
        case HTTP_CODINGS_BAD:
            return http_refuse(w, 400, w->why);
        }
        *framing = HTTP_BODY_CHUNKED;
    }
    return 0;
}

/* Whatever speaks HTTP inside the upgraded connection would send requests that no rule sees. */
static bool carries_http(struct str protocol)
{
    const char *slash = memchr(protocol.p, '/', protocol.n);
    struct str name = {protocol.p, slash ? (size_t)(slash - protocol.p) : protocol.n};

    return str_eq_nocase(name, STR("h2c")) || str_eq_nocase(name, STR("h2")) ||
           str_eq_nocase(name, STR("HTTP")) || str_eq_nocase(name, STR("TLS"));
}

int http_walk_upgrade(struct http_walk *w, bool *allowed)
{
    unsigned good = 0, bad = 0;

    *allowed = false;
    if (!http_seen(w, HTTP_UPGRADE))
        return 0;
    for (unsigned i = w->at[HTTP_UPGRADE]; i < w->nfields; i++) {
        struct str rest = w->fields[i].value, protocol;
        int more;

        if (w->fields[i].id != HTTP_UPGRADE)
            continue;
        while ((more = http_list_next(&rest, &protocol, true)) > 0) {
            if (carries_http(protocol))
                bad++;
            else
                good++;
        }
        if (more < 0)
            return http_refuse(w, 400, "Upgrade is not a list of protocols");
    }
    *allowed = good && !bad;
    return 0;
}

void http_walk_drop(struct http_walk *w, enum http_name id, bool drop)
{
    if (!http_seen(w, id))
        return;
    for (unsigned i = w->at[id]; i < w->nfields; i++) {
        if (w->fields[i].id == id)
            w->fields[i].drop = drop;
    }
}

int http_version_read(const char *p, size_t n)
{
    if (n != 8 || memcmp(p, "HTTP/", 5) != 0 || !http_is(p[5], HTTP_C_DIGIT) || p[6] != '.' ||
        !http_is(p[7], HTTP_C_DIGIT))
        return -1;
    /* A higher minor version would be read as 1.1 (RFC 9110 2.5), but none was ever published:
     * nobody honest sends one, and other servers take it for 1.0, with other framing. */
    if (p[5] != '1' || p[7] > '1')
        return -2;
    return p[7] - '0';
}

int http_parse_trailers(struct http_field *f, unsigned max, const char *p, size_t n,
                        const struct http_limits *l, const char **why)
{
    const char *line = p, *end = p + n, *eol;
    unsigned count = 0;

    *why = NULL;
    if (n > l->head) {
        *why = "trailer section too long";
        return -1;
    }
    for (;; line = eol + 2) {
        switch (http_line_find(line, line, end, l->line, &eol, why)) {
        case HTTP_LINE_OK:
            break;
        case HTTP_LINE_PARTIAL:
            *why = "trailer section without its end";
            return -1;
        case HTTP_LINE_LONG:
            *why = "trailer line too long";
            return -1;
        case HTTP_LINE_BAD:
            return -1;
        }
        if (eol == line)
            break;
        if (count == MIN(max, l->fields)) {
            *why = too_many_fields;
            return -1;
        }
        *why = http_field_read(&f[count], line, eol);
        if (*why)
            return -1;
        f[count].drop = http_name_forbidden_in_trailer(f[count].id);
        count++;
    }
    if (eol + 2 != end) {
        *why = "bytes after the trailer section";
        return -1;
    }
    return (int)count;
}
