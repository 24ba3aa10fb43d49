/* utf8.h - reads one UTF-8 character (RFC 3629). Owns nothing.
 *
 * Over-long forms, surrogates and numbers above U+10FFFF are refused.
 */
#ifndef HARP_CONFIG_UTF8_H
#define HARP_CONFIG_UTF8_H

#include "common/base/base.h"

/* How many bytes the first character of `text` has (1..4), its number in *cp; 0 if it is none. */
size_t utf8_decode(struct str text, uint32_t *cp) MUST_CHECK;

/* Writes a character (at most U+10FFFF, no surrogate) to `buf` of 4 bytes; returns its length. */
size_t utf8_encode(uint32_t cp, char *buf);

#endif
