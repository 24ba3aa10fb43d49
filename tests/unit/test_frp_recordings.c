/* Recorded frpc/frps sessions: every message is decoded, encoded again, and must be the same bytes.
 *
 * The recordings are in $TESTS_DATA/frp-transcripts, or ./tests/data/frp-transcripts. The yamux and
 * WebSocket readers here are the test's own, so that it does not lean on the code it judges.
 */
#include "common/frp/cfb.h"
#include "common/frp/msg.h"
#include "common/json/json.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define STREAMS_MAX 64

struct bytes {
    uint8_t *p;
    size_t n;
};

/* One logical connection, both directions. */
struct stream {
    uint32_t conn, id;
    struct bytes dir[2]; /* 0: from frpc, 1: from frps */
};

struct session {
    const char *file;
    struct str token;
    bool mux, websocket;
    struct stream streams[STREAMS_MAX];
    size_t n;
};

static struct {
    unsigned files, streams, messages, encrypted, by_type[256];
} seen;

static void append(struct bytes *b, const uint8_t *p, size_t n)
{
    b->p = realloc(b->p, b->n + n + 1);
    assert_non_null(b->p);
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

static struct stream *stream_of(struct session *s, uint32_t conn, uint32_t id)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->streams[i].conn == conn && s->streams[i].id == id)
            return &s->streams[i];
    assert_true(s->n < STREAMS_MAX);
    s->streams[s->n].conn = conn;
    s->streams[s->n].id = id;
    return &s->streams[s->n++];
}

static uint32_t be(const uint8_t *p, size_t n)
{
    uint32_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* Payload of the WebSocket frames behind the HTTP head. */
static struct bytes unframe_websocket(struct bytes in)
{
    const uint8_t *head = memmem(in.p, in.n, "\r\n\r\n", 4);
    struct bytes out = {NULL, 0};
    size_t i;

    assert_non_null(head);
    for (i = (size_t)(head - in.p) + 4; i < in.n;) {
        unsigned op = in.p[i] & 15;
        bool masked = in.p[i + 1] & 128;
        size_t len = in.p[i + 1] & 127;
        uint8_t key[4] = {0};

        i += 2;
        assert_true(len != 127);
        if (len == 126) {
            len = be(in.p + i, 2);
            i += 2;
        }
        if (masked) {
            memcpy(key, in.p + i, 4);
            i += 4;
        }
        assert_true(len <= in.n - i);
        for (size_t k = 0; k < len; k++)
            in.p[i + k] ^= key[k % 4];
        if (op < 8)
            append(&out, in.p + i, len);
        i += len;
    }
    return out;
}

static void unmux(struct session *s, uint32_t conn, int dir, struct bytes in)
{
    size_t i = 0;

    while (i < in.n) {
        uint32_t len;

        assert_true(in.n - i >= 12);
        assert_int_equal(in.p[i], 0);
        len = be(in.p + i + 8, 4);
        if (in.p[i + 1] == 0) {
            assert_true(len <= in.n - i - 12);
            append(&stream_of(s, conn, be(in.p + i + 4, 4))->dir[dir], in.p + i + 12, len);
            i += len;
        }
        i += 12;
    }
}

static void check_message(const struct session *s, const uint8_t *wire, const struct frp_frame *f)
{
    uint8_t again[FRP_FRAME_MAX];
    struct frp_msg msg;
    char err[160];
    ssize_t n;

    if (frp_msg_decode(&msg, f, err, sizeof(err)) < 0)
        fail_msg("%s: %s", s->file, err);
    n = frp_msg_encode(&msg, again, sizeof(again));
    if (n != (ssize_t)f->total || memcmp(again, wire, f->total) != 0)
        fail_msg("%s: %s differs: recorded %.*s, ours %.*s", s->file, frp_type_name(f->type),
                 STR_ARG(f->body), n > 9 ? (int)n - 9 : 0, again + 9);
    if (f->type == FRP_LOGIN) {
        struct str token = frp_meta_get(&msg.u.login.metas, "token");

        assert_true(str_eq(token, STR("shared-key-meta")));
        if (!strstr(s->file, "badtoken"))
            assert_true(frp_privilege_key_matches(s->token, msg.u.login.timestamp,
                                                  msg.u.login.privilege_key));
        else
            assert_false(frp_privilege_key_matches(s->token, msg.u.login.timestamp,
                                                   msg.u.login.privilege_key));
    }
    frp_msg_clear(&msg);
    seen.messages++;
    seen.by_type[f->type]++;
}

/* Reads up to `max` messages; returns the bytes they take. */
static size_t read_messages(const struct session *s, struct bytes in, size_t max)
{
    const char *why = "";
    struct frp_frame f;
    size_t at = 0;

    for (; max && at < in.n; max--) {
        int got = frp_frame_parse(in.p + at, in.n - at, &f, &why);

        if (got <= 0)
            fail_msg("%s: frame at %zu: %s", s->file, at, got ? why : "cut off");
        /* No shorter piece is a frame. */
        assert_int_equal(frp_frame_parse(in.p + at, (size_t)got - 1, &f, &why), 0);
        assert_int_equal(frp_frame_parse(in.p + at, in.n - at, &f, &why), got);
        check_message(s, in.p + at, &f);
        at += (size_t)got;
    }
    return at;
}

/* The encrypted rest of a control stream, in pieces of seven bytes. */
static void read_encrypted(const struct session *s, struct bytes in)
{
    struct frp_cipher *c = frp_decrypt_new(s->token);
    unsigned before = seen.messages;
    struct bytes plain = {NULL, 0};

    assert_non_null(c);
    for (size_t i = 0; i < in.n; i += 7) {
        size_t n = MIN((size_t)7, in.n - i);
        ssize_t iv = frp_decrypt(c, in.p + i, n);

        assert_true(iv >= 0);
        append(&plain, in.p + i + iv, n - (size_t)iv);
    }
    frp_cipher_free(c);
    assert_int_equal(read_messages(s, plain, SIZE_MAX), plain.n);
    seen.encrypted += seen.messages - before;
    free(plain.p);
}

static void check_stream(const struct session *s, const struct stream *st)
{
    size_t at[2] = {0, 0};

    /* Dialled, and lost before a byte. */
    if (st->dir[0].n == 0)
        return;
    seen.streams++;
    for (int d = 0; d < 2; d++)
        at[d] = read_messages(s, st->dir[d], 1);
    if (st->dir[0].p[0] != FRP_LOGIN) {
        assert_int_equal(st->dir[0].p[0], FRP_NEW_WORK_CONN);
        if (st->dir[1].n)
            assert_int_equal(st->dir[1].p[0], FRP_START_WORK_CONN);
        return;
    }
    for (int d = 0; d < 2; d++)
        read_encrypted(s, (struct bytes){st->dir[d].p + at[d], st->dir[d].n - at[d]});
}

static void take_segments(struct session *s, const struct json_node *segments)
{
    struct session raw = {.file = s->file};

    for (const struct json_node *g = json_first(segments); g; g = json_next(g)) {
        struct str dir, hex;
        int64_t conn;

        assert_int_equal(json_int(json_get(g, "conn"), &conn), 0);
        assert_int_equal(json_str(json_get(g, "dir"), &dir), 0);
        assert_int_equal(json_str(json_get(g, "hex"), &hex), 0);
        for (size_t i = 0; i + 1 < hex.n; i += 2) {
            char two[3] = {hex.p[i], hex.p[i + 1], '\0'};
            uint8_t byte = (uint8_t)strtoul(two, NULL, 16);

            append(&stream_of(&raw, (uint32_t)conn, 0)->dir[str_eq(dir, STR("s2c"))], &byte, 1);
        }
    }
    for (size_t i = 0; i < raw.n; i++) {
        for (int d = 0; d < 2; d++) {
            struct bytes in = raw.streams[i].dir[d];
            struct bytes inner = {NULL, 0};

            if (s->websocket && in.n)
                in = inner = unframe_websocket(in);
            if (s->mux)
                unmux(s, raw.streams[i].conn, d, in);
            else if (in.n)
                append(&stream_of(s, raw.streams[i].conn, 0)->dir[d], in.p, in.n);
            free(inner.p);
            free(raw.streams[i].dir[d].p);
        }
    }
}

static void check_file(const char *dir, const char *name)
{
    static const struct json_limits limits = {.bytes = 1 << 20};
    struct session s = {.file = name};
    const struct json_node *options;
    struct str transport;
    struct json_doc *doc;
    char path[4096], err[160], *text;
    size_t n;
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "rb");
    assert_non_null(f);
    text = malloc(limits.bytes);
    assert_non_null(text);
    n = fread(text, 1, limits.bytes, f);
    fclose(f);
    doc = json_parse(text, n, &limits, err, sizeof(err));
    free(text);
    if (!doc)
        fail_msg("%s: %s", name, err);

    options = json_get(json_root(doc), "options");
    assert_int_equal(json_bool(json_get(options, "tcpMux"), &s.mux), 0);
    assert_int_equal(json_str(json_get(options, "transport.protocol"), &transport), 0);
    s.websocket = str_eq(transport, STR("websocket"));
    if (json_str(json_get(options, "auth.token"), &s.token) < 0)
        s.token = STR("");
    take_segments(&s, json_get(json_root(doc), "segments"));
    assert_true(s.n > 0);
    for (size_t i = 0; i < s.n; i++) {
        check_stream(&s, &s.streams[i]);
        free(s.streams[i].dir[0].p);
        free(s.streams[i].dir[1].p);
    }
    json_free(doc);
    seen.files++;
}

