/* head.h - strict HTTP/1.1 parsers for request heads, response heads and trailer sections.
 *
 * Owns nothing, allocates nothing, keeps no state but the caller's `scanned`: pure functions from
 * bytes to a verdict. All slices point into the bytes given (or at a static string), so they live
 * as long as the caller's buffer stays where it is. One struct http_request or http_response per
 * loop is enough; it need not be cleared. Sizes are bytes.
 *
 * Results: > 0 the length of the head with its empty line; 0 the head is not complete, the struct
 * holds nothing; < 0 refused: `why` is a short English reason, and for a request `status` is the
 * answer to give before closing (400 414 417 431 501 505). A bad response is a 502.
 * The verdict does not depend on how the bytes were cut into reads. A fault inside a line is told
 * as soon as the line is complete, a stray CR, LF or other control byte and a line or head that is
 * too long at once; what concerns several fields is told at the end of the head.
 *
 * Rules: RFC 9110 and RFC 9112, as listed in README.md; refuse, never repair.
 */
#ifndef HARP_HTTP_HEAD_H
#define HARP_HTTP_HEAD_H

#include "common/base/base.h"
#include "common/http/names.h"

#define HTTP_MAX_FIELDS 128
/* Options in all Connection fields of a head; each is compared with every field. */
#define HTTP_MAX_CONNECTION_OPTIONS 32

struct http_limits {
    uint32_t line;   /* bytes of one line without its CRLF */
    uint32_t head;   /* bytes of a head with its empty line, under 2^31 */
    uint16_t fields; /* at most HTTP_MAX_FIELDS */
    bool empty_host; /* a request's Host may be empty, as Docker's client has it at unix sockets */
};
#define HTTP_LIMITS_DEFAULT ((struct http_limits){8192, 32768, HTTP_MAX_FIELDS, false})

struct http_field {
    struct str name;  /* as sent */
    struct str value; /* without the blanks around it */
    uint8_t id;       /* enum http_name */
    /* Not to be forwarded: hop-by-hop by its name or because Connection names it; and the special
     * cases told at http_request and http_response. It says nothing about whether the field may be
     * read: decisions about who asks must look at dropped fields, too, or a client could hide a
     * field from them by naming it in Connection. */
    bool drop;
};

enum http_method {
    HTTP_METHOD_OTHER = 0, /* any other token */
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_PATCH,
    HTTP_TRACE
};

enum http_framing {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH, /* `length` bytes, may be 0 */
    HTTP_BODY_CHUNKED,
    HTTP_BODY_TO_EOF /* responses only */
};

/* How to forward a request: method, path and `HTTP/1.1`; the fields without `drop`, as sent;
 * - `Host: <authority>` when `absolute` (the Host field sent is then marked drop, RFC 9112 3.2.2);
 * - `Transfer-Encoding: chunked` when framing is HTTP_BODY_CHUNKED (always marked drop);
 * - `Connection: upgrade` when `upgrade`; the Upgrade field is then not marked drop. It is marked
 *   drop when nothing is to be upgraded, and when it names a protocol that would carry further
 *   HTTP requests past the rules that were applied to this one (h2c, h2, HTTP/x, TLS/x).
 *   An upgrade may come with a body; it has to be forwarded before bytes of the new protocol.
 * - Content-Length stays among the fields, as does Expect (except from HTTP/1.0: RFC 9110 10.1.1).
 */
struct http_request {
    struct str method;
    struct str target;    /* as sent */
    struct str authority; /* of an absolute target, else Host's value; empty: no Host, or it is */
    struct str path;      /* with its query; begins with '/', or is "*" (OPTIONS only) */
    uint64_t length;      /* of HTTP_BODY_LENGTH, else 0 */
    enum http_method method_id;
    enum http_framing framing;
    bool absolute;
    uint8_t minor;        /* HTTP/1.x: 0 or 1 */
    bool keep_alive;      /* the client's side of it */
    bool expect_continue; /* 1.1, `Expect: 100-continue`, and there is a body to wait with */
    bool upgrade;         /* 1.1, `Connection: upgrade` and an Upgrade field that may pass */
    unsigned nfields;
    int status;      /* 0 when good */
    const char *why; /* NULL when good */
    struct http_field fields[HTTP_MAX_FIELDS];
};

/* How to forward a response: as a request's. Besides the hop-by-hop fields, Content-Length is
 * marked drop in a 1xx or 204, where it must not stand (RFC 9110 8.6), and Upgrade in all but a
 * 101. A 101 without Upgrade and `Connection: upgrade` is refused; whether the request had asked
 * for an upgrade is for the caller to check.
 */
struct http_response {
    struct str reason; /* may be empty */
    uint64_t length;   /* of HTTP_BODY_LENGTH, else 0 */
    enum http_framing framing;
    uint16_t status; /* 100..599; undefined when refused */
    uint8_t minor;
    bool keep_alive; /* false, too, when the body ends with the connection */
    bool upgrade;    /* a 101 */
    unsigned nfields;
    const char *why;
    struct http_field fields[HTTP_MAX_FIELDS];
};

/* *scanned is the caller's, one per message, 0 at its first byte. With it a slow sender costs time
 * in proportion to its bytes. p may move between calls; p[0] stays the message's first byte. */
int http_parse_request(struct http_request *r, const char *p, size_t n, const struct http_limits *l,
                       size_t *scanned) MUST_CHECK;

/* request_method decides whether there is a body (HEAD: none). */
int http_parse_response(struct http_response *r, enum http_method request_method, const char *p,
                        size_t n, const struct http_limits *l, size_t *scanned) MUST_CHECK;

/* p[0..n) is a whole trailer section with its empty line, as http_body gives it. Returns the
 * number of fields, or < 0 and *why. Those that must not stand in a trailer are marked drop. */
int http_parse_trailers(struct http_field *f, unsigned max, const char *p, size_t n,
                        const struct http_limits *l, const char **why) MUST_CHECK;

#endif
