/* Any text: what is accepted is written, read again, and must be the same; every prefix that ends
 * before the value does is refused. */
#include "common/json/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth)
        abort();
}

static bool has_double(const struct json_node *n)
{
    if (json_type(n) == JSON_DOUBLE)
        return true;
    for (const struct json_node *k = json_first(n); k; k = json_next(k))
        if (has_double(k))
            return true;
    return false;
}

static void write_node(struct json_out *o, const struct json_node *n)
{
    struct str s;
    int64_t i;
    bool b;

    switch (json_type(n)) {
    case JSON_STRING:
        must(json_str(n, &s) == 0);
        json_out_str(o, s);
        break;
    case JSON_INT:
        must(json_int(n, &i) == 0);
        json_out_int(o, i);
        break;
    case JSON_BOOL:
        must(json_bool(n, &b) == 0);
        json_out_bool(o, b);
        break;
    case JSON_NULL:
    case JSON_DOUBLE:
        json_out_null(o);
        break;
    case JSON_ARRAY:
        json_out_array(o);
        for (const struct json_node *k = json_first(n); k; k = json_next(k))
            write_node(o, k);
        json_out_array_end(o);
        break;
    case JSON_OBJECT:
        json_out_object(o);
        for (const struct json_node *k = json_first(n); k; k = json_next(k)) {
            json_out_key(o, json_key(k));
            write_node(o, k);
        }
        json_out_object_end(o);
        break;
    }
}

static bool same(const struct json_node *a, const struct json_node *b)
{
    struct str s, t;
    int64_t i, j;
    bool x, y;

    if (json_type(a) != json_type(b) || json_count(a) != json_count(b) ||
        !str_eq(json_key(a), json_key(b)))
        return false;
    if (json_str(a, &s) == 0)
        return json_str(b, &t) == 0 && str_eq(s, t);
    if (json_int(a, &i) == 0)
        return json_int(b, &j) == 0 && i == j;
    if (json_bool(a, &x) == 0)
        return json_bool(b, &y) == 0 && x == y;
    a = json_first(a);
    b = json_first(b);
    for (; a && b; a = json_next(a), b = json_next(b))
        if (!same(a, b))
            return false;
    return !a && !b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char buf[8 * 65536];
    char err[64] = "";
    struct json_doc *doc, *again;
    const struct json_node *root;
    struct json_out o;
    ssize_t n;

    if (size > 65536)
        return 0;
    doc = json_parse((const char *)data, size, NULL, err, sizeof(err));
    if (!doc) {
        must(err[0] != '\0' && memchr(err, '\0', sizeof(err)));
        return 0;
    }
    root = json_root(doc);
    must(root != NULL);
    json_out_init(&o, buf, sizeof(buf));
    write_node(&o, root);
    n = json_out_end(&o);
    must(n > 0);
    again = json_parse(buf, (size_t)n, NULL, err, sizeof(err));
    must(again != NULL);
    must(has_double(root) || same(root, json_root(again)));
    json_free(again);
    if (json_count(root) && n < 256)
        for (size_t cut = 0; cut < (size_t)n; cut++) {
            again = json_parse(buf, cut, NULL, NULL, 0);
            must(again == NULL);
        }
    json_free(doc);
    return 0;
}
