#include "tunnel-client/toml.h"

#include <stdlib.h>

#include "common/config/file.h"
#include "common/config/utf8.h"
#include "common/config/values.h"
#include "tunnel-client/toml_scan.h"

static void free_one(struct toml_node *node)
{
    config_wipe_free(node->key, node->key ? strlen(node->key) : 0);
    config_wipe_free(node->string, node->string ? strlen(node->string) : 0);
    free(node);
}

void toml_free(struct toml_node *root)
{
    /* Depth is bounded by TOML_DEPTH_MAX headers of as many parts, so recursion is too. */
    if (!root)
        return;
    for (struct toml_node *child = root->first; child;) {
        struct toml_node *next = child->next;

        toml_free(child);
        child = next;
    }
    free_one(root);
}

struct toml_node *toml_get(const struct toml_node *table, struct str key)
{
    for (struct toml_node *node = table->first; node; node = node->next) {
        if (str_eq(str_of(node->key), key))
            return node;
    }
    return NULL;
}

static struct toml_node *add_node(struct toml_scan *s, struct toml_node *parent, struct str key,
                                  enum toml_type type, enum toml_origin origin)
{
    struct toml_node *node;

    if (s->nodes >= TOML_NODES_MAX) {
        toml_fail(s, "more than %d values", TOML_NODES_MAX);
        return NULL;
    }
    node = calloc(1, sizeof(*node));
    if (node && key.p)
        node->key = strndup(key.p, key.n);
    if (!node || (key.p && !node->key)) {
        free(node);
        toml_fail(s, "out of memory");
        return NULL;
    }
    node->type = type;
    node->origin = origin;
    node->line = s->line;
    if (!parent)
        return node;
    s->nodes++;
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    return node;
}

static int fail_duplicate(struct toml_scan *s, struct str key, const struct toml_node *first)
{
    char shown[CONFIG_SHOW_MAX];

    return toml_fail(s, "%s is defined twice; it is there already in line %d",
                     config_show(shown, key), first->line);
}

/* One step of a header towards its last part. */
static struct toml_node *step_header(struct toml_scan *s, struct toml_node *at, struct str key)
{
    struct toml_node *node = toml_get(at, key);

    if (!node)
        return add_node(s, at, key, TOML_TABLE, TOML_IMPLICIT);
    if (node->type == TOML_ARRAY && node->origin == TOML_TABLES)
        return node->last;
    if (node->type != TOML_TABLE || node->origin == TOML_CLOSED) {
        fail_duplicate(s, key, node);
        return NULL;
    }
    return node;
}

static struct toml_node *end_header(struct toml_scan *s, struct toml_node *at, struct str key,
                                    bool is_array)
{
    struct toml_node *node = toml_get(at, key);

    if (is_array) {
        if (!node)
            node = add_node(s, at, key, TOML_ARRAY, TOML_TABLES);
        else if (node->type != TOML_ARRAY || node->origin != TOML_TABLES)
            return fail_duplicate(s, key, node), NULL;
        return node ? add_node(s, node, (struct str){NULL, 0}, TOML_TABLE, TOML_HEADER) : NULL;
    }
    if (!node)
        return add_node(s, at, key, TOML_TABLE, TOML_HEADER);
    if (node->type != TOML_TABLE || node->origin != TOML_IMPLICIT)
        return fail_duplicate(s, key, node), NULL;
    node->origin = TOML_HEADER;
    node->line = s->line;
    return node;
}

/* One step of a dotted key: only tables that dotted keys made may grow this way. */
static struct toml_node *step_dotted(struct toml_scan *s, struct toml_node *at, struct str key)
{
    struct toml_node *node = toml_get(at, key);

    if (!node)
        return add_node(s, at, key, TOML_TABLE, TOML_DOTTED);
    if (node->type != TOML_TABLE || node->origin != TOML_DOTTED)
        return fail_duplicate(s, key, node), NULL;
    return node;
}

static int parse_value(struct toml_scan *s, struct toml_node *parent, struct str key, int depth);

static int parse_key_value(struct toml_scan *s, struct toml_node *table, int depth)
{
    struct toml_key key;
    struct toml_node *at = table;
    struct toml_node *there;

    if (toml_scan_key(s, &key) != 0)
        return -1;
    for (size_t i = 0; i + 1 < key.n; i++) {
        at = step_dotted(s, at, key.parts[i]);
        if (!at)
            return -1;
    }
    there = toml_get(at, key.parts[key.n - 1]);
    if (there)
        return fail_duplicate(s, key.parts[key.n - 1], there);
    toml_skip_blanks(s);
    if (!toml_take(s, '='))
        return toml_fail(s, "an = is missing after the key");
    toml_skip_blanks(s);
    return parse_value(s, at, key.parts[key.n - 1], depth + (int)key.n - 1);
}

