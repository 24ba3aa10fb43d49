/* TLS contexts: handshakes between them in memory, and what failures are called. */
#include "common/crypto/tls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "hub/certs_make.h"

enum { DAY = 24 * 3600, TEXT = 256 };

static char dir[] = "/tmp/test_tls.XXXXXX";

/* Several results are held at a time, hence the ring. */
static const char *at(const char *name)
{
    static char ring[8][128];
    static unsigned int next;
    char *p = ring[next++ % ARRAY_LEN(ring)];

    snprintf(p, sizeof(ring[0]), "%s/%s", dir, name);
    return p;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "w");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void put2(const char *name, const char *a, const char *b, const char *c)
{
    char text[16384];

    snprintf(text, sizeof(text), "%s%s%s", a, b, c);
    put(name, text);
}

/* A CA with what it signed. */
struct pki {
    struct certs_issuer by;
    struct certs_pair ca, server, client, old;
};

static struct pki ours, theirs;

/* Signs anew with other dates. */
static void make_old(struct pki *p, struct certs_pair *out, enum certs_role role)
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

static void make_pki(struct pki *p)
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

static void free_pki(struct pki *p)
{
    certs_pair_free(&p->ca);
    certs_pair_free(&p->server);
    certs_pair_free(&p->client);
    certs_pair_free(&p->old);
    X509_free(p->by.cert);
    EVP_PKEY_free(p->by.key);
}

static int set_up(void **state)
{
    struct certs_pair old_server = {0};

    (void)state;
    if (!mkdtemp(dir))
        return -1;
    make_pki(&ours);
    make_pki(&theirs);
    make_old(&ours, &old_server, CERTS_ROLE_SERVER);
    put("ca.crt", ours.ca.cert);
    put("server.crt", ours.server.cert);
    put("server.key", ours.server.key);
    put("client.crt", ours.client.cert);
    put("client.key", ours.client.key);
    put("old.crt", ours.old.cert);
    put("old.key", ours.old.key);
    put2("oldcert.pem", old_server.cert, old_server.key, "");
    put("their-ca.crt", theirs.ca.cert);
    put("their-client.crt", theirs.client.cert);
    put("their-client.key", theirs.client.key);
    put2("cert.pem", ours.server.cert, ours.ca.cert, ours.server.key);
    certs_pair_free(&old_server);
    return 0;
}

static int tear_down(void **state)
{
    char cmd[64];

    (void)state;
    free_pki(&ours);
    free_pki(&theirs);
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
    return system(cmd);
}

/* One handshake: two ends and how each of them fared. */
struct shake {
    SSL *server, *client;
    char server_text[TLS_TEXT_SIZE], client_text[TLS_TEXT_SIZE];
    bool ok;
};

static SSL_CTX *must(SSL_CTX *ctx, const struct tls_report *r)
{
    if (!ctx)
        fail_msg("%s", r->error);
    return ctx;
}

static void start(struct shake *s, SSL_CTX *server, SSL_CTX *client)
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
static void run(struct shake *s)
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

static void end(struct shake *s)
{
    SSL_free(s->server);
    SSL_free(s->client);
}

static SSL_CTX *hub_ctx(void)
{
    struct tls_report r;

    return must(tls_server_tunnel(at("server.crt"), at("server.key"), at("ca.crt"), &r), &r);
}

/* NULL for a file: that file is not set. */
static SSL_CTX *client_ctx(const char *pair, const char *ca, const char *name)
{
    struct tls_report r;
    char crt[64], key[64];

    snprintf(crt, sizeof(crt), "%s.crt", pair ? pair : "");
    snprintf(key, sizeof(key), "%s.key", pair ? pair : "");
    return must(tls_client_tunnel(pair ? at(crt) : NULL, pair ? at(key) : NULL, ca ? at(ca) : NULL,
                                  name, &r),
                &r);
}

static SSL_CTX *public_ctx(const char *file)
{
    struct tls_report r;

    return must(tls_server_public(at(file), &r), &r);
}

static SSL_CTX *browser_ctx(int min, int max)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, min);
    SSL_CTX_set_max_proto_version(ctx, max);
    return ctx;
}

