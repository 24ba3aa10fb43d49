/* The tunnel client's own file and environment, and which file is which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "tunnel-client/config.h"

/* Words for functions that take what main gets, where C has no const. */
#define WORDS(...) ((char *const *)(const char *const[]){__VA_ARGS__, NULL})
#define EXAMPLE "deploy/examples/tunnel.cfg"
#define EXAPP                                                                                      \
    "HP_FRP_ADDRESS=harp", "HP_FRP_PORT=8782", "HP_SHARED_KEY=key", "APP_ID=skeleton",             \
        "APP_PORT=23005"
#define PROXY "{ name = \"a\"; remote_port = 24001; local = \"unix:/var/run/docker.sock\"; }"

static char dir[] = "/tmp/test_tunnel_config.XXXXXX";
static char path[64];

struct warnings {
    char text[1024];
};

static void collect(void *arg, const char *line)
{
    struct warnings *w = arg;
    size_t n = strlen(w->text);

    snprintf(w->text + n, sizeof(w->text) - n, "%s\n", line);
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static int load(const char *text, char *const *env, struct tunnel_config *t,
                struct config_report *report)
{
    if (text)
        write_file(path, text);
    return tunnel_config_load(t, text ? path : "", env, report);
}

static void check_error(const char *text, char *const *env, const char *expected)
{
    struct config_report report = {0};
    struct tunnel_config t;
    const char *error = report.error;

    if (load(text, env, &t, &report) == 0)
        fail_msg("accepted, expected: %s", expected);
    if (strncmp(error, path, strlen(path)) == 0)
        error += strlen(path);
    assert_string_equal(error, expected);
}

static void an_exapps_environment_is_enough(void **state)
{
    struct config_report report = {0};
    struct tunnel_config t;

    (void)state;
    if (load(NULL, WORDS(EXAPP), &t, &report) != 0)
        fail_msg("%s", report.error);
    assert_string_equal(t.server_address, "harp");
    assert_int_equal(t.server_port, 8782);
    assert_string_equal(t.shared_key, "key");
    assert_false(t.login_fail_exit);
    assert_true(t.tls_enable);
    assert_string_equal(t.tls_cert_file, "/certs/frp/client.crt");
    assert_string_equal(t.tls_key_file, "/certs/frp/client.key");
    assert_string_equal(t.tls_ca_file, "/certs/frp/ca.crt");
    assert_string_equal(t.tls_server_name, "harp.nc");
    assert_true(t.tcp_mux);
    assert_int_equal(t.tcp_mux_keepalive, 30000);
    assert_int_equal(t.keepalive_timeout, 10000);
    assert_int_equal(t.heartbeat_interval, 0);
    assert_int_equal(t.heartbeat_timeout, 0);
    assert_int_equal(t.dial_timeout, 10000);
    assert_int_equal(t.reconnect_min, 1000);
    assert_int_equal(t.reconnect_max, 30000);
    assert_int_equal(t.log_level, LOG_LEVEL_INFO);
    assert_int_equal(t.proxies_n, 1);
    assert_string_equal(t.proxies[0].name, "skeleton");
    assert_int_equal(t.proxies[0].remote_port, 23005);
    assert_string_equal(t.proxies[0].unix_path, "/tmp/exapp.sock");
    tunnel_config_free(&t);
    assert_null(t.shared_key);
    assert_null(t.proxies);
}

static void reads_the_file(void **state)
{
    struct warnings w = {""};
    struct config_report report = {.warn = collect, .arg = &w};
    struct tunnel_config t;

    (void)state;
    if (load("server_address = \"::1\"; shared_key = \"k\"; user = \"me\"; tcp_mux = false;\n"
             "heartbeat_timeout = 60; tls_ca_file = \"\"; tls_server_name = \"\";\n"
             "metas = { one = \"1\"; };\n"
             "proxies = ( " PROXY ",\n"
             "{ name = \"b\"; type = \"tcp\"; remote_port = \"24002\"; local = \"[::1]:80\";\n"
             "  use_encryption = true; use_compression = 1; },\n"
             "{ name = \"c\"; remote_port = 24003; local = \"db.local:5432\"; } );",
             WORDS("HP_SHARED_KEY=from env"), &t, &report) != 0)
        fail_msg("%s", report.error);
    assert_string_equal(t.server_address, "::1");
    assert_string_equal(t.shared_key, "from env");
    assert_string_equal(t.tls_server_name, "::1");
    assert_int_equal(t.heartbeat_interval, 30000);
    assert_int_equal(t.heartbeat_timeout, 60000);
    assert_int_equal(t.metas_n, 1);
    assert_string_equal(t.metas[0].name, "one");
    assert_string_equal(t.metas[0].value, "1");
    assert_int_equal(t.proxies_n, 3);
    assert_string_equal(t.proxies[0].name, "me.a");
    assert_string_equal(t.proxies[0].unix_path, "/var/run/docker.sock");
    assert_string_equal(t.proxies[1].local_host, "::1");
    assert_int_equal(t.proxies[1].local_port, 80);
    assert_true(t.proxies[1].use_encryption);
    assert_true(t.proxies[1].use_compression);
    assert_string_equal(t.proxies[2].local_host, "db.local");
    assert_int_equal(t.proxies[2].local_port, 5432);
    assert_non_null(strstr(w.text, ": tls_ca_file: empty, so the server's certificate is not "
                                   "checked\n"));
    tunnel_config_free(&t);
}

static void takes_the_key_from_a_file(void **state)
{
    struct config_report report = {0};
    struct tunnel_config t;
    char env[128], key_path[96];

    (void)state;
    snprintf(key_path, sizeof(key_path), "%s/key", dir);
    snprintf(env, sizeof(env), "HP_SHARED_KEY_FILE=%s", key_path);
    write_file(key_path, "from file\n");
    assert_int_equal(
        load(NULL, WORDS("HP_FRP_ADDRESS=a", "APP_ID=a", "APP_PORT=1", env), &t, &report), 0);
    assert_string_equal(t.shared_key, "from file");
    tunnel_config_free(&t);
    check_error(NULL, WORDS(EXAPP, env),
                "HP_SHARED_KEY: set together with HP_SHARED_KEY_FILE; keep one of them");
    unlink(key_path);
}

static void wrong_settings_are_named(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"nonsense = 1;", ":1: nonsense: unknown setting; --print-config lists those there are"},
        {"proxies = (" PROXY ");",
         "HP_FRP_ADDRESS: not set; set it to the hub's name or IP address"},
        {"server_address = \"a:80\"; proxies = (" PROXY ");",
         ":1: server_address: 'a:80' is no host; write a name or an IP address, without port and "
         "brackets"},
        {"server_address = \"a\";",
         "proxies: there are none; list one in the file, or set APP_ID and APP_PORT"},
        {"server_address = \"a\"; app_id = \"x\";",
         ":1: app_id: set without APP_PORT; both are needed"},
        {"server_address = \"a\"; app_port = 23000;",
         ":1: app_port: set without APP_ID; both are needed"},
        {"server_address = \"a\"; app_id = \"a\"; app_port = 23000; proxies = (" PROXY ");",
         ":1: app_id: there are two proxies with the name 'a'"},
        {"server_address = \"a\"; reconnect_max = \"10ms\"; proxies = (" PROXY ");",
         ":1: reconnect_max: shorter than reconnect_min; make one of the two fit"},
        {"proxies = 5;", ":1: proxies: write a list of groups: ( { ... }, { ... } )"},
        {"proxies = (\n5);", ":2: a proxy is a group: { name = \"...\"; remote_port = ...; }"},
        {"proxies = ( { } );", ":1: a proxy has no name"},
        {"proxies = ( { name = \"a\"; } );", ":1: the proxy 'a' has no remote port"},
        {"proxies = ( { name = \"a\"; remote_port = 1; } );",
         ":1: the proxy 'a' has no local unix socket or port"},
        {"proxies = ( { name = \"a\";\n remote_port = 70000; } );",
         ":2: remote_port: '70000' is no port; write a whole number from 1 to 65535"},
        {"proxies = ( { name = \"a\";\n local = \"80\"; } );",
         ":2: local: '80' is no place to connect to; write unix:/PATH, HOST:PORT or [IPV6]:PORT"},
        {"proxies = ( { name = \"a\";\n local = \"::1:80\"; } );",
         ":2: local: '::1:80' is no place to connect to; write unix:/PATH, HOST:PORT or "
         "[IPV6]:PORT"},
        {"proxies = ( { name = \"a\"; remote_port = 1;\n local = \"unix:sock\"; } );",
         ":1: the unix socket of the proxy 'a' must be a path from / on, of at most 107 bytes"},
        {"proxies = ( { name = \"a\";\n type = \"udp\"; } );",
         ":2: type: 'udp' is not supported; write \"tcp\""},
        {"proxies = ( { name = \"a\";\n nonsense = 1; } );",
         ":2: nonsense: unknown setting of a proxy; see --print-config"},
        {"proxies = ( { name = \"a\";\n local = [1]; } );",
         ":2: local: write one value here, not a group or a list"},
        {"proxies = (" PROXY ",\n" PROXY ");", ":2: there are two proxies with the name 'a'"},
        {"metas = { token = \"x\"; };", ":1: token: the token is set with shared_key"},
        {"metas = { a = 1; };", ":1: a: write a string in double quotes"},
    };
    char expected[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_error(cases[i].text, NULL, cases[i].error);
    snprintf(expected, sizeof(expected),
             "HP_TLS_CERT_FILE: set without %s:1: tls_key_file; both or none are needed", path);
    check_error("server_address = \"a\"; tls_key_file = \"\"; proxies = (" PROXY ");", NULL,
                expected);
}

