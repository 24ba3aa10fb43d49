#include "tests/fuzz/go_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH 10000

/* ---- memory ---- */

struct go_block {
    struct go_block *next;
    _Alignas(max_align_t) char data[];
};

void *go_alloc(struct go_arena *a, size_t n)
{
    struct go_block *b = xcalloc(1, sizeof(*b) + n + 1);
    b->next = a->blocks;
    a->blocks = b;
    return b->data;
}

void go_arena_free(struct go_arena *a)
{
    while (a->blocks) {
        struct go_block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
}

/* ---- the scanner ---- */

struct scan {
    struct go_arena *a;
    const unsigned char *p, *end;
    unsigned depth;
};

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')) {
        s->p++;
    }
}

static bool take(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0) {
        return false;
    }
    s->p += n;
    return true;
}

static size_t put_rune(char *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 63));
        to[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 63));
    to[2] = (char)(0x80 | (c >> 6 & 63));
    to[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* The rune at p, and its width; U+FFFD and 1 for what is none. */
static uint32_t rune_at(const unsigned char *p, const unsigned char *end, size_t *width)
{
    unsigned n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    *width = 1;
    if (n == 1) {
        return p[0];
    }
    if (n == 0 || p[0] > 0xf4 || (size_t)(end - p) < n) {
        return 0xfffd;
    }
    uint32_t c = p[0] & (0x7fu >> n);
    for (unsigned i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0xfffd;
        }
        c = c << 6 | (p[i] & 63);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        return 0xfffd;
    }
    *width = n;
    return c;
}

static int hex4(const struct scan *s, const unsigned char *p)
{
    char text[5] = {0};
    if (s->end - p < 4) {
        return -1;
    }
    memcpy(text, p, 4);
    return strspn(text, "0123456789abcdefABCDEF") == 4 ? (int)strtol(text, NULL, 16) : -1;
}

/* Behind "\u". */
static bool escaped_rune(struct scan *s, uint32_t *c)
{
    int high = hex4(s, s->p);
    if (high < 0) {
        return false;
    }
    s->p += 4;
    *c = (uint32_t)high;
    if (high < 0xd800 || high > 0xdfff) {
        return true;
    }
    *c = 0xfffd;
    if (high < 0xdc00 && s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u') {
        int low = hex4(s, s->p + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *c = 0x10000 + (((uint32_t)high & 0x3ff) << 10 | ((uint32_t)low & 0x3ff));
            s->p += 6;
        }
    }
    return true;
}

static bool scan_string(struct scan *s, struct str *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char *text = go_alloc(s->a, (size_t)(s->end - s->p) * 3);
    size_t n = 0, width;
    if (!take(s, "\"")) {
        return false;
    }
    while (s->p < s->end && *s->p != '"') {
        uint32_t c;
        if (*s->p < 0x20) {
            return false;
        }
        if (*s->p != '\\') {
            c = rune_at(s->p, s->end, &width);
            s->p += width;
        } else if (s->end - s->p < 2) {
            return false;
        } else if (s->p[1] == 'u') {
            s->p += 2;
            if (!escaped_rune(s, &c)) {
                return false;
            }
        } else {
            const char *at = s->p[1] ? strchr(from, s->p[1]) : NULL;
            if (!at) {
                return false;
            }
            c = (unsigned char)to[at - from];
            s->p += 2;
        }
        n += put_rune(text + n, c);
    }
    *out = (struct str){text, n};
    return take(s, "\"");
}

static size_t digits(struct scan *s)
{
    size_t n = 0;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9') {
        s->p++;
        n++;
    }
    return n;
}

static bool scan_number(struct scan *s, struct str *out)
{
    const unsigned char *start = s->p;
    take(s, "-");
    const unsigned char *first = s->p;
    size_t whole = digits(s);
    if (whole == 0 || (whole > 1 && *first == '0')) {
        return false;
    }
    if (take(s, ".") && digits(s) == 0) {
        return false;
    }
    if (take(s, "e") || take(s, "E")) {
        if (!take(s, "+")) {
            take(s, "-");
        }
        if (digits(s) == 0) {
            return false;
        }
    }
    *out = (struct str){(const char *)start, (size_t)(s->p - start)};
    return true;
}

static struct go_node *scan_value(struct scan *s);

static struct go_node *scan_kids(struct scan *s, struct go_node *n, const char *end)
{
    struct go_node **at = &n->first;
    if (++s->depth > DEPTH) {
        return NULL;
    }
    skip_space(s);
    bool more = !take(s, end);
    while (more) {
        struct str key = {NULL, 0};
        skip_space(s);
        if (n->token == GO_MEMBERS) {
            if (!scan_string(s, &key)) {
                return NULL;
            }
            skip_space(s);
            if (!take(s, ":")) {
                return NULL;
            }
        }
        if (!(*at = scan_value(s))) {
            return NULL;
        }
        (*at)->key = key;
        at = &(*at)->next;
        skip_space(s);
        more = take(s, ",");
        if (!more && !take(s, end)) {
            return NULL;
        }
    }
    s->depth--;
    return n;
}