static const int both_versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void mutual_tls_succeeds(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(both_versions); i++) {
        SSL_CTX *hub = hub_ctx(), *client = client_ctx("client", "ca.crt", "harp.nc");
        struct shake s;

        SSL_CTX_set_max_proto_version(client, both_versions[i]);
        start(&s, hub, client);
        run(&s);
        assert_string_equal(s.server_text, "");
        assert_string_equal(s.client_text, "");
        assert_true(s.ok);
        assert_int_equal(SSL_version(s.server), both_versions[i]);
        assert_int_equal(SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(s.server)),
                         NID_aes_128_gcm);
        assert_non_null(SSL_get0_peer_certificate(s.server));
        end(&s);
        SSL_CTX_free(hub);
        SSL_CTX_free(client);
    }
}

static void tunnel_refusals_say_why_on_both_sides(void **state)
{
    static const struct {
        const char *pair, *ca, *name, *server_says, *client_says;
    } cases[] = {
        {NULL, "ca.crt", "harp.nc", "client certificate missing", "wants a client certificate"},
        {"their-client", "ca.crt", "harp.nc", "client's certificate is signed by another CA",
         "does not accept our certificate"},
        {"old", "ca.crt", "harp.nc", "client's certificate, or the CA that signed it, expired",
         "does not accept our certificate: expired"},
        {"server", "ca.crt", "harp.nc", "another purpose", "does not accept our certificate"},
        {"client", "their-ca.crt", "harp.nc", "does not accept our certificate",
         "server's certificate is signed by another CA"},
        {"client", "ca.crt", "hub.example.org", "does not accept our certificate",
         "server's certificate is not for the name hub.example.org"},
        {"client", "ca.crt", "127.0.0.1", "does not accept our certificate",
         "server's certificate is not for the name"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SSL_CTX *hub = hub_ctx(), *client;
        struct shake s;

        if (cases[i].pair && strcmp(cases[i].pair, "old") == 0) {
            /* Our own builder refuses it, so it is loaded past it. */
            client = client_ctx(NULL, cases[i].ca, cases[i].name);
            assert_int_equal(SSL_CTX_use_certificate_file(client, at("old.crt"), SSL_FILETYPE_PEM),
                             1);
            assert_int_equal(SSL_CTX_use_PrivateKey_file(client, at("old.key"), SSL_FILETYPE_PEM),
                             1);
        } else {
            client = client_ctx(cases[i].pair, cases[i].ca, cases[i].name);
        }
        start(&s, hub, client);
        run(&s);
        assert_false(s.ok);
        if (!strstr(s.server_text, cases[i].server_says) ||
            !strstr(s.client_text, cases[i].client_says))
            fail_msg("case %zu: server \"%s\", client \"%s\"", i, s.server_text, s.client_text);
        end(&s);
        SSL_CTX_free(hub);
        SSL_CTX_free(client);
    }
}

static void a_client_without_a_ca_connects_and_says_so(void **state)
{
    SSL_CTX *hub = hub_ctx(), *client;
    struct tls_report r;
    struct shake s;

    (void)state;
    client = tls_client_tunnel(at("client.crt"), at("client.key"), NULL, "anything", &r);
    assert_non_null(client);
    assert_true(r.unverified);
    assert_non_null(strstr(r.warning, "not checked"));
    start(&s, hub, client);
    run(&s);
    assert_true(s.ok);
    end(&s);
    SSL_CTX_free(client);
    client = tls_client_tunnel(at("client.crt"), at("client.key"), at("ca.crt"), "harp.nc", &r);
    assert_non_null(client);
    assert_false(r.unverified);
    assert_string_equal(r.warning, "");
    SSL_CTX_free(client);
    SSL_CTX_free(hub);
}

static void the_tunnel_resumes_nothing(void **state)
{
    SSL_CTX *hub = hub_ctx(), *client = client_ctx("client", "ca.crt", "harp.nc");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(both_versions); i++) {
        struct shake s, again;
        SSL_SESSION *session;

        SSL_CTX_set_max_proto_version(client, both_versions[i]);
        start(&s, hub, client);
        run(&s);
        assert_true(s.ok);
        session = SSL_get1_session(s.client);
        start(&again, hub, client);
        SSL_set_session(again.client, session);
        run(&again);
        assert_true(again.ok);
        assert_false(SSL_session_reused(again.server));
        SSL_SESSION_free(session);
        end(&s);
        end(&again);
    }
    SSL_CTX_free(hub);
    SSL_CTX_free(client);
}

