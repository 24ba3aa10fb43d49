/* json_mutator.h - changes a JSON text so that it mostly stays one: members and values come from a list of
 * snippets, keys change their case or get characters that fold to letters, members come twice. */
#ifndef HARP_FUZZ_JSON_MUTATOR_H
#define HARP_FUZZ_JSON_MUTATOR_H

#include "common/base/base.h"

struct json_snippets {
    const char *const *members; /* "key":value */
    size_t n;
};

/* Writes the changed text to `to`; returns its length, or 0 if `from` is no JSON or the result has no room. */
size_t json_mutate(struct str from, char *to, size_t cap, unsigned seed,
                   const struct json_snippets *snippets);

#endif
