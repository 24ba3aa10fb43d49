/* The tunnel's TLS contexts and what all contexts share: handshakes in memory, which files are
 * refused, and what failures are called. */
#include "common/crypto/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/err.h>

#include "tests/unit/tls_shake.h"

enum { TEXT = 256 };

static const int both_versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void mutual_tls_succeeds(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(both_versions); i++) {
        SSL_CTX *hub = shake_hub(), *client = shake_client("client", "ca.crt", "harp.nc");
        struct shake s;

        SSL_CTX_set_max_proto_version(client, both_versions[i]);
        shake_start(&s, hub, client);
        shake_run(&s);
        assert_string_equal(s.server_text, "");
        assert_string_equal(s.client_text, "");
        assert_true(s.ok);
        assert_int_equal(SSL_version(s.server), both_versions[i]);
        assert_int_equal(SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(s.server)),
                         NID_aes_128_gcm);
        assert_non_null(SSL_get0_peer_certificate(s.server));
        shake_end(&s);
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
        SSL_CTX *hub = shake_hub(), *client;
        struct shake s;

        if (cases[i].pair && strcmp(cases[i].pair, "old") == 0) {
            /* Our own builder refuses it, so it is loaded past it. */
            client = shake_client(NULL, cases[i].ca, cases[i].name);
            assert_int_equal(
                SSL_CTX_use_certificate_file(client, shake_at("old.crt"), SSL_FILETYPE_PEM), 1);
            assert_int_equal(
                SSL_CTX_use_PrivateKey_file(client, shake_at("old.key"), SSL_FILETYPE_PEM), 1);
        } else {
            client = shake_client(cases[i].pair, cases[i].ca, cases[i].name);
        }
        shake_start(&s, hub, client);
        shake_run(&s);
        assert_false(s.ok);
        if (!strstr(s.server_text, cases[i].server_says) ||
            !strstr(s.client_text, cases[i].client_says))
            fail_msg("case %zu: server \"%s\", client \"%s\"", i, s.server_text, s.client_text);
        shake_end(&s);
        SSL_CTX_free(hub);
        SSL_CTX_free(client);
    }
}

static void a_client_without_a_ca_connects_and_says_so(void **state)
{
    SSL_CTX *hub = shake_hub(), *client;
    struct tls_report r;
    struct shake s;

    (void)state;
    client =
        tls_client_tunnel(shake_at("client.crt"), shake_at("client.key"), NULL, "anything", &r);
    assert_non_null(client);
    assert_true(r.unverified);
    assert_non_null(strstr(r.warning, "not checked"));
    shake_start(&s, hub, client);
    shake_run(&s);
    assert_true(s.ok);
    shake_end(&s);
    SSL_CTX_free(client);
    client = tls_client_tunnel(shake_at("client.crt"), shake_at("client.key"), shake_at("ca.crt"),
                               "harp.nc", &r);
    assert_non_null(client);
    assert_false(r.unverified);
    assert_string_equal(r.warning, "");
    SSL_CTX_free(client);
    SSL_CTX_free(hub);
}

static void the_tunnel_resumes_nothing(void **state)
{
    SSL_CTX *hub = shake_hub(), *client = shake_client("client", "ca.crt", "harp.nc");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(both_versions); i++) {
        struct shake s, again;
        SSL_SESSION *session;

        SSL_CTX_set_max_proto_version(client, both_versions[i]);
        shake_start(&s, hub, client);
        shake_run(&s);
        assert_true(s.ok);
        session = SSL_get1_session(s.client);
        shake_start(&again, hub, client);
        SSL_set_session(again.client, session);
        shake_run(&again);
        assert_true(again.ok);
        assert_false(SSL_session_reused(again.server));
        SSL_SESSION_free(session);
        shake_end(&s);
        shake_end(&again);
    }
    SSL_CTX_free(hub);
    SSL_CTX_free(client);
}

