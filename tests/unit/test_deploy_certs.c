/* install_certificates: what is done in a container, for each kind of system, and what is put into it. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/pem.h>

#include "tests/unit/deploy_certs_bench.h"

#define DEBIAN_FOLDER "usr/local/share/ca-certificates/"
#define FEDORA_FOLDER "etc/pki/ca-trust/source/anchors/"

static void begin(const char *json)
{
    bench_start(DEPLOY_CERTIFICATES, json);
    stub_step(INSPECT, 200, RUNNING);
}

static void both_kinds_are_installed_on_debian(void **state)
{
    (void)state;
    begin(ALL);
    command(CAT, DEBIAN, 0);
    command(MKDIR_DEBIAN, "", 0);
    upload_bundle(DEBIAN_FOLDER, false);
    command(REFRESH_DEBIAN, "1 added, 0 removed; done.\n", 0);
    command(MKDIR_FRP, "", 0);
    upload_frp(false);
    bench_ended(204, "");
    assert_null(strstr(bench_log(), "warning"));
}

static void fedora_has_another_folder_and_command(void **state)
{
    (void)state;
    begin(SYSTEM);
    command(CAT, FEDORA, 0);
    command(MKDIR_FEDORA, "", 0);
    upload_bundle(FEDORA_FOLDER, false);
    command(REFRESH_FEDORA, "", 0);
    bench_ended(204, "");
}

static void each_kind_alone_or_neither(void **state)
{
    (void)state;
    begin(FRP);
    command(MKDIR_FRP, "", 0);
    upload_frp(false);
    bench_ended(204, "");
    begin("{\"name\":\"a\",\"system_certs_bundle\":null}");
    command(MKDIR_FRP, "", 0);
    upload_frp(false);
    bench_ended(204, "");
    begin(NEITHER);
    bench_ended(204, "");
    begin("{\"name\":\"a\",\"system_certs_bundle\":\"\",\"install_frp_certs\":false}");
    bench_ended(204, "");
}

static void a_stopped_container_runs_only_for_it(void **state)
{
    static const char *const stopped[] = {
        STOPPED,
        "{\"Config\":{\"Labels\":null},\"State\":{\"Running\":false,\"Paused\":false}}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(stopped); i++) {
        bench_start(DEPLOY_CERTIFICATES, ALL);
        stub_step(INSPECT, 200, stopped[i]);
        stub_step(START, 204, "");
        command(CAT, DEBIAN, 0);
        command(MKDIR_DEBIAN, "", 0);
        upload_bundle(DEBIAN_FOLDER, false);
        command(REFRESH_DEBIAN, "", 0);
        command(MKDIR_FRP, "", 0);
        upload_frp(false);
        bench_goes_on();
        stub_step(STOP, 204, "");
        bench_ended(204, "");
    }
    /* Somebody else started it meanwhile: it is theirs. */
    bench_start(DEPLOY_CERTIFICATES, FRP);
    stub_step(INSPECT, 200, STOPPED);
    stub_step(START, 304, "");
    command(MKDIR_FRP, "", 0);
    upload_frp(false);
    bench_ended(204, "");
}

static void only_ours_are_touched(void **state)
{
    (void)state;
    bench_says(DEPLOY_CERTIFICATES, ALL, STEPS({INSPECT, 404, MESSAGE("no")}), 404,
               "Container 'nc_app_a' not found.", "");
    bench_start(DEPLOY_CERTIFICATES, ALL);
    stub_step(INSPECT, 200, FOREIGN);
    bench_ended(409, "Container 'nc_app_a' is not this hub's.");
}

/* ---- what an image lacks ---- */

static void an_unknown_system_gets_the_tunnels_files_alone(void **state)
{
    (void)state;
    begin(ALL);
    command(CAT, "NAME=\"Arch Linux\"\nID=arch\n", 0);
    command(MKDIR_FRP, "", 0);
    upload_frp(false);
    bench_ended(204, "");
    bench_logged("warning deploy #1 nc_app_a: gets no CA certificates: its system is not known");
}

static void an_image_without_programs_gets_files_with_their_folders(void **state)
{
    (void)state;
    begin(ALL);
    command_missing(CAT);
    command_missing(MKDIR_FRP);
    upload_frp(true);
    bench_ended(204, "");
    bench_logged("gets no CA certificates: its /etc/os-release can't be read");
    begin(ALL);
    command(CAT, DEBIAN, 0);
    command_missing(MKDIR_DEBIAN);
    upload_bundle(DEBIAN_FOLDER, true);
    command_missing(REFRESH_DEBIAN);
    command(MKDIR_FRP, "", 0);
    upload_frp(false);
    bench_ended(204, "");
    bench_logged("has the certificates, but the command that takes them in failed");
    begin(SYSTEM);
    command(CAT, FEDORA, 0);
    command_missing(MKDIR_FEDORA);
    upload_bundle(FEDORA_FOLDER, true);
    command(REFRESH_FEDORA, "", 0);
    bench_ended(204, "");
}

