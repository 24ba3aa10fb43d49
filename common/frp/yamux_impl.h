/* yamux_impl.h - what yamux.c (the session) and yamux_stream.c (its streams) share; for them alone. */
#ifndef HARP_FRP_YAMUX_IMPL_H
#define HARP_FRP_YAMUX_IMPL_H

#include "common/frp/yamux.h"

enum {
    YAMUX_MAX_FRAME = 32 * 1024, /* payload of one frame we send: what frp itself sends at most */
};

struct yamux_link {
    struct yamux_link *prev, *next; /* next == NULL: not in the ring */
};

struct yamux {
    struct loop *loop;
    struct stream *transport; /* owned; NULL once it is gone */
    const struct yamux_events *events;
    void *owner;
    struct yamux_limits limits;
    struct ystream **table; /* open addressing by id; cap is a power of two */
    uint32_t cap, count;
    uint32_t next_id; /* client: the next stream's */
    uint32_t highest; /* server: the highest id the peer opened */
    uint32_t payload; /* bytes of the current data frame still to come */
    struct yamux_header cur;
    uint8_t head[YAMUX_HEADER]; /* a header that came in pieces */
    uint8_t head_len;
    uint8_t late; /* times a ping's reply was waited for longer */
    bool server, dead, go_away, ping_waits, heard;
    uint32_t ping_id, empty;
    uint64_t empty_since, ping_sent;
    int64_t rtt;
    size_t held;  /* bytes in the holds of all streams */
    size_t grown; /* window announced over the initial one, all streams */
    struct buf out;
    struct yamux_link blocked; /* streams that wait for the transport, in order */
    struct loop_task flush, release;
    struct timer keep;
};

struct ystream {
    struct stream s; /* first */
    struct yamux *y; /* NULL: the session or the stream is over */
    uint32_t id;
    uint32_t send_window; /* bytes the peer is ready for */
    uint32_t recv_window; /* bytes we announced that have not come yet */
    uint32_t window;      /* what recv_window is filled up to */
    uint32_t credit;      /* bytes taken by the owner and not announced again */
    uint32_t held;        /* this stream's part of y->held */
    bool moved;           /* carried a byte in some direction */
    bool acked;           /* the peer knows the stream */
    bool lingers;         /* closed by its owner; waits for the peer's FIN */
    bool deaf;            /* and was not shut down before: data for it is answered by a reset */
    struct yamux_link blocked;
    struct timer linger;
    struct loop_task release;
};

/* yamux.c */
struct ystream *yamux_find(const struct yamux *y, uint32_t id);
void yamux_table_add(struct yamux *y, struct ystream *st);
void yamux_table_remove(struct yamux *y, struct ystream *st);
void yamux_send(struct yamux *y, uint8_t type, uint16_t flags, uint32_t id, uint32_t length);
void yamux_send_data(struct yamux *y, uint32_t id, const char *p, uint32_t n);
/* Whether another data frame may be queued now. */
bool yamux_has_room(const struct yamux *y);

/* yamux_stream.c */
struct ystream *yamux_stream_new(struct yamux *y, uint32_t id);
void yamux_stream_receive(struct ystream *st, const char *p, uint32_t n);
/* The peer sent FIN. */
void yamux_stream_eof(struct ystream *st);
/* Sends up to max bytes of the tail. */
void yamux_stream_flush(struct ystream *st, uint32_t max);
/* The peer sent RST. */
void yamux_stream_reset(struct ystream *st);
/* The session ends: the stream leaves it, and its owner is told. */
void yamux_stream_orphan(struct ystream *st, const char *why);
void yamux_unblock(struct ystream *st);

#endif