static void tls_1_1_is_refused(void **state)
{
    SSL_CTX *servers[] = {shake_public("cert.pem"), shake_hub()};
    SSL_CTX *browser = shake_browser(TLS1_VERSION, TLS1_1_VERSION);

    (void)state;
    SSL_CTX_set_cipher_list(browser, "ALL:@SECLEVEL=0");
    for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
        struct shake s;

        /* So that only the version can be the reason. */
        SSL_CTX_set_security_level(servers[i], 0);
        shake_start(&s, servers[i], browser);
        shake_run(&s);
        assert_false(s.ok);
        assert_non_null(strstr(s.server_text, "older than 1.2"));
        assert_non_null(strstr(s.client_text, "no TLS version in common"));
        shake_end(&s);
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
    SSL_CTX *hub = shake_hub();

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
    SSL_CTX *hub = shake_hub(), *client = shake_client("client", "ca.crt", "harp.nc");
    char text[TLS_TEXT_SIZE];
    struct shake s;

    (void)state;
    shake_start(&s, hub, client);
    shake_run(&s);
    assert_true(s.ok);
    SSL_shutdown(s.client);
    tls_error_text(s.server, SSL_read(s.server, text, 1), text, sizeof(text));
    assert_string_equal(text, "the other side ended TLS");
    shake_end(&s);

    /* Cut without close_notify. */
    shake_start(&s, hub, client);
    shake_run(&s);
    assert_true(s.ok);
    BIO_shutdown_wr(SSL_get_wbio(s.client));
    tls_error_text(s.server, SSL_read(s.server, text, 1), text, sizeof(text));
    assert_non_null(strstr(text, "without ending TLS"));
    tls_error_text(s.server, -1, text, 4); /* a short buffer is cut, not overrun */
    assert_int_equal(strlen(text), 3);
    shake_end(&s);
    SSL_CTX_free(hub);
    SSL_CTX_free(client);
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
    shake_put("big", big);
    free(big);
    shake_put("empty", "");
    shake_put("text", "nothing of interest\n");
    shake_put("der", "0\x82\x01");
    shake_put("broken", broken);
    shake_put("not_der", not_der);
    shake_put("locked.key", under_passphrase);
    shake_put2("two.key", shake_ours()->server.key, shake_ours()->client.key, "");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *folder = shake_at("");
        struct tls_report r;
        SSL_CTX *ctx = tls_server_tunnel(shake_at(cases[i].cert), shake_at(cases[i].key),
                                         shake_at(cases[i].ca), &r);

        assert_null(ctx);
        if (!strstr(r.error, cases[i].says) || strncmp(r.error, folder, strlen(folder)) != 0)
            fail_msg("case %zu: %s", i, r.error);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

static void half_a_client_pair_or_no_name_is_refused(void **state)
{
    struct tls_report r;

    (void)state;
    assert_null(tls_client_tunnel(shake_at("client.crt"), NULL, shake_at("ca.crt"), "harp.nc", &r));
    assert_non_null(strstr(r.error, "client.crt: a certificate and its key are set together"));
    assert_null(tls_client_tunnel(NULL, shake_at("client.key"), shake_at("ca.crt"), "harp.nc", &r));
    assert_null(tls_client_tunnel(NULL, NULL, shake_at("ca.crt"), "", &r));
    assert_non_null(strstr(r.error, "server name"));
    assert_null(tls_client_tunnel(NULL, NULL, shake_at("ca.crt"), NULL, &r));
}

static void days_left_are_counted(void **state)
{
    char err[TEXT];
    int64_t days;

    (void)state;
    assert_int_equal(tls_cert_days_left(shake_at("server.crt"), &days, err, sizeof(err)), 0);
    assert_in_range(days, 9, 10);
    assert_int_equal(tls_cert_days_left(shake_at("ca.crt"), &days, err, sizeof(err)), 0);
    assert_in_range(days, 99, 100);
    /* The CA in the same file lasts longer and comes second. */
    assert_int_equal(tls_cert_days_left(shake_at("cert.pem"), &days, err, sizeof(err)), 0);
    assert_in_range(days, 9, 10);
    /* Ended two days and a minute ago. */
    assert_int_equal(tls_cert_days_left(shake_at("old.crt"), &days, err, sizeof(err)), 0);
    assert_int_equal(days, -3);
    assert_true(tls_cert_days_left(shake_at("server.key"), &days, err, sizeof(err)) < 0);
    assert_non_null(strstr(err, "server.key: holds no certificate"));
}

static void contexts_carry_the_promised_options(void **state)
{
    SSL_CTX *all[] = {shake_public("cert.pem"), shake_hub(),
                      shake_client("client", "ca.crt", "harp.nc")};
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
        cmocka_unit_test(tls_1_1_is_refused),
        cmocka_unit_test(plain_bytes_are_called_plain_bytes),
        cmocka_unit_test(other_failures_have_words_too),
        cmocka_unit_test(bad_files_are_named_with_the_reason),
        cmocka_unit_test(half_a_client_pair_or_no_name_is_refused),
        cmocka_unit_test(days_left_are_counted),
        cmocka_unit_test(contexts_carry_the_promised_options),
    };

    return cmocka_run_group_tests_name("tls", tests, shake_set_up, shake_tear_down);
}