static struct go_node *scan_value(struct scan *s)
{
    struct go_node *n = go_alloc(s->a, sizeof(*n));
    skip_space(s);
    if (take(s, "null")) {
        n->token = GO_NULL;
    } else if (take(s, "true")) {
        n->token = GO_TRUE;
    } else if (take(s, "false")) {
        n->token = GO_FALSE;
    } else if (take(s, "{")) {
        n->token = GO_MEMBERS;
        return scan_kids(s, n, "}");
    } else if (take(s, "[")) {
        n->token = GO_LIST;
        return scan_kids(s, n, "]");
    } else if (s->p < s->end && *s->p == '"') {
        n->token = GO_TEXT;
        return scan_string(s, &n->text) ? n : NULL;
    } else {
        n->token = GO_NUMBER;
        return scan_number(s, &n->text) ? n : NULL;
    }
    return n;
}

struct go_node *go_parse(struct go_arena *a, struct str text)
{
    struct scan s = {a, (const unsigned char *)text.p, (const unsigned char *)text.p + text.n, 0};
    return scan_value(&s);
}

/* ---- values ---- */

struct value {
    bool set, b; /* set: not nil */
    int64_t i;
    struct str s;
    const struct go_node *raw;
    struct value *kids; /* of a struct: by field */
    struct str *keys;   /* of a map */
    size_t n;
};

struct decoder {
    struct go_arena arena;
    bool failed; /* Go goes on, and tells at the end */
};

static void decode(struct decoder *d, const struct go_type *t, const struct go_node *n,
                   struct value *v);

/* The length of what s begins with that folds to the ASCII letter or byte c; 0: nothing. */
static size_t folds(struct str s, char c)
{
    char lower = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    char first = s.n > 0 && s.p[0] >= 'A' && s.p[0] <= 'Z' ? (char)(s.p[0] | 0x20)
                 : s.n > 0                                 ? s.p[0]
                                                           : '\0';
    if (s.n > 0 && first == lower) {
        return 1;
    }
    if (lower == 's' && s.n >= 2 && memcmp(s.p, "\xc5\xbf", 2) == 0) {
        return 2;
    }
    return lower == 'k' && s.n >= 3 && memcmp(s.p, "\xe2\x84\xaa", 3) == 0 ? 3 : 0;
}

static bool key_folds(struct str key, const char *name)
{
    for (; *name; name++) {
        size_t n = folds(key, *name);
        if (n == 0) {
            return false;
        }
        key = (struct str){key.p + n, key.n - n};
    }
    return key.n == 0;
}

static size_t field_count(const struct go_type *t)
{
    size_t n = 0;
    while (t->fields[n].name) {
        n++;
    }
    return n;
}

