#include "common/frp/yamux.h"

#include <stdlib.h>

#include "common/frp/yamux_impl.h"

/* The session: parsing what comes, sending what waits, and the end. Streams are in yamux_stream.c. */

enum {
    OUT_FLUSH = 64 * 1024,     /* frames queued in one turn are sent at once from here on */
    OUT_STUCK = 1024 * 1024,   /* frames that wait for a peer that does not read: its end */
    SMALL_WINDOW_UPDATE = 256, /* bytes; smaller ones count as carrying nothing */
};

/* Ends the session and tells everybody. code < 0: no GO_AWAY. */
static void yamux_end(struct yamux *y, int code, const char *why);

struct yamux_limits yamux_limits_default(void)
{
    return (struct yamux_limits){
        .max_streams = 4096,
        .max_window = 1024 * 1024,
        .max_held = (size_t)64 * 1024 * 1024,
        .max_empty_frames = 2000,
        .keepalive = 30 * 1000,
        .keepalive_wait = 10 * 1000,
        .close_wait = 5 * 60 * 1000,
    };
}

/* ---- the table of streams: open addressing by id ---- */

static uint32_t slot_of(const struct yamux *y, uint32_t id)
{
    return (id * 2654435761U) >> 7 & (y->cap - 1);
}

struct ystream *yamux_find(const struct yamux *y, uint32_t id)
{
    if (y->cap == 0) {
        return NULL;
    }
    for (uint32_t i = slot_of(y, id);; i = (i + 1) & (y->cap - 1)) {
        if (!y->table[i] || y->table[i]->id == id) {
            return y->table[i];
        }
    }
}

static void put(struct yamux *y, struct ystream *st)
{
    uint32_t i = slot_of(y, st->id);
    while (y->table[i]) {
        i = (i + 1) & (y->cap - 1);
    }
    y->table[i] = st;
}

void yamux_table_add(struct yamux *y, struct ystream *st)
{
    if (y->count * 2 >= y->cap) {
        struct ystream **old = y->table;
        uint32_t old_cap = y->cap;
        y->cap = old_cap ? old_cap * 2 : 16;
        y->table = xcalloc(y->cap, sizeof(struct ystream *));
        for (uint32_t i = 0; i < old_cap; i++) {
            if (old[i]) {
                put(y, old[i]);
            }
        }
        free(old);
    }
    put(y, st);
    y->count++;
}

void yamux_table_remove(struct yamux *y, struct ystream *st)
{
    uint32_t i = slot_of(y, st->id);
    while (y->table[i] != st) {
        i = (i + 1) & (y->cap - 1);
    }
    /* Close the gap, so that look-ups need no marks of deleted entries. */
    for (uint32_t j = (i + 1) & (y->cap - 1); y->table[j]; j = (j + 1) & (y->cap - 1)) {
        uint32_t home = slot_of(y, y->table[j]->id);
        if (((j - home) & (y->cap - 1)) >= ((j - i) & (y->cap - 1))) {
            y->table[i] = y->table[j];
            i = j;
        }
    }
    y->table[i] = NULL;
    y->count--;
}

/* ---- outgoing ---- */

static void flush(struct yamux *y)
{
    if (y->dead || y->out.len == 0) {
        return;
    }
    if (stream_pending(y->transport) > 0) {
        return; /* `drained` comes back to it */
    }
    stream_write(y->transport, buf_head(&y->out), y->out.len);
    buf_consume_keep(&y->out, y->out.len);
}

static uint8_t *queue_frame(struct yamux *y, uint8_t type, uint16_t flags, uint32_t id,
                            uint32_t length, uint32_t payload)
{
    if (!y->out.p) {
        buf_reserve(&y->out, OUT_FLUSH + YAMUX_HEADER + YAMUX_MAX_FRAME);
    }
    uint8_t *p = (uint8_t *)buf_reserve(&y->out, YAMUX_HEADER + payload);
    yamux_header_write(p, type, flags, id, length);
    buf_added(&y->out, YAMUX_HEADER + payload);
    loop_defer(y->loop, &y->flush);
    return p + YAMUX_HEADER;
}

void yamux_send(struct yamux *y, uint8_t type, uint16_t flags, uint32_t id, uint32_t length)
{
    if (y->dead) {
        return;
    }
    queue_frame(y, type, flags, id, length, 0);
}

