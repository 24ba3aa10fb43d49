#include "common/docker/generic.h"

#include "common/docker/chars.h"

#include <stdio.h>

static const struct {
    const char *name;
    unsigned bit;
} methods[] = {
    {"GET", DOCKER_METHOD(HTTP_GET)},       {"HEAD", DOCKER_METHOD(HTTP_HEAD)},
    {"POST", DOCKER_METHOD(HTTP_POST)},     {"PUT", DOCKER_METHOD(HTTP_PUT)},
    {"DELETE", DOCKER_METHOD(HTTP_DELETE)},
};

static const struct docker_object *const objects[] = {
    &docker_object_container, &docker_object_image, &docker_object_volume,
    &docker_object_network,   &docker_object_any,
};

/* What is granted of the names behind these words. */
static const struct {
    const char *word;
    const struct docker_object *object;
} kinds[] = {{"containers", &docker_object_container},
             {"images", &docker_object_image},
             {"volumes", &docker_object_volume},
             {"networks", &docker_object_network}};

/* ---- what is never let through ---- */

#define EVERY                                                                                      \
    (DOCKER_METHOD(HTTP_GET) | DOCKER_METHOD(HTTP_HEAD) | DOCKER_METHOD(HTTP_POST) |               \
     DOCKER_METHOD(HTTP_PUT) | DOCKER_METHOD(HTTP_DELETE))
#define NEVER(text, reason)                                                                        \
    {                                                                                              \
        .path = (text), .name = (reason), .methods = EVERY                                         \
    }
#define NEVER_OF(text, what, reason)                                                               \
    {                                                                                              \
        .path = (text), .name = (reason), .methods = EVERY, .object = &docker_object_##what        \
    }

#define HIJACK "can't pass: what goes over it after its head can't be judged"
#define FILES "can't pass: it reads or writes files of containers"

/* Their names are the reasons. */
static const struct docker_rule never[] = {
    NEVER("session", HIJACK),
    NEVER("grpc", HIJACK),
    NEVER_OF("containers/{}/attach", any, HIJACK),
    NEVER_OF("containers/{}/attach/ws", any, HIJACK),
    NEVER("build", "can't pass: it runs what the client sends"),
    NEVER("commit", "can't pass: it makes an image out of a container"),
    NEVER("images/load", "can't pass: it makes images out of what the client sends"),
    NEVER("images/get", "can't pass: it hands out whole images"),
    NEVER_OF("images/{}/get", image, "can't pass: it hands out whole images"),
    NEVER_OF("images/{}/tag", image, "can't pass: it gives an image the name of another one"),
    NEVER_OF("containers/{}/export", any, FILES),
    NEVER_OF("containers/{}/archive", any, FILES),
    NEVER_OF("containers/{}/copy", any, FILES),
    NEVER_OF("containers/{}/checkpoints", any, "can't pass: it reads folders of the host"),
};

/* All that is below these words. */
static const struct {
    const char *word, *why;
} never_below[] = {
    {"exec", "can't pass: only the catalogue's calls about commands can be judged"},
    {"plugins", "can't pass: plugins have the rights of the engine; only GET plugins may"},
    {"swarm", "can't pass: it makes, changes or tells how to join a swarm"},
    {"secrets", "can't pass: secrets of a swarm are nobody's to ask for"},
    {"configs", "can't pass: they may hold secrets"},
    {"libpod", "can't pass: Podman's own calls can't be judged"},
};

/* ---- paths ---- */

static struct str next_segment(const char **p)
{
    struct str part = {*p, strcspn(*p, "/")};
    *p += part.n + ((*p)[part.n] == '/');
    return part;
}

static unsigned count_segments(const char *p)
{
    unsigned n = 0;
    while (*p) {
        next_segment(&p);
        n++;
    }
    return n;
}

static bool many(const struct docker_rule *r)
{
    return r->object && r->object->slashes;
}

