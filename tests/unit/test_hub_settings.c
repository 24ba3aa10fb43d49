/* The hub's settings: defaults, every check, declared ExApps, and the example file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "hub/settings/settings.h"

/* Words for functions that take what main gets, where C has no const. */
#define WORDS(...) ((char *const *)(const char *const[]){__VA_ARGS__, NULL})
#define KEY "HP_SHARED_KEY=some_very_secure_password"
#define NC "NC_INSTANCE_URL=http://nextcloud.local"
#define EXAMPLE "deploy/examples/hub.cfg"

static char dir[] = "/tmp/test_hub_settings.XXXXXX";
static char path[64];

static void write_file(const char *name, const char *text, size_t n)
{
    FILE *f = fopen(name, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static int load(const char *text, char *const *env, struct hub_settings *s,
                struct config_report *report)
{
    if (text)
        write_file(path, text, strlen(text));
    return hub_settings_load(s, text ? path : NULL, env, report);
}

/* `expected` begins after the file's name where the error begins with it. */
static void check_error(const char *text, char *const *env, const char *expected)
{
    struct config_report report = {0};
    struct hub_settings s;
    const char *error = report.error;

    if (load(text, env, &s, &report) == 0)
        fail_msg("accepted, expected: %s", expected);
    if (strncmp(error, path, strlen(path)) == 0)
        error += strlen(path);
    assert_string_equal(error, expected);
}

static void has_the_documented_defaults(void **state)
{
    struct config_report report = {0};
    struct hub_settings s;
    char buf[LISTEN_TEXT_MAX];

    (void)state;
    assert_int_equal(load(NULL, WORDS(KEY, NC), &s, &report), 0);
    assert_string_equal(listen_format(&s.exapps_address, buf), "0.0.0.0:8780");
    assert_string_equal(listen_format(&s.exapps_https_address, buf), "0.0.0.0:8781");
    assert_string_equal(listen_format(&s.frp_address, buf), "0.0.0.0:8782");
    assert_string_equal(listen_format(&s.admin_address, buf), "127.0.0.1:8200");
    assert_string_equal(s.certs_dir, "/certs");
    assert_string_equal(s.docker_socket, "/var/run/docker.sock");
    assert_string_equal(s.shared_key, "some_very_secure_password");
    assert_string_equal(s.nc_instance_url, "http://nextcloud.local");
    assert_string_equal(s.frp_auth_token, "");
    assert_false(s.frp_disable_tls);
    assert_int_equal(s.frp_cert_validity_days, 5000);
    assert_int_equal(s.frp_accept_shared_key, FRP_ACCEPT_ALL);
    assert_true(s.exapp_tokens);
    assert_int_equal(s.log_level, LOG_LEVEL_WARNING);
    assert_int_equal(s.log_format, LOG_FORMAT_TEXT);
    assert_true(s.verbose_start);
    assert_int_equal(s.session_lifetime, 3000);
    assert_int_equal(s.blacklist_count, 10);
    assert_int_equal(s.blacklist_window, 300000);
    assert_int_equal(s.timeout_connect, 30000);
    assert_int_equal(s.timeout_client, 30000);
    assert_int_equal(s.timeout_server, 1800000);
    assert_int_equal(s.timeout_tunnel, 1800000);
    assert_int_equal(s.head_timeout, 15000);
    assert_int_equal(s.handshake_timeout, 10000);
    assert_int_equal(s.login_timeout, 10000);
    assert_int_equal(s.max_connections, 0);
    assert_int_equal(s.max_connections_per_address, 4096);
    assert_int_equal(s.tunnel_max_streams, 4096);
    assert_int_equal(s.tunnel_max_streams_before_login, 4);
    assert_int_equal(s.tunnel_max_held, 64 << 20);
    assert_int_equal(s.tunnel_max_held_total, 256 << 20);
    assert_int_equal(s.tunnel_max_empty_frames, 2000);
    assert_int_equal(s.tunnel_keepalive, 30000);
    assert_int_equal(s.tunnel_keepalive_timeout, 10000);
    assert_int_equal(s.tunnel_pool, 5);
    assert_int_equal(s.work_connection_timeout, 10000);
    assert_int_equal(s.max_unauthenticated_tunnels, 256);
    assert_int_equal(s.upstream_idle_timeout, 30000);
    assert_int_equal(s.upstream_idle_connections, 512);
    assert_int_equal(s.shutdown_timeout, 30000);
    assert_false(s.strip_credentials);
    hub_settings_free(&s);
    assert_null(s.shared_key);
}

static void every_setting_has_an_environment_name_of_the_same_letters(void **state)
{
    (void)state;
    for (size_t i = 0; i < hub_settings_table.n; i++) {
        const struct setting *row = &hub_settings_table.table[i];

        if (row->type == SETTING_HEADING || strcmp(row->name, "nc_instance_url") == 0)
            continue;
        assert_memory_equal(row->env, "HP_", 3);
        assert_int_equal(strcasecmp(row->env + 3, row->name), 0);
    }
}

static void the_tunnel_timeout_follows_the_servers_unless_set(void **state)
{
    struct config_report report = {0};
    struct hub_settings s;

    (void)state;
    assert_int_equal(load(NULL, WORDS(KEY, NC, "HP_TIMEOUT_SERVER=1h"), &s, &report), 0);
    assert_int_equal(s.timeout_tunnel, 3600000);
    hub_settings_free(&s);
    assert_int_equal(
        load(NULL, WORDS(KEY, NC, "HP_TIMEOUT_SERVER=1h", "HP_TIMEOUT_TUNNEL=0"), &s, &report), 0);
    assert_int_equal(s.timeout_tunnel, 0);
    hub_settings_free(&s);
    assert_int_equal(
        load("timeout_tunnel = \"30m\";", WORDS(KEY, NC, "HP_TIMEOUT_SERVER=1h"), &s, &report), 0);
    assert_int_equal(s.timeout_tunnel, 1800000);
    hub_settings_free(&s);
}

static void says_whose_shared_key_is_accepted(void **state)
{
    static const struct {
        const char *env;
        int accept;
    } rows[] = {
        {"HP_FRP_ACCEPT_SHARED_KEY=all", FRP_ACCEPT_ALL},
        {"HP_FRP_ACCEPT_SHARED_KEY=engines", FRP_ACCEPT_ENGINES},
        {"HP_FRP_ACCEPT_SHARED_KEY=none", FRP_ACCEPT_NONE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config_report report = {0};
        struct hub_settings s;

        assert_int_equal(load(NULL, WORDS(KEY, NC, rows[i].env), &s, &report), 0);
        assert_int_equal(s.frp_accept_shared_key, rows[i].accept);
        hub_settings_free(&s);
    }
    check_error(NULL, WORDS(KEY, NC, "HP_FRP_ACCEPT_SHARED_KEY=apps"),
                "HP_FRP_ACCEPT_SHARED_KEY: 'apps' is not known; write one of all, engines, none");
}

static void the_session_lifetime_may_be_a_fraction(void **state)
{
    struct config_report report = {0};
    struct hub_settings s;

    (void)state;
    assert_int_equal(load(NULL, WORDS(KEY, NC, "HP_SESSION_LIFETIME=2.5"), &s, &report), 0);
    assert_int_equal(s.session_lifetime, 2500);
    hub_settings_free(&s);
    check_error(NULL, WORDS(KEY, NC, "HP_SESSION_LIFETIME=10.1"),
                "HP_SESSION_LIFETIME: '10.1' is out of range; write a duration from 0s to 10s");
}

static void cleans_the_instance_url(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"https://cloud.example.com", "https://cloud.example.com"},
        {"https://cloud.example.com/", "https://cloud.example.com"},
        {"https://cloud.example.com/index.php", "https://cloud.example.com"},
        {"https://cloud.example.com/nc/index.php/", "https://cloud.example.com/nc"},
        {"\"http://10.0.0.1:8080/nc//\"", "http://10.0.0.1:8080/nc"},
        {"http://[::1]:8080", "http://[::1]:8080"},
        {"HTTP://nextcloud", "HTTP://nextcloud"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config_report report = {0};
        struct hub_settings s;
        char env[128];

        snprintf(env, sizeof(env), "NC_INSTANCE_URL=%s", cases[i].in);
        assert_int_equal(load(NULL, WORDS(KEY, env), &s, &report), 0);
        assert_string_equal(s.nc_instance_url, cases[i].out);
        hub_settings_free(&s);
    }
}

static void refuses_what_is_no_instance_url(void **state)
{
    static const char *const bad[] = {
        "cloud.example.com", "ftp://a",          "http://",     "https:///nc",    "http://a b",
        "http://a/?x=1",     "http://a/#x",      "http://a:0",  "http://a:99999", "http://a:",
        "http://::1/",       "http://[1.2.3.4]", "http://a..b", "http:/a",        "http://a/\\",
    };
    char env[128], expected[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char shown[CONFIG_SHOW_MAX];

        snprintf(env, sizeof(env), "NC_INSTANCE_URL=%s", bad[i]);
        snprintf(expected, sizeof(expected),
                 "NC_INSTANCE_URL: %s is not an http or https URL; write one as in "
                 "https://cloud.example.com",
                 config_show(shown, str_of(bad[i])));
        check_error(NULL, WORDS(KEY, env), expected);
    }
    check_error(NULL, WORDS(KEY, "NC_INSTANCE_URL=http://user:secret@a/"),
                "NC_INSTANCE_URL: the value (not shown) has an @ in it; write the URL without user "
                "name and password");
    check_error(NULL, WORDS(KEY),
                "NC_INSTANCE_URL: not set; set it to Nextcloud's URL, as in "
                "https://cloud.example.com");
}

static void takes_the_shared_key_from_exactly_one_place(void **state)
{
    struct config_report report = {0};
    struct hub_settings s;
    char key_path[96], env[128], expected[512];

    (void)state;
    snprintf(key_path, sizeof(key_path), "%s/key", dir);
    snprintf(env, sizeof(env), "HP_SHARED_KEY_FILE=%s", key_path);
    check_error(
        NULL, WORDS(NC),
        "HP_SHARED_KEY: not set; set HP_SHARED_KEY or HP_SHARED_KEY_FILE to the secret that "
        "AppAPI has");
    check_error(NULL, WORDS(NC, KEY, env),
                "HP_SHARED_KEY: set together with HP_SHARED_KEY_FILE; keep one of them");
    snprintf(expected, sizeof(expected),
             "HP_SHARED_KEY: set together with %s:2: shared_key_file; keep one of them", path);
    check_error("\nshared_key_file = \"x\";", WORDS(NC, KEY), expected);
    snprintf(expected, sizeof(expected),
             "HP_SHARED_KEY_FILE: cannot open '%s': No such file or directory", key_path);
    check_error(NULL, WORDS(NC, env), expected);

    write_file(key_path, "from a file\r\n\n", 14);
    assert_int_equal(load(NULL, WORDS(NC, env), &s, &report), 0);
    assert_string_equal(s.shared_key, "from a file");
    hub_settings_free(&s);

    write_file(key_path, "\n", 1);
    snprintf(
        expected, sizeof(expected),
        "HP_SHARED_KEY_FILE: the key in '%s' (not shown) is empty; use printable ASCII without "
        "double quote and backslash",
        key_path);
    check_error(NULL, WORDS(NC, env), expected);
    write_file(key_path, "a\nb\n", 4);
    snprintf(expected, sizeof(expected),
             "HP_SHARED_KEY_FILE: the key in '%s' (not shown) has a byte that is not printable "
             "ASCII; use printable ASCII without double quote and backslash",
             key_path);
    check_error(NULL, WORDS(NC, env), expected);
    write_file(key_path, "a\0b", 3);
    check_error(NULL, WORDS(NC, env), expected);
    unlink(key_path);
}

static void strips_quotes_and_ignores_empty_variables(void **state)
{
    struct config_report report = {0};
    struct hub_settings s;

    (void)state;
    assert_int_equal(
        load(NULL,
             WORDS("HP_SHARED_KEY=\"it's\"", "HP_SHARED_KEY_FILE=", NC, "HP_FRP_DISABLE_TLS='true'",
                   "HP_LOG_LEVEL=DEBUG", "HP_BLACKLIST_COUNT="),
             &s, &report),
        0);
    assert_string_equal(s.shared_key, "it's");
    assert_true(s.frp_disable_tls);
    assert_int_equal(s.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(s.blacklist_count, 10);
    hub_settings_free(&s);
}

static void wrong_settings_are_named(void **state)
{
    static const struct {
        const char *env, *error;
    } cases[] = {
        {"HP_EXAPPS_ADDRESS=8780", "HP_EXAPPS_ADDRESS: '8780' is no address to listen on; write "
                                   "ADDRESS:PORT, [IPV6]:PORT or unix:/PATH"},
        {"HP_EXAPPS_ADDRESS=na me:1", "HP_EXAPPS_ADDRESS: 'na me:1' is no address to listen on; "
                                      "write ADDRESS:PORT, [IPV6]:PORT or unix:/PATH"},
        {"HP_EXAPPS_ADDRESS=1.2.3:80", "HP_EXAPPS_ADDRESS: '1.2.3:80' is no address to listen on; "
                                       "write ADDRESS:PORT, [IPV6]:PORT or unix:/PATH"},
        {"HP_EXAPPS_ADDRESS=off", "HP_EXAPPS_ADDRESS: 'off' is no address to listen on; write "
                                  "ADDRESS:PORT, [IPV6]:PORT or unix:/PATH"},
        {"HP_FRP_ADDRESS=:::8782", "HP_FRP_ADDRESS: ':::8782' is no address to listen on; write "
                                   "ADDRESS:PORT, [IPV6]:PORT, unix:/PATH or off"},
        {"HP_FRP_ADDRESS=0.0.0.0:8780",
         "HP_FRP_ADDRESS: '0.0.0.0:8780' is also HP_EXAPPS_ADDRESS; choose another port"},
        {"HP_LOG_LEVEL=loud",
         "HP_LOG_LEVEL: 'loud' is not known; write one of error, warning, info, debug"},
        {"HP_FRP_CERT_VALIDITY_DAYS=0",
         "HP_FRP_CERT_VALIDITY_DAYS: '0' is out of range; write a whole number from 1 to 36500"},
        {"HP_TIMEOUT_CLIENT=30",
         "HP_TIMEOUT_CLIENT: '30' has no unit; write the number with us, ms, s, "
         "m, h or d, as in 30s"},
        {"HP_TIMEOUT_CLIENT=0",
         "HP_TIMEOUT_CLIENT: '0' is out of range; write a duration from 1ms to 365d"},
        {"HP_TUNNEL_MAX_HELD=512M", "HP_TUNNEL_MAX_HELD_TOTAL: smaller than tunnel_max_held, the "
                                    "share of a single tunnel; make "
                                    "one of the two fit"},
        {"HP_EXAPP_HOSTS=good.example, bad host",
         "HP_EXAPP_HOSTS: 'bad host' is neither a host name nor an address nor a network; write "
         "them as in app.example.com, 10.0.0.0/8"},
        {"HP_EXAPP_HOSTS=10.0.0.0/33",
         "HP_EXAPP_HOSTS: '10.0.0.0/33' is neither a host name nor an address nor a network; write "
         "them as in app.example.com, 10.0.0.0/8"},
        {"HP_NEXTCLOUD_PROXY=socks5://who:pass@h:1",
         "HP_NEXTCLOUD_PROXY: the value (not shown) is no proxy; write http://host:port or "
         "http://user:password@host:port, without a path"},
        {"HP_NEXTCLOUD_PROXY=http://who:pass@h:1/x",
         "HP_NEXTCLOUD_PROXY: the value (not shown) is no proxy; write http://host:port or "
         "http://user:password@host:port, without a path"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_error(NULL, WORDS(KEY, NC, cases[i].env), cases[i].error);
}

static void an_open_administration_interface_needs_a_token(void **state)
{
    static const char *const closed[] = {
        "HP_ADMIN_ADDRESS=127.0.0.1:8200", "HP_ADMIN_ADDRESS=127.9.9.9:8200",
        "HP_ADMIN_ADDRESS=[::1]:8200",     "HP_ADMIN_ADDRESS=[::ffff:127.0.0.1]:8200",
        "HP_ADMIN_ADDRESS=unix:/x/y",      "HP_ADMIN_ADDRESS=off",
    };
    static const struct {
        const char *env, *error;
    } open[] = {
        {"HP_ADMIN_ADDRESS=0.0.0.0:8200",
         "HP_ADMIN_ADDRESS: '0.0.0.0:8200' can be reached from other machines; set HP_ADMIN_TOKEN, "
         "or listen at 127.0.0.1:8200 or unix:/PATH"},
        {"HP_ADMIN_ADDRESS=:81",
         "HP_ADMIN_ADDRESS: '0.0.0.0:81' can be reached from other machines; set HP_ADMIN_TOKEN, "
         "or listen at 127.0.0.1:81 or unix:/PATH"},
        {"HP_ADMIN_ADDRESS=[::]:81",
         "HP_ADMIN_ADDRESS: '[::]:81' can be reached from other machines; set HP_ADMIN_TOKEN, or "
         "listen at 127.0.0.1:81 or unix:/PATH"},
        {"HP_ADMIN_ADDRESS=192.0.2.1:81",
         "HP_ADMIN_ADDRESS: '192.0.2.1:81' can be reached from other machines; set HP_ADMIN_TOKEN, "
         "or listen at 127.0.0.1:81 or unix:/PATH"},
    };
    struct config_report report = {0};
    struct hub_settings s;
    char expected[512];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(closed); i++) {
        assert_int_equal(load(NULL, WORDS(KEY, NC, closed[i]), &s, &report), 0);
        hub_settings_free(&s);
    }
    for (size_t i = 0; i < ARRAY_LEN(open); i++) {
        check_error(NULL, WORDS(KEY, NC, open[i].env), open[i].error);
        assert_int_equal(load(NULL, WORDS(KEY, NC, open[i].env, "HP_ADMIN_TOKEN=t"), &s, &report),
                         0);
        hub_settings_free(&s);
    }
    snprintf(expected, sizeof(expected),
             "%s:1: admin_address: '0.0.0.0:1' can be reached from other machines; set "
             "HP_ADMIN_TOKEN, or listen at 127.0.0.1:1 or unix:/PATH",
             path);
    check_error("admin_address = \"*:1\";", WORDS(KEY, NC), expected + strlen(path));
}

#define ROUTES "routes = ( { url = \"^/.*\"; access_level = 0; } );"
#define APP(id) "{ id = \"" id "\"; token = \"t\"; version = \"1\"; port = 23005; " ROUTES " }"

static void reads_declared_exapps(void **state)
{
    struct config_report report = {0};
    struct hub_settings s;
    const struct exapp_meta *app;

    (void)state;
    assert_int_equal(
        load("exapps = ( { id = \"Sample\"; token = \"secret\"; version = \"1.0.0\";\n"
             "host = \"::1\"; port = 23005;\n"
             "routes = ( { url = \"^/public\"; access_level = 0;\n"
             "             bruteforce_protection = [401, 403]; },\n"
             "           { url = \".*\"; access_level = 2; } ); },\n" APP("other") ");",
             WORDS(KEY), &s, &report),
        0);
    assert_string_equal(s.nc_instance_url, "");
    assert_int_equal(s.exapps.n, 2);
    app = hub_exapps_find(&s.exapps, STR("SAMPLE"));
    assert_non_null(app);
    assert_string_equal(app->id, "sample");
    assert_string_equal(app->token, "secret");
    assert_string_equal(app->version, "1.0.0");
    assert_string_equal(app->host, "::1");
    assert_int_equal(app->port, 23005);
    assert_int_equal(app->nroutes, 2);
    assert_string_equal(app->routes[0].url, "^/public");
    assert_int_equal(app->routes[0].access, EXAPP_PUBLIC);
    assert_int_equal(app->routes[0].nstatus, 2);
    assert_int_equal(app->routes[0].status[1], 403);
    assert_int_equal(app->routes[1].access, EXAPP_ADMIN);
    app = hub_exapps_find(&s.exapps, STR("other"));
    assert_non_null(app);
    assert_string_equal(app->host, "127.0.0.1");
    assert_null(hub_exapps_find(&s.exapps, STR("othe")));
    hub_settings_free(&s);
}

static void wrong_exapps_are_named_with_their_line(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"exapps = \"x\";", ":1: exapps: write a list of groups: ( { ... }, { ... } )"},
        {"exapps = ( \n5 );", ":2: an ExApp is a group: { id = \"...\"; token = \"...\"; ... }"},
        {"exapps = ( { token = \"t\"; } );", ":1: an ExApp or route lacks id"},
        {"exapps = ( { id = \"a\"; } );", ":1: an ExApp or route lacks token"},
        {"exapps = ( { id = \"a\";\n token = 5; } );",
         ":2: token: write a string in double quotes"},
        {"exapps = ( { id = \"a\";\n token = \"\"; } );", ":2: token: must not be empty"},
        {"exapps = (" APP("a/b") ");",
         ":1: id: 'a/b' is no ExApp id; write up to 64 of A-Z a-z 0-9 _ . - and not dots alone"},
        {"exapps = (" APP("..") ");",
         ":1: id: '..' is no ExApp id; write up to 64 of A-Z a-z 0-9 _ . - and not dots alone"},
        {"exapps = (" APP("App_API") ");", ":1: id: 'App_API' is the name of AppAPI's own calls"},
        {"exapps = (" APP("a") ",\n" APP("b") ",\n" APP("A") ");",
         ":3: id: 'A' is declared twice (upper and lower case are the same)"},
        {"exapps = ( { id = \"a\";\n tokn = \"t\"; } );",
         ":2: tokn: unknown setting of an ExApp; see --print-config"},
        {"exapps = ( { id = \"a\"; token = \"t\"; version = \"1\"; " ROUTES " } );",
         ":1: an ExApp lacks port"},
        {"exapps = ( { id = \"a\"; token = \"t\"; version = \"1\";\n port = 0; " ROUTES " } );",
         ":2: port: '0' is out of range; write a whole number from 1 to 65535"},
        {"exapps = ( { id = \"a\"; token = \"t\"; version = \"1\";\n port = \"80\"; " ROUTES
         " } );",
         ":2: port: write a whole number from 1 to 65535"},
        {"exapps = ( { id = \"a\"; token = \"t\"; version = \"1\"; port = 80;\n host = "
         "\"a:80\"; " ROUTES " } );",
         ":2: host: 'a:80' is no host; write a name or an IP address, without port and brackets"},
        {"exapps = ( { id = \"a\"; token = \"t\"; version = \"1\"; port = 80; } );",
         ":1: an ExApp needs a list of at least one route"},
        {"exapps = ( { id = \"a\"; token = \"t\"; version = \"1\"; port = 80;\n routes = (); } );",
         ":2: routes: an ExApp needs a list of at least one route"},
        {"exapps = ( { id = \"a\"; token = \"t\"; version = \"1\"; port = 80; routes = (\n5 ); } "
         ");",
         ":2: a route is a group: { url = \"...\"; access_level = 0; }"},
        {"exapps = ( { id = \"a\"; token = \"t\"; version = \"1\"; port = 80; routes = (\n"
         "{ url = \"x\"; } ); } );",
         ":2: a route lacks access_level: 0 public, 1 user, 2 admin"},
        {"exapps = ( { id = \"a\"; token = \"t\"; version = \"1\"; port = 80; routes = (\n"
         "{ url = \"x\"; access_level = 3; } ); } );",
         ":2: access_level: '3' is out of range; write a whole number from 0 to 2"},
        {"exapps = ( { id = \"a\"; token = \"t\"; version = \"1\"; port = 80; routes = (\n"
         "{ url = \"x\"; access_level = 0; bruteforce_protection = [99]; } ); } );",
         ":2: '99' is out of range; write a whole number from 100 to 599"},
        {"exapps = ( { id = \"a\"; token = \"t\"; version = \"1\"; port = 80; routes = (\n"
         "{ url = \"x\"; access_level = 0; bruteforce_protection = 401; } ); } );",
         ":2: bruteforce_protection: write a list of status numbers, as in [401, 403]"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_error(cases[i].text, WORDS(KEY), cases[i].error);
}

static void an_empty_list_of_exapps_still_needs_nextcloud(void **state)
{
    (void)state;
    check_error("exapps = ();", WORDS(KEY),
                "NC_INSTANCE_URL: not set; set it to Nextcloud's URL, as in "
                "https://cloud.example.com");
}

static void print_example(FILE *f)
{
    struct program p = hub_program("0");

    settings_print(p.settings, f, p.example_head, p.example_tail);
}

static void the_example_file_is_what_the_table_prints(void **state)
{
    struct config_report report = {0};
    char *printed = NULL;
    size_t n = 0, file_n = 0;
    FILE *f = open_memstream(&printed, &n);
    char *text = config_read_all("example", EXAMPLE, CONFIG_FILE_MAX, &file_n, &report);

    (void)state;
    if (!text)
        fail_msg("%s (run from the project's root)", report.error);
    assert_non_null(f);
    print_example(f);
    fclose(f);
    assert_string_equal(text, printed);
    free(text);
    free(printed);
}

static void the_example_with_all_lines_in_use_gives_the_defaults(void **state)
{
    struct config_report report = {0};
    struct hub_settings s;
    char *printed = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&printed, &n);

    (void)state;
    assert_non_null(f);
    print_example(f);
    fclose(f);
    for (char *line = printed; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (line[0] == '#' && line[1] != ' ')
            line[0] = ' ';
        else if (line[0] == '#' && strncmp(line, "#    ", 5) == 0)
            line[0] = ' ';
    }
    if (load(printed, WORDS(KEY), &s, &report) != 0)
        fail_msg("%s", report.error);
    assert_int_equal(s.tunnel_max_held, 64 << 20);
    assert_int_equal(s.exapps.n, 1);
    hub_settings_free(&s);
    free(printed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_documented_defaults),
        cmocka_unit_test(every_setting_has_an_environment_name_of_the_same_letters),
        cmocka_unit_test(the_tunnel_timeout_follows_the_servers_unless_set),
        cmocka_unit_test(says_whose_shared_key_is_accepted),
        cmocka_unit_test(the_session_lifetime_may_be_a_fraction),
        cmocka_unit_test(cleans_the_instance_url),
        cmocka_unit_test(refuses_what_is_no_instance_url),
        cmocka_unit_test(takes_the_shared_key_from_exactly_one_place),
        cmocka_unit_test(strips_quotes_and_ignores_empty_variables),
        cmocka_unit_test(wrong_settings_are_named),
        cmocka_unit_test(an_open_administration_interface_needs_a_token),
        cmocka_unit_test(reads_declared_exapps),
        cmocka_unit_test(wrong_exapps_are_named_with_their_line),
        cmocka_unit_test(an_empty_list_of_exapps_still_needs_nextcloud),
        cmocka_unit_test(the_example_file_is_what_the_table_prints),
        cmocka_unit_test(the_example_with_all_lines_in_use_gives_the_defaults),
    };
    int rc;

    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof(path), "%s/hub.cfg", dir);
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(dir);
    return rc;
}
