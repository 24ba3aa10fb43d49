/* TLS streams over real loopback sockets, both ends ours or one of them raw; certificates are made
 * in memory. */
#include "common/stream/listener.h"
#include "common/stream/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/memory_stream.h"

enum { LIMIT = 10000, BIG = 8 * 1024 * 1024 };

struct fixture {
    struct loop l;
    struct listener *ls;
    SSL_CTX *server, *client;
    struct witness w[2]; /* client, server */
    unsigned accepted;
    int fd; /* the raw client, or the connection that was accepted */
    bool raw;
};

static SSL_CTX *context(const SSL_METHOD *method, int version)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version), 1);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return ctx;
}

static void give_certificate(SSL_CTX *ctx)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);
    assert_non_null(key);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, key);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void accepted(void *owner, int fd, const struct sock_addr *from UNUSED)
{
    struct fixture *f = owner;
    f->accepted++;
    if (f->raw) {
        f->fd = fd;
        return;
    }
    struct stream *s = tls_accept(&f->l, f->server, fd, NULL, 0);
    assert_non_null(s);
    witness_own(&f->w[1], s);
}

static int setup_version(void **state, int version)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct sock_addr at = {.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)&at.sa;
    char err[200];
    *state = f;
    f->fd = -1;
    if (loop_init(&f->l, NULL) < 0) {
        return -1;
    }
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f->ls = listener_open(&f->l, &at, "test", accepted, f, err, sizeof(err));
    f->server = context(TLS_server_method(), version);
    f->client = context(TLS_client_method(), version);
    give_certificate(f->server);
    return f->ls ? 0 : -1;
}

static int setup(void **state)
{
    return setup_version(state, TLS1_3_VERSION);
}

static int setup_12(void **state)
{
    return setup_version(state, TLS1_2_VERSION);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bool late = f->w[0].late || f->w[1].late;
    witness_end(&f->w[0]);
    witness_end(&f->w[1]);
    if (f->fd >= 0) {
        close(f->fd);
    }
    listener_close(f->ls);
    loop_settle(&f->l);
    SSL_CTX_free(f->server);
    SSL_CTX_free(f->client);
    size_t held = f->l.held;
    loop_free(&f->l);
    free(f);
    return held == 0 && !late ? 0 : -1;
}

static void dial(struct fixture *f, const char *name)
{
    bool pending;
    int fd = sock_open(listener_address(f->ls), &pending);
    struct stream *s = fd < 0 ? NULL : tls_client(&f->l, f->client, name, fd);
    assert_non_null(s);
    witness_own(&f->w[0], s);
}

static void shake(struct fixture *f)
{
    dial(f, NULL);
    assert_true(loop_until_set(&f->l, &f->w[0].ready, LIMIT));
    assert_true(loop_until_set(&f->l, &f->accepted, LIMIT));
    assert_true(loop_until_set(&f->l, &f->w[1].ready, LIMIT));
}

static int dial_raw(struct fixture *f)
{
    const struct sock_addr *at = listener_address(f->ls);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at->sa, at->len), 0);
    return fd;
}

static void assert_got(const struct witness *w, const char *text)
{
    assert_int_equal(w->got.len, strlen(text));
    assert_memory_equal(w->got.len ? buf_head(&w->got) : "", text, strlen(text));
}

struct bytes {
    const struct witness *w;
    uint64_t want;
};

static bool has_bytes(void *arg)
{
    const struct bytes *b = arg;
    return b->w->bytes >= b->want;
}

static void await_bytes(struct fixture *f, const struct witness *w, uint64_t want)
{
    struct bytes b = {w, want};
    assert_true(loop_until(&f->l, has_bytes, &b, LIMIT));
}

/* ---- what goes well ---- */