static void public_sessions_resume(void **state)
{
    /* TLS 1.3; TLS 1.2 by ticket; TLS 1.2 from the server's cache. */
    static const struct {
        int version;
        uint64_t options;
    } cases[] = {{TLS1_3_VERSION, 0}, {TLS1_2_VERSION, 0}, {TLS1_2_VERSION, SSL_OP_NO_TICKET}};
    SSL_CTX *web = public_ctx("cert.pem");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SSL_CTX *browser = browser_ctx(cases[i].version, cases[i].version);
        struct shake s, again;
        SSL_SESSION *session;

        SSL_CTX_set_options(browser, cases[i].options);
        start(&s, web, browser);
        SSL_set_tlsext_host_name(s.client, "one.example");
        run(&s);
        assert_true(s.ok);
        assert_false(SSL_session_reused(s.server));
        session = SSL_get1_session(s.client);
        start(&again, web, browser);
        SSL_set_session(again.client, session);
        SSL_set_tlsext_host_name(again.client, "one.example");
        run(&again);
        assert_true(again.ok);
        assert_true(SSL_session_reused(again.server));
        SSL_SESSION_free(session);
        end(&s);
        end(&again);
        SSL_CTX_free(browser);
    }
    assert_true(SSL_CTX_sess_get_cache_size(web) > 0);
    assert_true(SSL_CTX_sess_get_cache_size(web) <= 4096);
    SSL_CTX_free(web);
}

static void public_alpn_takes_http11_only(void **state)
{
    static const struct {
        const char *offer;
        unsigned int n;
        bool ok;
    } cases[] = {
        {"\x08http/1.1", 9, true},
        {"\x02h2\x08http/1.1", 12, true},
        {"\x08http/1.1\x02h2", 12, true},
        {"\x02h2", 3, false},
        {"\x08http/1.0", 9, false},
        {"\x09http/1.10", 10, false},
        {NULL, 0, true},
    };
    SSL_CTX *web = public_ctx("cert.pem");
    SSL_CTX *browser = browser_ctx(TLS1_2_VERSION, TLS1_3_VERSION);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const unsigned char *got;
        unsigned int n;
        struct shake s;

        start(&s, web, browser);
        if (cases[i].offer)
            assert_int_equal(
                SSL_set_alpn_protos(s.client, (const unsigned char *)cases[i].offer, cases[i].n),
                0);
        run(&s);
        assert_int_equal(s.ok, cases[i].ok);
        SSL_get0_alpn_selected(s.client, &got, &n);
        if (cases[i].ok && cases[i].offer) {
            assert_int_equal(n, 8);
            assert_memory_equal(got, "http/1.1", 8);
        } else {
            assert_int_equal(n, 0);
        }
        if (!cases[i].ok) {
            assert_non_null(strstr(s.server_text, "ALPN"));
            assert_non_null(strstr(s.client_text, "ALPN"));
        }
        end(&s);
    }
    SSL_CTX_free(web);
    SSL_CTX_free(browser);
}

static void tls_1_1_is_refused(void **state)
{
    SSL_CTX *servers[] = {public_ctx("cert.pem"), hub_ctx()};
    SSL_CTX *browser = browser_ctx(TLS1_VERSION, TLS1_1_VERSION);

    (void)state;
    SSL_CTX_set_cipher_list(browser, "ALL:@SECLEVEL=0");
    for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
        struct shake s;

        /* So that only the version can be the reason. */
        SSL_CTX_set_security_level(servers[i], 0);
        start(&s, servers[i], browser);
        run(&s);
        assert_false(s.ok);
        assert_non_null(strstr(s.server_text, "older than 1.2"));
        assert_non_null(strstr(s.client_text, "no TLS version in common"));
        end(&s);
        SSL_CTX_free(servers[i]);
    }
    SSL_CTX_free(browser);
}

