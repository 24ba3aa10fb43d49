/* yajl_guard.h - what yajl needs beside it to be strict, and to leave no secrets in memory.
 *
 * Pure but for memory. Used by what reads or writes with yajl: json.c, common/docker/scrub.c.
 */
#ifndef HARP_JSON_YAJL_GUARD_H
#define HARP_JSON_YAJL_GUARD_H

#include "common/base/base.h"

#include <yajl/yajl_common.h>

/* Memory that is wiped when it is given back: yajl keeps unescaped strings in memory of its own. For
 * yajl_alloc, yajl_gen_alloc, and buffers of the like. Running out of it ends the process, as xmalloc does. */
extern const yajl_alloc_funcs yajl_wiping;

void *wiping_realloc(void *ctx, void *p, size_t n); /* ctx is not used; p may be NULL */
void wiping_free(void *ctx, void *p);               /* NULL is allowed */

/* yajl takes over-long UTF-8, and replaces half a surrogate pair by '?'. Length of the character or escape at
 * p, which stands inside a string and is no quote; n > 0 bytes are there. 0: *why, which is static. Of escapes
 * only \u is looked at, yajl knows the others. */
size_t yajl_character(const char *p, size_t n, const char **why) MUST_CHECK;

/* Between tokens, yajl takes these for blanks. RFC 8259 does not. */
static inline bool yajl_no_blank(char c)
{
    return c == '\v' || c == '\f';
}

#endif
