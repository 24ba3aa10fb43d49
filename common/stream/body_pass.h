/* body_pass.h - passes a message's body on to a stream, as its framing says, without copying it.
 *
 * Owns nothing; a struct body_pass lives during one call of a stream's `data`. The bytes at hand go out in
 * few system calls, with a head in front of them if there is one. A trailer section is written anew, without
 * the fields that are not to be passed on.
 */
#ifndef HARP_STREAM_BODY_PASS_H
#define HARP_STREAM_BODY_PASS_H

#include "common/http/body.h"
#include "common/http/reply.h"
#include "common/stream/stream.h"

enum { BODY_PASS_PIECES = 32 }; /* of a body, sent by one system call */

enum body_pass_result { BODY_PASS_MORE, BODY_PASS_DONE, BODY_PASS_BAD };

struct body_pass {
    struct stream *to;
    struct str head; /* goes first, once */
    char *trailers;  /* scratch memory of HTTP_REPLY_MAX bytes */
    bool wrote;      /* something went to `to` */
    /* the rest is private */
    struct iovec iov[BODY_PASS_PIECES];
    int cnt;
};

/* Passes the head, then as much of the body in [p, p+n) as there is; *used counts the body's bytes. With
 * BODY_PASS_BAD, b->why says why, and pass->wrote whether something of this call had to be written before. */
enum body_pass_result body_pass(struct body_pass *pass, struct http_body *b, const char *p,
                                size_t n, size_t *used) MUST_CHECK;

#endif