void yamux_send_data(struct yamux *y, uint32_t id, const char *p, uint32_t n)
{
    memcpy(queue_frame(y, YAMUX_DATA, 0, id, n, n), p, n);
    if (y->out.len >= OUT_FLUSH) {
        flush(y);
    }
}

bool yamux_has_room(const struct yamux *y)
{
    return !y->dead && y->out.len < OUT_FLUSH && stream_pending(y->transport) == 0;
}

static void go_on(struct yamux *y)
{
    flush(y);
    /* One frame for each blocked stream in turn, until the transport is full again. */
    while (!y->dead && y->blocked.next != &y->blocked && yamux_has_room(y)) {
        struct ystream *st = CONTAINER_OF(y->blocked.next, struct ystream, blocked);
        yamux_unblock(st);
        yamux_stream_flush(st, YAMUX_MAX_FRAME);
    }
}

static void on_drained(void *owner, struct stream *transport UNUSED)
{
    go_on(owner);
}

static void run_flush(struct loop_task *task)
{
    struct yamux *y = CONTAINER_OF(task, struct yamux, flush);
    /* Streams may be blocked by a queue that the transport takes at once: no `drained` follows. */
    go_on(y);
    /* Looked at here, and not where frames are queued: that happens inside of owners' calls. */
    if (y->out.len > OUT_STUCK) {
        yamux_end(y, YAMUX_INTERNAL_ERROR, "the other end of the tunnel does not read");
    }
}

/* ---- the end ---- */

static void run_free(struct loop_task *task)
{
    struct yamux *y = CONTAINER_OF(task, struct yamux, release);
    buf_free(&y->out);
    free(y->table);
    free(y);
}

/* Ends the session and tells the streams' owners, but not the session's. */
static void finish(struct yamux *y, int code, const char *why)
{
    y->dead = true;
    timer_remove(y->loop, &y->keep);
    loop_cancel(&y->flush);
    for (uint32_t i = 0; i < y->cap; i++) {
        if (y->table[i]) {
            yamux_stream_orphan(y->table[i], why);
            y->table[i] = NULL;
        }
    }
    if (y->transport) {
        if (code >= 0) {
            uint8_t bye[YAMUX_HEADER];
            yamux_header_write(bye, YAMUX_GO_AWAY, 0, 0, (uint32_t)code);
            buf_append(&y->out, bye, sizeof(bye));
            stream_write(y->transport, buf_head(&y->out), y->out.len);
        }
        stream_close(y->transport);
        y->transport = NULL;
    }
    y->release.run = run_free;
    loop_defer(y->loop, &y->release);
}

static void yamux_end(struct yamux *y, int code, const char *why)
{
    if (!y->dead) {
        const struct yamux_events *events = y->events;
        finish(y, code, why);
        if (events->ended) {
            events->ended(y->owner, why);
        }
    }
}

void yamux_close(struct yamux *y, enum yamux_go_away code, const char *why)
{
    if (!y->dead) {
        finish(y, (int)code, why);
    }
}

static void on_closed(void *owner, struct stream *transport UNUSED, const char *why)
{
    struct yamux *y = owner;
    y->transport = NULL;
    yamux_end(y, -1, why);
}

static void on_eof(void *owner, struct stream *transport UNUSED)
{
    yamux_end(owner, -1, "the other end of the tunnel closed the connection");
}

/* ---- keepalive ---- */

static void keep_fire(struct timer *t)
{
    struct yamux *y = CONTAINER_OF(t, struct yamux, keep);
    if (y->ping_waits) {
        /* A long queue in front of the reply is not a dead peer, as long as something comes; but
         * not for ever, as a peer that only sends and never reads would live on. */
        if (!y->heard || ++y->late >= 3) {
            yamux_end(y, YAMUX_NORMAL, "no answer to a keepalive ping");
            return;
        }
        y->heard = false;
        timer_set(y->loop, t, y->limits.keepalive_wait);
        return;
    }
    if (y->out.len == 0) {
        buf_free(&y->out); /* an idle session holds no queue */
    }
    y->ping_waits = true;
    y->heard = false;
    y->late = 0;
    y->ping_sent = loop_now(y->loop);
    yamux_send(y, YAMUX_PING, YAMUX_SYN, 0, y->ping_id);
    if (!y->dead) {
        timer_set(y->loop, t, y->limits.keepalive_wait);
    }
}

