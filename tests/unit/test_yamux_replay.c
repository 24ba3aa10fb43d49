/* Recorded sessions of real frpc programs with real frps, fed to a server session. The session's
 * owner does on each stream what frps did there (sends the same bytes, ends where it ended), so
 * that everything but the windows' sizes is determined: the streams, their bytes both ways, ACKs, FINs,
 * and the answers to pings.
 *
 * The recordings are in $TESTS_DATA/frp-transcripts, or ./tests/data/frp-transcripts.
 */
#include "common/frp/yamux.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/json/json.h"
#include "tests/unit/yamux_peer.h"

enum { IDS = PEER_STREAMS * 2, PINGS = 64, CONNS = 8 };

/* What one direction of a recorded connection said, by stream id. */
struct said {
    struct buf raw; /* not cut into frames yet */
    struct buf data[IDS];
    unsigned syn[IDS], ack[IDS], fin[IDS], rst[IDS];
    uint32_t ping[PINGS], pong[PINGS];
    unsigned pings, pongs;
};

struct replay {
    struct peer p;
    struct said from[2]; /* 0: frpc, 1: frps */
    int index[IDS];      /* which of the session's streams an id is */
};

static unsigned files, conns, streams_seen, pings_seen;

/* Cuts off one whole frame; what it says is added up. */
static bool cut(struct said *s, struct yamux_header *h, struct buf *payload)
{
    if (s->raw.len < YAMUX_HEADER) {
        return false;
    }
    const char *at = buf_head(&s->raw);
    assert_null(yamux_header_parse(h, (const uint8_t *)at));
    uint32_t n = h->type == YAMUX_DATA ? h->length : 0;
    if (s->raw.len < YAMUX_HEADER + n) {
        return false;
    }
    assert_true(h->id < IDS);
    if (n > 0) {
        buf_append(payload, at + YAMUX_HEADER, n);
        buf_append(&s->data[h->id], at + YAMUX_HEADER, n);
    }
    if (h->type == YAMUX_PING) {
        assert_true(s->pings < PINGS && s->pongs < PINGS);
        if (h->flags & YAMUX_SYN) {
            s->ping[s->pings++] = h->length;
        } else {
            s->pong[s->pongs++] = h->length;
        }
    } else if (h->type <= YAMUX_WINDOW) {
        s->syn[h->id] += (h->flags & YAMUX_SYN) != 0;
        s->ack[h->id] += (h->flags & YAMUX_ACK) != 0;
        s->fin[h->id] += (h->flags & YAMUX_FIN) != 0;
        s->rst[h->id] += (h->flags & YAMUX_RST) != 0;
    }
    buf_consume(&s->raw, YAMUX_HEADER + n);
    return true;
}

static struct stream *stream_of(struct replay *r, uint32_t id)
{
    assert_true(r->index[id] >= 0);
    struct stream *s = r->p.st[r->index[id]].s;
    assert_non_null(s);
    return s;
}

static void segment(struct replay *r, int dir, const char *bytes, size_t n)
{
    struct said *s = &r->from[dir];
    struct yamux_header h;
    struct buf payload = {0};
    buf_append(&s->raw, bytes, n);
    if (dir == 0) {
        peer_bytes(&r->p, bytes, n);
        loop_settle(&r->p.l);
    }
    while (cut(s, &h, &payload)) {
        if (dir == 0 && h.type <= YAMUX_WINDOW && (h.flags & YAMUX_SYN)) {
            int seen = 0;
            for (int i = 0; i < IDS; i++) {
                seen += r->index[i] >= 0;
            }
            r->index[h.id] = seen; /* streams are opened in the order of their SYNs */
            streams_seen++;
        } else if (dir == 1 && h.type <= YAMUX_WINDOW) {
            if (payload.len > 0) {
                stream_write(stream_of(r, h.id), buf_head(&payload), payload.len);
            }
            if (h.flags & YAMUX_FIN) {
                stream_shutdown(stream_of(r, h.id));
            }
        }
        buf_free(&payload);
    }
    loop_settle(&r->p.l);
}