static void plain_bytes_are_called_plain_bytes(void **state)
{
    static const struct {
        const char *p;
        int n;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", 18},       {"CONNECT a:1 HTTP/1.1\r\n\r\n", 24},
        {"o\0\0\0\0\0\0\0\x02{}", 11},        {"SSH-2.0-x\r\n", 11},
        {"\0\0\0\x01\0\0\0\x01\0\0\0\0", 12},
    };
    SSL_CTX *hub = hub_ctx();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[TLS_TEXT_SIZE] = "";
        SSL *ssl = SSL_new(hub);
        BIO *a, *b;

        assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
        SSL_set_bio(ssl, a, a);
        assert_int_equal(BIO_write(b, cases[i].p, cases[i].n), cases[i].n);
        tls_error_text(ssl, SSL_accept(ssl), text, sizeof(text));
        if (!strstr(text, "plain bytes instead of TLS"))
            fail_msg("case %zu: %s", i, text);
        BIO_free(b);
        SSL_free(ssl);
    }
    SSL_CTX_free(hub);
}

static void other_failures_have_words_too(void **state)
{
    SSL_CTX *hub = hub_ctx(), *client = client_ctx("client", "ca.crt", "harp.nc");
    char text[TLS_TEXT_SIZE];
    struct shake s;

    (void)state;
    start(&s, hub, client);
    run(&s);
    assert_true(s.ok);
    SSL_shutdown(s.client);
    tls_error_text(s.server, SSL_read(s.server, text, 1), text, sizeof(text));
    assert_string_equal(text, "the other side ended TLS");
    end(&s);

    /* Cut without close_notify. */
    start(&s, hub, client);
    run(&s);
    assert_true(s.ok);
    BIO_shutdown_wr(SSL_get_wbio(s.client));
    tls_error_text(s.server, SSL_read(s.server, text, 1), text, sizeof(text));
    assert_non_null(strstr(text, "without ending TLS"));
    tls_error_text(s.server, -1, text, 4); /* a short buffer is cut, not overrun */
    assert_int_equal(strlen(text), 3);
    end(&s);
    SSL_CTX_free(hub);
    SSL_CTX_free(client);
}

static void the_public_pem_may_be_in_any_order(void **state)
{
    char err[TEXT];
    struct certs_issuer inter = {0};
    struct certs_pair inter_pem, leaf;
    static const char params[] = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
                                 "-----END EC PARAMETERS-----\n";
    char text[16384];
    const char *part[5];
    static const int orders[][5] = {
        {0, 1, 2, 3, 4},
        {3, 4, 1, 2, 0},
        {2, 1, 0, 4, 3},
        {1, 3, 2, 4, 0},
    };

    (void)state;
    /* leaf <- inter <- root */
    inter.key = certs_key_new(err, sizeof(err));
    inter.cert = certs_make(CERTS_ROLE_CA, "inter", inter.key, &ours.by, 50, err, sizeof(err));
    assert_int_equal(certs_pair_encode(&inter_pem, inter.cert, inter.key, err, sizeof(err)), 0);
    assert_int_equal(
        certs_make_pair(&leaf, CERTS_ROLE_SERVER, "www.example", &inter, 10, err, sizeof(err)), 0);
    part[0] = leaf.cert;
    part[1] = inter_pem.cert;
    part[2] = ours.ca.cert;
    part[3] = leaf.key;
    part[4] = params;
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        const int *o = orders[i];
        SSL_CTX *web, *browser = browser_ctx(TLS1_2_VERSION, TLS1_3_VERSION);
        struct shake s;

        snprintf(text, sizeof(text), "%s%s%s%s%s", part[o[0]], part[o[1]], part[o[2]], part[o[3]],
                 part[o[4]]);
        put("mixed.pem", text);
        web = public_ctx("mixed.pem");
        SSL_CTX_set_verify(browser, SSL_VERIFY_PEER, NULL);
        assert_int_equal(SSL_CTX_load_verify_locations(browser, at("ca.crt"), NULL), 1);
        start(&s, web, browser);
        SSL_set1_host(s.client, "www.example");
        run(&s);
        assert_true(s.ok);
        /* leaf and intermediate, not the root */
        assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(s.client)), 2);
        end(&s);
        SSL_CTX_free(web);
        SSL_CTX_free(browser);
    }
    certs_pair_free(&inter_pem);
    certs_pair_free(&leaf);
    X509_free(inter.cert);
    EVP_PKEY_free(inter.key);
}

