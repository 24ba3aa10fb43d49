/* The reader: one pass that checks what yajl is lax about, then yajl's events into an arena. */
#include "common/json/json.h"

#include "common/base/buf.h"
#include "common/crypto/secret.h"
#include "common/json/yajl_guard.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <yajl/yajl_parse.h>

#define CHUNK_MIN 2048u
#define NUMBER_MAX 64u  /* characters of a number */
#define PAIRWISE_MAX 8u /* keys that are compared each with each; more are sorted */

struct json_node {
    struct json_node *next;
    struct json_node *parent;
    struct str key;
    union {
        struct str s;
        int64_t i;
        double d;
        bool b;
        struct {
            struct json_node *first;
            struct json_node *last;
            size_t count;
        } kids;
    } u;
    enum json_type type;
};

struct chunk {
    struct chunk *next;
    size_t used;
    size_t cap; /* of data */
    _Alignas(max_align_t) unsigned char data[];
};

struct json_doc {
    struct chunk *chunks;
    struct json_node *root;
};

struct reader {
    struct json_doc *doc;
    struct json_node *open; /* the object or array being filled */
    struct str key;
    struct json_limits limits;
    size_t nodes;
    unsigned depth;
    const char *why; /* set when a callback stops the parse */
};

/* ---- memory ---- */

static void *arena_alloc(struct json_doc *doc, size_t n)
{
    struct chunk *c = doc->chunks;

    n = (n + 15) & ~(size_t)15;
    if (!c || c->cap - c->used < n) {
        size_t cap = MAX(n, c ? MIN(c->cap * 2, (size_t)65536) : CHUNK_MIN);

        c = xmalloc(sizeof(*c) + cap);
        c->next = doc->chunks;
        c->used = 0;
        c->cap = cap;
        doc->chunks = c;
    }
    c->used += n;
    return c->data + c->used - n;
}

static struct str arena_copy(struct json_doc *doc, const void *p, size_t n)
{
    char *to = arena_alloc(doc, n ? n : 1);

    if (n)
        memcpy(to, p, n);
    return (struct str){to, n};
}

void json_free(struct json_doc *doc)
{
    if (!doc)
        return;
    while (doc->chunks) {
        struct chunk *c = doc->chunks;

        doc->chunks = c->next;
        secret_wipe(c->data, c->used);
        free(c);
    }
    free(doc);
}

/* ---- what yajl lets pass ---- */

/* Besides, yajl overlooks an unfinished string behind the value. NULL if all is well. */
static const char *precheck(const char *p, size_t n, size_t *at)
{
    const char *why = NULL;
    bool in_string = false;
    size_t i = 0;

    while (i < n) {
        size_t step = 1;

        *at = i;
        if (p[i] == '"')
            in_string = !in_string;
        else if (!in_string && yajl_no_blank(p[i]))
            return "invalid character";
        else if ((in_string && p[i] == '\\') || (unsigned char)p[i] >= 0x80)
            step = yajl_character(p + i, n - i, &why);
        if (step == 0)
            return why;
        i += step;
    }
    *at = n;
    return in_string ? "string without an end" : NULL;
}

/* ---- yajl's events ---- */

static int stop(struct reader *r, const char *why)
{
    r->why = why;
    return 0;
}

static struct json_node *add(struct reader *r, enum json_type type)
{
    struct json_node *node;

    if (r->nodes == r->limits.nodes) {
        r->why = "too many values";
        return NULL;
    }
    r->nodes++;
    node = arena_alloc(r->doc, sizeof(*node));
    memset(node, 0, sizeof(*node));
    node->type = type;
    node->key = r->key;
    node->parent = r->open;
    r->key = (struct str){NULL, 0};
    if (!r->open) {
        r->doc->root = node;
        return node;
    }
    if (r->open->u.kids.last)
        r->open->u.kids.last->next = node;
    else
        r->open->u.kids.first = node;
    r->open->u.kids.last = node;
    r->open->u.kids.count++;
    return node;
}

static int on_null(void *ctx)
{
    return add(ctx, JSON_NULL) != NULL;
}

