/* Who a tunnel's client is: every kind of token with every kind of certificate; and what each may open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hub/tunnel/certs.h"
#include "hub/tunnel/tunnel_impl.h"

#define KEY "some_very_secure_password"
#define A "nc_app_a"
#define LONG "nc_app_a.very.long.instance.name.of.more.than.sixty.three.characters"

enum { DAY = 24 * 3600 };

static struct secret key;
static char token_a[APP_TOKEN_SIZE], token_none[APP_TOKEN_SIZE], token_long[APP_TOKEN_SIZE],
    name_long[CERTS_CN_MAX + 1];

static int set_up(void **state)
{
    (void)state;
    app_token_certificate_name(name_long, STR(LONG));
    return secret_set(&key, STR(KEY)) < 0 ||
           app_token_make(token_a, STR(KEY), STR(A), STR("a"), 23000) < 0 ||
           app_token_make(token_none, STR(KEY), STR("nc_app_a_worker"), STR("a"), 0) < 0 ||
           app_token_make(token_long, STR(KEY), STR(LONG), STR("a"), 23000) < 0;
}

static struct tunnel_rules rules(enum frp_accept accept, bool can_issue)
{
    return (struct tunnel_rules){
        .key = &key, .shared_key = STR(KEY), .accept = accept, .can_issue = can_issue};
}

/* NULL: a connection without TLS. */
static struct tunnel_cert named(const char *name)
{
    struct tunnel_cert cert = {.there = name != NULL};
    snprintf(cert.name, sizeof(cert.name), "%s", name ? name : "");
    return cert;
}

enum outcome { SHARED, APP, DOCKER, REFUSED, COUNTED };

static void check(const char *what, const char *token, const char *name,
                  const struct tunnel_rules *r, enum outcome expected)
{
    struct tunnel_cert cert = named(name);
    struct tunnel_identity who;
    enum outcome got;
    struct tunnel_refusal refusal = tunnel_identify(&who, r, &cert, str_of(token));
    if (refusal.error) {
        got = refusal.failure ? COUNTED : REFUSED;
        assert_string_equal(who.certificate, "");
        assert_string_equal(who.app.container, "");
    } else {
        got = who.kind == TUNNEL_KIND_SHARED ? SHARED : who.kind == TUNNEL_KIND_APP ? APP : DOCKER;
        assert_null(refusal.failure);
        assert_string_equal(who.certificate, cert.name);
        assert_int_equal(who.app.container[0] != '\0', got == APP);
    }
    if (got != expected) {
        fail_msg("%s with certificate %s: %d, not %d", what, name ? name : "(no TLS)", got,
                 expected);
    }
}

static void token_and_certificate_must_belong_together(void **state)
{
    const struct {
        const char *what, *token;
        /* With a certificate of: */
        enum outcome plain, all, other, mine, theirs, longer, engine, unnamed;
    } rows[] = {
        {"the shared key", KEY, SHARED, SHARED, SHARED, COUNTED, COUNTED, COUNTED, DOCKER, REFUSED},
        {"a's token", token_a, APP, COUNTED, COUNTED, APP, COUNTED, COUNTED, COUNTED, COUNTED},
        {"a long token", token_long, APP, COUNTED, COUNTED, COUNTED, COUNTED, APP, COUNTED,
         COUNTED},
        {"a wrong one", "x", COUNTED, COUNTED, COUNTED, COUNTED, COUNTED, COUNTED, DOCKER, COUNTED},
        {"none", "", COUNTED, COUNTED, COUNTED, COUNTED, COUNTED, COUNTED, DOCKER, COUNTED},
        {"a forged one", "nc_app_a~a~23000~AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", COUNTED,
         COUNTED, COUNTED, COUNTED, COUNTED, COUNTED, DOCKER, COUNTED},
    };
    struct tunnel_rules r = rules(FRP_ACCEPT_ALL, true);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check(rows[i].what, rows[i].token, NULL, &r, rows[i].plain);
        check(rows[i].what, rows[i].token, CERTS_CLIENT_NAME, &r, rows[i].all);
        check(rows[i].what, rows[i].token, "docker host 1", &r, rows[i].other);
        check(rows[i].what, rows[i].token, A, &r, rows[i].mine);
        check(rows[i].what, rows[i].token, "nc_app_b", &r, rows[i].theirs);
        check(rows[i].what, rows[i].token, name_long, &r, rows[i].longer);
        check(rows[i].what, rows[i].token, "harp.engine.one", &r, rows[i].engine);
        check(rows[i].what, rows[i].token, "", &r, rows[i].unnamed);
    }
}

