/* toml.h - a strict reader for the part of TOML 1.0 that frpc.toml files use.
 *
 * Text in, tree out; no file in sight. toml_free releases the tree and wipes every string in it.
 * Read are: comments, bare, quoted and dotted keys, basic and literal strings on one line, decimal,
 * hexadecimal, octal and binary integers, booleans, arrays, inline tables, [tables] and [[arrays of
 * tables]]. Multi-line strings, floats and dates are told as not supported. What TOML forbids is
 * refused: duplicate keys, tables defined twice, inline tables extended later, control characters,
 * text that is not UTF-8. Escaped NULs are refused too, because values become C strings.
 *
 * `{{ .Envs.NAME }}` in a string's value, or standing for a whole number or boolean, is replaced by
 * that environment variable. frpc does this in the text before reading it; here it is done after, so
 * that a variable can never add keys. A name that is not set is an error, and so is any other `{{`.
 *
 * Limits: TOML_NODES_MAX values and tables, TOML_DEPTH_MAX levels. Errors are "NAME:LINE: what".
 */
#ifndef HARP_TUNNEL_CLIENT_TOML_H
#define HARP_TUNNEL_CLIENT_TOML_H

#include "common/config/report.h"

#define TOML_NODES_MAX 4096
#define TOML_DEPTH_MAX 16

enum toml_type {
    TOML_TABLE,
    TOML_ARRAY,
    TOML_STRING,
    TOML_INTEGER,
    TOML_BOOLEAN,
};

/* How a table came to be, which decides what may still be added to it. */
enum toml_origin {
    TOML_IMPLICIT, /* named on the way in a header; may still be defined once */
    TOML_HEADER,   /* [table] or an element of [[table]] */
    TOML_DOTTED,   /* by a.b = 1 */
    TOML_CLOSED,   /* an inline table or array: complete, with all that is inside */
    TOML_TABLES,   /* the array of [[table]] */
};

struct toml_node {
    enum toml_type type;
    enum toml_origin origin;
    int line;
    char *key; /* NULL in arrays and for the root */
    char *string;
    int64_t integer;
    bool boolean;
    struct toml_node *first, *last; /* members or elements, in the file's order */
    struct toml_node *next;
};

/* The root table, or NULL with the error in the report. `name` is the file's in errors. */
struct toml_node *toml_parse(struct str text, const char *name, char *const *env,
                             struct config_report *report) MUST_CHECK;
void toml_free(struct toml_node *root);

/* A table's member, or NULL. */
struct toml_node *toml_get(const struct toml_node *table, struct str key);

#endif
