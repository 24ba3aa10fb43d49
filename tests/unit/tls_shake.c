#include "tests/unit/tls_shake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/err.h>

enum { DAY = 24 * 3600, TEXT = 256 };

static char dir[] = "/tmp/test_tls.XXXXXX";
static struct shake_pki ours, theirs;

/* Several results are held at a time, hence the ring. */
const char *shake_at(const char *name)
{
    static char ring[8][128];
    static unsigned int next;
    char *p = ring[next++ % ARRAY_LEN(ring)];

    snprintf(p, sizeof(ring[0]), "%s/%s", dir, name);
    return p;
}

void shake_put(const char *name, const char *text)
{
    FILE *f = fopen(shake_at(name), "w");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

void shake_put2(const char *name, const char *a, const char *b, const char *c)
{
    char text[16384];

    snprintf(text, sizeof(text), "%s%s%s", a, b, c);
    shake_put(name, text);
}

/* Signs anew with other dates. */
static void make_old(struct shake_pki *p, struct certs_pair *out, enum certs_role role)
{
    char err[TEXT];
    EVP_PKEY *key = certs_key_new(err, sizeof(err));
    X509 *x = certs_make(role, "harp.nc", key, &p->by, 10, err, sizeof(err));

    assert_non_null(x);
    ASN1_TIME_set(X509_getm_notBefore(x), time(NULL) - 20 * DAY);
    ASN1_TIME_set(X509_getm_notAfter(x), time(NULL) - 2 * DAY - 60);
    assert_true(X509_sign(x, p->by.key, EVP_sha256()) > 0);
    assert_int_equal(certs_pair_encode(out, x, key, err, sizeof(err)), 0);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void make_pki(struct shake_pki *p)
{
    char err[TEXT];

    p->by.key = certs_key_new(err, sizeof(err));
    p->by.cert = certs_make(CERTS_ROLE_CA, "harp.nc", p->by.key, NULL, 100, err, sizeof(err));
    assert_non_null(p->by.cert);
    assert_int_equal(certs_pair_encode(&p->ca, p->by.cert, p->by.key, err, sizeof(err)), 0);
    assert_int_equal(
        certs_make_pair(&p->server, CERTS_ROLE_SERVER, "harp.nc", &p->by, 10, err, sizeof(err)), 0);
    assert_int_equal(certs_make_pair(&p->client, CERTS_ROLE_CLIENT, "harp.client.nc", &p->by, 10,
                                     err, sizeof(err)),
                     0);
    make_old(p, &p->old, CERTS_ROLE_CLIENT);
}

static void free_pki(struct shake_pki *p)
{
    certs_pair_free(&p->ca);
    certs_pair_free(&p->server);
    certs_pair_free(&p->client);
    certs_pair_free(&p->old);
    X509_free(p->by.cert);
    EVP_PKEY_free(p->by.key);
}

int shake_set_up(void **state)
{
    struct certs_pair old_server = {0};

    (void)state;
    if (!mkdtemp(dir))
        return -1;
    make_pki(&ours);
    make_pki(&theirs);
    make_old(&ours, &old_server, CERTS_ROLE_SERVER);
    shake_put("ca.crt", ours.ca.cert);
    shake_put("server.crt", ours.server.cert);
    shake_put("server.key", ours.server.key);
    shake_put("client.crt", ours.client.cert);
    shake_put("client.key", ours.client.key);
    shake_put("old.crt", ours.old.cert);
    shake_put("old.key", ours.old.key);
    shake_put2("oldcert.pem", old_server.cert, old_server.key, "");
    shake_put("their-ca.crt", theirs.ca.cert);
    shake_put("their-client.crt", theirs.client.cert);
    shake_put("their-client.key", theirs.client.key);
    shake_put2("cert.pem", ours.server.cert, ours.ca.cert, ours.server.key);
    certs_pair_free(&old_server);
    return 0;
}

int shake_tear_down(void **state)
{
    char cmd[64];

    (void)state;
    free_pki(&ours);
    free_pki(&theirs);
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
    return system(cmd);
}

const struct shake_pki *shake_ours(void)
{
    return &ours;
}

SSL_CTX *shake_must(SSL_CTX *ctx, const struct tls_report *r)
{
    if (!ctx)
        fail_msg("%s", r->error);
    return ctx;
}

void shake_start(struct shake *s, SSL_CTX *server, SSL_CTX *client)
{
    BIO *a, *b;

    memset(s, 0, sizeof(*s));
    s->server = SSL_new(server);
    s->client = SSL_new(client);
    assert_int_equal(BIO_new_bio_pair(&a, 65536, &b, 65536), 1);
    SSL_set_bio(s->server, a, a);
    SSL_set_bio(s->client, b, b);
    SSL_set_accept_state(s->server);
    SSL_set_connect_state(s->client);
}

/* True when the end is done or has failed. */
static bool step(SSL *ssl, char *text)
{
    int r = SSL_do_handshake(ssl), e = SSL_get_error(ssl, r);

    if (r == 1)
        return true;
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return false;
    tls_error_text(ssl, r, text, TLS_TEXT_SIZE);
    assert_int_equal(ERR_peek_error(), 0);
    return true;
}

/* With TLS 1.3 a client is done before the server has seen its certificate, and learns the verdict
 * from its first read; the byte written by the server tells a good end from a bad one. */
void shake_run(struct shake *s)
{
    char c = 'x';
    int r;

    for (int i = 0; i < 12; i++) {
        bool client = s->client_text[0] || step(s->client, s->client_text);
        bool server = s->server_text[0] || step(s->server, s->server_text);

        if (client && server)
            break;
    }
    if (!s->server_text[0] && SSL_is_init_finished(s->server))
        assert_int_equal(SSL_write(s->server, &c, 1), 1);
    if (!s->client_text[0]) {
        r = SSL_read(s->client, &c, 1);
        s->ok = r == 1;
        if (r <= 0)
            tls_error_text(s->client, r, s->client_text, sizeof(s->client_text));
    }
    ERR_clear_error();
}

void shake_end(struct shake *s)
{
    SSL_free(s->server);
    SSL_free(s->client);
}

SSL_CTX *shake_hub(void)
{
    struct tls_report r;

    return shake_must(
        tls_server_tunnel(shake_at("server.crt"), shake_at("server.key"), shake_at("ca.crt"), &r),
        &r);
}

SSL_CTX *shake_client(const char *pair, const char *ca, const char *name)
{
    struct tls_report r;
    char crt[64], key[64];

    snprintf(crt, sizeof(crt), "%s.crt", pair ? pair : "");
    snprintf(key, sizeof(key), "%s.key", pair ? pair : "");
    return shake_must(tls_client_tunnel(pair ? shake_at(crt) : NULL, pair ? shake_at(key) : NULL,
                                        ca ? shake_at(ca) : NULL, name, &r),
                      &r);
}

SSL_CTX *shake_public(const char *file)
{
    struct tls_report r;

    return shake_must(tls_server_public(shake_at(file), &r), &r);
}

SSL_CTX *shake_browser(int min, int max)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, min);
    SSL_CTX_set_max_proto_version(ctx, max);
    return ctx;
}
