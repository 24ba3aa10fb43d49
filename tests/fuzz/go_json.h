/* go_json.h - what a JSON text means to Go's encoding/json, for fuzz targets that compare it with what a
 * stricter reader made of it. Written from Go's documentation and behaviour, and from none of our readers:
 *
 *   the first value counts, what stands behind it is not read (json.Decoder)
 *   invalid UTF-8 and half a surrogate pair become U+FFFD
 *   a key fits a field of its name in any letter case, U+017F for s and U+212A for k included; exact first
 *   a key that comes again: scalars are overwritten, structs and maps are merged, slices begin anew
 *   null: nil for what can be nil, and nothing at all for the rest; unknown keys: nothing
 *   a value of another type is an error
 *
 * All memory is of a struct go_arena, which go_arena_free empties; an all-zero one is empty.
 */
#ifndef HARP_FUZZ_GO_JSON_H
#define HARP_FUZZ_GO_JSON_H

#include "common/base/buf.h"

/* ---- the text ---- */

enum go_token { GO_NULL, GO_TRUE, GO_FALSE, GO_NUMBER, GO_TEXT, GO_LIST, GO_MEMBERS };

/* Open to whoever mutates it. */
struct go_node {
    enum go_token token;
    struct str key;  /* of a member, decoded */
    struct str text; /* of a string, decoded; of a number, as it stands */
    struct go_node *first, *next;
};

struct go_block;
struct go_arena {
    struct go_block *blocks;
};

void *go_alloc(struct go_arena *a, size_t n); /* zeroed */
void go_arena_free(struct go_arena *a);

/* NULL: Go's scanner would not take it. */
struct go_node *go_parse(struct go_arena *a, struct str text);

/* ---- types ---- */

enum go_kind {
    GO_STRING,
    GO_INT,
    GO_BOOL,
    GO_STRUCT,
    GO_SLICE,    /* of elem */
    GO_MAP,      /* of texts to elem */
    GO_ARRAY2,   /* of two unsigned numbers */
    GO_STRSLICE, /* Docker's: a text, or a list of texts */
    GO_ANY,      /* as it stands */
};

/* How a field is told. */
enum {
    GO_POINTER = 1,      /* may be nil; without, a struct or scalar always is one */
    GO_EMPTY_IS_NIL = 2, /* no elements mean the same as none at all */
    GO_ZERO_IS_NIL = 4,  /* of a pointer to a scalar or struct */
    GO_MINUS_IS_NIL = 8, /* -1 the same */
    GO_UNTOLD = 16,      /* of no meaning here */
    GO_ALWAYS = 32,      /* also when it is zero */
};

struct go_field;
struct go_type {
    enum go_kind kind;
    unsigned flags;
    const struct go_type *elem;
    const struct go_field *fields; /* end with a NULL name */
};

struct go_field {
    const char *name;
    const struct go_type *type;
};

/* Appends a line "path=value\n" for each thing that the text says when decoded into the type, in an order of
 * its own: what the lines are equal for means the same. false: an error, and *out is undefined. */
bool go_meaning(const struct go_type *type, struct str text, struct buf *out);

#endif
