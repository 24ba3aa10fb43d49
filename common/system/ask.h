/* ask.h - a command asks the program that runs, over a socket at hand: connects, waits, reads.
 *
 * Blocks, for a few seconds at most; so it is for commands, never for a program with a loop. Owns nothing.
 */
#ifndef HARP_SYSTEM_ASK_H
#define HARP_SYSTEM_ASK_H

#include "common/base/buf.h"
#include "common/config/listen.h"

enum { ASK_SECONDS = 5 }; /* for connecting, and for each wait for bytes */

/* A connected, blocking descriptor, which the caller closes; -1 with errno. */
int ask_connect(const struct listen_addr *at) MUST_CHECK;
/* Reads until the other side ends, or `max` bytes are there. 0, or -1 with errno: EMSGSIZE if there are
 * more. */
int ask_read(int fd, struct buf *to, size_t max) MUST_CHECK;
/* strerror, but for a wait that took too long. */
const char *ask_error(int number);

#endif
