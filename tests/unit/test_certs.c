/* The tunnel's certificate folder: first start, later starts, HaRP's folder, renewal, the place. */
#include "hub/tunnel/certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/crypto/pemfile.h"
#include "common/crypto/tls.h"
#include "tests/unit/certs_bench.h"

enum { DAY = 24 * 3600 };

static void first_start_makes_six_files_that_others_accept(void **state)
{
    struct bench *b = *state;

    bench_must_open(b);
    bench_assert_told(b, "made a CA, a server and a client certificate");
    assert_int_equal(b->warnings, 0);
    assert_true(b->c.can_issue);
    bench_assert_usable(b);
    bench_assert_nothing_left_over(b);
    /* Judged by another program, strictly. */
    assert_true(bench_shell(b, "openssl verify -x509_strict -CAfile ca.crt -purpose sslserver "
                               "-verify_hostname harp.nc server.crt && "
                               "openssl verify -x509_strict -CAfile ca.crt -purpose sslclient "
                               "-verify_hostname harp.client.nc client.crt && "
                               "! openssl verify -CAfile ca.crt -purpose sslclient server.crt && "
                               "! openssl verify -CAfile ca.crt -purpose sslserver client.crt"));
}

static X509 *load(const char *path)
{
    FILE *f = fopen(path, "r");
    X509 *x;

    assert_non_null(f);
    x = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    assert_non_null(x);
    return x;
}

static void certificates_have_harps_names_and_proper_fields(void **state)
{
    static const struct {
        const char *file, *cn, *san;
        bool ca;
    } cases[] = {
        {"ca.crt", "harp.nc", NULL, true},
        {"server.crt", "harp.nc", "harp.nc", false},
        {"client.crt", "harp.client.nc", "harp.client.nc", false},
    };
    struct bench *b = *state;
    X509 *x[3];

    bench_must_open(b);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t from, until, now = (int64_t)time(NULL);
        char cn[64];

        x[i] = load(bench_path(b, cases[i].file));
        X509_NAME_get_text_by_NID(X509_get_subject_name(x[i]), NID_commonName, cn, sizeof(cn));
        assert_string_equal(cn, cases[i].cn);
        if (cases[i].san)
            assert_int_equal(
                X509_check_host(x[i], cases[i].san, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL),
                1);
        assert_int_equal(X509_check_ca(x[i]), cases[i].ca);
        assert_int_equal(X509_get_version(x[i]), 2);
        assert_int_equal(pem_cert_times(x[i], &from, &until), 0);
        assert_int_equal(from, CERTS_CLOCK_MIN - 3600);
        assert_in_range(until - now, (int64_t)5000 * DAY - 5, (int64_t)5000 * DAY);
        assert_int_equal(ASN1_STRING_length(X509_get0_serialNumber(x[i])), 16);
        assert_non_null(X509_get0_subject_key_id(x[i]));
        assert_non_null(X509_get0_authority_key_id(x[i]));
        assert_true(EVP_PKEY_is_a(X509_get0_pubkey(x[i]), "EC"));
        /* basicConstraints and keyUsage are critical */
        assert_true(X509_EXTENSION_get_critical(
            X509_get_ext(x[i], X509_get_ext_by_NID(x[i], NID_basic_constraints, -1))));
        assert_true(X509_EXTENSION_get_critical(
            X509_get_ext(x[i], X509_get_ext_by_NID(x[i], NID_key_usage, -1))));
    }
    /* The names of CA and server are equal; the server's must not pass for self-signed. */
    assert_int_equal(X509_self_signed(x[0], 1), 1);
    assert_int_equal(X509_self_signed(x[1], 0), 0);
    assert_int_not_equal(
        ASN1_INTEGER_cmp(X509_get0_serialNumber(x[0]), X509_get0_serialNumber(x[1])), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        X509_free(x[i]);
}

static void a_second_start_changes_no_byte(void **state)
{
    struct bench *b = *state;
    struct bench_six before, after;

    bench_must_open(b);
    bench_snapshot(b, &before);
    bench_must_open(b);
    bench_snapshot(b, &after);
    bench_assert_same_but(&before, &after, -1, -1);
    assert_string_equal(b->told, "");
}