static void compare(struct replay *r)
{
    struct peer *p = &r->p;
    struct said ours;
    struct yamux_header h;
    struct buf payload = {0};
    memset(&ours, 0, sizeof(ours));
    assert_int_equal(p->ended, 0);
    buf_append(&ours.raw, p->wire.got.len ? buf_head(&p->wire.got) : "", p->wire.got.len);
    unsigned acks = 0;
    while (cut(&ours, &h, &payload)) {
        if (h.type <= YAMUX_WINDOW) { /* the ACK comes before anything else of its stream */
            acks += (h.flags & YAMUX_ACK) != 0;
            assert_int_equal(ours.ack[h.id], 1);
        }
        assert_int_not_equal(h.type, YAMUX_GO_AWAY);
        buf_free(&payload);
    }
    assert_int_equal(ours.raw.len, 0);
    assert_int_equal(acks, p->opened);
    for (int id = 0; id < IDS; id++) {
        struct said *c = &r->from[0], *s = &r->from[1];
        assert_int_equal(ours.ack[id], c->syn[id]);
        assert_int_equal(ours.fin[id], s->fin[id]);
        assert_int_equal(ours.rst[id], 0);
        assert_int_equal(ours.data[id].len, s->data[id].len);
        if (s->data[id].len > 0) {
            assert_memory_equal(buf_head(&ours.data[id]), buf_head(&s->data[id]), s->data[id].len);
        }
        if (r->index[id] >= 0) {
            struct witness *w = &p->st[r->index[id]];
            assert_int_equal(w->got.len, c->data[id].len);
            if (w->got.len > 0) {
                assert_memory_equal(buf_head(&w->got), buf_head(&c->data[id]), w->got.len);
            }
            assert_int_equal(w->eof, c->fin[id]);
            assert_int_equal(w->closed, 0);
        }
        buf_free(&ours.data[id]);
    }
    assert_int_equal(ours.pings, 0);
    assert_int_equal(ours.pongs, r->from[0].pings);
    assert_memory_equal(ours.pong, r->from[0].ping, ours.pongs * sizeof(ours.pong[0]));
    pings_seen += ours.pongs;
}

static int nibble(char c)
{
    const char digits[] = "0123456789abcdef";
    const char *at = memchr(digits, c, 16);
    assert_non_null(at);
    return (int)(at - digits);
}

static char *unhex(struct str hex, size_t *n)
{
    char *out = xmalloc(hex.n / 2);
    *n = hex.n / 2;
    for (size_t i = 0; i < *n; i++) {
        out[i] = (char)(nibble(hex.p[2 * i]) << 4 | nibble(hex.p[2 * i + 1]));
    }
    return out;
}

static void play_connection(const struct json_node *segments, int64_t conn)
{
    struct replay *r = xcalloc(1, sizeof(*r));
    bool yamux = false;
    for (int i = 0; i < IDS; i++) {
        r->index[i] = -1;
    }
    peer_init(&r->p);
    peer_start(&r->p, true);
    for (const struct json_node *s = json_first(segments); s; s = json_next(s)) {
        int64_t number;
        struct str dir, hex;
        assert_int_equal(json_int(json_get(s, "conn"), &number), 0);
        assert_int_equal(json_str(json_get(s, "dir"), &dir), 0);
        assert_int_equal(json_str(json_get(s, "hex"), &hex), 0);
        if (number != conn) {
            continue;
        }
        size_t n;
        char *bytes = unhex(hex, &n);
        bool from_client = str_eq(dir, STR("c2s"));
        yamux |= from_client && n >= 2 && bytes[0] == 0 && bytes[1] <= YAMUX_WINDOW;
        if (!yamux) { /* its first bytes tell: this connection is of another kind */
            free(bytes);
            break;
        }
        segment(r, from_client ? 0 : 1, bytes, n);
        free(bytes);
    }
    if (yamux) {
        conns++;
        compare(r);
    }
    for (int dir = 0; dir < 2; dir++) {
        for (int id = 0; id < IDS; id++) {
            buf_free(&r->from[dir].data[id]);
        }
        assert_int_equal(r->from[dir].raw.len, 0);
    }
    assert_true(peer_end(&r->p));
    free(r);
}

static void play_file(const char *path)
{
    static char text[1024 * 1024];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text), f);
    fclose(f);
    char err[200];
    struct json_doc *doc = json_parse(text, n, NULL, err, sizeof(err));
    if (!doc) {
        fail_msg("%s: %s", path, err);
    }
    files++;
    for (int64_t conn = 0; conn < CONNS; conn++) {
        play_connection(json_get(json_root(doc), "segments"), conn);
    }
    json_free(doc);
}

static void recorded_clients_get_what_frps_gave_them(void **state)
{
    const char *data = getenv("TESTS_DATA");
    char dir[2048], path[4096];
    struct dirent *e;
    (void)state;
    snprintf(dir, sizeof(dir), "%s/frp-transcripts", data ? data : "./tests/data");
    DIR *d = opendir(dir);
    if (!d) {
        fail_msg("%s: no recordings there (set TESTS_DATA)", dir);
    }
    while ((e = readdir(d))) {
        if (strstr(e->d_name, "_mux1_") || strstr(e->d_name, "v1_defaults")) {
            snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
            play_file(path);
        }
    }
    closedir(d);
    print_message("%u recordings, %u connections, %u streams, %u pings\n", files, conns,
                  streams_seen, pings_seen);
    assert_true(files >= 20);
    assert_true(conns >= files);
    assert_true(streams_seen >= 2 * files);
    assert_true(pings_seen >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_clients_get_what_frps_gave_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