static size_t field_of(const struct go_type *t, struct str key)
{
    size_t n = field_count(t);
    for (size_t i = 0; i < n; i++) {
        if (str_eq(key, str_of(t->fields[i].name))) {
            return i;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (key_folds(key, t->fields[i].name)) {
            return i;
        }
    }
    return n;
}

static void decode_struct(struct decoder *d, const struct go_type *t, const struct go_node *n,
                          struct value *v)
{
    if (n->token != GO_MEMBERS) {
        d->failed = true;
        return;
    }
    if (!v->kids) {
        v->n = field_count(t);
        v->kids = go_alloc(&d->arena, v->n * sizeof(*v->kids));
    }
    for (const struct go_node *m = n->first; m; m = m->next) {
        size_t i = field_of(t, m->key);
        if (i < v->n) {
            decode(d, t->fields[i].type, m, &v->kids[i]);
        }
    }
}

static size_t node_count(const struct go_node *n)
{
    size_t count = 0;
    for (const struct go_node *k = n->first; k; k = k->next) {
        count++;
    }
    return count;
}

static void decode_list(struct decoder *d, const struct go_type *elem, const struct go_node *n,
                        struct value *v)
{
    size_t i = 0;
    v->n = node_count(n);
    v->kids = go_alloc(&d->arena, v->n * sizeof(*v->kids));
    for (const struct go_node *k = n->first; k; k = k->next) {
        decode(d, elem, k, &v->kids[i++]);
    }
}

static void decode_map(struct decoder *d, const struct go_type *t, const struct go_node *n,
                       struct value *v)
{
    if (n->token != GO_MEMBERS) {
        d->failed = true;
        return;
    }
    size_t most = v->n + node_count(n);
    struct value *kids = go_alloc(&d->arena, most * sizeof(*kids));
    struct str *keys = go_alloc(&d->arena, most * sizeof(*keys));
    for (size_t i = 0; i < v->n; i++) {
        kids[i] = v->kids[i];
        keys[i] = v->keys[i];
    }
    v->kids = kids;
    v->keys = keys;
    for (const struct go_node *m = n->first; m; m = m->next) {
        struct value fresh = {0};
        size_t i = 0;
        decode(d, t->elem, m, &fresh);
        while (i < v->n && !str_eq(keys[i], m->key)) {
            i++;
        }
        keys[i] = m->key;
        kids[i] = fresh;
        v->n = MAX(v->n, i + 1);
    }
}

static bool number(const struct go_node *n, int64_t *out)
{
    char text[32];
    if (n->token != GO_NUMBER || n->text.n >= sizeof(text)) {
        return false;
    }
    memcpy(text, n->text.p, n->text.n);
    text[n->text.n] = '\0';
    if (strpbrk(text, ".eE")) {
        return false;
    }
    errno = 0;
    *out = strtoll(text, NULL, 10);
    return errno == 0;
}

static void decode_null(const struct go_type *t, struct value *v)
{
    bool nil = (t->flags & GO_POINTER) || t->kind == GO_SLICE || t->kind == GO_MAP ||
               t->kind == GO_STRSLICE || t->kind == GO_ANY;
    if (nil) {
        *v = (struct value){0};
    }
}

static void decode(struct decoder *d, const struct go_type *t, const struct go_node *n,
                   struct value *v)
{
    static const struct go_type text = {.kind = GO_STRING};
    if (n->token == GO_NULL) {
        decode_null(t, v);
        return;
    }
    v->set = true;
    switch (t->kind) {
    case GO_STRING:
        d->failed |= n->token != GO_TEXT;
        v->s = n->text;
        break;
    case GO_INT:
        d->failed |= !number(n, &v->i);
        break;
    case GO_BOOL:
        d->failed |= n->token != GO_TRUE && n->token != GO_FALSE;
        v->b = n->token == GO_TRUE;
        break;
    case GO_STRUCT:
        decode_struct(d, t, n, v);
        break;
    case GO_STRSLICE:
        if (n->token == GO_TEXT) {
            v->n = 1;
            v->kids = go_alloc(&d->arena, sizeof(*v->kids));
            decode(d, &text, n, v->kids);
            break;
        }
        d->failed |= n->token != GO_LIST;
        decode_list(d, &text, n, v);
        break;
    case GO_SLICE:
        d->failed |= n->token != GO_LIST;
        decode_list(d, t->elem, n, v);
        break;
    case GO_MAP:
        decode_map(d, t, n, v);
        break;
    case GO_ARRAY2:
        d->failed |= n->token != GO_LIST;
        for (const struct go_node *k = n->first; k; k = k->next) {
            d->failed |= !number(k, &v->i) || v->i < 0;
        }
        break;
    case GO_ANY:
        v->raw = n;
        break;
    }
}

/* ---- telling ---- */

static void put(struct buf *out, const char *text)
{
    buf_append(out, text, strlen(text));
}

static void put_text(struct buf *out, struct str s)
{
    char hex[8];
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c > 0x20 && c < 0x7f && c != '%' && c != '=' && c != '{' && c != '}') {
            buf_append(out, s.p + i, 1);
        } else {
            snprintf(hex, sizeof(hex), "%%%02x", c);
            put(out, hex);
        }
    }
}

static void put_raw(struct buf *out, const struct go_node *n)
{
    static const char *const words[] = {"null", "true", "false", "", "'", "[", "<"};
    put_text(out, n->key);
    put(out, words[n->token]);
    put_text(out, n->text);
    for (const struct go_node *k = n->first; k; k = k->next) {
        put(out, ",");
        put_raw(out, k);
    }
    put(out, n->token >= GO_TEXT ? ">" : "");
}

/* The path of what is told, on the stack. */
struct path {
    const struct path *up;
    const char *before, *after;
    struct str name;
};

static void put_path(struct buf *out, const struct path *p)
{
    if (p->up) {
        put_path(out, p->up);
        put(out, p->before);
        put_text(out, p->name);
        put(out, p->after);
    }
}

static void line(struct buf *out, const struct path *p, struct str value)
{
    put_path(out, p);
    put(out, "=");
    put_text(out, value);
    put(out, "\n");
}

static void tell(struct buf *out, const struct go_type *t, const struct value *v,
                 const struct path *p);

static void tell_fields(struct buf *out, const struct go_type *t, const struct value *v,
                        const struct path *p)
{
    static const struct value zero;
    for (size_t i = 0; t->fields[i].name; i++) {
        struct path here = {p, p->up ? "." : "", "", str_of(t->fields[i].name)};
        tell(out, t->fields[i].type, v->kids ? &v->kids[i] : &zero, &here);
    }
}

