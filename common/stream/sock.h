/* sock.h - streams on a file descriptor: TCP and unix sockets.
 *
 * A `struct sock` owns its descriptor and its uv_poll handle; it is freed by libuv's close callback
 * after stream_close. tls.h builds on it: it replaces what happens when the descriptor is ready.
 *
 * Readiness is watched level-triggered and lazily: interest in reading is dropped only when an
 * unwanted event really comes, because changing it costs two system calls in libuv.
 */
#ifndef HARP_STREAM_SOCK_H
#define HARP_STREAM_SOCK_H

#include <sys/socket.h>
#include <sys/un.h>

#include "common/stream/stream.h"

/* Where to connect to or listen at. */
struct sock_addr {
    struct sockaddr_storage sa;
    socklen_t len;
};

struct sock {
    struct stream s; /* first: a stream pointer is a sock pointer */
    uv_poll_t poll;
    int fd;
    uint8_t watching;    /* events that libuv watches now */
    bool connecting : 1; /* `ready` is owed */
    bool broken : 1;     /* our direction can't be written any more; what is unread still counts */
    bool shut_due : 1;   /* shutdown(2) once the tail has left */
    bool kept : 1;       /* tls.c has bytes at hand that the paused owner did not get yet */
    void (*readable)(struct sock *k);
};

/* Takes over a connected, non-blocking descriptor. Reading starts once it has an owner that is not
 * paused. Returns NULL (and closes fd) when the descriptor can't be watched. */
struct stream *sock_adopt(struct loop *l, int fd) MUST_CHECK;
/* Starts connecting; `ready` or `closed` follows. NULL with errno set when it failed at once. */
struct stream *sock_connect(struct loop *l, const struct sock_addr *to) MUST_CHECK;
/* Takes the descriptor out of a plain sock stream and ends the stream without closing it. */
int sock_detach(struct stream *s) MUST_CHECK;
/* Whether nothing can be sent on s, a sock or TLS stream, any more: the peer is gone, or as good as.
 * Not told while the owner is paused and has something unread. */
bool sock_broken(const struct stream *s);
/* Bytes accepted by write that the peer has not confirmed yet: ours and the kernel's. */
size_t sock_unsent(const struct stream *s);
/* The addresses of a sock stream's two ends. */
int sock_ends(const struct stream *s, struct sock_addr *here, struct sock_addr *there) MUST_CHECK;
/* Fills a unix address. -1: the path is too long (107 bytes) or empty. */
int sock_unix_addr(struct sock_addr *a, const char *path) MUST_CHECK;
/* "192.0.2.1:80", "[2001:db8::1]:80", "unix:/path" for messages; returns buf. */
/* Words for a unix socket whose path has a file mounted on it that is gone, as a container keeps it when the
 * socket was made anew outside: nothing will ever listen there. NULL: it is not so. */
const char *sock_left_mounted(const struct sock_addr *a);
const char *sock_addr_text(const struct sock_addr *a, char *buf, size_t size);

/* ---- for tls.c ---- */
/* 0, or -1 with the descriptor closed. */
int sock_setup(struct sock *k, struct loop *l, const struct stream_ops *ops, int fd) MUST_CHECK;
/* A descriptor on its way to `to` (*pending: not there yet), or -1 with errno. */
int sock_open(const struct sock_addr *to, bool *pending) MUST_CHECK;
/* recv: >0 bytes; SOCK_NOTHING; SOCK_END: the peer ended its direction (not told yet); SOCK_FAILED:
 * stream_fail was called. */
enum { SOCK_NOTHING = 0, SOCK_END = -1, SOCK_FAILED = -2 };
ssize_t sock_recv(struct sock *k, void *p, size_t n);
/* Sends what can be sent, keeps the rest in the tail. */
void sock_send(struct sock *k, const struct iovec *iov, int cnt);
void sock_watch(struct stream *s);
/* shutdown(2) of our direction, at once or after the tail. */
void sock_fin(struct stream *s);
void sock_destroy(struct stream *s, bool abort);

#endif
