/* A yamux server session over a stream in memory, with owners of its streams that take, pause, write
 * and close as the input says.
 *
 * The input is a script: 2 bytes of settings, then steps. A step is one byte; some take more:
 *   0 n bytes...          n bytes for the session, as they are
 *   1 type flags id len2  a header for the session, and zeros as payload when it is data
 *   2                     the loop runs until it rests
 *   3 stream act amount   the owner of a stream acts
 *   4 room                the transport takes room * 256 bytes more from the session
 *   5                     the owner closes the session
 * Invariants: what is held adds up everywhere and stays inside its limits; no stream's window is
 * exceeded in either direction; the session's frames are valid; everything is freed in the end.
 */
#include <assert.h>
#include <stdlib.h>

#include "common/frp/yamux_impl.h"
/* The helper is linked into the unit tests only. */
#include "tests/unit/memory_stream.c"

enum { STREAMS = 16, IDS = 256 };

struct run {
    struct loop *l;
    struct yamux *y;
    struct yamux_limits limits;
    size_t total; /* held_total */
    struct stream *inner, *outer;
    struct witness wire, st[STREAMS];
    unsigned opened;
    /* The peer's side of the books. */
    struct buf sent;    /* bytes of the script that are not cut into frames yet */
    uint64_t skip;      /* payload still to be skipped */
    bool garbled;       /* a header was invalid: the session is lost from there on */
    uint64_t room[IDS]; /* what the session may send at most */
    uint64_t got[IDS];
};

static void opened(void *owner, struct stream *s)
{
    struct run *r = owner;
    if (r->opened < STREAMS) {
        witness_own(&r->st[r->opened], s);
        r->st[r->opened].forget = true;
        if (r->opened % 2) {
            r->st[r->opened].take = 0;
            r->st[r->opened].pauses = r->opened % 4 == 1;
        }
        r->opened++;
    }
}

static void ended(void *owner, const char *why)
{
    struct run *r = owner;
    assert(why && r->y);
    r->y = NULL;
    r->inner = NULL;
}

static const struct yamux_events events = {.opened = opened, .ended = ended};

/* Follows the windows that the script gives. */
static void follow(struct run *r)
{
    for (;;) {
        uint64_t k = MIN(r->skip, (uint64_t)r->sent.len);
        if (k > 0) {
            buf_consume(&r->sent, k);
            r->skip -= k;
        }
        struct yamux_header h;
        if (r->garbled || r->skip > 0 || r->sent.len < YAMUX_HEADER) {
            return;
        }
        if (yamux_header_parse(&h, (const uint8_t *)buf_head(&r->sent))) {
            r->garbled = true;
            return;
        }
        buf_consume(&r->sent, YAMUX_HEADER);
        r->skip = h.type == YAMUX_DATA ? h.length : 0;
        if (h.type <= YAMUX_WINDOW && h.id < IDS) {
            r->room[h.id] += h.flags & YAMUX_SYN ? YAMUX_INITIAL_WINDOW : 0;
            r->room[h.id] += h.type == YAMUX_WINDOW ? h.length : 0;
        }
    }
}

static void feed(struct run *r, const void *p, size_t n)
{
    if (r->wire.s && n > 0) {
        stream_write(r->wire.s, p, n);
        buf_append(&r->sent, p, n);
        follow(r);
    }
}

/* Cuts what the session sent into frames. */
static void read_output(struct run *r)
{
    struct yamux_header h;
    while (r->wire.got.len >= YAMUX_HEADER) {
        const char *why = yamux_header_parse(&h, (const uint8_t *)buf_head(&r->wire.got));
        assert(!why);
        uint32_t n = h.type == YAMUX_DATA ? h.length : 0;
        if (r->wire.got.len < YAMUX_HEADER + n) {
            return;
        }
        buf_consume(&r->wire.got, YAMUX_HEADER + n);
        if (h.type <= YAMUX_WINDOW) {
            assert(h.id % 2 == 1 && !(h.flags & YAMUX_SYN));
            if (h.id < IDS) {
                r->got[h.id] += n;
                assert(r->got[h.id] <= r->room[h.id]);
            }
        }
        assert(h.type != YAMUX_DATA || n > 0);
    }
}