static void tell_list(struct buf *out, const struct go_type *elem, const struct value *v,
                      const struct path *p)
{
    char index[24];
    for (size_t i = 0; i < v->n; i++) {
        snprintf(index, sizeof(index), "%zu", i);
        struct path here = {p, "[", "]", str_of(index)};
        line(out, &here, STR("element"));
        tell(out, elem, &v->kids[i], &here);
    }
}

static bool before(struct str a, struct str b)
{
    int order = a.n && b.n ? memcmp(a.p, b.p, MIN(a.n, b.n)) : 0;
    return order < 0 || (order == 0 && a.n < b.n);
}

static void tell_map(struct buf *out, const struct go_type *elem, const struct value *v,
                     const struct path *p)
{
    const struct str *last = NULL;
    for (size_t told = 0; told < v->n; told++) {
        size_t next = v->n;
        for (size_t i = 0; i < v->n; i++) {
            if ((!last || before(*last, v->keys[i])) &&
                (next == v->n || before(v->keys[i], v->keys[next]))) {
                next = i;
            }
        }
        struct path here = {p, "{", "}", v->keys[next]};
        line(out, &here, STR("member"));
        tell(out, elem, &v->kids[next], &here);
        last = &v->keys[next];
    }
}

static bool zero_scalar(const struct go_type *t, const struct value *v)
{
    return (t->kind == GO_STRING && v->s.n == 0) || (t->kind == GO_INT && v->i == 0) ||
           (t->kind == GO_BOOL && !v->b);
}

/* Whether nothing is told of it. */
static bool silent(const struct go_type *t, const struct value *v)
{
    if (t->flags & GO_UNTOLD) {
        return true;
    }
    if (t->flags & GO_ALWAYS) {
        return false;
    }
    switch (t->kind) {
    case GO_STRING:
    case GO_INT:
    case GO_BOOL:
        return !v->set || ((t->flags & GO_MINUS_IS_NIL) && v->i == -1) ||
               (zero_scalar(t, v) && (!(t->flags & GO_POINTER) || (t->flags & GO_ZERO_IS_NIL)));
    case GO_STRUCT:
        return !v->set && (t->flags & GO_POINTER);
    case GO_SLICE:
    case GO_MAP:
    case GO_STRSLICE:
        return !v->set || (v->n == 0 && (t->flags & GO_EMPTY_IS_NIL));
    case GO_ARRAY2:
        return !v->set;
    case GO_ANY:
        return !v->set ||
               ((t->flags & GO_EMPTY_IS_NIL) && v->raw->token >= GO_LIST && !v->raw->first);
    }
    return false;
}

static void tell(struct buf *out, const struct go_type *t, const struct value *v,
                 const struct path *p)
{
    static const struct go_type text = {.kind = GO_STRING, .flags = GO_ALWAYS};
    char digits_of[24];
    if (silent(t, v)) {
        return;
    }
    switch (t->kind) {
    case GO_STRING:
        line(out, p, v->s);
        break;
    case GO_INT:
        snprintf(digits_of, sizeof(digits_of), "%lld", (long long)v->i);
        line(out, p, str_of(digits_of));
        break;
    case GO_BOOL:
        line(out, p, v->b ? STR("true") : STR("false"));
        break;
    case GO_STRUCT:
        if (t->flags & GO_POINTER && !(t->flags & GO_ZERO_IS_NIL)) {
            line(out, p, STR("struct"));
        }
        tell_fields(out, t, v, p);
        break;
    case GO_SLICE:
    case GO_STRSLICE:
        if (!(t->flags & GO_EMPTY_IS_NIL)) {
            line(out, p, v->n > 0 ? STR("list") : STR("empty"));
        }
        tell_list(out, t->kind == GO_SLICE ? t->elem : &text, v, p);
        break;
    case GO_MAP:
        if (!(t->flags & GO_EMPTY_IS_NIL)) {
            line(out, p, v->n > 0 ? STR("map") : STR("empty"));
        }
        tell_map(out, t->elem, v, p);
        break;
    case GO_ARRAY2:
        line(out, p, STR("pair"));
        break;
    case GO_ANY:
        put_path(out, p);
        put(out, "=");
        put_raw(out, v->raw);
        put(out, "\n");
        break;
    }
}

bool go_meaning(const struct go_type *type, struct str text, struct buf *out)
{
    static const struct path root;
    struct decoder d = {0};
    struct value v = {0};
    const struct go_node *n = go_parse(&d.arena, text);
    if (n) {
        decode(&d, type, n, &v);
        tell(out, type, &v, &root);
    }
    bool ok = n && !d.failed;
    go_arena_free(&d.arena);
    return ok;
}