void yamux_probe(struct yamux *y)
{
    if (!y->dead && !y->ping_waits) {
        keep_fire(&y->keep);
    }
}

static void on_ping(struct yamux *y, const struct yamux_header *h)
{
    if (h->flags & YAMUX_SYN) {
        yamux_send(y, YAMUX_PING, YAMUX_ACK, 0, h->length);
    } else if (y->ping_waits && h->length == y->ping_id) {
        y->ping_waits = false;
        y->ping_id++;
        y->rtt = (int64_t)(loop_now(y->loop) - y->ping_sent);
        timer_set(y->loop, &y->keep, y->limits.keepalive);
    }
}

/* ---- incoming ---- */

static void broken(struct yamux *y, const char *why)
{
    yamux_end(y, YAMUX_PROTOCOL_ERROR, why);
}

/* A frame that moved nothing. Some are normal; thousands a second are an attack. */
static void count_empty(struct yamux *y)
{
    uint64_t now = loop_now(y->loop);
    if (now - y->empty_since >= 1000) {
        y->empty_since = now;
        y->empty = 0;
    }
    if (++y->empty > y->limits.max_empty_frames) {
        broken(y, "yamux: too many frames that carry nothing");
    }
}

static void on_syn(struct yamux *y, const struct yamux_header *h)
{
    if (!y->server || h->id % 2 == 0) {
        broken(y, "yamux: stream opened with an id of the wrong side");
        return;
    }
    if (yamux_find(y, h->id)) {
        broken(y, "yamux: stream opened twice");
        return;
    }
    y->highest = MAX(y->highest, h->id);
    if (y->count >= y->limits.max_streams) {
        yamux_send(y, YAMUX_WINDOW, YAMUX_RST, h->id, 0);
        return; /* counted by the caller, who finds no stream */
    }
    struct ystream *st = yamux_stream_new(y, h->id);
    yamux_send(y, YAMUX_WINDOW, YAMUX_ACK, h->id, 0);
    y->events->opened(y->owner, &st->s);
    if (!y->dead && !st->s.dead && !st->s.events) {
        stream_abort(&st->s);
    }
}

/* A frame of a stream, with the payload of a data frame still to come. */
static void on_stream_header(struct yamux *y, const struct yamux_header *h)
{
    if (h->flags & YAMUX_SYN) {
        on_syn(y, h);
        if (y->dead) {
            return;
        }
    }
    struct ystream *st = yamux_find(y, h->id);
    if (!st) {
        /* Frames to a stream that ended cross its end on the way. An id that never was is a lie. */
        uint32_t next = y->server ? y->highest + 1 : y->next_id;
        if (h->id >= next) {
            broken(y, "yamux: frame for a stream that was never opened");
        } else if (h->type == YAMUX_WINDOW || h->length == 0) {
            count_empty(y);
        }
        return;
    }
    if (h->flags & YAMUX_RST) {
        bool used = st->moved;
        yamux_stream_reset(st);
        if (!used) {
            count_empty(y);
        }
        return;
    }
    /* The first of each of these flags is news, but not the end of a stream that carried nothing. */
    bool unused = (h->flags & YAMUX_FIN) && !st->moved;
    bool news = !unused && ((h->flags & YAMUX_SYN) || ((h->flags & YAMUX_FIN) && !st->s.eof_in) ||
                            ((h->flags & YAMUX_ACK) && !st->acked));
    st->acked |= (h->flags & (YAMUX_SYN | YAMUX_ACK)) != 0;
    if (h->type == YAMUX_DATA) {
        if (h->length > st->recv_window) {
            broken(y, "yamux: data past the announced window");
            return;
        }
        if (h->length > 0 && st->s.eof_in) {
            broken(y, "yamux: data after the end of a stream");
            return;
        }
        st->recv_window -= h->length;
        if (h->length == 0 && !news) {
            count_empty(y);
        }
    } else {
        if (h->length > UINT32_MAX - st->send_window) {
            broken(y, "yamux: window overflow");
            return;
        }
        st->send_window += h->length;
        if (h->length < SMALL_WINDOW_UPDATE && !news) {
            count_empty(y);
        }
        if (!y->dead && h->length > 0) {
            yamux_stream_flush(st, UINT32_MAX);
        }
    }
    /* The FIN of a frame with payload counts after the payload. */
    bool payload = h->type == YAMUX_DATA && h->length > 0;
    if (!y->dead && (h->flags & YAMUX_FIN) && !payload && yamux_find(y, h->id) == st) {
        yamux_stream_eof(st);
    }
}

