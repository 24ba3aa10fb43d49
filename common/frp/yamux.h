/* yamux.h - a yamux session over one stream, as client or server.
 *
 * Data flows: transport bytes -> frames -> the streams' owners (slices of the transport's read
 * buffer, no copy unless an owner does not take them); and streams' writes -> frames in one queue ->
 * the transport, once per turn of the loop, so that one TLS record and one send() carry the frames
 * of many streams.
 *
 * Owns the transport stream and every stream of the session until those are closed by their owners.
 * Ends by yamux_close, or by itself with `ended`; then every stream is told `closed` and the
 * transport is closed. The memory goes at the end of the turn.
 *
 * Flow control: what a stream may still send to us (its window) is memory we are ready to hold.
 * Every stream has yamux's unavoidable 256 KiB; it grows, up to max_window, while its owner takes
 * everything at once and the session's budget lasts. What owners do not take is held, at most
 * max_held bytes a session and max_held_total in all: past that the stream that would hold more is reset, not the session.
 *
 * A peer that breaks the protocol, or floods, loses its session with GO_AWAY 1 and nobody else's.
 */
#ifndef HARP_FRP_YAMUX_H
#define HARP_FRP_YAMUX_H

#include "common/frp/yamux_frame.h"
#include "common/stream/stream.h"

struct yamux;

struct yamux_limits {
    uint32_t max_streams;      /* open at a time; more: the new one is reset */
    uint32_t max_window;       /* bytes; a single stream's window never grows over it */
    size_t max_held;           /* bytes held by all streams of the session */
    size_t max_held_total;     /* bytes held by all sessions that share held_total */
    size_t *held_total;        /* their account, the owner's; NULL: there is none */
    uint32_t max_empty_frames; /* per second, frames that carry nothing; more ends the session */
    uint64_t keepalive;        /* ms between pings; 0 none */
    uint64_t keepalive_wait;   /* ms of silence after a ping that end the session */
    uint64_t close_wait;       /* ms that a stream closed by us waits for the peer's FIN */
};

/* 4096 streams, 1 MiB windows, 64 MiB held, 2000 frames/s, ping 30 s + 10 s, close 5 min. */
struct yamux_limits yamux_limits_default(void);

struct yamux_events {
    /* Server: the peer opened a stream. Take it with stream_own at once; NULL owner = reset. */
    void (*opened)(void *owner, struct stream *s);
    /* The session is over; why is English. The owner forgets the pointer. */
    void (*ended)(void *owner, const char *why);
};

/* Takes over the transport. server: the peer opens streams with odd ids; client: we do. */
struct yamux *yamux_new(struct stream *transport, bool server, const struct yamux_limits *limits,
                        const struct yamux_events *events, void *owner);
/* Replaces the limits, e.g. after a login. */
void yamux_set_limits(struct yamux *y, const struct yamux_limits *limits);
/* Pings now, where there is doubt that the peer still lives; not if it is being pinged already. */
void yamux_probe(struct yamux *y);
/* Client: a new stream. NULL: max_streams are open, the peer said GO_AWAY, or ids are used up. */
struct stream *yamux_open(struct yamux *y) MUST_CHECK;
/* Ends the session: GO_AWAY with the code, all streams closed and their owners told `why`. `ended`
 * is not called. why must stay valid until the end of the turn. */
void yamux_close(struct yamux *y, enum yamux_go_away code, const char *why);
/* How many streams are open. */
uint32_t yamux_streams(const struct yamux *y);
/* Round trip of the last answered ping in ms; -1 when there was none. */
int64_t yamux_rtt(const struct yamux *y);
/* The session a stream belongs to, or NULL when it is of another kind. */
struct yamux *yamux_of(struct stream *s);

#endif
