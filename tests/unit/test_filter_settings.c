/* The socket filter's settings: defaults, where each comes from, and the environment of Nextcloud's Docker
 * Socket Proxy. Errors are in tests/integration/test_filter_settings.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "common/log/log.h"
#include "socket-filter/command/command.h"
#include "socket-filter/settings/settings.h"

/* Words for functions that take what main gets, where C has no const. */
#define WORDS(...) ((char *const *)(const char *const[]){__VA_ARGS__, NULL})
#define DSP "NC_HAPROXY_PASSWORD=some \"password\""
#define SECONDS UINT64_C(1000)

static char path[] = "/tmp/test_filter_settings.XXXXXX";

/* With a file of that text (NULL: none), and that environment. The settings are the caller's to free. */
static void load(const char *text, char *const *env, struct filter_settings *set)
{
    struct config_report report = {.warn = NULL};
    static struct options options;
    memset(&options, 0, sizeof(options));
    memset(set, 0, sizeof(*set));
    if (text) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
        snprintf(options.config, sizeof(options.config), "%s", path);
    }
    if (filter_settings_load(set, &options, env, &report) != 0) {
        fail_msg("%s", report.error);
    }
}

static void has_the_documented_defaults(void **state)
{
    struct filter_settings s;
    char buf[LISTEN_TEXT_MAX];
    (void)state;
    load(NULL, WORDS("PATH=/bin"), &s);
    assert_string_equal(listen_format(&s.docker, buf), "unix:/var/run/docker.sock");
    assert_int_equal(s.admin.kind, LISTEN_OFF);
    assert_int_equal(s.mode, FILTER_ENFORCE);
    assert_string_equal(s.user, "");
    assert_true(s.sandbox);
    assert_int_equal(s.log_level, LOG_LEVEL_INFO);
    assert_int_equal(s.log_format, LOG_FORMAT_TEXT);
    assert_int_equal(s.head_timeout, 10 * SECONDS);
    assert_int_equal(s.handshake_timeout, 10 * SECONDS);
    assert_int_equal(s.timeout_client, 120 * SECONDS);
    assert_int_equal(s.connect_timeout, 10 * SECONDS);
    assert_int_equal(s.timeout_short, 60 * SECONDS);
    assert_int_equal(s.timeout_slow, 900 * SECONDS);
    assert_int_equal(s.timeout_stream, 0);
    assert_int_equal(s.shutdown_timeout, 10 * SECONDS);
    assert_int_equal(s.body_max, 1 << 20);
    assert_int_equal(s.archive_max, 16 << 20);
    assert_int_equal(s.answer_max, 16 << 20);
    assert_int_equal(s.max_connections, 1024);
    assert_int_equal(s.max_execs, 1024);
    assert_int_equal(s.ban_count, 5);
    assert_int_equal(s.ban_window, 300 * SECONDS);
    assert_int_equal(s.audit, FILTER_AUDIT_OFF);
    assert_string_equal(s.audit_folder, "/var/lib/harp-socket-filter/audit");
    assert_int_equal(s.audit_segment_size, 16 << 20);
    assert_int_equal(s.audit_sync, AUDIT_SYNC_INTERVAL);
    assert_false(s.autostart);
    assert_int_equal(s.nlisteners, 1);
    assert_string_equal(s.listeners[0].text, FILTER_LISTEN_DEFAULT);
    assert_string_equal(s.listeners[0].policy, "appapi");
    assert_int_equal(s.listeners[0].mode, 0600);
    assert_string_equal(s.listeners[0].user, "");
    filter_settings_free(&s);
    assert_null(s.listeners);
    assert_null(s.audit_folder);
}

static void every_setting_has_an_environment_name_of_the_same_letters(void **state)
{
    (void)state;
    for (size_t i = 0; i < filter_settings_table.n; i++) {
        const struct setting *row = &filter_settings_table.table[i];
        if (row->type != SETTING_HEADING) {
            bool shared = strncmp(row->name, "log_", 4) == 0; /* with the hub */
            const char *prefix = shared ? "HP_" : "HP_FILTER_";
            assert_memory_equal(row->env, prefix, strlen(prefix));
            assert_int_equal(strcasecmp(row->env + strlen(prefix), row->name), 0);
            assert_true(strlen(row->help) > 10);
        }
    }
}

