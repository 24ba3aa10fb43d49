#include "common/stream/tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/crypto/tls.h"

enum { RECORD = 16384 }; /* the most plaintext one TLS record carries */

struct tls {
    struct sock k; /* first */
    SSL *ssl;
    const char *in; /* ciphertext at hand, valid during a pump */
    size_t in_len;
    struct buf raw;        /* ciphertext kept while paused */
    size_t sealed;         /* bytes of loop->sealed that wait for the end of this call */
    struct loop_task pump; /* resumed with bytes at hand */
    bool shaken;
    char why[96]; /* room for the reason of a failure */
};

static struct tls *of(struct stream *s)
{
    return CONTAINER_OF(s, struct tls, k.s);
}

/* ---- OpenSSL's side: a BIO over the slices above ---- */

static void send_sealed(struct tls *t)
{
    if (t->sealed > 0) {
        struct iovec iov = {.iov_base = t->k.s.loop->sealed, .iov_len = t->sealed};
        t->sealed = 0;
        sock_send(&t->k, &iov, 1);
    }
}

static int bio_read(BIO *bio, char *p, int n)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (t->in_len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t k = MIN((size_t)n, t->in_len);
    memcpy(p, t->in, k);
    t->in += k;
    t->in_len -= k;
    return (int)k;
}

static int bio_write(BIO *bio, const char *p, int n)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t left = (size_t)n;
    while (left > 0) {
        size_t k = MIN(left, LOOP_SEALED_SIZE - t->sealed);
        memcpy(t->k.s.loop->sealed + t->sealed, p, k);
        t->sealed += k;
        p += k;
        left -= k;
        if (t->sealed == LOOP_SEALED_SIZE) {
            send_sealed(t);
        }
    }
    return n;
}

static long bio_ctrl(BIO *bio UNUSED, int cmd, long num UNUSED, void *ptr UNUSED)
{
    return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

/* Made once for the process and never changed again. */
static const BIO_METHOD *bio_method(void)
{
    static BIO_METHOD *method;
    if (!method) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "harp stream");
        if (!method) {
            return NULL;
        }
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_ctrl(method, bio_ctrl);
    }
    return method;
}

/* ---- incoming ---- */

static void fail_tls(struct tls *t, int result)
{
    tls_error_text(t->ssl, result, t->why, sizeof(t->why));
    send_sealed(t); /* the alert that tells the peer */
    stream_fail(&t->k.s, t->why);
}

/* false: not done yet, or failed. */
static bool shake(struct tls *t)
{
    ERR_clear_error();
    int r = SSL_do_handshake(t->ssl);
    if (r == 1) {
        t->shaken = true;
        send_sealed(t);
        if (t->k.s.events && t->k.s.events->ready) {
            t->k.s.events->ready(t->k.s.owner, &t->k.s);
        }
        return !t->k.s.dead;
    }
    int err = SSL_get_error(t->ssl, r);
    if (err == SSL_ERROR_WANT_READ || err == SSL_ERROR_WANT_WRITE) {
        send_sealed(t);
    } else {
        fail_tls(t, r);
    }
    return false;
}

/* Decrypts what is at hand and delivers it, until nothing is left or the owner pauses. */
static void pump_in(struct tls *t)
{
    struct stream *s = &t->k.s;
    if (!t->shaken && !shake(t)) {
        return;
    }
    while (!s->paused && !s->dead && !s->failed && !s->eof_in) {
        size_t room = loop_read_size(s->loop), got = 0;
        int r = 0;
        ERR_clear_error();
        while (got < room) {
            r = SSL_read(t->ssl, s->loop->plain + got, (int)(room - got));
            if (r <= 0) {
                break;
            }
            got += (size_t)r;
        }
        int err = r <= 0 ? SSL_get_error(t->ssl, r) : SSL_ERROR_NONE;
        if (err != SSL_ERROR_NONE && err != SSL_ERROR_WANT_READ && err != SSL_ERROR_ZERO_RETURN) {
            tls_error_text(t->ssl, r, t->why, sizeof(t->why));
        }
        send_sealed(t); /* replies that reading made: tickets, key updates, alerts */
        if (got > 0) {
            stream_deliver(s, s->loop->plain, got);
        }
        if (s->dead || err == SSL_ERROR_WANT_READ) {
            return;
        }
        if (err == SSL_ERROR_ZERO_RETURN) {
            stream_deliver_eof(s);
        } else if (err != SSL_ERROR_NONE) {
            stream_fail(s, t->why);
        }
    }
}

/* Pumps [p, p+n) and keeps what was not used. */
static void pump_slice(struct tls *t, const char *p, size_t n)
{
    t->in = p;
    t->in_len = n;
    pump_in(t);
    size_t left = t->in_len;
    t->in_len = 0;
    if (t->k.s.dead) {
        return;
    }
    if (t->raw.len > 0) {
        buf_consume(&t->raw, t->raw.len - left);
    } else if (left > 0) {
        buf_append(&t->raw, p + n - left, left);
    }
    t->k.kept = t->raw.len > 0 || SSL_has_pending(t->ssl);
}