static void names_that_only_resemble_are_others(void **state)
{
    static const char *const rows[] = {"nc_app_", "nc_app_A",  "nc_app_a ",       "nc_app",
                                       "a",       "nc_app_a.", "nc_app_a_worker", "harp.client.nc"};
    struct tunnel_rules r = rules(FRP_ACCEPT_ALL, true);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check("a's token", token_a, rows[i], &r, COUNTED);
    }
    check("a wrong one", "x", "harp.engine", &r, COUNTED);
    check("a wrong one", "x", "Harp.engine.one", &r, COUNTED);
    check("a wrong one", "x", "xharp.engine.one", &r, COUNTED);
    check("the shared key", KEY, "harp.engine", &r, SHARED);
    check("the shared key", KEY, "NC_APP_a", &r, SHARED);
    check("the shared key", KEY, "harp.nc", &r, SHARED);
}

/* Where no certificate can be issued, ExApps have the one that all have. */
static void the_certificate_for_all_is_an_apps_only_without_a_ca_key(void **state)
{
    struct tunnel_rules r = rules(FRP_ACCEPT_ALL, false);

    (void)state;
    check("a's token", token_a, CERTS_CLIENT_NAME, &r, APP);
    check("a's token", token_a, A, &r, APP);
    check("a's token", token_a, "nc_app_b", &r, COUNTED);
    check("a's token", token_a, "harp.client.nc2", &r, COUNTED);
    check("a's token", token_a, "", &r, COUNTED);
    check("a's token", token_a, "harp.engine.one", &r, COUNTED);
}

static void the_setting_decides_about_the_shared_key(void **state)
{
    static const struct {
        enum frp_accept accept;
        enum outcome login;
        bool app_port, engine_port;
    } rows[] = {
        {FRP_ACCEPT_ALL, SHARED, true, true},
        {FRP_ACCEPT_ENGINES, SHARED, false, true},
        {FRP_ACCEPT_NONE, REFUSED, false, true},
    };
    const struct tunnel_identity shared = {.kind = TUNNEL_KIND_SHARED};
    char text[TUNNEL_REFUSAL_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tunnel_rules r = rules(rows[i].accept, true);
        check("the shared key", KEY, CERTS_CLIENT_NAME, &r, rows[i].login);
        check("the shared key", KEY, NULL, &r, rows[i].login);
        check("the shared key", KEY, A, &r, COUNTED);
        check("the shared key", KEY, "harp.engine.one", &r, DOCKER);
        check("a's token", token_a, A, &r, APP);
        for (int64_t port = 23000; port < 24100; port++) {
            struct tunnel_refusal refusal =
                tunnel_may_open(&shared, rows[i].accept, STR("any"), port, text);
            assert_int_equal(!refusal.error, port < 24000 ? rows[i].app_port : rows[i].engine_port);
            assert_null(refusal.failure);
        }
    }
}

static struct tunnel_identity identity(const char *token, const char *name)
{
    struct tunnel_rules r = rules(FRP_ACCEPT_ALL, true);
    struct tunnel_cert cert = named(name);
    struct tunnel_identity who;
    assert_null(tunnel_identify(&who, &r, &cert, str_of(token)).error);
    return who;
}