static void shakes_hands_talks_and_half_closes(void **state)
{
    struct fixture *f = *state;
    char a[] = "ques", b[] = "tion";
    struct iovec iov[] = {{.iov_base = a, .iov_len = 4}, {.iov_base = b, .iov_len = 4}};
    shake(f);
    assert_non_null(tls_ssl(f->w[0].s));
    stream_writev(f->w[0].s, iov, 2);
    stream_shutdown(f->w[0].s);
    assert_true(loop_until_set(&f->l, &f->w[1].eof, LIMIT));
    assert_got(&f->w[1], "question");
    stream_write(f->w[1].s, "answer", 6); /* after the other half's close_notify */
    await_bytes(f, &f->w[0], 6);
    stream_shutdown(f->w[1].s);
    assert_true(loop_until_set(&f->l, &f->w[0].eof, LIMIT));
    assert_int_equal(f->w[0].ready, 1);
    assert_int_equal(f->w[1].ready, 1);
    assert_int_equal(f->w[0].closed + f->w[1].closed, 0);
}

static bool both_ended(void *arg)
{
    const struct fixture *f = arg;
    return f->w[0].eof && f->w[1].eof;
}

/* Both ends write BIG bytes in pieces of random size, and take them in pieces of random size with
 * pauses in between; reads are wide or tight. */