static void on_header(struct yamux *y, const uint8_t *p)
{
    struct yamux_header *h = &y->cur;
    const char *why = yamux_header_parse(h, p);
    if (why) {
        broken(y, why);
        return;
    }
    switch (h->type) {
    case YAMUX_PING:
        on_ping(y, h);
        if (!y->dead) {
            count_empty(y);
        }
        break;
    case YAMUX_GO_AWAY:
        /* No new streams; those that run may finish, and the peer ends the connection. */
        y->go_away = true;
        count_empty(y);
        break;
    default:
        on_stream_header(y, h);
        if (h->type == YAMUX_DATA) {
            y->payload = h->length;
        }
        break;
    }
}

static void on_payload(struct yamux *y, const char *p, uint32_t n)
{
    struct ystream *st = yamux_find(y, y->cur.id);
    y->payload -= n;
    if (st) {
        yamux_stream_receive(st, p, n);
        if (!y->dead && y->payload == 0 && (y->cur.flags & YAMUX_FIN) &&
            yamux_find(y, y->cur.id) == st) {
            yamux_stream_eof(st);
        }
    }
}

static size_t on_data(void *owner, struct stream *transport UNUSED, const char *p, size_t n)
{
    struct yamux *y = owner;
    size_t off = 0;
    y->heard = true;
    while (off < n && !y->dead) {
        if (y->payload > 0) {
            uint32_t k = (uint32_t)MIN(y->payload, n - off);
            off += k;
            on_payload(y, p + off - k, k);
        } else if (y->head_len == 0 && n - off >= YAMUX_HEADER) {
            off += YAMUX_HEADER;
            on_header(y, (const uint8_t *)p + off - YAMUX_HEADER);
        } else {
            y->head[y->head_len++] = (uint8_t)p[off++];
            if (y->head_len == YAMUX_HEADER) {
                y->head_len = 0;
                on_header(y, y->head);
            }
        }
    }
    return n;
}

/* ---- making one ---- */

static const struct stream_events transport_events = {
    .data = on_data,
    .eof = on_eof,
    .drained = on_drained,
    .closed = on_closed,
};

struct yamux *yamux_new(struct stream *transport, bool server, const struct yamux_limits *limits,
                        const struct yamux_events *events, void *owner)
{
    struct yamux *y = xcalloc(1, sizeof(*y));
    y->loop = transport->loop;
    y->transport = transport;
    y->server = server;
    y->limits = *limits;
    y->events = events;
    y->owner = owner;
    y->next_id = 1;
    y->rtt = -1;
    y->blocked.prev = y->blocked.next = &y->blocked;
    y->flush.run = run_flush;
    y->keep.fire = keep_fire;
    timer_set(y->loop, &y->keep, limits->keepalive);
    stream_own(transport, &transport_events, y);
    stream_resume(transport);
    return y;
}

void yamux_set_limits(struct yamux *y, const struct yamux_limits *limits)
{
    if (y->limits.held_total) { /* what is held moves to the new account */
        *y->limits.held_total -= y->held;
    }
    if (limits->held_total) {
        *limits->held_total += y->held;
    }
    y->limits = *limits;
    if (!y->ping_waits) {
        timer_set(y->loop, &y->keep, limits->keepalive);
    }
}

struct stream *yamux_open(struct yamux *y)
{
    /* Half of the ids is more than enough for years; a session that used them up is renewed. */
    if (y->dead || y->server || y->go_away || y->count >= y->limits.max_streams ||
        y->next_id > INT32_MAX) {
        return NULL;
    }
    struct ystream *st = yamux_stream_new(y, y->next_id);
    y->next_id += 2;
    yamux_send(y, YAMUX_WINDOW, YAMUX_SYN, st->id, 0);
    return &st->s;
}

uint32_t yamux_streams(const struct yamux *y)
{
    return y->count;
}

int64_t yamux_rtt(const struct yamux *y)
{
    return y->rtt;
}