static void every_message_comes_out_as_it_was_recorded(void **state)
{
    static const struct {
        enum frp_type type;
        unsigned count;
    } expected[] = {
        {FRP_LOGIN, 70},          {FRP_LOGIN_RESP, 68},      {FRP_NEW_PROXY, 60},
        {FRP_NEW_PROXY_RESP, 60}, {FRP_CLOSE_PROXY, 44},     {FRP_NEW_WORK_CONN, 136},
        {FRP_REQ_WORK_CONN, 136}, {FRP_START_WORK_CONN, 60}, {FRP_PING, 84},
        {FRP_PONG, 84},
    };
    const char *data = getenv("TESTS_DATA");
    char dir[2048];
    struct dirent *e;
    DIR *d;

    (void)state;
    snprintf(dir, sizeof(dir), "%s/frp-transcripts", data ? data : "./tests/data");
    d = opendir(dir);
    if (!d)
        fail_msg("%s: no recordings there (set TESTS_DATA)", dir);
    while ((e = readdir(d)))
        if (strstr(e->d_name, ".json"))
            check_file(dir, e->d_name);
    closedir(d);

    print_message("%u recordings, %u streams, %u messages, %u of them encrypted\n", seen.files,
                  seen.streams, seen.messages, seen.encrypted);
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        print_message("  %-14s %u\n", frp_type_name(expected[i].type),
                      seen.by_type[expected[i].type]);
        assert_int_equal(seen.by_type[expected[i].type], expected[i].count);
    }
    assert_int_equal(seen.messages, 802);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_out_as_it_was_recorded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