static void an_app_opens_its_own_proxy_and_nothing_else(void **state)
{
    const struct {
        const char *token, *name;
        int64_t port;
        const char *error; /* NULL: allowed */
    } rows[] = {
        {token_a, "a", 23000, NULL},
        {token_a, "a", 23001, "port not allowed: this token is for port 23000"},
        {token_a, "a", 24000, "port not allowed: this token is for port 23000"},
        {token_a, "a", 0, "port not allowed: this token is for port 23000"},
        {token_a, "a", 65535, "port not allowed: this token is for port 23000"},
        {token_a, "b", 23000, "proxy not allowed: this token is for [a]"},
        {token_a, "A", 23000, "proxy not allowed: this token is for [a]"},
        {token_a, "", 23000, "proxy not allowed: this token is for [a]"},
        {token_a, "aa", 23000, "proxy not allowed: this token is for [a]"},
        {token_none, "a", 23000, "port not allowed: this token opens none"},
        {token_none, "a", 24000, "port not allowed: this token opens none"},
        {token_none, "a", 0, "port not allowed: this token opens none"},
    };
    char text[TUNNEL_REFUSAL_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tunnel_identity who = identity(rows[i].token, NULL);
        struct tunnel_refusal refusal =
            tunnel_may_open(&who, FRP_ACCEPT_ALL, str_of(rows[i].name), rows[i].port, text);
        assert_int_equal(!refusal.error, !rows[i].error);
        assert_int_equal(!refusal.failure, !rows[i].error);
        if (rows[i].error) {
            assert_string_equal(refusal.error, rows[i].error);
        }
    }
}

static void an_engine_opens_engine_ports_alone(void **state)
{
    static const struct {
        int64_t port;
        bool allowed;
    } rows[] = {{23000, false}, {23999, false}, {24000, true},
                {24099, true},  {24100, false}, {0, false}};
    struct tunnel_identity who = identity(KEY, "harp.engine.one");
    char text[TUNNEL_REFUSAL_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int accept = FRP_ACCEPT_ALL; accept <= FRP_ACCEPT_NONE; accept++) {
            struct tunnel_refusal refusal =
                tunnel_may_open(&who, (enum frp_accept)accept, STR("docker"), rows[i].port, text);
            assert_int_equal(!refusal.error, rows[i].allowed);
            assert_int_equal(!refusal.failure, rows[i].allowed);
        }
    }
}

static void only_the_same_client_is_equal(void **state)
{
    char other[APP_TOKEN_SIZE], moved[APP_TOKEN_SIZE], renamed[APP_TOKEN_SIZE];
    (void)state;
    assert_int_equal(app_token_make(other, STR(KEY), STR("nc_app_b"), STR("a"), 23000), 0);
    assert_int_equal(app_token_make(renamed, STR(KEY), STR(A), STR("b"), 23000), 0);
    assert_int_equal(app_token_make(moved, STR(KEY), STR(A), STR("a"), 23001), 0);
    const struct tunnel_identity all[] = {
        identity(KEY, NULL),
        identity(KEY, CERTS_CLIENT_NAME),
        identity(KEY, "harp.engine.1"),
        identity("", "harp.engine.2"),
        identity(token_a, A),
        identity(token_a, NULL),
        identity(other, NULL),
        identity(renamed, NULL),
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        for (size_t k = 0; k < ARRAY_LEN(all); k++) {
            assert_int_equal(tunnel_identity_equal(&all[i], &all[k]), i == k);
        }
    }
    /* Deployed again at another port, it is the same container. */
    struct tunnel_identity again = identity(moved, NULL);
    assert_true(tunnel_identity_equal(&all[5], &again));
}