/* Segment i of a path of `length` segments that fits the rule; one that may be anything is empty. */
static struct str segment_of(const struct docker_rule *r, unsigned length, unsigned i)
{
    unsigned extra = length - count_segments(r->path), at = 0;
    for (const char *p = r->path; *p;) {
        struct str part = next_segment(&p);
        bool hole = str_eq(part, STR("{}"));
        at += hole ? extra + 1 : 1;
        if (i < at) {
            return hole ? STR("") : part;
        }
    }
    return STR("");
}

static bool meet_at(const struct docker_rule *a, const struct docker_rule *b, unsigned length)
{
    for (unsigned i = 0; i < length; i++) {
        struct str x = segment_of(a, length, i), y = segment_of(b, length, i);
        if (x.n > 0 && y.n > 0 && !str_eq(x, y)) {
            return false;
        }
    }
    return true;
}

bool docker_rules_meet(const struct docker_rule *a, const struct docker_rule *b)
{
    unsigned na = count_segments(a->path), nb = count_segments(b->path);
    unsigned least = MAX(na, nb), most = many(a) && many(b) ? na + nb : least;
    if (!(a->methods & b->methods) || (!many(a) && na < least) || (!many(b) && nb < least)) {
        return false;
    }
    /* Longer paths add segments that both holes take. */
    for (unsigned length = least; length <= most; length++) {
        if (meet_at(a, b, length)) {
            return true;
        }
    }
    return false;
}

/* ---- reading ---- */

static bool is_word(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!docker_lower(s.p[i]) && s.p[i] != '_') {
            return false;
        }
    }
    return s.n > 0 && s.n <= 16;
}

static bool is_segment(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!docker_unreserved(s.p[i])) {
            return false;
        }
    }
    return s.n > 0 && !str_eq(s, STR(".")) && !str_eq(s, STR(".."));
}

static const struct docker_object *object_of(struct str braces)
{
    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        struct str what = str_of(objects[i]->what);
        if (braces.n == what.n + 2 && memcmp(braces.p + 1, what.p, what.n) == 0) {
            return objects[i];
        }
    }
    return NULL;
}

static const struct docker_object *kind_behind(struct str word)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq(word, str_of(kinds[i].word))) {
            return kinds[i].object;
        }
    }
    return NULL;
}

static const char *read_method(unsigned *bits, struct str *text)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        size_t n = strlen(methods[i].name);
        if (text->n > n + 1 && memcmp(text->p, methods[i].name, n) == 0 && text->p[n] == ' ') {
            *bits = methods[i].bit;
            *text = (struct str){text->p + n + 1, text->n - n - 1};
            return NULL;
        }
    }
    return "does not begin with GET, HEAD, POST, PUT or DELETE and one space";
}

/* Appends what a segment is in a rule's path. `kind`: of what stands here, if that is fixed. */
static const char *read_segment(struct docker_generic *out, struct str part,
                                const struct docker_object *kind)
{
    if (part.n > 1 && part.p[0] == '{' && part.p[part.n - 1] == '}') {
        const struct docker_object *o = object_of(part);
        if (!o || out->object) {
            return o ? "has braces twice"
                     : "has other braces than {container}, {image}, {volume}, {network} and {any}";
        }
        if (kind && o != kind) {
            return "has other braces behind containers, images, volumes or networks than theirs";
        }
        out->object = o;
        part = STR("{}");
    } else if (!is_segment(part)) {
        return "has an empty part, or one of other characters than A-Z a-z 0-9 - . _ ~";
    }
    size_t n = strlen(out->path);
    snprintf(out->path + n, sizeof(out->path) - n, "%s%.*s", n > 0 ? "/" : "", STR_ARG(part));
    return NULL;
}