static void keys_are_for_the_owner_alone(void **state)
{
    static const struct {
        const char *name;
        unsigned mode;
    } cases[] = {
        {"", 0755},       {"ca.key", 0600},     {"server.key", 0600}, {"client.key", 0600},
        {"ca.crt", 0644}, {"server.crt", 0644}, {"client.crt", 0644},
    };
    struct bench *b = *state;
    struct stat st;

    bench_must_open(b);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(stat(bench_path(b, cases[i].name), &st), 0);
        assert_int_equal(st.st_mode & 07777, cases[i].mode);
    }
    chmod(bench_path(b, "server.key"), 0644);
    bench_must_open(b);
    bench_assert_told(b, "server.key: others than the owner may read it (mode 0644)");
}

/* The commands of HaRP's start script, in the folder itself. */
static const char as_harp[] =
    "set -e\n"
    "for n in server client; do\n"
    "  [ $n = server ] && cn=harp.nc || cn=harp.client.nc\n"
    "  printf '[ req ]\\ndefault_bits = 2048\\ndefault_md = sha256\\nprompt = no\\n"
    "distinguished_name = dn\\nreq_extensions = req_ext\\n[ dn ]\\nCN = %s\\n"
    "[ req_ext ]\\nsubjectAltName = DNS:%s\\n' $cn $cn > $n-openssl.cnf\n"
    "done\n"
    "openssl genrsa -out ca.key 2048\n"
    "openssl req -x509 -new -nodes -key ca.key -subj /CN=harp.nc -days 5000 -out ca.crt\n"
    "openssl genrsa -out server.key 2048\n"
    "openssl req -new -sha256 -key server.key -subj /CN=harp.nc -reqexts req_ext "
    "-config server-openssl.cnf -out server.csr\n"
    "openssl x509 -req -days 5000 -sha256 -in server.csr -CA ca.crt -CAkey ca.key "
    "-CAcreateserial -extfile server-openssl.cnf -extensions req_ext -out server.crt\n"
    "openssl genrsa -out client.key 2048\n"
    "openssl req -new -sha256 -key client.key -subj /CN=harp.client.nc "
    "-config client-openssl.cnf -out client.csr\n"
    "openssl x509 -req -days 5000 -sha256 -in client.csr -CA ca.crt -CAkey ca.key "
    "-CAcreateserial -extfile client-openssl.cnf -extensions req_ext -out client.crt\n";

static bool shakes_hands(const char *hub_dir_crt, const char *hub_key, const char *ca,
                         const char *client_crt, const char *client_key)
{
    struct tls_report r;
    SSL_CTX *hub = tls_server_tunnel(hub_dir_crt, hub_key, ca, &r);
    SSL_CTX *client = tls_client_tunnel(client_crt, client_key, ca, "harp.nc", &r);
    SSL *s, *c;
    BIO *x, *y;
    bool ok;

    assert_non_null(hub);
    assert_non_null(client);
    s = SSL_new(hub);
    c = SSL_new(client);
    assert_int_equal(BIO_new_bio_pair(&x, 65536, &y, 65536), 1);
    SSL_set_bio(s, x, x);
    SSL_set_bio(c, y, y);
    SSL_set_accept_state(s);
    SSL_set_connect_state(c);
    for (int i = 0; i < 8; i++) {
        SSL_do_handshake(c);
        SSL_do_handshake(s);
    }
    ok = SSL_is_init_finished(s) && SSL_is_init_finished(c) && SSL_get0_peer_certificate(s);
    SSL_free(s);
    SSL_free(c);
    SSL_CTX_free(hub);
    SSL_CTX_free(client);
    return ok;
}

static void a_folder_made_by_harp_is_taken_as_it_is(void **state)
{
    struct bench *b = *state;
    struct bench_six before, after;
    struct certs_pair pair;

    assert_true(bench_shell(b, as_harp));
    bench_snapshot(b, &before);
    bench_must_open(b);
    bench_snapshot(b, &after);
    bench_assert_same_but(&before, &after, -1, -1);
    assert_int_equal(b->warnings, 0);
    assert_true(b->c.can_issue);
    assert_true(shakes_hands(b->c.server_crt, b->c.server_key, b->c.ca_crt, b->c.client_crt,
                             b->c.client_key));
    /* And its RSA CA signs the new kind of key. */
    assert_int_equal(certs_issue_client(&b->c, "nc_app_talk", 30, &pair, b->err, sizeof(b->err)),
                     0);
    bench_spill(bench_path(b, "app.crt"), pair.cert);
    bench_spill(bench_path(b, "app.key"), pair.key);
    certs_pair_free(&pair);
    assert_true(shakes_hands(b->c.server_crt, b->c.server_key, b->c.ca_crt,
                             bench_path(b, "app.crt"), bench_path(b, "app.key")));
}

