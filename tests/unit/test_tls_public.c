/* The TLS context of the public side: resumption, ALPN, and the PEM file it is made from. */
#include "common/crypto/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/tls_shake.h"

enum { TEXT = 256 };

static void public_sessions_resume(void **state)
{
    /* TLS 1.3; TLS 1.2 by ticket; TLS 1.2 from the server's cache. */
    static const struct {
        int version;
        uint64_t options;
    } cases[] = {{TLS1_3_VERSION, 0}, {TLS1_2_VERSION, 0}, {TLS1_2_VERSION, SSL_OP_NO_TICKET}};
    SSL_CTX *web = shake_public("cert.pem");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SSL_CTX *browser = shake_browser(cases[i].version, cases[i].version);
        struct shake s, again;
        SSL_SESSION *session;

        SSL_CTX_set_options(browser, cases[i].options);
        shake_start(&s, web, browser);
        SSL_set_tlsext_host_name(s.client, "one.example");
        shake_run(&s);
        assert_true(s.ok);
        assert_false(SSL_session_reused(s.server));
        session = SSL_get1_session(s.client);
        shake_start(&again, web, browser);
        SSL_set_session(again.client, session);
        SSL_set_tlsext_host_name(again.client, "one.example");
        shake_run(&again);
        assert_true(again.ok);
        assert_true(SSL_session_reused(again.server));
        SSL_SESSION_free(session);
        shake_end(&s);
        shake_end(&again);
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
    SSL_CTX *web = shake_public("cert.pem");
    SSL_CTX *browser = shake_browser(TLS1_2_VERSION, TLS1_3_VERSION);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const unsigned char *got;
        unsigned int n;
        struct shake s;

        shake_start(&s, web, browser);
        if (cases[i].offer)
            assert_int_equal(
                SSL_set_alpn_protos(s.client, (const unsigned char *)cases[i].offer, cases[i].n),
                0);
        shake_run(&s);
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
        shake_end(&s);
    }
    SSL_CTX_free(web);
    SSL_CTX_free(browser);
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
    inter.cert =
        certs_make(CERTS_ROLE_CA, "inter", inter.key, &shake_ours()->by, 50, err, sizeof(err));
    assert_int_equal(certs_pair_encode(&inter_pem, inter.cert, inter.key, err, sizeof(err)), 0);
    assert_int_equal(
        certs_make_pair(&leaf, CERTS_ROLE_SERVER, "www.example", &inter, 10, err, sizeof(err)), 0);
    part[0] = leaf.cert;
    part[1] = inter_pem.cert;
    part[2] = shake_ours()->ca.cert;
    part[3] = leaf.key;
    part[4] = params;
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        const int *o = orders[i];
        SSL_CTX *web, *browser = shake_browser(TLS1_2_VERSION, TLS1_3_VERSION);
        struct shake s;

        snprintf(text, sizeof(text), "%s%s%s%s%s", part[o[0]], part[o[1]], part[o[2]], part[o[3]],
                 part[o[4]]);
        shake_put("mixed.pem", text);
        web = shake_public("mixed.pem");
        SSL_CTX_set_verify(browser, SSL_VERIFY_PEER, NULL);
        assert_int_equal(SSL_CTX_load_verify_locations(browser, shake_at("ca.crt"), NULL), 1);
        shake_start(&s, web, browser);
        SSL_set1_host(s.client, "www.example");
        shake_run(&s);
        assert_true(s.ok);
        /* leaf and intermediate, not the root */
        assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(s.client)), 2);
        shake_end(&s);
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
    shake_put("lone.pem", shake_ours()->server.cert);
    assert_null(tls_server_public(shake_at("lone.pem"), &r));
    assert_non_null(strstr(r.error, "lone.pem: holds no private key"));
    assert_non_null(strstr(r.error, "lone.pem.key"));
    shake_put("key.pem", shake_ours()->server.key);
    ctx = shake_must(tls_server_public(shake_at("lone.pem"), &r), &r);
    SSL_CTX_free(ctx);
    /* The nearer name goes first, and is judged by its content. */
    shake_put("lone.pem.key", shake_ours()->client.key);
    assert_null(tls_server_public(shake_at("lone.pem"), &r));
    assert_non_null(strstr(r.error, "lone.pem.key: the key does not match"));
    shake_put("lone.pem.key", shake_ours()->server.key);
    unlink(shake_at("key.pem"));
    ctx = shake_must(tls_server_public(shake_at("lone.pem"), &r), &r);
    SSL_CTX_free(ctx);
}

static void the_public_key_may_be_named(void **state)
{
    struct tls_report r;
    SSL_CTX *ctx;

    (void)state;
    shake_put("named.pem", shake_ours()->server.cert);
    shake_put("elsewhere", shake_ours()->server.key);
    ctx = shake_must(tls_server_public_pair(shake_at("named.pem"), shake_at("elsewhere"), &r), &r);
    SSL_CTX_free(ctx);
    /* Then no other file counts. */
    shake_put("named.pem.key", shake_ours()->server.key);
    shake_put("elsewhere", shake_ours()->client.key);
    assert_null(tls_server_public_pair(shake_at("named.pem"), shake_at("elsewhere"), &r));
    assert_non_null(strstr(r.error, "elsewhere: the key does not match"));
    shake_put("elsewhere", shake_ours()->server.cert);
    assert_null(tls_server_public_pair(shake_at("named.pem"), shake_at("elsewhere"), &r));
    assert_non_null(strstr(r.error, "elsewhere: holds no private key"));
    unlink(shake_at("elsewhere"));
    assert_null(tls_server_public_pair(shake_at("named.pem"), shake_at("elsewhere"), &r));
    assert_non_null(strstr(r.error, "elsewhere: cannot be read"));
}

static void an_expired_public_certificate_is_served_with_a_warning(void **state)
{
    struct tls_report r;
    SSL_CTX *ctx;

    (void)state;
    ctx = shake_must(tls_server_public(shake_at("oldcert.pem"), &r), &r);
    assert_non_null(strstr(r.warning, "oldcert.pem: the certificate expired on 2"));
    SSL_CTX_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_sessions_resume),
        cmocka_unit_test(public_alpn_takes_http11_only),
        cmocka_unit_test(the_public_pem_may_be_in_any_order),
        cmocka_unit_test(the_public_key_may_stand_beside),
        cmocka_unit_test(the_public_key_may_be_named),
        cmocka_unit_test(an_expired_public_certificate_is_served_with_a_warning),
    };

    return cmocka_run_group_tests_name("tls_public", tests, shake_set_up, shake_tear_down);
}