static void the_log_says_what_it_logged_in_with(void **state)
{
    char buf[TUNNEL_IDENTITY_TEXT_MAX], longest[APP_TOKEN_SIZE];
    char container[APP_CONTAINER_MAX + 1], appid[EXAPP_ID_MAX + 1];
    struct tunnel_identity who = identity(KEY, CERTS_CLIENT_NAME);

    (void)state;
    assert_string_equal(tunnel_identity_text(&who, buf), "the shared key");
    who = identity(KEY, "harp.engine.one");
    assert_string_equal(tunnel_identity_text(&who, buf), "the certificate harp.engine.one");
    who = identity(token_a, A);
    assert_string_equal(tunnel_identity_text(&who, buf),
                        "the token of ExApp a (container nc_app_a)");
    memset(container, 'x', sizeof(container));
    memcpy(container, APP_CONTAINER_PREFIX, sizeof(APP_CONTAINER_PREFIX) - 1);
    container[APP_CONTAINER_MAX] = '\0';
    memset(appid, 'y', sizeof(appid));
    appid[EXAPP_ID_MAX] = '\0';
    assert_int_equal(app_token_make(longest, STR(KEY), str_of(container), str_of(appid), 0), 0);
    who = identity(longest, NULL);
    assert_non_null(strstr(tunnel_identity_text(&who, buf), "xxx)")); /* not cut */
}

/* ---- certificates ---- */

static X509 *certificate(const int type[2], const char *const name[2], const int len[2], int n)
{
    X509 *x = X509_new();
    X509_NAME *subject = X509_get_subject_name(x);
    assert_true(X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
                X509_gmtime_adj(X509_getm_notAfter(x), 3600));
    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8,
                                                (const unsigned char *)"nc_app_o", -1, -1, 0),
                     1);
    for (int i = 0; i < n; i++) {
        assert_int_equal(X509_NAME_add_entry_by_NID(subject, NID_commonName, type[i],
                                                    (const unsigned char *)name[i], len[i], -1, 0),
                         1);
    }
    return x;
}

#define SIXTY_FOUR "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-."

static void only_one_plain_common_name_is_a_name(void **state)
{
    static const struct {
        int n, type[2];
        const char *name[2];
        int len[2];
        const char *expected;
    } rows[] = {
        {1, {V_ASN1_UTF8STRING}, {"nc_app_a"}, {8}, "nc_app_a"},
        {1, {V_ASN1_PRINTABLESTRING}, {"harp.client.nc"}, {14}, "harp.client.nc"},
        {1, {V_ASN1_UTF8STRING}, {"docker host 1"}, {13}, "docker host 1"},
        {1, {V_ASN1_UTF8STRING}, {SIXTY_FOUR}, {64}, SIXTY_FOUR},
        {0, {0}, {NULL}, {0}, ""},
        {2, {V_ASN1_UTF8STRING, V_ASN1_UTF8STRING}, {"nc_app_a", "harp.engine.b"}, {8, 13}, ""},
        {2, {V_ASN1_UTF8STRING, V_ASN1_UTF8STRING}, {"nc_app_a", "nc_app_a"}, {8, 8}, ""},
        {1, {V_ASN1_UTF8STRING}, {"nc_app_a\0b"}, {10}, ""},
        {1, {V_ASN1_UTF8STRING}, {"nc_app_a\0"}, {9}, ""},
        {1, {V_ASN1_UTF8STRING}, {"nc_app_a\n"}, {9}, ""},
        {1, {V_ASN1_UTF8STRING}, {"nc_app_\xc3\xa4"}, {9}, ""},
        {1, {V_ASN1_UTF8STRING}, {"nc_app_\x7f"}, {8}, ""},
        {1, {V_ASN1_BMPSTRING}, {"\0n\0c\0_\0a\0p\0p\0_\0a"}, {16}, ""},
    };
    struct tunnel_cert cert;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        X509 *x = certificate(rows[i].type, rows[i].name, rows[i].len, rows[i].n);
        memset(&cert, 0xa5, sizeof(cert));
        tunnel_cert_read(&cert, x);
        assert_true(cert.there);
        assert_string_equal(cert.name, rows[i].expected);
        assert_true(cert.until > 0);
        X509_free(x);
    }
    tunnel_cert_read(&cert, NULL);
    assert_true(cert.there && !cert.name[0] && cert.until == 0);
}