static void later_sources_win(void **state)
{
    struct filter_settings s;
    (void)state;
    load("ban_count = 7; ban_window = \"1m\"; mode = \"report\";", WORDS("HP_FILTER_BAN_COUNT=8"),
         &s);
    assert_int_equal(s.ban_count, 8);
    assert_int_equal(s.ban_window, 60 * SECONDS);
    assert_int_equal(s.listeners[0].report, FILTER_REPORT);
    filter_settings_free(&s);
}

static void listeners_have_what_they_do_not_say(void **state)
{
    struct filter_settings s;
    (void)state;
    load("mode = \"report\";\n"
         "listeners = (\n"
         "  { address = \"unix:/a\"; policy = \"appapi\"; file_mode = \"0640\"; },\n"
         "  { address = \"127.0.0.1:1\"; policy = \"read-only\"; mode = \"enforce\"; },\n"
         "  { socket = \"web\"; policy = \"appapi\"; user = \"u\"; password = \"p\"; } );",
         WORDS("PATH=/bin"), &s);
    assert_int_equal(s.nlisteners, 3);
    assert_int_equal(s.listeners[0].mode, 0640);
    assert_int_equal(s.listeners[0].report, FILTER_REPORT);
    assert_int_equal(s.listeners[1].report, FILTER_ENFORCE);
    assert_int_equal(s.listeners[1].mode, 0600);
    assert_string_equal(s.listeners[2].text, "socket:web");
    assert_string_equal(s.listeners[2].password, "p");
    assert_string_equal(s.listeners[1].where + strlen(path), ":4");
    filter_settings_free(&s);
}

static void socket_proxy_has_its_own_defaults(void **state)
{
    struct filter_settings s;
    (void)state;
    load(NULL, WORDS(DSP), &s);
    assert_int_equal(s.nlisteners, 1);
    assert_string_equal(s.listeners[0].text, "0.0.0.0:2375");
    assert_string_equal(s.listeners[0].policy, "appapi");
    assert_string_equal(s.listeners[0].user, "app_api_haproxy_user");
    assert_string_equal(s.listeners[0].password, "some \"password\"");
    assert_string_equal(s.listeners[0].certificate, "");
    assert_int_equal(s.connect_timeout, 30 * SECONDS);
    assert_int_equal(s.timeout_client, 30 * SECONDS);
    assert_int_equal(s.timeout_slow, 1800 * SECONDS);
    assert_false(s.autostart);
    filter_settings_free(&s);
}

static void socket_proxy_opens_a_port_for_each_exapp_behind_tls(void **state)
{
    struct filter_settings s;
    (void)state;
    load(NULL,
         WORDS(DSP, "DSP_CERTIFICATE=/dev/null", "BIND_ADDRESS=::1", "HAPROXY_PORT=2376",
               "EX_APPS_NET=ipv4@exapps.lan", "EX_APPS_COUNT=2", "NC_AUTOSTART_CONTAINERS="),
         &s);
    assert_int_equal(s.nlisteners, 4); /* the count is the last one's number */
    assert_string_equal(s.listeners[0].text, "[::1]:2376");
    assert_int_equal(s.listeners[0].exapp, 0);
    for (uint16_t i = 0; i < 3; i++) {
        const struct filter_listener *ls = &s.listeners[i + 1];
        assert_int_equal(ls->at.port, 23000 + i);
        assert_int_equal(ls->exapp, 23000 + i);
        assert_string_equal(ls->certificate, "/dev/null");
        assert_string_equal(ls->password, "some \"password\"");
        assert_string_equal(ls->policy, "");
    }
    assert_string_equal(s.exapps_net, "exapps.lan");
    assert_true(s.autostart);
    filter_settings_free(&s);
}