static void much_data(struct fixture *f, bool tight)
{
    char *big = malloc(BIG);
    size_t at[2] = {0};
    unsigned seed = tight ? 11 : 12;
    for (size_t i = 0; i < BIG; i++) {
        big[i] = (char)(i * 13 + i / 4099);
    }
    if (tight) {
        f->l.held_soft = 0; /* whatever is held makes reads small */
    }
    shake(f);
    for (int i = 0; i < 2; i++) {
        f->w[i].take = 1;
        f->w[i].pauses = true;
    }
    for (int turns = 0; !both_ended(f); turns++) {
        assert_true(turns < 200000);
        for (int i = 0; i < 2; i++) {
            struct witness *w = &f->w[i];
            while (at[i] < BIG && stream_pending(w->s) == 0) {
                size_t n = 1 + (size_t)rand_r(&seed) % 60000;
                n = MIN(n, BIG - at[i]);
                stream_write(w->s, big + at[i], n);
                at[i] += n;
                if (at[i] == BIG) {
                    stream_shutdown(w->s);
                }
            }
            if (rand_r(&seed) % 3 == 0) {
                witness_take(w, (size_t)rand_r(&seed) % 200000);
            } else if (rand_r(&seed) % 3 == 0) {
                stream_pause(w->s);
            } else if (rand_r(&seed) % 3 == 0) {
                stream_resume(w->s);
            }
        }
        loop_for(&f->l, 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(f->w[i].got.len, BIG);
        assert_memory_equal(buf_head(&f->w[i].got), big, BIG);
        assert_int_equal(f->w[i].closed, 0);
    }
    free(big);
}

static void carries_much_data_both_ways(void **state)
{
    much_data(*state, false);
}

static void carries_much_data_both_ways_with_tight_reads(void **state)
{
    much_data(*state, true);
}

static void a_paused_owner_gets_all_after_the_peer_is_gone(void **state)
{
    struct fixture *f = *state;
    static char block[100000];
    for (int early = 0; early < 2; early++) {
        shake(f);
        if (early) {
            stream_pause(f->w[1].s); /* before anything was read */
        }
        f->w[1].take = 100;
        f->w[1].pauses = true;
        stream_write(f->w[0].s, block, sizeof(block));
        stream_shutdown(f->w[0].s);
        loop_for(&f->l, 50);
        witness_end(&f->w[0]);
        loop_for(&f->l, 50);
        assert_int_equal(f->w[1].bytes, early ? 0 : 100);
        while (f->w[1].eof == 0) {
            witness_take(&f->w[1], 33333);
            loop_for(&f->l, 5);
            assert_int_equal(f->w[1].closed, 0);
        }
        assert_int_equal(f->w[1].bytes, sizeof(block));
        witness_end(&f->w[1]);
        f->accepted = 0;
    }
}

static void bytes_read_before_tls_began_count(void **state)
{
    struct fixture *f = *state;
    char early[4096];
    f->raw = true;
    for (size_t n = 1; n < 200; n += 97) {
        f->accepted = 0;
        dial(f, NULL);
        assert_true(loop_until_set(&f->l, &f->accepted, LIMIT));
        loop_for(&f->l, 20);
        ssize_t got = recv(f->fd, early, n, 0);
        assert_int_equal(got, n);
        struct stream *s = tls_accept(&f->l, f->server, f->fd, early, n);
        f->fd = -1;
        assert_non_null(s);
        memset(early, 0, sizeof(early));
        witness_own(&f->w[1], s);
        assert_true(loop_until_set(&f->l, &f->w[1].ready, LIMIT));
        assert_true(loop_until_set(&f->l, &f->w[0].ready, LIMIT));
        witness_end(&f->w[0]);
        witness_end(&f->w[1]);
    }
}

static void pending_bytes_drain_and_the_end_comes_behind_them(void **state)
{
    struct fixture *f = *state;
    static char block[256 * 1024];
    uint64_t written = 0;
    shake(f);
    stream_pause(f->w[1].s);
    while (stream_pending(f->w[0].s) == 0) {
        stream_write(f->w[0].s, block, sizeof(block));
        written += sizeof(block);
        loop_for(&f->l, 1);
    }
    stream_shutdown(f->w[0].s);
    assert_int_equal(f->w[0].drained, 0);
    stream_resume(f->w[1].s);
    assert_true(loop_until_set(&f->l, &f->w[1].eof, LIMIT));
    assert_int_equal(f->w[1].bytes, written);
    assert_true(loop_until_set(&f->l, &f->w[0].drained, LIMIT));
    assert_int_equal(f->w[0].drained, 1);
}

static void ready_writes(void *owner, struct stream *s)
{
    static char record[10000];
    for (int i = 0; i < 4; i++) {
        stream_write(s, record, sizeof(record));
    }
    ((struct witness *)owner)->ready++;
}

static void ready_pauses(void *owner, struct stream *s)
{
    stream_pause(s);
    ((struct witness *)owner)->ready++;
}

static size_t data_takes_all_and_pauses(void *owner, struct stream *s, const char *p UNUSED,
                                        size_t n)
{
    struct witness *w = owner;
    w->calls++;
    w->bytes += n;
    stream_pause(s);
    return n;
}

/* Data that comes with the end of the handshake, to an owner that pauses again and again: part of it
 * is ciphertext at hand, part of it inside OpenSSL, and nothing more comes from the socket. */
static void resume_gives_what_is_at_hand(void **state)
{
    static const struct stream_events writer = {.ready = ready_writes};
    static const struct stream_events pauser = {
        .ready = ready_pauses,
        .data = data_takes_all_and_pauses,
    };
    struct fixture *f = *state;
    f->raw = true;
    dial(f, NULL);
    stream_own(f->w[0].s, &writer, &f->w[0]);
    assert_true(loop_until_set(&f->l, &f->accepted, LIMIT));
    struct stream *s = tls_accept(&f->l, f->server, f->fd, NULL, 0);
    f->fd = -1;
    assert_non_null(s);
    f->w[1] = (struct witness){.s = s, .take = SIZE_MAX};
    stream_own(s, &pauser, &f->w[1]);
    assert_true(loop_until_set(&f->l, &f->w[1].ready, LIMIT));
    loop_for(&f->l, 20);
    assert_int_equal(f->w[1].bytes, 0);
    f->l.held++; /* over the soft limit: reads are tight */
    f->l.held_soft = 0;
    stream_resume(s);
    loop_for(&f->l, 20);
    while (f->w[1].bytes < 40000) {
        uint64_t before = f->w[1].bytes;
        assert_true(before <= f->w[1].calls * 16384);
        stream_resume(s);
        loop_for(&f->l, 20);
        assert_true(f->w[1].bytes > before);
    }
    assert_true(f->w[1].calls >= 3);
    f->l.held--;
}

/* ---- what does not ---- */

static void an_end_without_close_notify_is_a_failure(void **state)
{
    struct fixture *f = *state;
    shake(f);
    stream_write(f->w[0].s, "cut he", 6);
    shutdown(((struct sock *)(void *)f->w[0].s)->fd, SHUT_WR);
    assert_true(loop_until_set(&f->l, &f->w[1].closed, LIMIT));
    assert_got(&f->w[1], "cut he");
    assert_int_equal(f->w[1].eof, 0);
    assert_string_equal(f->w[1].why, "connection ended without TLS close_notify");
}

static void a_plain_close_says_close_notify(void **state)
{
    struct fixture *f = *state;
    shake(f);
    stream_write(f->w[0].s, "bye", 3);
    witness_end(&f->w[0]);
    assert_true(loop_until_set(&f->l, &f->w[1].eof, LIMIT));
    assert_got(&f->w[1], "bye");
    assert_int_equal(f->w[1].closed, 0);
}

static void an_abort_is_a_failure_for_the_peer(void **state)
{
    struct fixture *f = *state;
    shake(f);
    stream_abort(f->w[0].s);
    f->w[0].s = NULL;
    assert_true(loop_until_set(&f->l, &f->w[1].closed, LIMIT));
    assert_int_equal(f->w[1].eof, 0);
}

static void garbage_instead_of_a_client_hello_is_refused(void **state)
{
    static const char *const garbage[] = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\xff\xff and so on",
        "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        "\x80\x2e\x01\x03\x01",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
        f->accepted = 0;
        int fd = dial_raw(f);
        assert_true(loop_until_set(&f->l, &f->accepted, LIMIT));
        /* embedded zeros: the lengths are those of the third and first kind */
        size_t n = i == 2 ? 10 : strlen(garbage[i]);
        assert_int_equal(write(fd, garbage[i], n), n);
        shutdown(fd, SHUT_WR);
        assert_true(loop_until_set(&f->l, &f->w[1].closed, LIMIT));
        assert_true(strlen(f->w[1].why) > 0);
        assert_int_equal(f->w[1].ready, 0);
        close(fd);
        witness_end(&f->w[1]);
    }
}

