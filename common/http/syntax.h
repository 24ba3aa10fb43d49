/* syntax.h - bytes, lines and small grammars of HTTP/1.1; used inside common/http only.
 *
 * Owns nothing, allocates nothing; all functions are pure. Slices point into the caller's bytes.
 * A `why` is a static English string that names the broken rule; NULL means there is none.
 * Rules: RFC 9110 5.5, 5.6, 7.8, 8.6; RFC 9112 2.2, 5, 7; RFC 3986 3.2.
 */
#ifndef HARP_HTTP_SYNTAX_H
#define HARP_HTTP_SYNTAX_H

#include "common/base/base.h"
#include "common/http/head.h"

enum {
    HTTP_C_TOKEN = 1,   /* RFC 9110 5.6.2 */
    HTTP_C_TARGET = 2,  /* visible ASCII without '#' */
    HTTP_C_HOST = 4,    /* reg-name of RFC 3986 without '%', and without ',' */
    HTTP_C_CTL = 8,     /* controls that may stand nowhere: all but HTAB */
    HTTP_C_DIGIT = 16,  /* 0-9 */
    HTTP_C_HEX = 32,    /* 0-9 a-f A-F */
    HTTP_C_QUOTED = 64, /* qdtext: inside "..." without '"' and '\' */
    HTTP_C_BLANK = 128  /* SP, HTAB */
};

extern const uint8_t http_class[256];
extern const uint8_t http_fold[256]; /* to lower case, '_' to '-' */

static inline bool http_is(char c, unsigned cls)
{
    return (http_class[(uint8_t)c] & cls) != 0;
}

/* The value of a byte of class HTTP_C_HEX. */
static inline unsigned http_hex(char c)
{
    return ((unsigned)c & 15) + ((unsigned)c >> 6) * 9;
}

enum http_line {
    HTTP_LINE_OK,      /* *eol is at the CR of its CRLF */
    HTTP_LINE_PARTIAL, /* no end yet; bytes before *eol are clean */
    HTTP_LINE_LONG,    /* more than max bytes */
    HTTP_LINE_BAD      /* a control byte, or a CR or LF of its own: *why */
};

/* Finds the end of the line at `line`. Bytes before `from` were found clean by an earlier call;
 * nothing at or after `end` is looked at. Whichever fault stands first is told, so that the
 * verdict does not depend on how the bytes were cut into reads. */
enum http_line http_line_find(const char *line, const char *from, const char *end, size_t max,
                              const char **eol, const char **why);

/* Splits a line (without CRLF, clean of controls, *eol readable and not a token byte). */
const char *http_field_read(struct http_field *f, const char *line, const char *eol) MUST_CHECK;

/* Takes the next element of a comma list of tokens (protocols: token ["/" token]) off *rest.
 * 1: *item is set; 0: the end; -1: not such a list. Empty elements are skipped (RFC 9110 5.6.1). */
int http_list_next(struct str *rest, struct str *item, bool protocols) MUST_CHECK;

/* uri-host [":" port], not empty. Commas are refused although RFC 3986 lets a name have them:
 * a list of hosts is not a host. */
bool http_authority_valid(struct str s);

/* Decimal digits alone, at most 2^63-1. */
bool http_length_read(struct str s, uint64_t *length);

enum http_codings { HTTP_CODINGS_CHUNKED, HTTP_CODINGS_UNKNOWN, HTTP_CODINGS_BAD };

/* Judges the value of Transfer-Encoding: exactly `chunked`; a well-formed list that ends in
 * something nobody here knows, or has it before a final chunked; or malformed. */
enum http_codings http_codings_read(struct str s, const char **why);

#endif