static int on_bool(void *ctx, int value)
{
    struct json_node *node = add(ctx, JSON_BOOL);

    if (!node)
        return 0;
    node->u.b = value != 0;
    return 1;
}

static int on_number(void *ctx, const char *p, size_t n)
{
    struct reader *r = ctx;
    char text[NUMBER_MAX + 1];
    struct json_node *node;
    bool whole;

    if (n > NUMBER_MAX)
        return stop(r, "number too long");
    memcpy(text, p, n);
    text[n] = '\0';
    whole = strpbrk(text, ".eE") == NULL;
    node = add(r, whole ? JSON_INT : JSON_DOUBLE);
    if (!node)
        return 0;
    errno = 0;
    if (whole) {
        node->u.i = strtoll(text, NULL, 10);
        if (errno == ERANGE)
            return stop(r, "number out of range");
    } else {
        node->u.d = strtod(text, NULL);
        if (!isfinite(node->u.d))
            return stop(r, "number out of range");
    }
    secret_wipe(text, sizeof(text));
    return 1;
}

static int on_string(void *ctx, const unsigned char *p, size_t n)
{
    struct reader *r = ctx;
    struct json_node *node = add(r, JSON_STRING);

    if (!node)
        return 0;
    node->u.s = arena_copy(r->doc, p, n);
    return 1;
}

static int open_level(struct reader *r, enum json_type type)
{
    struct json_node *node;

    if (r->depth == r->limits.depth)
        return stop(r, "nested too deep");
    node = add(r, type);
    if (!node)
        return 0;
    r->depth++;
    r->open = node;
    return 1;
}

static int on_object(void *ctx)
{
    return open_level(ctx, JSON_OBJECT);
}

static int on_array(void *ctx)
{
    return open_level(ctx, JSON_ARRAY);
}

static int on_key(void *ctx, const unsigned char *p, size_t n)
{
    struct reader *r = ctx;

    r->key = arena_copy(r->doc, p, n);
    return 1;
}

static int on_end(void *ctx)
{
    struct reader *r = ctx;

    r->depth--;
    r->open = r->open->parent;
    return 1;
}

static int by_key(const void *a, const void *b)
{
    struct str x = (*(const struct json_node *const *)a)->key;
    struct str y = (*(const struct json_node *const *)b)->key;

    if (x.n != y.n)
        return x.n < y.n ? -1 : 1;
    return x.n ? memcmp(x.p, y.p, x.n) : 0;
}

static bool key_twice(const struct json_node *object)
{
    size_t count = object->u.kids.count;
    const struct json_node **all;
    bool twice = false;
    size_t i = 0;

    if (count <= PAIRWISE_MAX) {
        for (const struct json_node *a = object->u.kids.first; a; a = a->next)
            for (const struct json_node *b = a->next; b; b = b->next)
                if (str_eq(a->key, b->key))
                    return true;
        return false;
    }
    /* Sorted, because comparing each with each would let a stranger burn our time. */
    all = xmalloc(count * sizeof(const struct json_node *));
    for (const struct json_node *a = object->u.kids.first; a; a = a->next)
        all[i++] = a;
    qsort(all, count, sizeof(const struct json_node *), by_key);
    for (i = 1; i < count && !twice; i++)
        twice = by_key(&all[i - 1], &all[i]) == 0;
    free(all);
    return twice;
}

static int on_object_end(void *ctx)
{
    struct reader *r = ctx;

    if (key_twice(r->open))
        return stop(r, "a key twice in one object");
    return on_end(ctx);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_object,
    .yajl_map_key = on_key,
    .yajl_end_map = on_object_end,
    .yajl_start_array = on_array,
    .yajl_end_array = on_end,
};

/* yajl's own words for what is wrong hold none of the text unless asked to. */
static void tell_yajl(yajl_handle h, char *err, size_t errlen)
{
    unsigned char *text = yajl_get_error(h, 0, NULL, 0);

    if (errlen && text)
        snprintf(err, errlen, "%.*s at byte %zu", (int)strcspn((const char *)text, "\n"),
                 (const char *)text, yajl_get_bytes_consumed(h));
    if (text)
        yajl_free_error(h, text);
}