static void a_bundle_must_hold_1_to_1000(void **state)
{
    static char json[1024 * 1024];
    (void)state;
    begin("{\"name\":\"a\",\"system_certs_bundle\":\"none\",\"install_frp_certs\":false}");
    command(CAT, DEBIAN, 0);
    command(MKDIR_DEBIAN, "", 0);
    bench_ended(204, "");
    bench_logged("gets no CA certificates: there is none in the bundle");
    int n = snprintf(json, sizeof(json), "{\"name\":\"a\",\"system_certs_bundle\":\"");
    for (int i = 0; i < 1001; i++) {
        n += snprintf(json + n, sizeof(json) - (size_t)n, BUNDLE);
    }
    snprintf(json + n, sizeof(json) - (size_t)n, "\"}");
    begin(json);
    command(CAT, DEBIAN, 0);
    command(MKDIR_DEBIAN, "", 0);
    command(MKDIR_FRP, "", 0);
    upload_frp(false);
    bench_ended(204, "");
    bench_logged("gets no CA certificates: there are more than 1000 in the bundle");
}

/* ---- the tunnel's files ---- */

static void slurp(const char *path, char *out, size_t size)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(out, 1, size - 1, f);
    assert_true(n > 0);
    out[n] = '\0';
    fclose(f);
}

static X509 *read_cert(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(cert);
    return cert;
}

static EVP_PKEY *read_key(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(key);
    return key;
}

static void the_certificate_is_that_of_the_app_alone(void **state)
{
    static char file[16 * 1024];
    char name[128];
    struct tar_reader t;
    (void)state;
    begin(FRP);
    command(MKDIR_FRP, "", 0);
    struct engine_call *c = upload(&t);
    struct str ca = member(&t, "certs/frp/ca.crt");
    struct str cert = member(&t, "certs/frp/client.crt");
    struct str key = member(&t, "certs/frp/client.key");
    slurp(tunnels.certs.ca_crt, file, sizeof(file));
    assert_true(str_eq(ca, str_of(file)));
    X509 *x = read_cert(cert), *issuer = read_cert(ca);
    EVP_PKEY *k = read_key(key);
    assert_int_equal(
        X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, sizeof(name)),
        strlen("nc_app_a"));
    assert_string_equal(name, "nc_app_a");
    assert_int_equal(X509_verify(x, X509_get0_pubkey(issuer)), 1);
    assert_int_equal(X509_check_private_key(x, k), 1);
    X509_free(x);
    X509_free(issuer);
    EVP_PKEY_free(k);
    stub_answer(c, 200, "");
    bench_ended(204, "");
    assert_null(strstr(bench_log(), "PRIVATE"));
}

static void without_the_cas_key_it_is_the_one_for_all(void **state)
{
    static char file[16 * 1024];
    struct tar_reader t;
    (void)state;
    tunnels.certs.can_issue = false;
    begin(FRP);
    command(MKDIR_FRP, "", 0);
    struct engine_call *c = upload(&t);
    member(&t, "certs/frp/ca.crt");
    slurp(tunnels.certs.client_crt, file, sizeof(file));
    assert_true(str_eq(member(&t, "certs/frp/client.crt"), str_of(file)));
    slurp(tunnels.certs.client_key, file, sizeof(file));
    assert_true(str_eq(member(&t, "certs/frp/client.key"), str_of(file)));
    stub_answer(c, 200, "");
    bench_ended(204, "");
    tunnels.certs.can_issue = true;
}

static void without_tls_there_are_none(void **state)
{
    SSL_CTX *was = tunnels.tls;
    (void)state;
    tunnels.tls = NULL;
    begin(ALL);
    command(CAT, DEBIAN, 0);
    command(MKDIR_DEBIAN, "", 0);
    upload_bundle(DEBIAN_FOLDER, false);
    command(REFRESH_DEBIAN, "", 0);
    bench_ended(204, "");
    bench_logged("gets no certificate for its tunnel, as HP_FRP_DISABLE_TLS is set");
    tunnels.tls = was;
}

/* A file away: no certificate, and the container is stopped all the same. */
static void a_folder_that_can_not_be_read_is_told(void **state)
{
    char *const paths[] = {tunnels.certs.ca_crt, tunnels.certs.client_crt, tunnels.certs.client_key,
                           tunnels.certs.ca_key};
    char away[CERTS_PATH_SIZE + 8];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        tunnels.certs.can_issue = i == 3;
        snprintf(away, sizeof(away), "%s.away", paths[i]);
        assert_int_equal(rename(paths[i], away), 0);
        bench_start(DEPLOY_CERTIFICATES, FRP);
        stub_step(INSPECT, 200, STOPPED);
        stub_step(START, 204, "");
        command(MKDIR_FRP, "", 0);
        bench_goes_on();
        stub_step(STOP, 204, "");
        bench_ended(503, "The tunnel's certificates could not be made");
        assert_int_equal(bench->told.hop, HOP_HUB);
        assert_true(bench->told.why[0] != '\0');
        assert_int_equal(rename(away, paths[i]), 0);
    }
    tunnels.certs.can_issue = true;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, certs_set_up, bench_tear_down)
        TEST(both_kinds_are_installed_on_debian),
        TEST(fedora_has_another_folder_and_command),
        TEST(each_kind_alone_or_neither),
        TEST(a_stopped_container_runs_only_for_it),
        TEST(only_ours_are_touched),
        TEST(an_unknown_system_gets_the_tunnels_files_alone),
        TEST(an_image_without_programs_gets_files_with_their_folders),
        TEST(a_bundle_must_hold_1_to_1000),
        TEST(the_certificate_is_that_of_the_app_alone),
        TEST(without_the_cas_key_it_is_the_one_for_all),
        TEST(without_tls_there_are_none),
        TEST(a_folder_that_can_not_be_read_is_told),
    };
    return cmocka_run_group_tests(tests, certs_set_up_all, certs_tear_down_all);
}
