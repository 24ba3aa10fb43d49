/* listener.h - accepts connections on a TCP or unix address.
 *
 * Owns its descriptor. Out of descriptors (EMFILE, ENFILE, no memory) it pauses for a moment
 * instead of spinning, and says so once. Ends by listener_close; the memory goes at the end of the
 * turn. A unix path is removed before binding when nobody answers there, and again at the end.
 */
#ifndef HARP_STREAM_LISTENER_H
#define HARP_STREAM_LISTENER_H

#include "common/stream/sock.h"

struct listener;

/* fd: connected, non-blocking, close-on-exec; the callee owns it. from: the peer's address. */
typedef void listener_accept(void *owner, int fd, const struct sock_addr *from);

/* NULL: err says what the address is and why it can't be listened at. name is for messages and must
 * stay valid. */
struct listener *listener_open(struct loop *l, const struct sock_addr *at, const char *name,
                               listener_accept *accepted, void *owner, char *err,
                               size_t errlen) MUST_CHECK;
/* The address it is bound to (the port that the kernel chose for port 0). */
const struct sock_addr *listener_address(const struct listener *ls);
void listener_close(struct listener *ls);

#endif
