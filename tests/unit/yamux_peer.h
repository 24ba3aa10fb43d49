/* yamux_peer.h - a yamux session whose other end is the test: it writes frames by hand and looks at
 * those that come back.
 *
 * The peer owns its loop, the session and the witnesses of the session's streams. Every frame that
 * is read is checked: its header is valid, and no stream gets more data than the test announced room
 * for. A violation fails the running test.
 */
#ifndef HARP_UNIT_YAMUX_PEER_H
#define HARP_UNIT_YAMUX_PEER_H

#include "common/frp/yamux.h"
#include "tests/unit/memory_stream.h"

enum { PEER_STREAMS = 64 };

struct frame {
    struct yamux_header h;
    const char *p; /* the payload of a data frame; valid until the next is read */
};

struct peer {
    struct loop l;
    struct stream *session_end; /* the transport as the session has it, while it has it */
    struct witness wire;        /* our end */
    size_t read;                /* bytes of wire.got that were looked at */
    struct yamux *y;            /* NULL once it told its end */
    struct yamux_limits limits;
    unsigned ended;
    char why[160];
    struct witness st[PEER_STREAMS]; /* streams in the order in which they were opened */
    unsigned opened;
    bool refuse;                    /* takes no stream that is opened */
    bool hold;                      /* streams take nothing, and are paused at their first byte */
    int64_t room[PEER_STREAMS * 2]; /* by stream id: what the session may still send */
    uint64_t announced[PEER_STREAMS * 2]; /* by stream id: windows the session gave in all */
    uint64_t sent[PEER_STREAMS * 2];      /* by stream id: data we sent */
};

/* Fixture functions; `start` gives the limits and the role. */
void peer_init(struct peer *p);
void peer_start(struct peer *p, bool server);
/* Ends everything; false when memory stayed accounted for. */
bool peer_end(struct peer *p) MUST_CHECK;

void peer_header(struct peer *p, uint8_t type, uint16_t flags, uint32_t id, uint32_t length);
/* A data frame with n bytes 'a'. */
void peer_data(struct peer *p, uint16_t flags, uint32_t id, size_t n);
void peer_bytes(struct peer *p, const void *bytes, size_t n);
/* Opens a stream as frpc does not: with yamux's own window. The ACK is read and checked. */
void peer_open(struct peer *p, uint32_t id);
/* The next frame that came; false: none. */
bool peer_read(struct peer *p, struct frame *f) MUST_CHECK;
/* The same while more may be on its way: false also when the next frame is not there in full. */
bool peer_read_whole(struct peer *p, struct frame *f) MUST_CHECK;
/* The next frame is exactly this one. */
void peer_expect(struct peer *p, uint8_t type, uint16_t flags, uint32_t id, uint32_t length);
void peer_expect_nothing(struct peer *p);
/* Reads on until the GO_AWAY with which the session ended, and checks its code. */
void peer_expect_end(struct peer *p, uint32_t code);
/* Reads all frames there are; adds up the data of stream id, and counts the frames with flag. */
uint64_t peer_count(struct peer *p, uint32_t id, uint16_t flag, unsigned *flagged);

#endif