static void the_name_tells_which_file_it_is(void **state)
{
    struct config_report report = {0};
    struct tunnel_config t;
    char toml[96];

    (void)state;
    snprintf(toml, sizeof(toml), "%s/frpc.TOML", dir);
    write_file(toml, "serverAddr = 'harp'\n[[proxies]]\nname='a'\nremotePort=1\nlocalPort=2\n");
    /* The environment does not count there. */
    if (tunnel_config_load(&t, toml, WORDS("HP_FRP_ADDRESS=other"), &report) != 0)
        fail_msg("%s", report.error);
    assert_string_equal(t.server_address, "harp");
    tunnel_config_free(&t);
    unlink(toml);
    assert_int_equal(tunnel_config_load(&t, "frpc.ini", NULL, &report), -1);
    assert_string_equal(report.error, "frpc.ini: of frpc's files only TOML is read; write it as a "
                                      ".toml file");
    report.error[0] = '\0';
    assert_int_equal(tunnel_config_load(&t, "no/frpc.toml", NULL, &report), -1);
    assert_string_equal(report.error,
                        "configuration file: cannot open 'no/frpc.toml': No such file "
                        "or directory");
}

static void print_example(FILE *f)
{
    struct program p = tunnel_program("0");

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

static void the_example_with_all_lines_in_use_can_be_read(void **state)
{
    struct config_report report = {0};
    struct tunnel_config t;
    char *printed = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&printed, &n);

    (void)state;
    assert_non_null(f);
    print_example(f);
    fclose(f);
    for (char *line = printed; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (line[0] == '#' && (line[1] != ' ' || strncmp(line, "#    ", 5) == 0))
            line[0] = ' ';
    }
    if (load(printed, WORDS("HP_FRP_ADDRESS=harp"), &t, &report) != 0)
        fail_msg("%s", report.error);
    assert_int_equal(t.proxies_n, 1);
    assert_int_equal(t.metas_n, 1);
    tunnel_config_free(&t);
    free(printed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exapps_environment_is_enough),
        cmocka_unit_test(reads_the_file),
        cmocka_unit_test(takes_the_key_from_a_file),
        cmocka_unit_test(wrong_settings_are_named),
        cmocka_unit_test(the_name_tells_which_file_it_is),
        cmocka_unit_test(the_example_file_is_what_the_table_prints),
        cmocka_unit_test(the_example_with_all_lines_in_use_can_be_read),
    };
    int rc;

    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof(path), "%s/tunnel.cfg", dir);
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(dir);
    return rc;
}