static void a_bare_version_1_ca_is_taken(void **state)
{
    struct bench *b = *state;

    assert_true(bench_shell(b, as_harp));
    /* As an old openssl makes it without a configuration: no extensions at all. With that of Debian
     * 13 (3.5), `x509 -req` always adds one; it has `-x509v1` instead, unknown to Debian 12's. */
    assert_true(bench_shell(b,
                            "{ openssl req -x509v1 -config /dev/null -key ca.key -subj /CN=harp.nc "
                            "-days 5000 -out ca.crt || { "
                            "openssl req -new -key ca.key -subj /CN=harp.nc -out ca.csr && "
                            "openssl x509 -req -in ca.csr -signkey ca.key -days 5000 "
                            "-out ca.crt; }; } && "
                            "openssl x509 -in ca.crt -noout -text | grep -q 'Version: 1' && "
                            "rm server.crt server.key client.crt client.key"));
    bench_must_open(b);
    bench_assert_told(b, "server.key and server.crt were missing and have been issued anew");
    assert_true(shakes_hands(b->c.server_crt, b->c.server_key, b->c.ca_crt, b->c.client_crt,
                             b->c.client_key));
}

static void without_the_ca_key_all_but_issuing_works(void **state)
{
    struct bench *b = *state;
    struct certs_pair pair;

    bench_must_open(b);
    unlink(bench_path(b, "ca.key"));
    bench_must_open(b);
    bench_assert_told(b, "ca.key is not there, so no certificate can be issued or renewed");
    assert_false(b->c.can_issue);
    assert_int_equal(b->warnings, 0);
    bench_assert_usable(b);
    assert_true(certs_issue_client(&b->c, "nc_app_x", 30, &pair, b->err, sizeof(b->err)) < 0);
    assert_non_null(strstr(b->err, "ca.key: cannot be read: No such file"));
    certs_pair_free(&pair);
}

/* Gives the certificate in `name` another end, signed with the folder's CA key (or its own). */
static void set_end(struct bench *b, const char *name, int64_t seconds)
{
    X509 *x = load(bench_path(b, name));
    struct pem_file key;
    FILE *f;

    assert_int_equal(pem_file_read_key(&key, bench_path(b, "ca.key"), b->err, sizeof(b->err)), 0);
    ASN1_TIME_set(X509_getm_notAfter(x), (time_t)(time(NULL) + seconds));
    assert_true(X509_sign(x, key.key, EVP_sha256()) > 0);
    f = fopen(bench_path(b, name), "w");
    assert_non_null(f);
    PEM_write_X509(f, x);
    fclose(f);
    X509_free(x);
    pem_file_free(&key);
}

static void a_server_certificate_about_to_end_is_renewed(void **state)
{
    static const int64_t ends[] = {29 * DAY, 60, -60, -400 * DAY};
    struct bench *b = *state;
    struct bench_six before, after;

    bench_must_open(b);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        int64_t days;

        set_end(b, "server.crt", ends[i]);
        bench_snapshot(b, &before);
        bench_must_open(b);
        bench_assert_told(b, "server.crt: renewed with its key for 5000 days");
        bench_snapshot(b, &after);
        bench_assert_same_but(&before, &after, CERTS_SERVER_KEY, CERTS_SERVER_CRT);
        assert_int_equal(tls_cert_days_left(b->c.server_crt, &days, b->err, sizeof(b->err)), 0);
        /* Not past the end of its CA, which is a moment older. */
        assert_in_range(days, 4998, 5000);
        bench_assert_usable(b);
        bench_must_open(b);
        assert_string_equal(b->told, "");
    }
    set_end(b, "server.crt", 31 * DAY);
    bench_must_open(b);
    assert_string_equal(b->told, "");
}

