#include "common/docker/call.h"

#include "common/docker/chars.h"

/* Offsets are of 16 bits. */
_Static_assert(DOCKER_PATH_MAX <= UINT16_MAX && DOCKER_QUERY_MAX <= UINT16_MAX, "text too long");

/* Takes /v1.N off the front of *path, which begins with '/'. What begins with a "v" and a digit was meant
 * as a version: no call of any engine has such a name. */
static const char *read_version(struct docker_call *call, struct str *path, unsigned max)
{
    const char *p = path->p + 1, *end = path->p + path->n;
    const char *slash = memchr(p, '/', (size_t)(end - p));
    size_t n = (size_t)((slash ? slash : end) - p);
    unsigned minor = 0;
    call->version = 0;
    if (n < 2 || p[0] != 'v' || !docker_digit(p[1])) {
        return NULL;
    }
    if (n < 5 || n > 6 || memcmp(p, "v1.", 3) != 0 || p[3] == '0') {
        return "unknown API version";
    }
    for (size_t i = 3; i < n; i++) {
        if (!docker_digit(p[i])) {
            return "unknown API version";
        }
        minor = minor * 10 + (unsigned)(p[i] - '0');
    }
    if (minor < DOCKER_VERSION_MIN || minor > max) {
        return "API version out of range";
    }
    if (!slash) {
        return "no call behind the API version";
    }
    call->version = minor;
    *path = (struct str){slash, (size_t)(end - slash)};
    return NULL;
}

/* What three bytes at p encode of an image's name; 0: nothing. */
static char name_escape(const char *p, size_t n)
{
    if (n < 3 || p[0] != '%') {
        return 0;
    }
    int high = docker_hex(p[1]), low = docker_hex(p[2]);
    char c = high < 0 || low < 0 ? 0 : (char)(high << 4 | low);
    return c == '/' || c == ':' || c == '@' ? c : 0;
}

static const char *begin_segment(struct docker_call *call, bool encoded)
{
    if (call->nsegments == DOCKER_SEGMENTS_MAX) {
        return "too many path segments";
    }
    struct docker_segment *s = &call->segments[call->nsegments++];
    *s = (struct docker_segment){{call->path_len, 0}, encoded};
    return NULL;
}

static const char *end_segment(struct docker_call *call, bool encoded, bool last)
{
    struct docker_segment *s = &call->segments[call->nsegments - 1];
    const char *p = call->path + s->text.at;
    s->text.n = (uint16_t)(call->path_len - s->text.at);
    s->encoded |= encoded;
    if (s->text.n == 0) {
        return last ? "slash at the end of the path" : "empty path segment";
    }
    if (p[0] == '.' && (s->text.n == 1 || (s->text.n == 2 && p[1] == '.'))) {
        return "dot segment in the path";
    }
    return NULL;
}

static const char *read_path(struct docker_call *call, struct str path)
{
    const char *why = NULL;
    call->nsegments = 0;
    call->path_len = 0;
    for (size_t i = 0; i < path.n && !why;) {
        char c = path.p[i];
        bool encoded = c == '%';
        if (encoded) {
            c = name_escape(path.p + i, path.n - i);
            if (!c) {
                return "percent-encoding in the path that no image name needs";
            }
        } else if (!docker_unreserved(c) && c != ':' && c != '@' && c != '/') {
            return c == '#' ? "fragment in the target" : "byte that may not stand in a path";
        }
        i += encoded ? 3 : 1;
        if (call->path_len == DOCKER_PATH_MAX) {
            return "path too long";
        }
        if (c == '/') {
            why = call->nsegments ? end_segment(call, encoded, false) : NULL;
            call->path[call->path_len++] = c;
            why = why ? why : begin_segment(call, encoded);
        } else {
            call->path[call->path_len++] = c;
            call->segments[call->nsegments - 1].encoded |= encoded;
        }
    }
    return why ? why : end_segment(call, false, true);
}

static const char *add_name(struct docker_call *call, struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c == '%') {
            return "percent-encoding in a parameter's name";
        }
        if (!docker_alnum(c) && c != '_' && c != '-') {
            return "byte that may not stand in a parameter's name";
        }
    }
    if (name.n == 0) {
        return "parameter without a name";
    }
    if (name.n > DOCKER_PARAM_NAME_MAX) {
        return "parameter's name too long";
    }
    if (name.n > DOCKER_QUERY_MAX - call->query_len) {
        return "query too long";
    }
    struct str earlier;
    if (docker_call_param(call, name, &earlier)) {
        return "parameter given twice";
    }
    call->params[call->nparams].name = (struct docker_span){call->query_len, (uint16_t)name.n};
    memcpy(call->query + call->query_len, name.p, name.n);
    call->query_len = (uint16_t)(call->query_len + name.n);
    return NULL;
}

