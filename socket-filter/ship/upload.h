/* upload.h - brings one file into the bucket, and makes sure that it is there.
 *
 *   PUT, only if no object has the name yet -> HEAD, which must tell the same size, tag and SHA-256
 *   412, there is one: sent earlier, without our having seen the answer -> the same HEAD
 *
 * A `struct upload` is owned by who started it, until `done` was called or upload_cancel was. It owns the
 * descriptor it was given.
 */
#ifndef HARP_SHIP_UPLOAD_H
#define HARP_SHIP_UPLOAD_H

#include "common/fetch/fetch.h"
#include "socket-filter/ship/config.h"

enum upload_outcome {
    UPLOAD_SAFE,    /* it is there */
    UPLOAD_AGAIN,   /* no answer, or one that may be another next time */
    UPLOAD_REFUSED, /* nothing will get through before somebody changes a setting, here or there */
    UPLOAD_UNFIT,   /* this file will not get through; others may */
};

/* why: English, names the request and what the server said; "" if it is safe. Valid during the call, from
 * inside of which everything of this header may be called. */
typedef void upload_done(void *owner, enum upload_outcome outcome, const char *why);

struct upload;

/* Never calls `done` itself. NULL: it could not be started, and fd is closed. */
struct upload *upload_start(struct fetcher *fetcher, const struct ship_config *config,
                            const char *name, int fd, uint64_t size, upload_done *done,
                            void *owner) MUST_CHECK;
/* No `done` follows. NULL is nothing. */
void upload_cancel(struct upload *u);

#endif