static void the_public_key_may_stand_beside(void **state)
{
    struct tls_report r;
    SSL_CTX *ctx;

    (void)state;
    put("lone.pem", ours.server.cert);
    assert_null(tls_server_public(at("lone.pem"), &r));
    assert_non_null(strstr(r.error, "lone.pem: holds no private key"));
    assert_non_null(strstr(r.error, "lone.pem.key"));
    put("key.pem", ours.server.key);
    ctx = must(tls_server_public(at("lone.pem"), &r), &r);
    SSL_CTX_free(ctx);
    /* The nearer name goes first, and is judged by its content. */
    put("lone.pem.key", ours.client.key);
    assert_null(tls_server_public(at("lone.pem"), &r));
    assert_non_null(strstr(r.error, "lone.pem.key: the key does not match"));
    put("lone.pem.key", ours.server.key);
    unlink(at("key.pem"));
    ctx = must(tls_server_public(at("lone.pem"), &r), &r);
    SSL_CTX_free(ctx);
}

static void an_expired_public_certificate_is_served_with_a_warning(void **state)
{
    struct tls_report r;
    SSL_CTX *ctx;

    (void)state;
    ctx = must(tls_server_public(at("oldcert.pem"), &r), &r);
    assert_non_null(strstr(r.warning, "oldcert.pem: the certificate expired on 2"));
    SSL_CTX_free(ctx);
}