/* The proxy's variable, else what an administrator of this program has set, else the proxy's default. */
static void socket_proxy_leaves_time_limits_that_are_set(void **state)
{
    struct filter_settings s;
    (void)state;
    load("connect_timeout = \"7s\"; timeout_client = \"8s\";",
         WORDS(DSP, "HP_FILTER_TIMEOUT_SLOW=9s", "TIMEOUT_CLIENT=10s"), &s);
    assert_int_equal(s.connect_timeout, 7 * SECONDS);
    assert_int_equal(s.timeout_client, 10 * SECONDS);
    assert_int_equal(s.timeout_slow, 9 * SECONDS);
    filter_settings_free(&s);
}

static void an_empty_password_does_not_make_it_the_socket_proxy(void **state)
{
    struct filter_settings s;
    (void)state;
    load(NULL, WORDS("NC_HAPROXY_PASSWORD=", "NC_HAPROXY_PASSWORD_FILE=", "HAPROXY_PORT=nonsense"),
         &s);
    assert_string_equal(s.listeners[0].text, FILTER_LISTEN_DEFAULT);
    filter_settings_free(&s);
}

static void links_are_followed_to_see_what_is_the_same_socket(void **state)
{
    char folder[] = "/tmp/test_filter_same.XXXXXX", link[64];
    struct listen_addr a = {.kind = LISTEN_UNIX}, b = {.kind = LISTEN_UNIX},
                       off = {.kind = LISTEN_OFF};
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(link, sizeof(link), "%s/link", folder);
    assert_int_equal(symlink(folder, link), 0);
    snprintf(a.path, sizeof(a.path), "%s/x", folder);
    snprintf(b.path, sizeof(b.path), "%s/x", link);
    assert_true(filter_same_socket(&a, &b));
    snprintf(b.path, sizeof(b.path), "%s/y", link);
    assert_false(filter_same_socket(&a, &b));
    snprintf(a.path, sizeof(a.path), "/x");
    snprintf(b.path, sizeof(b.path), "//x");
    assert_true(filter_same_socket(&a, &b));
    snprintf(a.path, sizeof(a.path), "/no-such-folder/x");
    assert_true(filter_same_socket(&a, &a));
    assert_false(filter_same_socket(&a, &off));
    assert_int_equal(unlink(link), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void an_address_that_others_reach_needs_to_ask_who_they_are(void **state)
{
    char none[] = "", some[] = "x";
    const struct {
        const char *at;
        struct filter_listener ls;
        bool fine;
    } rows[] = {
        {"unix:/x", {.client_ca = none, .certificate = none, .user = none}, true},
        {"127.0.0.1:1", {.client_ca = none, .certificate = none, .user = none}, true},
        {"[::1]:1", {.client_ca = none, .certificate = none, .user = none}, true},
        {"0.0.0.0:1", {.client_ca = none, .certificate = none, .user = none}, false},
        {"[::]:1", {.client_ca = none, .certificate = some, .user = none}, false},
        {"10.0.0.1:1", {.client_ca = none, .certificate = none, .user = some}, false},
        {"10.0.0.1:1", {.client_ca = none, .certificate = some, .user = some}, true},
        {"10.0.0.1:1", {.client_ca = some, .certificate = some, .user = none}, true},
        {"10.0.0.1:1", {.client_ca = none, .certificate = none, .user = some, .dsp = true}, true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct listen_addr at;
        assert_int_equal(listen_parse(str_of(rows[i].at), &at), 0);
        assert_int_equal(filter_listener_exposed(&rows[i].ls, &at) == NULL, rows[i].fine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_documented_defaults),
        cmocka_unit_test(every_setting_has_an_environment_name_of_the_same_letters),
        cmocka_unit_test(later_sources_win),
        cmocka_unit_test(listeners_have_what_they_do_not_say),
        cmocka_unit_test(socket_proxy_has_its_own_defaults),
        cmocka_unit_test(socket_proxy_opens_a_port_for_each_exapp_behind_tls),
        cmocka_unit_test(socket_proxy_leaves_time_limits_that_are_set),
        cmocka_unit_test(an_empty_password_does_not_make_it_the_socket_proxy),
        cmocka_unit_test(links_are_followed_to_see_what_is_the_same_socket),
        cmocka_unit_test(an_address_that_others_reach_needs_to_ask_who_they_are),
    };
    int fd = mkstemp(path);
    if (fd < 0 || close(fd) != 0) {
        return 1;
    }
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return rc;
}
