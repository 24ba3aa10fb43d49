/* toml_scan.h - the words of a TOML text: keys, scalar values, blanks. For toml.c.
 *
 * Owns nothing but the string of a scalar, which it allocates and the caller takes over. The parts
 * of a key point into the text or into the scanner and are valid until the next key.
 */
#ifndef HARP_TUNNEL_CLIENT_TOML_SCAN_H
#define HARP_TUNNEL_CLIENT_TOML_SCAN_H

#include "tunnel-client/toml.h"

#define TOML_KEY_PARTS_MAX 8
#define TOML_KEY_BYTES_MAX 1024
#define TOML_STRING_MAX 8192

struct toml_scan {
    struct str text;
    size_t at;
    int line;
    size_t nodes;
    const char *name;
    char *const *env;
    struct config_report *report;
    char buf[TOML_STRING_MAX]; /* a string as it is decoded */
    char key_bytes[TOML_KEY_BYTES_MAX];
};

struct toml_key {
    struct str parts[TOML_KEY_PARTS_MAX];
    size_t n; /* at least 1 */
};

struct toml_scalar {
    enum toml_type type;
    char *string; /* owned by who called */
    int64_t integer;
    bool boolean;
};

/* "NAME:LINE: ..." into the report; returns -1. */
int toml_fail(struct toml_scan *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The whole text: UTF-8, no byte order mark, no control characters but tab and line ends. */
int toml_check_text(struct toml_scan *s) MUST_CHECK;

/* The next byte, or 0 at the end. */
char toml_peek(const struct toml_scan *s);
/* Takes the next byte if it is `c`. */
bool toml_take(struct toml_scan *s, char c);
void toml_skip_blanks(struct toml_scan *s);
/* Blanks, comments and line ends. */
int toml_skip_lines(struct toml_scan *s) MUST_CHECK;
/* Nothing but blanks and a comment may follow on the line. */
int toml_end_line(struct toml_scan *s) MUST_CHECK;
/* Whether `{{` is next. */
bool toml_at_template(const struct toml_scan *s);

int toml_scan_key(struct toml_scan *s, struct toml_key *key) MUST_CHECK;
int toml_scan_scalar(struct toml_scan *s, struct toml_scalar *out) MUST_CHECK;

#endif
