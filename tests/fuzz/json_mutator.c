#include "tests/fuzz/json_mutator.h"

#include "common/base/writer.h"
#include "tests/fuzz/go_json.h"

#include <stdio.h>
#include <stdlib.h>

struct mutator {
    struct go_arena arena;
    const struct json_snippets *snippets;
    unsigned seed;
    bool escape; /* one character of each key is written as \u */
};

static unsigned pick(struct mutator *m, size_t n)
{
    m->seed = m->seed * 1664525u + 1013904223u;
    return n ? (m->seed >> 8) % (unsigned)n : 0;
}

/* ---- writing ---- */

static void put_string(struct mutator *m, struct writer *w, struct str s, bool key)
{
    char hex[8];
    size_t escaped = m->escape && key && s.n > 0 ? pick(m, s.n) : s.n;
    writer_put(w, STR("\""));
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == '"' || c == '\\' || (i == escaped && c < 0x80)) {
            snprintf(hex, sizeof(hex), "\\u%04x", c);
            writer_put(w, str_of(hex));
        } else {
            writer_put(w, (struct str){s.p + i, 1});
        }
    }
    writer_put(w, STR("\""));
}

static void put_node(struct mutator *m, struct writer *w, const struct go_node *n)
{
    static const char *const open[] = {"null", "true", "false", "", "", "[", "{"};
    writer_put(w, str_of(open[n->token]));
    if (n->token == GO_NUMBER) {
        writer_put(w, n->text);
    } else if (n->token == GO_TEXT) {
        put_string(m, w, n->text, false);
    }
    for (const struct go_node *k = n->first; k; k = k->next) {
        if (n->token == GO_MEMBERS) {
            put_string(m, w, k->key, true);
            writer_put(w, STR(":"));
        }
        put_node(m, w, k);
        writer_put(w, k->next ? STR(",") : STR(""));
    }
    writer_put(w, n->token == GO_LIST ? STR("]") : n->token == GO_MEMBERS ? STR("}") : STR(""));
}

/* ---- changing ---- */

static size_t count(const struct go_node *n)
{
    size_t all = 1;
    for (const struct go_node *k = n->first; k; k = k->next) {
        all += count(k);
    }
    return all;
}

/* The *left-th node below `at`, and where it hangs. */
static struct go_node **nth(struct go_node **at, size_t *left)
{
    if ((*left)-- == 0) {
        return at;
    }
    for (struct go_node **k = &(*at)->first; *k; k = &(*k)->next) {
        struct go_node **found = nth(k, left);
        if (found) {
            return found;
        }
    }
    return NULL;
}

static struct go_node **any(struct mutator *m, struct go_node **root)
{
    size_t left = pick(m, count(*root));
    return nth(root, &left);
}

static struct go_node *copy(struct mutator *m, const struct go_node *n)
{
    struct go_node *to = go_alloc(&m->arena, sizeof(*to));
    struct go_node **at = &to->first;
    *to = *n;
    to->next = NULL;
    for (const struct go_node *k = n->first; k; k = k->next) {
        *at = copy(m, k);
        at = &(*at)->next;
    }
    *at = NULL;
    return to;
}

/* A member of the snippets: a node with its key. */
static struct go_node *snippet(struct mutator *m)
{
    const char *member = m->snippets->members[pick(m, m->snippets->n)];
    char *text = go_alloc(&m->arena, strlen(member) + 3);
    int n = sprintf(text, "{%s}", member);
    struct go_node *object = go_parse(&m->arena, (struct str){text, (size_t)n});
    if (!object || !object->first) {
        abort(); /* the list is wrong */
    }
    return object->first;
}

/* Another spelling of a key: in other case, with characters that Go folds, or with something beside it. */
static struct str respell(struct mutator *m, struct str key)
{
    static const char *const beside[] = {"\xc5\xbf", "\xe2\x84\xaa", "\x01", " ", "s", "\xff"};
    char *to = go_alloc(&m->arena, key.n * 3 + 8);
    size_t n = 0, at = pick(m, key.n);
    unsigned how = pick(m, 4);
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (how == 0 && (c == 's' || c == 'S')) {
            n += (size_t)sprintf(to + n, "\xc5\xbf");
        } else if (how == 0 && (c == 'k' || c == 'K')) {
            n += (size_t)sprintf(to + n, "\xe2\x84\xaa");
        } else {
            to[n++] = letter && (how == 1 || (how == 2 && i == at)) ? (char)(c ^ 0x20) : c;
        }
    }
    if (how == 3) {
        n += (size_t)sprintf(to + n, "%s", beside[pick(m, ARRAY_LEN(beside))]);
    }
    return (struct str){to, n};
}

static void insert(struct go_node *into, struct go_node *n, bool front)
{
    struct go_node **at = &into->first;
    while (*at && !front) {
        at = &(*at)->next;
    }
    n->next = *at;
    *at = n;
}

static void replace(struct go_node *n, const struct go_node *with)
{
    n->token = with->token;
    n->text = with->text;
    n->first = with->first;
}

static void change(struct mutator *m, struct go_node **root)
{
    struct go_node **at = any(m, root), *n = *at, *twin;
    switch (pick(m, 8)) {
    case 0:
    case 1:
        if (n->token == GO_MEMBERS) {
            insert(n, snippet(m), pick(m, 2));
        }
        break;
    case 2:
        n->key = respell(m, n->key);
        break;
    case 3: /* once more, perhaps spelled otherwise */
        if (n != *root) {
            twin = copy(m, n);
            twin->key = pick(m, 2) ? respell(m, n->key) : n->key;
            twin->next = n->next;
            n->next = twin;
        }
        break;
    case 4:
        replace(n, snippet(m));
        break;
    case 5:
        n->key = snippet(m)->key;
        break;
    case 6:
        if (n != *root) {
            *at = n->next;
        }
        break;
    default: /* from elsewhere in the text */
        replace(n, copy(m, *any(m, root)));
        break;
    }
}

size_t json_mutate(struct str from, char *to, size_t cap, unsigned seed,
                   const struct json_snippets *snippets)
{
    struct mutator m = {.snippets = snippets, .seed = seed};
    struct writer w = {to, to + cap, false};
    struct go_node *root = go_parse(&m.arena, from);
    if (root) {
        for (unsigned i = 1 + pick(&m, 3); i > 0; i--) {
            change(&m, &root);
        }
        m.escape = pick(&m, 8) == 0;
        put_node(&m, &w, root);
    }
    size_t n = root ? writer_end(&w, to) : 0;
    go_arena_free(&m.arena);
    return n;
}
