/* admin_text.h - members of the JSON that the administration interface answers with, and texts of strangers in
 * it, which end in a terminal.
 *
 * Owns nothing. Keys are literals. A text that is written must be UTF-8.
 */
#ifndef HARP_HUB_ADMIN_TEXT_H
#define HARP_HUB_ADMIN_TEXT_H

#include "common/json/json.h"

/* Visible ASCII as it is, all else as `?`; what has no room in `size` bytes is cut. */
void admin_text_visible(char *to, size_t size, struct str from);
/* The same in place, and blanks stay: for what has words. */
void admin_text_words(char *text);

/* "35 s", "12 min", "5 h", "3 days". */
enum { ADMIN_AGE_MAX = 32 };
const char *admin_text_age(uint64_t seconds, char buf[ADMIN_AGE_MAX]);

/* "" and NULL: null. */
void admin_put_text(struct json_out *o, const char *key, const char *text);
/* null unless it is known. */
void admin_put_int(struct json_out *o, const char *key, bool known, int64_t value);
void admin_put_bool(struct json_out *o, const char *key, bool value);

#endif