static void without_the_ca_key_the_coming_end_is_told(void **state)
{
    struct bench *b = *state;
    struct bench_six before, after;

    bench_must_open(b);
    set_end(b, "server.crt", 10 * DAY);
    unlink(bench_path(b, "ca.key"));
    bench_slurp(bench_path(b, "server.crt"), before.text[0]);
    bench_must_open(b);
    bench_slurp(bench_path(b, "server.crt"), after.text[0]);
    assert_string_equal(before.text[0], after.text[0]);
    bench_assert_told(b, "server.crt: expires on 2");
    assert_int_equal(b->warnings, 1);
}

static void an_ending_client_certificate_is_told_and_kept(void **state)
{
    struct bench *b = *state;
    struct bench_six before, after;

    bench_must_open(b);
    set_end(b, "client.crt", 10 * DAY);
    bench_snapshot(b, &before);
    bench_must_open(b);
    bench_assert_told(b, "client.crt: expires on 2");
    bench_assert_told(b, "remove it with client.key");
    set_end(b, "client.crt", -DAY);
    bench_snapshot(b, &before);
    bench_must_open(b);
    bench_assert_told(b, "client.crt: expired on 2");
    bench_snapshot(b, &after);
    bench_assert_same_but(&before, &after, -1, -1);
}

static void an_ending_ca_is_told_and_an_ended_one_refused(void **state)
{
    struct bench *b = *state;
    struct bench_six before, after;
    int64_t days;

    bench_must_open(b);
    set_end(b, "ca.crt", 5 * DAY);
    set_end(b, "server.crt", 5 * DAY);
    bench_snapshot(b, &before);
    bench_must_open(b);
    bench_assert_told(b, "ca.crt: expires on 2");
    /* A renewed one could last no longer: no renewal at each start. */
    bench_assert_told(b, "its CA ends with it");
    bench_snapshot(b, &after);
    bench_assert_same_but(&before, &after, -1, -1);
    /* Nor is one issued that outlives it. */
    assert_true(bench_shell(b, "rm server.crt server.key"));
    bench_must_open(b);
    assert_int_equal(tls_cert_days_left(b->c.server_crt, &days, b->err, sizeof(b->err)), 0);
    assert_in_range(days, 4, 5);
    set_end(b, "ca.crt", -DAY);
    bench_must_refuse(b, "ca.crt: the CA expired on 2");
}

static void a_short_validity_is_not_renewed_at_every_start(void **state)
{
    struct bench *b = *state;

    assert_int_equal(bench_open_days(b, 3), 0);
    assert_int_equal(bench_open_days(b, 3), 0);
    assert_string_equal(b->told, "");
}

static void a_validity_out_of_range_is_refused(void **state)
{
    static const int days[] = {0, -1, CERTS_DAYS_MAX + 1};
    struct bench *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(days); i++) {
        assert_true(bench_open_days(b, days[i]) < 0);
        assert_non_null(strstr(b->err, "HP_FRP_CERT_VALIDITY_DAYS must be 1 to 36500"));
        assert_int_equal(access(bench_path(b, ""), F_OK), -1);
    }
    assert_int_equal(bench_open_days(b, CERTS_DAYS_MAX), 0);
    bench_assert_usable(b);
}

static void an_existing_empty_folder_is_filled(void **state)
{
    struct bench *b = *state;

    assert_true(bench_shell(b, "mkdir lost+found && echo note > README"));
    bench_must_open(b);
    bench_assert_told(b, "made a CA");
    bench_assert_usable(b);
}

/* Root may write anywhere, so the test becomes somebody else for a moment. */
static void an_unwritable_place_is_named(void **state)
{
    struct bench *b = *state;
    bool root = geteuid() == 0;

    assert_int_equal(chmod(b->base, 0555), 0);
    if (root)
        assert_int_equal(seteuid(65534), 0);
    bench_must_refuse(b, "/frp: the certificate folder cannot be made");
    assert_non_null(strstr(b->err, "Permission denied"));
    assert_non_null(strstr(b->err, "HP_CERTS_DIR"));
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(b->base, 0755), 0);

    assert_true(bench_shell(b, "chmod 555 ."));
    if (root)
        assert_int_equal(seteuid(65534), 0);
    bench_must_refuse(b, "/frp: the certificate folder cannot be written to (let user ");
    assert_non_null(strstr(b->err, "Permission denied"));
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_true(bench_shell(b, "chmod 755 ."));
}

