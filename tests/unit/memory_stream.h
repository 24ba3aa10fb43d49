/* memory_stream.h - two streams joined in memory, a witness for what a stream tells, and loops that
 * run until something has happened.
 *
 * What one end writes is given to the other on the loop's next turn, as a socket would, from memory
 * of exactly its size, so that a sanitizer sees a callback reading past it or keeping the pointer.
 * The ends are streams like all others: the owner ends each by stream_close or stream_abort. A
 * closed end delivers what it had sent, then its end; what the other still writes makes that one fail.
 */
#ifndef HARP_UNIT_MEMORY_STREAM_H
#define HARP_UNIT_MEMORY_STREAM_H

#include "common/stream/stream.h"

enum { MEMORY_ENDLESS = 1 << 30 };

/* Two joined ends; each takes `capacity` bytes that the other has not got yet, and keeps the rest
 * pending. */
void memory_pair(struct loop *l, size_t capacity, struct stream *ends[2]);
/* What this end may have under way; more room makes pending bytes leave on the next turn. */
void memory_set_capacity(struct stream *s, size_t capacity);
/* At most n bytes are given to this end's owner at a time; 0: all there are. */
void memory_set_slice(struct stream *s, size_t n);
/* This end says `text` before its FIN, as TLS says close_notify. NULL: nothing. */
void memory_set_farewell(struct stream *s, const char *text);
/* Bytes that this end has put under way in all. */
uint64_t memory_sent(const struct stream *s);

/* An owner that takes everything and remembers it. */
struct witness {
    struct stream *s; /* NULL once it was told `closed` */
    struct buf got;
    uint64_t bytes; /* as got.len, also when `forget` */
    unsigned calls, ready, eof, drained, closed;
    char why[160];
    size_t take; /* SIZE_MAX: everything; else bytes still to be taken, then it takes none */
    bool forget; /* counts, and keeps nothing */
    bool pauses; /* pauses when it leaves something */
    bool late;   /* data or eof came after eof or closed: never right */
};

/* Zeroes w and makes it the owner. */
void witness_own(struct witness *w, struct stream *s);
/* Takes `more` bytes more, and resumes the stream. */
void witness_take(struct witness *w, size_t more);
/* Closes the stream if it is still there, and frees what was kept. */
void witness_end(struct witness *w);

/* Runs the loop until *flag or cond(arg) holds, at most ms; whether it holds. */
bool loop_until(struct loop *l, bool (*cond)(void *), void *arg, unsigned ms) MUST_CHECK;
bool loop_until_set(struct loop *l, const unsigned *flag, unsigned ms) MUST_CHECK;
/* Runs the loop for ms; returns how many turns it made. */
unsigned loop_for(struct loop *l, unsigned ms);
/* Runs turns until the memory streams and the deferred tasks have come to rest, without waiting for
 * descriptors or timers. Ends the program if that never happens. */
void loop_settle(struct loop *l);

#endif
