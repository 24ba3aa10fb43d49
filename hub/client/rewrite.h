/* rewrite.h - request heads as the hub sends them on to the ExApp. Answers: common/http/reply.h.
 *
 * Pure: parsed head in, bytes out. Hop-by-hop fields are left out (RFC 9110 7.6.1), framing fields
 * are the hub's own, everything else passes as sent, in order, repeated fields repeated.
 * Each function returns the length written, or 0 when `cap` is too small; REWRITE_MAX is enough for
 * every head that the parsers accept.
 */
#ifndef HARP_HUB_REWRITE_H
#define HARP_HUB_REWRITE_H

#include "common/http/head.h"

enum { REWRITE_MAX = 64 * 1024 };

/* What the ExApp is told about the request by fields of the hub's own. */
struct rewrite_app {
    struct str path;          /* for the request line */
    bool slash;               /* with a '/' in front of it */
    struct str id;            /* EX-APP-ID, as the client spelled it */
    struct str version;       /* EX-APP-VERSION */
    struct str authorization; /* AUTHORIZATION-APP-API */
    bool appapi;              /* a call of AppAPI's: its own credentials and address pass as sent */
    bool strip_credentials;   /* leave Nextcloud's session and Authorization out */
};

size_t rewrite_request(char *out, size_t cap, const struct http_request *r,
                       const struct rewrite_app *app) MUST_CHECK;

#endif
