/* body.h - follows the framing of an HTTP/1.1 message body without copying it.
 *
 * A struct http_body is embedded in its owner, allocates nothing and holds no bytes. It is told
 * what arrives and answers which of it belongs to the body and may be passed on as it is. Sizes
 * are bytes. Rules: RFC 9112 6, 7.1, 7.1.1, 7.1.2, 8.
 *
 * Chunked bodies are passed on verbatim, chunk framing included, in runs as long as possible, but
 * without chunk extensions (they are for the next hop alone, and can be used to waste memory) and
 * without the trailer section, which the caller rewrites. With `decode`, only data is passed.
 *
 * What a feed of p[0..n) tells:
 *   *used  bytes taken; the rest must be given again, in front of what arrives next;
 *   *pass  a slice of p[0..*used) to be passed on; empty when there is none;
 *   MORE      *used > 0: call again with the rest (nothing is wrong with an empty rest);
 *             *used == 0: a chunk line or trailer section is not complete. Keep the n bytes and
 *             call again with more behind them. They are never more than HTTP_BODY_HOLD.
 *   TRAILERS  not with decode. Pass on *pass, then an own trailer section made from b->trailers
 *             (a slice of p with its empty line, for http_parse_trailers), then CRLF. The body is
 *             done: the following calls answer DONE.
 *   DONE      pass on *pass; the rest belongs to the next message. With decode, b->trailers is
 *             the trailer section, if there was one: well-formed, so it may be ignored.
 *   BAD       b->why names the broken rule. *pass is what was good before the fault. The following
 *             calls answer BAD.
 * The bytes passed on and the verdict do not depend on how the input was cut into calls.
 * MORE with n == 0 is what a body that is not finished answers to an empty input.
 */
#ifndef HARP_HTTP_BODY_H
#define HARP_HTTP_BODY_H

#include "common/base/base.h"
#include "common/http/head.h"

#define HTTP_CHUNK_EXTENSION_MAX 256  /* of one chunk line, from its first ';' */
#define HTTP_BODY_EXTENSIONS_MAX 4096 /* of one body */
#define HTTP_TRAILERS_MAX 8192        /* with the empty line; fields: HTTP_MAX_FIELDS */
#define HTTP_BODY_HOLD HTTP_TRAILERS_MAX

enum http_body_result { HTTP_BODY_MORE, HTTP_BODY_TRAILERS, HTTP_BODY_DONE, HTTP_BODY_BAD };

struct http_body {
    const char *why;     /* of BAD */
    struct str trailers; /* valid as long as the p of that call */
    /* the rest is private */
    uint64_t left;   /* data bytes to come in this chunk, or in the body */
    uint64_t passed; /* data bytes passed */
    uint16_t extensions;
    uint16_t line, seen; /* in an incomplete trailer section: its last line, bytes looked at */
    uint8_t lines;       /* complete lines of it */
    uint8_t framing, state;
    bool decode;
};

void http_body_init(struct http_body *b, enum http_framing framing, uint64_t length, bool decode);

enum http_body_result http_body_feed(struct http_body *b, const char *p, size_t n, size_t *used,
                                     struct str *pass) MUST_CHECK;

/* The source has ended: true when that is a proper end, false (and why) when bytes are missing. */
bool http_body_eof(struct http_body *b) MUST_CHECK;

/* True when no further byte belongs to the body; at once for a body of no bytes. */
bool http_body_done(const struct http_body *b);

/* Data bytes passed so far, without framing. */
uint64_t http_body_passed(const struct http_body *b);

#endif