static void garbage_after_the_handshake_is_a_failure(void **state)
{
    struct fixture *f = *state;
    shake(f);
    assert_int_equal(write(((struct sock *)(void *)f->w[0].s)->fd, "not a record at all", 19), 19);
    assert_true(loop_until_set(&f->l, &f->w[1].closed, LIMIT));
    assert_int_equal(f->w[1].eof, 0);
}

static void an_end_during_the_handshake_is_a_failure(void **state)
{
    struct fixture *f = *state;
    int fd = dial_raw(f);
    assert_true(loop_until_set(&f->l, &f->accepted, LIMIT));
    close(fd);
    assert_true(loop_until_set(&f->l, &f->w[1].closed, LIMIT));
    assert_string_equal(f->w[1].why, "connection ended during the TLS handshake");
}

static void a_server_that_is_not_trusted_is_refused_by_both(void **state)
{
    struct fixture *f = *state;
    SSL_CTX_set_verify(f->client, SSL_VERIFY_PEER, NULL);
    dial(f, "test");
    assert_true(loop_until_set(&f->l, &f->w[0].closed, LIMIT));
    assert_true(loop_until_set(&f->l, &f->w[1].closed, LIMIT));
    assert_int_equal(f->w[0].ready, 0);
    assert_true(strlen(f->w[0].why) > 0);
}

static void a_reset_while_paused_costs_no_received_bytes(void **state)
{
    struct fixture *f = *state;
    shake(f);
    stream_write(f->w[1].s, "unread", 6);
    f->w[1].take = 1;
    f->w[1].pauses = true;
    stream_write(f->w[0].s, "last", 4);
    stream_write(f->w[0].s, " words", 6);
    loop_for(&f->l, 20);
    stream_pause(f->w[0].s);
    loop_for(&f->l, 20);
    int fd = dup(((struct sock *)(void *)f->w[0].s)->fd);
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
    stream_abort(f->w[0].s);
    f->w[0].s = NULL;
    loop_for(&f->l, 20);
    stream_write(f->w[1].s, "x", 1);
    stream_write(f->w[1].s, "y", 1);
    loop_for(&f->l, 20);
    witness_take(&f->w[1], SIZE_MAX);
    assert_true(loop_until_set(&f->l, &f->w[1].closed, LIMIT));
    assert_got(&f->w[1], "last words");
}