static int parse_array(struct toml_scan *s, struct toml_node *array, int depth)
{
    for (;;) {
        if (toml_skip_lines(s) != 0)
            return -1;
        if (toml_take(s, ']'))
            return 0;
        if (parse_value(s, array, (struct str){NULL, 0}, depth) != 0 || toml_skip_lines(s) != 0)
            return -1;
        if (toml_take(s, ']'))
            return 0;
        if (!toml_take(s, ','))
            return toml_fail(s, "a , or ] is missing in an array");
    }
}

static int parse_inline_table(struct toml_scan *s, struct toml_node *table, int depth)
{
    toml_skip_blanks(s);
    if (toml_take(s, '}'))
        return 0;
    for (;;) {
        toml_skip_blanks(s);
        if (parse_key_value(s, table, depth) != 0)
            return -1;
        toml_skip_blanks(s);
        if (toml_take(s, '}'))
            return 0;
        if (!toml_take(s, ','))
            return toml_fail(s, "a , or } is missing in an inline table");
    }
}

static int parse_value(struct toml_scan *s, struct toml_node *parent, struct str key, int depth)
{
    struct toml_scalar scalar;
    struct toml_node *node;

    if (depth >= TOML_DEPTH_MAX)
        return toml_fail(s, "more than %d levels", TOML_DEPTH_MAX);
    if (toml_peek(s) == '[' || (toml_peek(s) == '{' && !toml_at_template(s))) {
        bool is_array = toml_peek(s) == '[';

        node = add_node(s, parent, key, is_array ? TOML_ARRAY : TOML_TABLE, TOML_CLOSED);
        if (!node)
            return -1;
        s->at++;
        return is_array ? parse_array(s, node, depth + 1) : parse_inline_table(s, node, depth + 1);
    }
    if (toml_scan_scalar(s, &scalar) != 0)
        return -1;
    node = add_node(s, parent, key, scalar.type, TOML_CLOSED);
    if (!node) {
        config_wipe_free(scalar.string, scalar.string ? strlen(scalar.string) : 0);
        return -1;
    }
    node->string = scalar.string;
    node->integer = scalar.integer;
    node->boolean = scalar.boolean;
    return 0;
}

/* [a.b] or [[a.b]]; the table that follows lines belong to. */
static struct toml_node *parse_header(struct toml_scan *s, struct toml_node *root)
{
    struct toml_node *at = root;
    struct toml_key key;
    bool is_array;

    (void)toml_take(s, '[');
    is_array = toml_take(s, '[');
    toml_skip_blanks(s);
    if (toml_scan_key(s, &key) != 0)
        return NULL;
    toml_skip_blanks(s);
    if (!toml_take(s, ']') || (is_array && !toml_take(s, ']'))) {
        toml_fail(s, "the header of a table does not end in %s", is_array ? "]]" : "]");
        return NULL;
    }
    for (size_t i = 0; i + 1 < key.n; i++) {
        at = step_header(s, at, key.parts[i]);
        if (!at)
            return NULL;
    }
    return end_header(s, at, key.parts[key.n - 1], is_array);
}

static int parse_document(struct toml_scan *s, struct toml_node *root)
{
    struct toml_node *table = root;

    for (;;) {
        if (toml_skip_lines(s) != 0)
            return -1;
        if (s->at == s->text.n)
            return 0;
        if (toml_peek(s) == '[') {
            table = parse_header(s, root);
            if (!table)
                return -1;
        } else if (parse_key_value(s, table, 0) != 0) {
            return -1;
        }
        if (toml_end_line(s) != 0)
            return -1;
    }
}

struct toml_node *toml_parse(struct str text, const char *name, char *const *env,
                             struct config_report *report)
{
    struct toml_scan scan = {.text = text, .line = 1, .name = name, .env = env, .report = report};
    struct toml_node *root = NULL;

    if (toml_check_text(&scan) == 0)
        root = add_node(&scan, NULL, (struct str){NULL, 0}, TOML_TABLE, TOML_HEADER);
    if (root && parse_document(&scan, root) != 0) {
        toml_free(root);
        root = NULL;
    }
    explicit_bzero(scan.buf, sizeof(scan.buf));
    return root;
}
