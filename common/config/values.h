/* values.h - reads the values of settings; pure functions, text in and verdict out.
 *
 * Owns nothing. All are strict: the whole text must be the value, without spaces around it. Each
 * returns 0, VALUE_BAD (the text is no such value) or VALUE_RANGE (it is, but too small or too
 * large), and leaves *out alone on an error.
 */
#ifndef HARP_CONFIG_VALUES_H
#define HARP_CONFIG_VALUES_H

#include "common/base/base.h"

#define VALUE_BAD (-1)
#define VALUE_RANGE (-2)

#define VALUE_DURATION_TEXT_MAX 32
#define VALUE_SIZE_TEXT_MAX 32

/* Drops surrounding pairs of double or single quotes, which env-files and compose files leave in. */
struct str value_unquote(struct str text);

/* Milliseconds from `30s`, `1.5s`, `500ms`, `2h`: units us ms s m h d, a plain number is seconds.
 * A fraction may have up to six digits. The result is rounded up to whole milliseconds, so that a
 * small limit never becomes 0, which means "none" in many settings. */
int value_parse_duration(struct str text, uint64_t *ms) MUST_CHECK;

/* true false yes no on off 1 0, in any case of letters. */
int value_parse_bool(struct str text, bool *out) MUST_CHECK;

/* Decimal, no plus sign, no leading zeros. */
int value_parse_int(struct str text, int64_t min, int64_t max, int64_t *out) MUST_CHECK;

/* Bytes from `4096`, `64K`, `16M`, `1G`, each 1024 times the one before. */
int value_parse_size(struct str text, uint64_t *bytes) MUST_CHECK;

/* The other way, with the largest unit that leaves no rest: `90s`, `64M`; buf of ..._TEXT_MAX. */
const char *value_format_duration(uint64_t ms, char *buf);
const char *value_format_size(uint64_t bytes, char *buf);

/* A port, 1..65535. */
int value_parse_port(struct str text, uint16_t *port) MUST_CHECK;

/* A host name (letters, digits, `-`, `_`, dots; at most 253 bytes) or an IP address without
 * brackets. A name of digits and dots only must be an IPv4 address. */
bool value_is_host(struct str text);

/* host[:port], as in a URL or a Host field, to the host; an IPv6 address stands in brackets there and
 * loses them. What the host is made of is not looked at. -1: it has another form. */
int value_split_authority(struct str authority, struct str *host) MUST_CHECK;

/* Printable ASCII only. */
bool value_is_printable(struct str text);

/* NULL if the text can be a shared key, else what is wrong with it, never quoting it. The rules are
 * those of an HTTP header value that must also survive in a TOML string between quotes, because
 * ExApps' start scripts write it there: printable ASCII without `"` and `\`, no space at the ends. */
const char *value_check_key(struct str text);

#endif