struct json_doc *json_parse(const char *p, size_t n, const struct json_limits *limits, char *err,
                            size_t errlen)
{
    yajl_alloc_funcs funcs = yajl_wiping;
    struct reader r = {.limits = {JSON_DEPTH, JSON_NODES, JSON_BYTES}};
    yajl_status status;
    const char *why;
    yajl_handle h;
    size_t at = 0;

    if (!err)
        errlen = 0;
    if (limits) {
        r.limits.depth = limits->depth ? limits->depth : JSON_DEPTH;
        r.limits.nodes = limits->nodes ? limits->nodes : JSON_NODES;
        r.limits.bytes = limits->bytes ? limits->bytes : JSON_BYTES;
    }
    if (n > r.limits.bytes) {
        if (errlen)
            snprintf(err, errlen, "longer than %zu bytes", r.limits.bytes);
        return NULL;
    }
    why = n ? precheck(p, n, &at) : "empty text";
    if (why) {
        if (errlen)
            snprintf(err, errlen, "%s at byte %zu", why, at);
        return NULL;
    }

    r.doc = xcalloc(1, sizeof(*r.doc));
    h = yajl_alloc(&callbacks, &funcs, &r);
    status = yajl_parse(h, (const unsigned char *)p, n);
    if (status == yajl_status_ok)
        status = yajl_complete_parse(h);
    if (status != yajl_status_ok || r.open || !r.doc->root) {
        if (status == yajl_status_error)
            tell_yajl(h, err, errlen);
        else if (errlen)
            snprintf(err, errlen, "%s at byte %zu", r.why ? r.why : "unfinished",
                     yajl_get_bytes_consumed(h));
        json_free(r.doc);
        r.doc = NULL;
    }
    yajl_free(h);
    return r.doc;
}

/* ---- looking ---- */

const struct json_node *json_root(const struct json_doc *doc)
{
    return doc ? doc->root : NULL;
}

enum json_type json_type(const struct json_node *node)
{
    return node ? node->type : JSON_NULL;
}

const char *json_type_name(const struct json_node *node)
{
    static const char *const names[] = {"null",   "boolean", "integer", "number",
                                        "string", "array",   "object"};

    return node ? names[node->type] : "nothing";
}

const struct json_node *json_get(const struct json_node *object, const char *key)
{
    struct str wanted = str_of(key);

    if (!object || object->type != JSON_OBJECT)
        return NULL;
    for (const struct json_node *node = object->u.kids.first; node; node = node->next)
        if (str_eq(node->key, wanted))
            return node;
    return NULL;
}

static bool has_kids(const struct json_node *node)
{
    return node && (node->type == JSON_ARRAY || node->type == JSON_OBJECT);
}

const struct json_node *json_first(const struct json_node *node)
{
    return has_kids(node) ? node->u.kids.first : NULL;
}

const struct json_node *json_next(const struct json_node *node)
{
    return node ? node->next : NULL;
}

size_t json_count(const struct json_node *node)
{
    return has_kids(node) ? node->u.kids.count : 0;
}

struct str json_key(const struct json_node *member)
{
    return member ? member->key : (struct str){NULL, 0};
}

int json_str(const struct json_node *node, struct str *out)
{
    if (!node || node->type != JSON_STRING)
        return -1;
    *out = node->u.s;
    return 0;
}

int json_int(const struct json_node *node, int64_t *out)
{
    if (!node || node->type != JSON_INT)
        return -1;
    *out = node->u.i;
    return 0;
}

int json_double(const struct json_node *node, double *out)
{
    if (!node || (node->type != JSON_DOUBLE && node->type != JSON_INT))
        return -1;
    *out = node->type == JSON_INT ? (double)node->u.i : node->u.d;
    return 0;
}

int json_bool(const struct json_node *node, bool *out)
{
    if (!node || node->type != JSON_BOOL)
        return -1;
    *out = node->u.b;
    return 0;
}
