/* reply.h - heads of answers, and trailer sections, as a proxy sends them on.
 *
 * Pure: parsed head in, bytes out. Hop-by-hop fields are left out (RFC 9110 7.6.1), framing fields are our
 * own, everything else passes as sent, in order, repeated fields repeated. Functions that write return the
 * length written, or 0 when `cap` is too small; HTTP_REPLY_MAX is enough for every head and trailer section
 * that the parsers accept.
 */
#ifndef HARP_HTTP_REPLY_H
#define HARP_HTTP_REPLY_H

#include "common/http/head.h"

enum { HTTP_REPLY_MAX = 64 * 1024 };

struct http_reply {
    bool close;      /* the connection ends after this answer */
    bool keep_alive; /* an HTTP/1.0 client asked to keep it, and must be told */
    bool chunked;    /* the body follows with chunked framing */
};

size_t http_write_response(char *out, size_t cap, const struct http_response *r,
                           const struct http_reply *reply) MUST_CHECK;

/* A trailer section with its empty line; the fields marked drop are left out, and those between AppAPI,
 * hub and ExApp. */
size_t http_write_trailers(char *out, size_t cap, const struct http_field *fields,
                           unsigned n) MUST_CHECK;

/* "Not Found" of 404; "Error" where it is not known. */
const char *http_status_words(int status);

#endif