static void tls_readable(struct sock *k)
{
    struct tls *t = of(&k->s);
    if (t->raw.len > 0) {
        pump_slice(t, buf_head(&t->raw), t->raw.len);
        if (k->s.dead || k->s.paused || k->s.failed || t->raw.len > 0) {
            return;
        }
    }
    ssize_t n = sock_recv(k, k->s.loop->cipher, loop_read_size(k->s.loop));
    if (n > 0) {
        pump_slice(t, k->s.loop->cipher, (size_t)n);
    } else if (n == SOCK_END) {
        stream_fail(&k->s, t->shaken ? "connection ended without TLS close_notify"
                                     : "connection ended during the TLS handshake");
    }
}

static void run_pump(struct loop_task *task)
{
    struct tls *t = CONTAINER_OF(task, struct tls, pump);
    struct stream *s = &t->k.s;
    if (s->dead || s->failed || s->paused) {
        return;
    }
    pump_slice(t, t->raw.len > 0 ? buf_head(&t->raw) : NULL, t->raw.len);
    if (!s->dead) {
        sock_watch(s);
    }
}

static void tls_watch(struct stream *s)
{
    struct tls *t = of(s);
    if (!s->paused && !s->dead && (t->raw.len > 0 || SSL_has_pending(t->ssl))) {
        loop_defer(s->loop, &t->pump);
    }
    sock_watch(s);
}

/* ---- outgoing ---- */

static bool seal(struct tls *t, const char *p, size_t n)
{
    while (n > 0) {
        int r = SSL_write(t->ssl, p, (int)MIN(n, (size_t)RECORD));
        if (r <= 0) {
            fail_tls(t, r);
            return false;
        }
        p += r;
        n -= (size_t)r;
    }
    return true;
}

static void tls_write(struct stream *s, const struct iovec *iov, int cnt)
{
    struct tls *t = of(s);
    size_t total = 0;
    for (int i = 0; i < cnt; i++) {
        total += iov[i].iov_len;
    }
    ERR_clear_error();
    if (cnt > 1 && total <= RECORD) {
        char one[RECORD]; /* a head and a small body: one record, not two */
        size_t n = 0;
        for (int i = 0; i < cnt; i++) {
            memcpy(one + n, iov[i].iov_base, iov[i].iov_len);
            n += iov[i].iov_len;
        }
        if (!seal(t, one, n)) {
            return;
        }
    } else {
        for (int i = 0; i < cnt; i++) {
            if (!seal(t, iov[i].iov_base, iov[i].iov_len)) {
                return;
            }
        }
    }
    send_sealed(t);
}

static void tls_fin(struct stream *s)
{
    struct tls *t = of(s);
    ERR_clear_error();
    SSL_shutdown(t->ssl);
    send_sealed(t);
    sock_fin(s);
}

/* ---- life ---- */

static void tls_destroy(struct stream *s, bool abort)
{
    struct tls *t = of(s);
    /* With bytes of a record still unsent nothing that follows would make sense to the peer. */
    if (!abort && t->shaken && !s->fin_sent && !s->failed && !s->blocked) {
        ERR_clear_error();
        SSL_shutdown(t->ssl);
        if (t->sealed > 0) {
            /* Best effort: the descriptor is closed next, nothing can wait for it. */
            ssize_t n UNUSED = send(t->k.fd, s->loop->sealed, t->sealed, MSG_NOSIGNAL);
            t->sealed = 0;
        }
    }
    loop_cancel(&t->pump);
    buf_free(&t->raw);
    SSL_free(t->ssl);
    t->ssl = NULL;
    sock_destroy(s, abort);
}

static const struct stream_ops tls_ops = {
    .write = tls_write,
    .fin = tls_fin,
    .watch = tls_watch,
    .destroy = tls_destroy,
};

static struct tls *tls_new(struct loop *l, SSL_CTX *ctx, int fd)
{
    const BIO_METHOD *method = bio_method();
    SSL *ssl = method ? SSL_new(ctx) : NULL;
    BIO *bio = ssl ? BIO_new(method) : NULL;
    if (!bio) {
        SSL_free(ssl);
        close(fd);
        errno = ENOMEM;
        return NULL;
    }
    struct tls *t = xcalloc(1, sizeof(*t));
    if (sock_setup(&t->k, l, &tls_ops, fd) < 0) {
        BIO_free(bio);
        SSL_free(ssl);
        free(t);
        return NULL;
    }
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    t->ssl = ssl;
    t->pump.run = run_pump;
    t->k.readable = tls_readable;
    return t;
}

struct stream *tls_accept(struct loop *l, SSL_CTX *ctx, int fd, const void *early, size_t n)
{
    struct tls *t = tls_new(l, ctx, fd);
    if (!t) {
        return NULL;
    }
    SSL_set_accept_state(t->ssl);
    if (n > 0) {
        buf_append(&t->raw, early, n);
        loop_defer(l, &t->pump);
    }
    sock_watch(&t->k.s);
    return &t->k.s;
}

struct stream *tls_client(struct loop *l, SSL_CTX *ctx, const char *name, int fd)
{
    struct tls *t = tls_new(l, ctx, fd);
    if (!t) {
        return NULL;
    }
    SSL_set_connect_state(t->ssl);
    if (name && (SSL_set_tlsext_host_name(t->ssl, name) != 1 || SSL_set1_host(t->ssl, name) != 1)) {
        stream_close(&t->k.s);
        errno = EINVAL;
        return NULL;
    }
    loop_defer(l, &t->pump); /* sends the ClientHello */
    sock_watch(&t->k.s);
    return &t->k.s;
}

SSL *tls_ssl(struct stream *s)
{
    return s->ops == &tls_ops ? of(s)->ssl : NULL;
}