static const char *read_path(struct docker_generic *out, struct str text)
{
    const struct docker_object *kind = NULL;
    for (size_t at = 0, i = 0; at <= text.n; i++) {
        const char *slash = memchr(text.p + at, '/', text.n - at);
        struct str part = {text.p + at, slash ? (size_t)(slash - text.p) - at : text.n - at};
        if (i == 0 && !is_word(part)) {
            return "has a path that does not begin with a word";
        }
        const char *why = read_segment(out, part, i == 1 ? kind : NULL);
        if (why) {
            return why;
        }
        kind = i == 0 ? kind_behind(part) : NULL;
        at += part.n + 1;
    }
    return NULL;
}

static const char *forbidden(const struct docker_rule *rule)
{
    struct str first = {rule->path, strcspn(rule->path, "/")};
    bool plugins = strcmp(rule->path, "plugins") == 0 && rule->methods == DOCKER_METHOD(HTTP_GET);
    for (size_t i = 0; i < ARRAY_LEN(never_below); i++) {
        if (!plugins && str_eq(first, str_of(never_below[i].word))) {
            return never_below[i].why;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(never); i++) {
        if (docker_rules_meet(rule, &never[i])) {
            return never[i].name;
        }
    }
    for (size_t i = 0; i < docker_catalogue.count; i++) {
        if (docker_rules_meet(rule, docker_catalogue.rules[i])) {
            return "covers a call that the catalogue has: write that one into calls";
        }
    }
    return NULL;
}

const char *docker_generic_read(struct docker_generic *out, struct str text)
{
    *out = (struct docker_generic){.methods = 0};
    if (text.n >= DOCKER_RULE_TEXT_MAX) {
        return "is longer than 63 bytes";
    }
    const char *why = read_method(&out->methods, &text);
    if (!why) {
        why = read_path(out, text);
    }
    return why ? why
               : forbidden(&(struct docker_rule){
                     .path = out->path, .methods = out->methods, .object = out->object});
}

/* ---- the text of a call ---- */

/* Docker's words that stand where else a name does. */
static bool is_verb(struct str s)
{
    static const char *const verbs[] = {"create", "get", "json", "load", "prune", "search"};
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (str_eq(s, str_of(verbs[i]))) {
            return true;
        }
    }
    return false;
}

/* The braces for segment i; NULL: it stands as it is. *covers is how many segments it is. */
static const char *braces_for(const struct docker_call *call, unsigned i, unsigned *covers)
{
    const struct docker_object *kind = i == 1 ? kind_behind(docker_call_segment(call, 0)) : NULL;
    struct str s = docker_call_segment(call, i);
    *covers = 1;
    if (kind && (call->nsegments > 2 || !is_verb(s))) {
        *covers = kind->slashes && call->nsegments > 3 ? call->nsegments - 2 : 1;
        return kind->what;
    }
    return is_word(s) ? NULL : docker_object_any.what;
}

const char *docker_generic_text(enum http_method method, const struct docker_call *call, char *buf)
{
    struct docker_generic read;
    size_t n = 0;
    unsigned covers;
    *buf = '\0';
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (methods[i].bit == DOCKER_METHOD(method)) {
            n = (size_t)snprintf(buf, DOCKER_RULE_TEXT_MAX, "%s ", methods[i].name);
        }
    }
    for (unsigned i = 0; n > 0 && n < DOCKER_RULE_TEXT_MAX && i < call->nsegments; i += covers) {
        const char *braces = braces_for(call, i, &covers), *slash = i > 0 ? "/" : "";
        size_t room = DOCKER_RULE_TEXT_MAX - n;
        n += (size_t)(braces ? snprintf(buf + n, room, "%s{%s}", slash, braces)
                             : snprintf(buf + n, room, "%s%.*s", slash,
                                        STR_ARG(docker_call_segment(call, i))));
    }
    /* Of two braces, or too long: reading says so. */
    if (n >= DOCKER_RULE_TEXT_MAX || docker_generic_read(&read, str_of(buf))) {
        *buf = '\0';
    }
    return buf;
}
