/* stream.h - one byte stream in each direction, whatever it runs over.
 *
 * Kinds: a TCP or unix socket (sock.h), TLS over one (tls.h), a stream inside a yamux session
 * (yamux.h). The HTTP engine, the relay and the frp sessions see only this header.
 *
 * Data comes by calls of the owner's `struct stream_events`; it goes out by stream_write. Nothing
 * here calls the owner from inside one of the owner's own calls: what a write or a close finds out
 * is told at the end of the loop's turn.
 *
 * Backpressure is "do not read". What the owner does not take stays in `hold`; what could not be
 * sent stays in `tail`. Neither grows with what a peer chooses to send: an owner pauses the source
 * while stream_pending(destination) is not 0, so a tail is at most one read and a head, and a hold
 * at most one read (a yamux stream: its announced window).
 *
 * Ownership: a stream has exactly one owner at a time (stream_own hands it over). The owner ends it
 * by stream_close; or the stream ends by itself, tells `closed`, and the owner forgets the pointer.
 * The memory goes at the end of the turn in both cases.
 */
#ifndef HARP_STREAM_STREAM_H
#define HARP_STREAM_STREAM_H

#include <sys/uio.h>

#include "common/base/buf.h"
#include "common/loop/loop.h"

struct stream;

/* The owner's side. Every callback may close any stream. NULL callbacks are not called. */
struct stream_events {
    /* Connected and, for TLS, the handshake is done. Only of streams that were not so from the
     * start; nothing may be written before. */
    void (*ready)(void *owner, struct stream *s);
    /* n > 0 bytes came; p is valid during the call only. Returns how many were taken; the rest is
     * kept and given again in front of what comes next, so "not complete yet" is 0. An owner that
     * leaves bytes because it can't go on now must stream_pause as well. */
    size_t (*data)(void *owner, struct stream *s, const char *p, size_t n);
    /* The peer will send no more. Told once to each owner, after all data; the other direction
     * stays open. */
    void (*eof)(void *owner, struct stream *s);
    /* stream_pending(s) has become 0 again. */
    void (*drained)(void *owner, struct stream *s);
    /* The stream failed and is gone; why is English without secrets, for a log line. */
    void (*closed)(void *owner, struct stream *s, const char *why);
};

/* A kind's side. */
struct stream_ops {
    /* Sends or keeps in s->tail all of iov. */
    void (*write)(struct stream *s, const struct iovec *iov, int cnt);
    /* s->tail is empty and the owner is done writing: tell the peer. */
    void (*fin)(struct stream *s);
    /* s->paused or s->tail changed: see to it that readiness is watched as needed. */
    void (*watch)(struct stream *s);
    /* The owner took n bytes of what was delivered (yamux: window); may be NULL. */
    void (*taken)(struct stream *s, size_t n);
    /* Bytes accepted by write that have not left yet, beyond s->tail; may be NULL. */
    size_t (*pending)(const struct stream *s);
    /* Releases what the kind holds, tells the peer, and frees the stream at the end of the turn.
     * abort: unsent data may be lost and the peer shall see an error (RST). */
    void (*destroy)(struct stream *s, bool abort);
};

struct stream {
    const struct stream_ops *ops;
    struct loop *loop;
    const struct stream_events *events;
    void *owner;
    uint64_t id;
    struct loop_task task; /* redelivery, failure and drain told outside of the owner's calls */
    struct buf hold, tail;
    const char *failed; /* why; told by the task */
    bool paused : 1;
    bool redeliver : 1;  /* resumed with bytes in hold */
    bool eof_in : 1;     /* the peer ended its direction */
    bool eof_told : 1;   /* and the owner knows */
    bool fin_wanted : 1; /* stream_shutdown was called */
    bool fin_sent : 1;
    bool blocked : 1; /* a write left something pending: `drained` is owed */
    bool drained : 1; /* to be told by the task */
    bool dead : 1;
    bool in_data : 1; /* inside events->data */
};

/* ---- for owners ---- */

/* Hands the stream over. Bytes in hold, and an end that came before, are given to the new owner at
 * the end of the turn, unless the stream is paused. While there is no owner (events NULL), all is
 * kept. */
void stream_own(struct stream *s, const struct stream_events *events, void *owner);
/* Takes all of the bytes; what can't be sent now is kept in order. */
void stream_writev(struct stream *s, const struct iovec *iov, int cnt);
void stream_write(struct stream *s, const void *p, size_t n);
/* Bytes accepted but not handed to the kernel, or to the yamux session, yet. */
size_t stream_pending(const struct stream *s);
/* Ends our direction once everything written has left. Reading goes on. */
void stream_shutdown(struct stream *s);
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);
/* Ends the stream. With something still pending or unread the peer may see a reset. No callback
 * comes after this. */
void stream_close(struct stream *s);
/* The same, but the peer shall notice that something went wrong, whatever was sent before. */
void stream_abort(struct stream *s);

/* ---- for kinds ---- */

void stream_init(struct stream *s, struct loop *l, const struct stream_ops *ops);
/* Gives n fresh bytes to the owner, behind those in hold. */
void stream_deliver(struct stream *s, const char *p, size_t n);
void stream_deliver_eof(struct stream *s);
/* Keeps the unsent part of iov, from byte `sent` on, in tail. */
void stream_keep(struct stream *s, const struct iovec *iov, int cnt, size_t sent);
/* n bytes of tail were sent. */
void stream_sent(struct stream *s, size_t n);
/* After each progress in sending: sends the FIN if it is due, and owes the owner `drained`. */
void stream_progress(struct stream *s);
/* The stream broke. The owner is told at the end of the turn. why must stay valid (a literal, or
 * the kind's own memory). */
void stream_fail(struct stream *s, const char *why);
/* Frees the queues; the kind's destroy calls it. */
void stream_release(struct stream *s);

#endif