static const char *add_value(struct docker_call *call, struct str value)
{
    uint16_t from = call->query_len;
    for (size_t i = 0; i < value.n;) {
        char c = value.p[i++];
        if (c == '%') {
            int high = value.n - i < 2 ? -1 : docker_hex(value.p[i]);
            int low = value.n - i < 2 ? -1 : docker_hex(value.p[i + 1]);
            if (high < 0 || low < 0) {
                return "malformed percent-encoding in the query";
            }
            c = (char)(high << 4 | low);
            if (c < 0x20 || c > 0x7e) {
                return "encoded byte in the query that is not printable ASCII";
            }
            i += 2;
        } else if (!docker_unreserved(c) && c != '/' && c != ':' && c != '@') {
            return "byte in the query that must be encoded";
        }
        if (call->query_len - from == DOCKER_PARAM_VALUE_MAX) {
            return "parameter's value too long";
        }
        if (call->query_len == DOCKER_QUERY_MAX) {
            return "query too long";
        }
        call->query[call->query_len++] = c;
    }
    call->params[call->nparams].value =
        (struct docker_span){from, (uint16_t)(call->query_len - from)};
    return NULL;
}

static const char *read_query(struct docker_call *call, struct str query)
{
    const char *p = query.p, *end = p + query.n, *why;
    for (;;) {
        const char *amp = memchr(p, '&', (size_t)(end - p)), *stop = amp ? amp : end;
        const char *equals = memchr(p, '=', (size_t)(stop - p));
        if (p == stop) {
            return "empty parameter in the query";
        }
        if (!equals) {
            return "parameter without a value";
        }
        if (call->nparams == DOCKER_PARAMS_MAX) {
            return "too many parameters";
        }
        why = add_name(call, (struct str){p, (size_t)(equals - p)});
        why = why ? why : add_value(call, (struct str){equals + 1, (size_t)(stop - equals - 1)});
        if (why) {
            return why;
        }
        call->nparams++;
        if (!amp) {
            return NULL;
        }
        p = amp + 1;
    }
}

int docker_call_read(struct docker_call *call, struct str target, unsigned version_max,
                     const char **why)
{
    const char *mark = target.n ? memchr(target.p, '?', target.n) : NULL;
    struct str path = {target.p, mark ? (size_t)(mark - target.p) : target.n};
    call->object = (struct docker_span){0, 0};
    call->rule = NULL;
    call->nparams = 0;
    call->query_len = 0;
    if (path.n == 0 || *path.p != '/') {
        *why = "target is not a path";
        return -1;
    }
    *why = read_version(call, &path, version_max);
    *why = *why ? *why : read_path(call, path);
    if (!*why && mark) {
        *why = read_query(call, (struct str){mark + 1, target.n - (size_t)(mark + 1 - target.p)});
    }
    return *why ? -1 : 0;
}

bool docker_call_param(const struct docker_call *call, struct str name, struct str *value)
{
    for (unsigned i = 0; i < call->nparams; i++) {
        if (str_eq(docker_param_name(call, i), name)) {
            *value = docker_param_value(call, i);
            return true;
        }
    }
    return false;
}

void docker_call_rename(struct docker_call *call, struct str name)
{
    size_t at = call->object.at, behind = at + call->object.n, rest = call->path_len - behind;
    if (call->object.n == 0 || name.n == 0 || at + name.n + rest > DOCKER_PATH_MAX) {
        return;
    }
    memmove(call->path + at + name.n, call->path + behind, rest);
    memcpy(call->path + at, name.p, name.n);
    for (unsigned i = 0; i < call->nsegments; i++) {
        struct docker_span *s = &call->segments[i].text;
        if (s->at == at) {
            s->n = (uint16_t)name.n;
        } else if (s->at > at) {
            s->at = (uint16_t)(s->at + name.n - call->object.n);
        }
    }
    call->path_len = (uint16_t)(at + name.n + rest);
    call->object.n = (uint16_t)name.n;
}
