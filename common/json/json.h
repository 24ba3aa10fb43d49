/* json.h - reads a whole JSON text into a document, and writes JSON into a caller's buffer.
 *
 * Reading: json_parse returns a `struct json_doc` that owns every node and every string of the
 * text (copied, so the text may go). Whoever called json_parse ends it with json_free, which wipes
 * the memory first, since documents hold secrets. All nodes and slices die with their document.
 *
 * The reader takes RFC 8259 and nothing beside it. Refused: a key twice in one object, bytes after
 * the value, invalid UTF-8 (RFC 3629), half a surrogate pair in \u escapes, comments, integers
 * outside int64_t, other numbers that no finite double holds, and whatever exceeds the limits. A
 * string may hold NUL (\u0000): who needs text without it must look.
 * Messages about errors never quote the text.
 *
 * Writing: `struct json_out` owns nothing. A failure (no room, invalid UTF-8, a value where a key
 * belongs, unbalanced ends) sticks: later calls do nothing, and json_out_end reports it once.
 * Strings are escaped as Go's encoding/json does by default, so that frp messages come out byte
 * for byte as frp's: short escapes for the usual five controls, \u00xx for the others, and < > &
 * U+2028 U+2029 escaped too. That no key comes twice is the caller's business.
 */
#ifndef HARP_JSON_JSON_H
#define HARP_JSON_JSON_H

#include "common/base/base.h"

/* Defaults stand for a field that is 0, and for all of them when `limits` is NULL. */
#define JSON_DEPTH 32u
#define JSON_NODES 16384u
#define JSON_BYTES 1048576u

struct json_limits {
    unsigned depth; /* objects and arrays inside each other */
    size_t nodes;   /* values of every kind */
    size_t bytes;   /* length of the text */
};

enum json_type {
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,
    JSON_DOUBLE,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json_doc;
struct json_node;

/* NULL when refused; err (may be NULL) then says why and where, NUL-terminated. */
struct json_doc *json_parse(const char *p, size_t n, const struct json_limits *limits, char *err,
                            size_t errlen) MUST_CHECK;
/* Wipes and frees; NULL is allowed. */
void json_free(struct json_doc *doc);

const struct json_node *json_root(const struct json_doc *doc);

/* A NULL node is allowed below: it has no type, no members, and no value. */
enum json_type json_type(const struct json_node *node); /* of NULL: JSON_NULL */
/* "string", "object", ... for messages; "nothing" for NULL. */
const char *json_type_name(const struct json_node *node);

/* The value under `key`, or NULL if there is none or the node is no object. */
const struct json_node *json_get(const struct json_node *object, const char *key);

/* Elements of an array or members of an object, in the order of the text:
 * for (n = json_first(a); n; n = json_next(n)) */
const struct json_node *json_first(const struct json_node *node);
const struct json_node *json_next(const struct json_node *node);
size_t json_count(const struct json_node *node);
/* The name of a member; empty for anything else. */
struct str json_key(const struct json_node *member);

/* 0, or -1 when the node has another type; *out is then untouched. Nothing is converted, except
 * that json_double takes integers too. */
int json_str(const struct json_node *node, struct str *out) MUST_CHECK;
int json_int(const struct json_node *node, int64_t *out) MUST_CHECK;
int json_double(const struct json_node *node, double *out) MUST_CHECK;
int json_bool(const struct json_node *node, bool *out) MUST_CHECK;

/* ---- writing ---- */

#define JSON_OUT_DEPTH 32u

struct json_out {
    char *p;
    size_t cap;
    size_t n; /* bytes written */
    unsigned depth;
    uint32_t arrays; /* bit d: level d is an array */
    bool comma;      /* a value or member came before on this level */
    bool keyed;      /* a key waits for its value */
    bool done;       /* the outermost value is complete */
    bool failed;
};

void json_out_init(struct json_out *o, char *buf, size_t cap);
void json_out_object(struct json_out *o);
void json_out_object_end(struct json_out *o);
void json_out_array(struct json_out *o);
void json_out_array_end(struct json_out *o);
void json_out_key(struct json_out *o, struct str key);
void json_out_str(struct json_out *o, struct str value);
void json_out_int(struct json_out *o, int64_t value);
void json_out_bool(struct json_out *o, bool value);
void json_out_null(struct json_out *o);
/* Length of the text (no NUL is added), or -1 if anything failed or a level is still open. */
ssize_t json_out_end(const struct json_out *o) MUST_CHECK;

#endif