/* OpenSSL makes none of more than 64 characters, but takes one from a stranger. */
static void a_longer_common_name_is_none(void **state)
{
    struct tunnel_cert cert;
    int type[2] = {V_ASN1_UTF8STRING}, len[2] = {64};
    X509 *x = certificate(type, (const char *const[2]){SIXTY_FOUR}, len, 1);
    X509_NAME *subject = X509_get_subject_name(x);
    X509_NAME_ENTRY *entry =
        X509_NAME_get_entry(subject, X509_NAME_get_index_by_NID(subject, NID_commonName, -1));

    (void)state;
    assert_int_equal(ASN1_STRING_set(X509_NAME_ENTRY_get_data(entry), SIXTY_FOUR "x", 65), 1);
    tunnel_cert_read(&cert, x);
    assert_string_equal(cert.name, "");
    X509_free(x);
}

static void an_end_is_soon_in_thirty_days_or_a_third_of_the_time(void **state)
{
    static const struct {
        int64_t days, left;
        bool soon;
    } rows[] = {
        {5000, 31 * DAY, false}, {5000, 30 * DAY, false},  {5000, 30 * DAY - 1, true},
        {5000, -1, true},        {90, 30 * DAY, false},    {90, 30 * DAY - 1, true},
        {30, 10 * DAY, false},   {30, 10 * DAY - 1, true}, {1, DAY / 3, false},
        {1, DAY / 3 - 1, true},
    };
    const int64_t now = 1764000000;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(tunnel_cert_ends_soon(now + rows[i].left, rows[i].days, now),
                         rows[i].soon);
    }
    assert_false(tunnel_cert_ends_soon(0, 5000, now)); /* not known */
}

/* ---- what others ask of a tunnel ---- */

static void a_tunnel_serves_its_own_app_or_whoever_a_key_speaks_for(void **state)
{
    struct tunnel t = {.who = identity(token_a, A)};

    (void)state;
    assert_true(tunnel_serves(&t, "a"));
    assert_true(tunnel_serves(&t, "A"));
    assert_false(tunnel_serves(&t, "b"));
    assert_false(tunnel_serves(&t, ""));
    assert_false(tunnel_serves(&t, "aa"));
    t.who = identity(KEY, CERTS_CLIENT_NAME);
    assert_true(tunnel_serves(&t, "b"));
    t.who = identity("", "harp.engine.one");
    assert_true(tunnel_serves(&t, "b"));
}

static void a_tunnel_is_described(void **state)
{
    struct tunnel t = {.who = identity(token_a, A), .name = "a", .port = 23000, .since = 42};
    struct tunnel_info info;

    (void)state;
    assert_int_equal(ip_parse(STR("192.0.2.1"), &t.addr), 0);
    tunnel_describe(&t, &info);
    assert_string_equal(info.name, "a");
    assert_int_equal(info.port, 23000);
    assert_true(ip_equal(&info.addr, &t.addr));
    assert_int_equal(info.since, 42);
    assert_int_equal(info.kind, TUNNEL_KIND_APP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_and_certificate_must_belong_together),
        cmocka_unit_test(names_that_only_resemble_are_others),
        cmocka_unit_test(the_certificate_for_all_is_an_apps_only_without_a_ca_key),
        cmocka_unit_test(the_setting_decides_about_the_shared_key),
        cmocka_unit_test(an_app_opens_its_own_proxy_and_nothing_else),
        cmocka_unit_test(an_engine_opens_engine_ports_alone),
        cmocka_unit_test(only_the_same_client_is_equal),
        cmocka_unit_test(the_log_says_what_it_logged_in_with),
        cmocka_unit_test(only_one_plain_common_name_is_a_name),
        cmocka_unit_test(a_longer_common_name_is_none),
        cmocka_unit_test(an_end_is_soon_in_thirty_days_or_a_third_of_the_time),
        cmocka_unit_test(a_tunnel_serves_its_own_app_or_whoever_a_key_speaks_for),
        cmocka_unit_test(a_tunnel_is_described),
    };

    return cmocka_run_group_tests_name("tunnel_identity", tests, set_up, NULL);
}