static void a_complete_folder_works_read_only(void **state)
{
    struct bench *b = *state;
    bool root = geteuid() == 0;
    int r;

    bench_must_open(b);
    set_end(b, "server.crt", 10 * DAY);
    assert_int_equal(chmod(b->base, 0555), 0);
    assert_true(bench_shell(b, root ? "chown 65534 *; chmod 555 ." : "chmod 555 ."));
    if (root)
        assert_int_equal(seteuid(65534), 0);
    r = bench_open_days(b, 5000);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(r, 0);
    bench_assert_told(b, "and cannot be renewed");
    bench_assert_usable(b);
    assert_true(bench_shell(b, "chmod 755 . .."));
}

static void a_place_that_is_no_folder_is_named(void **state)
{
    struct bench *b = *state;
    char path[128], longer[700];

    snprintf(path, sizeof(path), "%s/frp", b->base);
    bench_spill(path, "x");
    bench_must_refuse(b, "/frp: the certificate folder cannot be opened: Not a directory");
    unlink(path);
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_true(certs_open(&b->c, longer, 10, NULL, NULL, b->err, sizeof(b->err)) < 0);
    assert_non_null(strstr(b->err, "HP_CERTS_DIR must be a path of 1 to"));
    assert_true(certs_open(&b->c, "", 10, NULL, NULL, b->err, sizeof(b->err)) < 0);
}

static void names_of_issued_certificates_are_strict(void **state)
{
    static const struct {
        const char *cn;
        bool ok;
    } cases[] = {
        {"nc_app_talk-bot.2", true},
        {"a", true},
        {"", false},
        {"-a", false},
        {".a", false},
        {"_a", false},
        {"a b", false},
        {"a,DNS:harp.nc", false},
        {"a/b", false},
        {"a\xc3\xa9", false},
        {"a\nb", false},
        {"0123456789012345678901234567890123456789012345678901234567890123", true},
        {"01234567890123456789012345678901234567890123456789012345678901234", false},
    };
    struct bench *b = *state;

    bench_must_open(b);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct certs_pair pair;
        int r = certs_issue_client(&b->c, cases[i].cn, 30, &pair, b->err, sizeof(b->err));

        if ((r == 0) != cases[i].ok)
            fail_msg("case %zu", i);
        if (r == 0) {
            assert_int_equal(strlen(pair.cert), pair.cert_len);
            assert_int_equal(strlen(pair.key), pair.key_len);
            bench_spill(bench_path(b, "app.crt"), pair.cert);
            assert_true(bench_shell(b,
                                    "openssl verify -x509_strict -purpose sslclient -CAfile ca.crt "
                                    "app.crt && ! openssl verify -purpose sslserver -CAfile ca.crt "
                                    "app.crt"));
        } else {
            assert_null(pair.key);
            assert_non_null(strstr(b->err, "a certificate's name must be"));
        }
        certs_pair_free(&pair);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(first_start_makes_six_files_that_others_accept),
        TEST(certificates_have_harps_names_and_proper_fields),
        TEST(a_second_start_changes_no_byte),
        TEST(keys_are_for_the_owner_alone),
        TEST(a_folder_made_by_harp_is_taken_as_it_is),
        TEST(a_bare_version_1_ca_is_taken),
        TEST(without_the_ca_key_all_but_issuing_works),
        TEST(a_server_certificate_about_to_end_is_renewed),
        TEST(without_the_ca_key_the_coming_end_is_told),
        TEST(an_ending_client_certificate_is_told_and_kept),
        TEST(an_ending_ca_is_told_and_an_ended_one_refused),
        TEST(a_short_validity_is_not_renewed_at_every_start),
        TEST(a_validity_out_of_range_is_refused),
        TEST(an_existing_empty_folder_is_filled),
        TEST(an_unwritable_place_is_named),
        TEST(a_complete_folder_works_read_only),
        TEST(a_place_that_is_no_folder_is_named),
        TEST(names_of_issued_certificates_are_strict),
    };

    return cmocka_run_group_tests_name("certs", tests, NULL, NULL);
}