static void check(struct run *r)
{
    size_t held = 0, all = 0;
    uint32_t count = 0;
    uint64_t grown = 0;
    read_output(r);
    for (unsigned i = 0; i < r->opened; i++) {
        struct stream *s = r->st[i].s;
        all += s ? s->hold.len + s->tail.len : 0;
        assert(!r->st[i].late);
    }
    all += r->wire.s ? r->wire.s->hold.len + r->wire.s->tail.len : 0;
    all += r->inner ? r->inner->hold.len + r->inner->tail.len : 0;
    assert(r->l->held == all);
    if (!r->y) {
        assert(r->total == 0);
        return;
    }
    for (uint32_t i = 0; i < r->y->cap; i++) {
        struct ystream *st = r->y->table[i];
        if (!st) {
            continue;
        }
        count++;
        held += st->held;
        grown += st->window - YAMUX_INITIAL_WINDOW;
        assert(st->y == r->y);
        assert(yamux_find(r->y, st->id) == st);
        assert(st->lingers || st->held == st->s.hold.len);
        assert(st->window <= MAX(r->limits.max_window, (uint32_t)YAMUX_INITIAL_WINDOW));
        assert((uint64_t)st->recv_window + st->held + st->credit <= st->window);
        assert(st->s.tail.len == 0 || st->send_window == 0 || st->blocked.next);
        assert(st->s.tail.len == 0 || st->s.blocked);
    }
    assert(count == r->y->count && count <= r->limits.max_streams);
    assert(held == r->y->held && held == r->total && held <= r->limits.max_held);
    assert(grown == r->y->grown && grown <= r->limits.max_held / 2);
    /* Nothing waits that could go. */
    if (stream_pending(r->y->transport) == 0) {
        assert(r->y->out.len == 0);
        assert(r->y->blocked.next == &r->y->blocked);
    }
}

static void act(struct run *r, uint8_t which, uint8_t what, uint8_t amount)
{
    static const char bytes[64 * 1024];
    if (r->opened == 0) {
        return;
    }
    struct witness *w = &r->st[which % r->opened];
    if (!w->s) {
        return;
    }
    switch (what % 8) {
    case 0:
        witness_take(w, (size_t)amount * 1000);
        break;
    case 1:
        stream_pause(w->s);
        break;
    case 2:
        stream_resume(w->s);
        break;
    case 3:
        stream_write(w->s, bytes, (size_t)amount * 256);
        break;
    case 4:
        stream_shutdown(w->s);
        break;
    case 5:
        stream_close(w->s);
        w->s = NULL;
        break;
    case 6:
        stream_abort(w->s);
        w->s = NULL;
        break;
    default:
        w->take = amount;
        w->pauses = amount & 1;
        break;
    }
}

static struct loop *the_loop(void)
{
    static struct loop l;
    static bool started;
    if (!started) {
        started = loop_init(&l, NULL) == 0;
        assert(started);
    }
    return &l;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < 2) {
        return 0;
    }
    struct run *r = xcalloc(1, sizeof(*r));
    struct stream *end[2];
    r->l = the_loop();
    r->limits = (struct yamux_limits){
        .max_streams = 1 + p[0] % 12,
        .max_window = p[0] & 16 ? 1024 * 1024 : YAMUX_INITIAL_WINDOW,
        .max_held = p[0] & 32 ? 4 * 1024 * 1024 : 100000,
        .max_held_total = 8 * 1024 * 1024,
        .held_total = &r->total,
        .max_empty_frames = 200,
        .close_wait = 1000000,
    };
    memory_pair(r->l, MEMORY_ENDLESS, end);
    witness_own(&r->wire, end[0]);
    r->inner = end[1];
    memory_set_slice(end[1], p[1] & 0x7f);
    if (p[1] & 0x80) {
        memory_set_capacity(end[1], 1000);
    }
    r->y = yamux_new(end[1], true, &r->limits, &events, r);
    for (size_t i = 2; i < n;) {
        uint8_t step = p[i++] % 6;
        size_t left = n - i;
        if (step == 0 && left > 0) {
            size_t k = MIN((size_t)p[i], left - 1);
            feed(r, p + i + 1, k);
            i += 1 + k;
        } else if (step == 1 && left >= 5) {
            static const char zeros[65536];
            uint8_t head[YAMUX_HEADER];
            uint32_t length = (uint32_t)p[i + 3] << 8 | p[i + 4];
            yamux_header_write(head, p[i] & 3, p[i + 1] & 15, p[i + 2], length);
            feed(r, head, sizeof(head));
            feed(r, zeros, (p[i] & 3) == YAMUX_DATA ? length : 0);
            i += 5;
        } else if (step == 2) {
            loop_settle(r->l);
            check(r);
        } else if (step == 3 && left >= 3) {
            act(r, p[i], p[i + 1], p[i + 2]);
            i += 3;
        } else if (step == 4 && left >= 1) {
            if (r->inner) {
                memory_set_capacity(r->inner, (size_t)p[i] * 256);
            }
            i++;
        } else if (step == 5 && r->y && left % 16 == 0) {
            yamux_close(r->y, YAMUX_NORMAL, "the script says so");
            r->y = NULL;
            r->inner = NULL;
        }
    }
    if (r->inner) {
        memory_set_capacity(r->inner, MEMORY_ENDLESS);
    }
    loop_settle(r->l);
    check(r);
    if (r->y) {
        assert(stream_pending(r->y->transport) == 0);
        yamux_close(r->y, YAMUX_NORMAL, "over");
        r->y = NULL;
        r->inner = NULL;
    }
    loop_settle(r->l);
    check(r);
    for (unsigned i = 0; i < r->opened; i++) {
        assert(!r->st[i].s); /* all were told */
        witness_end(&r->st[i]);
    }
    witness_end(&r->wire);
    loop_settle(r->l);
    assert(r->l->held == 0 && r->total == 0 && r->l->timers.len == 0);
    buf_free(&r->sent);
    free(r);
    return 0;
}