static void bad_files_are_named_with_the_reason(void **state)
{
    static const char under_passphrase[] =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    static const char broken[] = "-----BEGIN CERTIFICATE-----\n####\n-----END CERTIFICATE-----\n";
    static const char not_der[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    static const struct {
        const char *cert, *key, *ca, *says;
    } cases[] = {
        {"nowhere.crt", "server.key", "ca.crt", "nowhere.crt: cannot be read: No such file"},
        {"server.crt", "nowhere.key", "ca.crt", "nowhere.key: cannot be read: No such file"},
        {"server.crt", "server.key", "nowhere", "nowhere: cannot be read: No such file"},
        {"", "server.key", "ca.crt", "cannot be read: is not a regular file"},
        {"empty", "server.key", "ca.crt", "empty: is empty"},
        {"text", "server.key", "ca.crt", "text: is not PEM: it holds neither"},
        {"der", "server.key", "ca.crt", "der: is not PEM (it looks like DER"},
        {"broken", "server.key", "ca.crt", "broken: holds a broken PEM block"},
        {"not_der", "server.key", "ca.crt", "not_der: holds a certificate that cannot be read"},
        {"server.crt", "server.crt", "ca.crt", "server.crt: holds no private key"},
        {"server.key", "server.key", "ca.crt", "server.key: holds no certificate"},
        {"server.crt", "client.key", "ca.crt", "client.key: the key does not match"},
        {"server.crt", "locked.key", "ca.crt", "locked.key: holds a private key under a passph"},
        {"server.crt", "two.key", "ca.crt", "two.key: holds more than one private key"},
        {"old.crt", "old.key", "ca.crt", "old.crt: the certificate expired on 2"},
        {"server.crt", "server.key", "client.crt", "client.crt: the certificate is not one of a"},
        {"big", "server.key", "ca.crt", "big: cannot be read: is larger than 1 MiB"},
    };
    char *big = malloc(1024 * 1024 + 2);

    (void)state;
    assert_non_null(big);
    memset(big, 'a', 1024 * 1024 + 1);
    big[1024 * 1024 + 1] = '\0';
    put("big", big);
    free(big);
    put("empty", "");
    put("text", "nothing of interest\n");
    put("der", "0\x82\x01");
    put("broken", broken);
    put("not_der", not_der);
    put("locked.key", under_passphrase);
    put2("two.key", ours.server.key, ours.client.key, "");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tls_report r;
        SSL_CTX *ctx = tls_server_tunnel(at(cases[i].cert), at(cases[i].key), at(cases[i].ca), &r);

        assert_null(ctx);
        if (!strstr(r.error, cases[i].says) || strncmp(r.error, dir, strlen(dir)) != 0)
            fail_msg("case %zu: %s", i, r.error);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

static void half_a_client_pair_or_no_name_is_refused(void **state)
{
    struct tls_report r;

    (void)state;
    assert_null(tls_client_tunnel(at("client.crt"), NULL, at("ca.crt"), "harp.nc", &r));
    assert_non_null(strstr(r.error, "client.crt: a certificate and its key are set together"));
    assert_null(tls_client_tunnel(NULL, at("client.key"), at("ca.crt"), "harp.nc", &r));
    assert_null(tls_client_tunnel(NULL, NULL, at("ca.crt"), "", &r));
    assert_non_null(strstr(r.error, "server name"));
    assert_null(tls_client_tunnel(NULL, NULL, at("ca.crt"), NULL, &r));
}

static void days_left_are_counted(void **state)
{
    char err[TEXT];
    int64_t days;

    (void)state;
    assert_int_equal(tls_cert_days_left(at("server.crt"), &days, err, sizeof(err)), 0);
    assert_in_range(days, 9, 10);
    assert_int_equal(tls_cert_days_left(at("ca.crt"), &days, err, sizeof(err)), 0);
    assert_in_range(days, 99, 100);
    /* The CA in the same file lasts longer and comes second. */
    assert_int_equal(tls_cert_days_left(at("cert.pem"), &days, err, sizeof(err)), 0);
    assert_in_range(days, 9, 10);
    /* Ended two days and a minute ago. */
    assert_int_equal(tls_cert_days_left(at("old.crt"), &days, err, sizeof(err)), 0);
    assert_int_equal(days, -3);
    assert_true(tls_cert_days_left(at("server.key"), &days, err, sizeof(err)) < 0);
    assert_non_null(strstr(err, "server.key: holds no certificate"));
}

static void contexts_carry_the_promised_options(void **state)
{
    SSL_CTX *all[] = {public_ctx("cert.pem"), hub_ctx(), client_ctx("client", "ca.crt", "harp.nc")};
    const long modes = SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_int_equal(SSL_CTX_get_mode(all[i]) & modes, modes);
        assert_true(SSL_CTX_get_options(all[i]) & SSL_OP_NO_RENEGOTIATION);
        assert_false(SSL_CTX_get_options(all[i]) & SSL_OP_IGNORE_UNEXPECTED_EOF);
        assert_int_equal(SSL_CTX_get_min_proto_version(all[i]), TLS1_2_VERSION);
        SSL_CTX_free(all[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutual_tls_succeeds),
        cmocka_unit_test(tunnel_refusals_say_why_on_both_sides),
        cmocka_unit_test(a_client_without_a_ca_connects_and_says_so),
        cmocka_unit_test(the_tunnel_resumes_nothing),
        cmocka_unit_test(public_sessions_resume),
        cmocka_unit_test(public_alpn_takes_http11_only),
        cmocka_unit_test(tls_1_1_is_refused),
        cmocka_unit_test(plain_bytes_are_called_plain_bytes),
        cmocka_unit_test(other_failures_have_words_too),
        cmocka_unit_test(the_public_pem_may_be_in_any_order),
        cmocka_unit_test(the_public_key_may_stand_beside),
        cmocka_unit_test(an_expired_public_certificate_is_served_with_a_warning),
        cmocka_unit_test(bad_files_are_named_with_the_reason),
        cmocka_unit_test(half_a_client_pair_or_no_name_is_refused),
        cmocka_unit_test(days_left_are_counted),
        cmocka_unit_test(contexts_carry_the_promised_options),
    };

    return cmocka_run_group_tests_name("tls", tests, set_up, tear_down);
}
