/* listener.h - accepts connections on a TCP or unix address.
 *
 * Owns its descriptor. Out of descriptors (EMFILE, ENFILE, no memory) it pauses for a moment
 * instead of spinning, and says so once. Ends by listener_close; the memory goes at the end of the
 * turn. A unix path is removed before binding when nobody answers there, and again at the end; that of
 * an adopted descriptor belongs to whoever bound it, and stays.
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

/* Who may connect to a unix socket. */
struct listener_unix {
    mode_t mode; /* of the socket file, 0777 at most; the umask takes nothing from it */
    gid_t gid;   /* (gid_t)-1: the group that the file is made with */
    uid_t uid;   /* its owner; 0: who we are */
};

/* As listener_open at a unix path, with just these rights: from the moment that its name is there, nobody
 * else may connect. Its folder is the caller's to keep others from: who may write there can put another
 * socket in its place. */
struct listener *listener_open_unix(struct loop *l, const char *path,
                                    const struct listener_unix *rights, const char *name,
                                    listener_accept *accepted, void *owner, char *err,
                                    size_t errlen) MUST_CHECK;
/* Takes over a stream socket that listens already, as a service manager hands it over. NULL: err says why
 * not, and fd is closed. */
struct listener *listener_adopt(struct loop *l, int fd, const char *name, listener_accept *accepted,
                                void *owner, char *err, size_t errlen) MUST_CHECK;

/* The address it is bound to (the port that the kernel chose for port 0). */
const struct sock_addr *listener_address(const struct listener *ls);
void listener_close(struct listener *ls);

#endif
