#include "tests/unit/yamux_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void on_opened(void *owner, struct stream *s)
{
    struct peer *p = owner;
    if (p->refuse || p->opened == PEER_STREAMS) {
        return;
    }
    struct witness *w = &p->st[p->opened++];
    witness_own(w, s);
    if (p->hold) {
        w->take = 0;
        w->pauses = true;
    }
}

static void on_ended(void *owner, const char *why)
{
    struct peer *p = owner;
    p->ended++;
    p->y = NULL;
    p->session_end = NULL;
    snprintf(p->why, sizeof(p->why), "%s", why);
}

static const struct yamux_events events = {.opened = on_opened, .ended = on_ended};

void peer_init(struct peer *p)
{
    struct stream *end[2];
    memset(p, 0, sizeof(*p));
    p->limits = yamux_limits_default();
    assert_int_equal(loop_init(&p->l, NULL), 0);
    memory_pair(&p->l, MEMORY_ENDLESS, end);
    witness_own(&p->wire, end[0]);
    p->session_end = end[1];
    for (unsigned i = 0; i < ARRAY_LEN(p->room); i++) {
        p->room[i] = YAMUX_INITIAL_WINDOW;
        p->announced[i] = YAMUX_INITIAL_WINDOW;
    }
}

void peer_start(struct peer *p, bool server)
{
    p->y = yamux_new(p->session_end, server, &p->limits, &events, p);
}

bool peer_end(struct peer *p)
{
    bool late = p->wire.late;
    if (p->y) {
        yamux_close(p->y, YAMUX_NORMAL, "the test is over");
        p->session_end = NULL;
    }
    loop_settle(&p->l);
    if (p->session_end) {
        stream_close(p->session_end);
    }
    for (unsigned i = 0; i < p->opened; i++) {
        late |= p->st[i].late;
        witness_end(&p->st[i]);
    }
    witness_end(&p->wire);
    loop_settle(&p->l);
    size_t held = p->l.held;
    uint32_t timers = p->l.timers.len;
    loop_free(&p->l);
    return held == 0 && timers == 0 && !late;
}

void peer_bytes(struct peer *p, const void *bytes, size_t n)
{
    if (p->wire.s) {
        stream_write(p->wire.s, bytes, n);
    }
}

void peer_header(struct peer *p, uint8_t type, uint16_t flags, uint32_t id, uint32_t length)
{
    uint8_t head[YAMUX_HEADER];
    yamux_header_write(head, type, flags, id, length);
    if (type == YAMUX_WINDOW && id < ARRAY_LEN(p->room)) {
        p->room[id] += length;
    }
    peer_bytes(p, head, sizeof(head));
}

void peer_data(struct peer *p, uint16_t flags, uint32_t id, size_t n)
{
    char *bytes = xmalloc(n);
    memset(bytes, 'a', n);
    peer_header(p, YAMUX_DATA, flags, id, (uint32_t)n);
    if (n > 0) {
        peer_bytes(p, bytes, n);
    }
    if (id < ARRAY_LEN(p->sent)) {
        p->sent[id] += n;
    }
    free(bytes);
}

void peer_open(struct peer *p, uint32_t id)
{
    peer_header(p, YAMUX_WINDOW, YAMUX_SYN, id, 0);
    loop_settle(&p->l);
    peer_expect(p, YAMUX_WINDOW, YAMUX_ACK, id, 0);
}

bool peer_read(struct peer *p, struct frame *f)
{
    size_t left = p->wire.got.len - p->read;
    if (left < YAMUX_HEADER) {
        assert_int_equal(left, 0);
        return false;
    }
    const char *at = buf_head(&p->wire.got) + p->read;
    const char *why = yamux_header_parse(&f->h, (const uint8_t *)at);
    if (why) {
        fail_msg("the session sent: %s", why);
    }
    p->read += YAMUX_HEADER;
    if (f->h.type == YAMUX_DATA) {
        if (left - YAMUX_HEADER < f->h.length) {
            fail_msg("half a frame");
        }
        f->p = at + YAMUX_HEADER;
        p->read += f->h.length;
        assert_true(f->h.id < ARRAY_LEN(p->room));
        p->room[f->h.id] -= f->h.length;
        assert_true(p->room[f->h.id] >= 0);
    } else if (f->h.type == YAMUX_WINDOW && f->h.id < ARRAY_LEN(p->announced)) {
        p->announced[f->h.id] += f->h.length;
    }
    return true;
}

bool peer_read_whole(struct peer *p, struct frame *f)
{
    size_t left = p->wire.got.len - p->read;
    struct yamux_header h;
    if (left < YAMUX_HEADER ||
        yamux_header_parse(&h, (const uint8_t *)buf_head(&p->wire.got) + p->read) ||
        (h.type == YAMUX_DATA && left - YAMUX_HEADER < h.length)) {
        return false;
    }
    return peer_read(p, f);
}

void peer_expect(struct peer *p, uint8_t type, uint16_t flags, uint32_t id, uint32_t length)
{
    struct frame f;
    assert_true(peer_read(p, &f));
    assert_int_equal(f.h.type, type);
    assert_int_equal(f.h.flags, flags);
    assert_int_equal(f.h.id, id);
    assert_int_equal(f.h.length, length);
}

void peer_expect_nothing(struct peer *p)
{
    struct frame f;
    assert_false(peer_read(p, &f));
}

void peer_expect_end(struct peer *p, uint32_t code)
{
    struct frame f = {.p = NULL};
    loop_settle(&p->l);
    assert_int_equal(p->ended, 1);
    do {
        assert_true(peer_read(p, &f));
    } while (f.h.type != YAMUX_GO_AWAY);
    assert_int_equal(f.h.length, code);
    peer_expect_nothing(p);
    assert_int_equal(p->wire.eof + p->wire.closed, 1);
}

uint64_t peer_count(struct peer *p, uint32_t id, uint16_t flag, unsigned *flagged)
{
    struct frame f;
    uint64_t bytes = 0;
    unsigned n = 0;
    while (peer_read(p, &f)) {
        if (f.h.id == id) {
            bytes += f.h.type == YAMUX_DATA ? f.h.length : 0;
            n += (f.h.flags & flag) != 0;
        }
    }
    if (flagged) {
        *flagged = n;
    }
    return bytes;
}
