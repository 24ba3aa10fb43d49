/* scrub.h - takes the values of environments out of an engine's JSON answers.
 *
 * In every array under a key `Env` (so spelled), at any depth, strings "NAME=value" become "NAME=<hidden>";
 * all else stays as it is, numbers digit by digit, strings in their meaning, in compact form. Elements without
 * a `=` stay, and so does what lies deeper in such an array.
 *
 * Taken is one JSON text (RFC 8259). What an engine does not write is a failure: invalid UTF-8, half a
 * surrogate pair, bytes behind the value, and whatever exceeds the limits. Keys may come twice.
 *
 * A `struct scrub` owns its parser and what it has written and was not taken yet; scrub_free ends it, and
 * wipes. Memory is bounded by what was fed since output was last taken, and by the limits. How the text is cut
 * into calls does not matter.
 */
#ifndef HARP_DOCKER_SCRUB_H
#define HARP_DOCKER_SCRUB_H

#include "common/base/base.h"

#define SCRUB_DEPTH 64u             /* arrays and objects inside each other */
#define SCRUB_STRING_MAX (1u << 20) /* bytes of one string as it is written, with its quotes */
#define SCRUB_WORD_MAX 256u         /* bytes of a number */

struct scrub;

struct scrub *scrub_new(void);
void scrub_free(struct scrub *s); /* NULL is allowed */
/* Takes n bytes. 0; -1: it is not JSON (*why, which is static), and nothing more of what was written may be
 * used. All later calls then return the same. */
int scrub_feed(struct scrub *s, const char *p, size_t n, const char **why) MUST_CHECK;
/* The answer has ended: -1 if the value had not. A number as the outermost value is written here. */
int scrub_end(struct scrub *s, const char **why) MUST_CHECK;
/* What was written since the last time; valid until the next call with s. */
struct str scrub_take(struct scrub *s);

#endif