/* ---- closing in callbacks ---- */

struct closer {
    unsigned calls;
    char in;
};

static void closer_ready(void *owner, struct stream *s)
{
    struct closer *c = owner;
    if (c->in == 'r') {
        c->calls++;
        stream_close(s);
    }
}

static size_t closer_data(void *owner, struct stream *s, const char *p UNUSED, size_t n)
{
    struct closer *c = owner;
    if (c->in == 'd') {
        c->calls++;
        stream_close(s);
    }
    return n;
}

static void closer_eof(void *owner, struct stream *s)
{
    struct closer *c = owner;
    if (c->in == 'e') {
        c->calls++;
        stream_close(s);
    }
}

static void closer_closed(void *owner, struct stream *s UNUSED, const char *why UNUSED)
{
    struct closer *c = owner;
    c->calls += 100;
}

static const struct stream_events closer_events = {
    .ready = closer_ready,
    .data = closer_data,
    .eof = closer_eof,
    .closed = closer_closed,
};

static void may_be_closed_in_each_callback(void **state)
{
    struct fixture *f = *state;
    static char block[500000];
    for (const char *in = "rde"; *in; in++) {
        struct closer c = {.in = *in};
        f->accepted = 0;
        dial(f, NULL);
        assert_true(loop_until_set(&f->l, &f->accepted, LIMIT));
        stream_own(f->w[1].s, &closer_events, &c);
        f->w[1].s = NULL;
        if (*in != 'r') {
            assert_true(loop_until_set(&f->l, &f->w[0].ready, LIMIT));
            stream_write(f->w[0].s, block, sizeof(block));
            stream_shutdown(f->w[0].s);
        }
        assert_true(loop_until_set(&f->l, &c.calls, LIMIT));
        loop_for(&f->l, 20);
        assert_int_equal(c.calls, 1);
        witness_end(&f->w[0]);
    }
}

static void may_be_closed_while_shaking_hands(void **state)
{
    struct fixture *f = *state;
    dial(f, NULL);
    witness_end(&f->w[0]); /* before it connected */
    loop_for(&f->l, 10);
    witness_end(&f->w[1]);
    f->accepted = 0;
    dial(f, NULL);
    assert_true(loop_until_set(&f->l, &f->accepted, LIMIT));
    witness_end(&f->w[1]);
    assert_true(loop_until_set(&f->l, &f->w[0].closed, LIMIT));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define T12(f)                                                                                     \
    {                                                                                              \
#f " (TLS 1.2)", f, setup_12, teardown, NULL                                               \
    }
    const struct CMUnitTest tests[] = {
        T(shakes_hands_talks_and_half_closes),
        T12(shakes_hands_talks_and_half_closes),
        T(carries_much_data_both_ways),
        T12(carries_much_data_both_ways),
        T(carries_much_data_both_ways_with_tight_reads),
        T12(carries_much_data_both_ways_with_tight_reads),
        T(a_paused_owner_gets_all_after_the_peer_is_gone),
        T(bytes_read_before_tls_began_count),
        T(pending_bytes_drain_and_the_end_comes_behind_them),
        T(resume_gives_what_is_at_hand),
        T12(resume_gives_what_is_at_hand),
        T(an_end_without_close_notify_is_a_failure),
        T12(an_end_without_close_notify_is_a_failure),
        T(a_plain_close_says_close_notify),
        T(an_abort_is_a_failure_for_the_peer),
        T(garbage_instead_of_a_client_hello_is_refused),
        T(garbage_after_the_handshake_is_a_failure),
        T(an_end_during_the_handshake_is_a_failure),
        T(a_server_that_is_not_trusted_is_refused_by_both),
        T(a_reset_while_paused_costs_no_received_bytes),
        T(may_be_closed_in_each_callback),
        T(may_be_closed_while_shaking_hands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
