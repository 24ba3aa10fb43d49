/* frpc's TOML: the language, the environment in it, and the settings read from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdlib.h>

#include "tunnel-client/frpc_toml.h"
#include "tunnel-client/toml.h"

/* Words for functions that take what main gets, where C has no const. */
#define WORDS(...) ((char *const *)(const char *const[]){__VA_ARGS__, NULL})
#define ENV WORDS("NAME=app", "PORT=23001", "YES=true", "EMPTY=", "EVIL=\"\nuser = \"x", "ONE=1")

/* A tree on one line: {key=value ...}, [value ...], strings in <>. */
static void show(const struct toml_node *node, FILE *to)
{
    if (node->key)
        fprintf(to, "%s=", node->key);
    switch (node->type) {
    case TOML_STRING:
        fprintf(to, "<%s>", node->string);
        return;
    case TOML_INTEGER:
        fprintf(to, "%lld", (long long)node->integer);
        return;
    case TOML_BOOLEAN:
        fputs(node->boolean ? "yes" : "no", to);
        return;
    default:
        break;
    }
    fputc(node->type == TOML_TABLE ? '{' : '[', to);
    for (const struct toml_node *child = node->first; child; child = child->next) {
        show(child, to);
        fputs(child->next ? " " : "", to);
    }
    fputc(node->type == TOML_TABLE ? '}' : ']', to);
}

static void reads_the_language(void **state)
{
    static const struct {
        const char *text, *tree;
    } cases[] = {
        {"", "{}"},
        {"# only a comment", "{}"},
        {"a = 1\r\n\r\n  b=2 # c\n", "{a=1 b=2}"},
        {"a.b.c = 1\na.b.d = 2\na . e = 3", "{a={b={c=1 d=2} e=3}}"},
        {"\"a b\" = 1\n'c.d' = 2\n\"\" = 3\n1-_x = 4", "{a b=1 c.d=2 =3 1-_x=4}"},
        {"a = \"\\\"\\\\\\t\\u00e9\\U0001F600\"", "{a=<\"\\\t\xc3\xa9\xf0\x9f\x98\x80>}"},
        {"a = 'C:\\x'\nb = ''\nc = \"\"", "{a=<C:\\x> b=<> c=<>}"},
        {"a = 1_000\nb = -5\nc = +5\nd = 0xfF\ne = 0o17\nf = 0b101\ng = 0",
         "{a=1000 b=-5 c=5 d=255 e=15 f=5 g=0}"},
        {"a = true\nb = false", "{a=yes b=no}"},
        {"a = [1, 'x', true, [ ], {b = 1}]", "{a=[1 <x> yes [] {b=1}]}"},
        {"a = [ # c\n 1,\n\n 2,\n]\n", "{a=[1 2]}"},
        {"a = {}\nb = { c = 1, d.e = 2 }", "{a={} b={c=1 d={e=2}}}"},
        {"[a]\nb = 1\n[a.c]\nd = 2\n[ e . f ]\n[e]\ng = 3", "{a={b=1 c={d=2}} e={f={} g=3}}"},
        {"[[p]]\na = 1\n[p.q]\nb = 2\n[[p]]\n[p.q]\nb = 3", "{p=[{a=1 q={b=2}} {q={b=3}}]}"},
        {"[[p]]\n[[p.q]]\na=1\n[[p.q]]\na=2", "{p=[{q=[{a=1} {a=2}]}]}"},
        {"[a]\nb.c = 1\n[a.b.d]\ne = 2", "{a={b={c=1 d={e=2}}}}"},
        /* the environment */
        {"a = \"{{ .Envs.NAME }}-{{.Envs.NAME}}\"", "{a=<app-app>}"},
        {"a = {{ .Envs.PORT }}\nb = {{ .Envs.YES }}\nc = '{{ .Envs.EMPTY }}'",
         "{a=23001 b=yes c=<>}"},
        {"a = {{ .Envs.ONE }}", "{a=1}"},
        {"a = \"{{ .Envs.EVIL }}\"", "{a=<\"\nuser = \"x>}"},
        {"a = '{ {'", "{a=<{ {>}"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config_report report = {0};
        struct toml_node *root = toml_parse(str_of(cases[i].text), "f", ENV, &report);
        char *text = NULL;
        size_t n = 0;
        FILE *to = open_memstream(&text, &n);

        if (!root)
            fail_msg("%s\n%s", report.error, cases[i].text);
        show(root, to);
        fclose(to);
        assert_string_equal(text, cases[i].tree);
        free(text);
        toml_free(root);
    }
}

static void refuses_what_toml_forbids(void **state)
{
    static const struct {
        struct str text;
        const char *error;
    } cases[] = {
        {STR("a = 1\na = 2"), "f:2: 'a' is defined twice; it is there already in line 1"},
        {STR("a = 1\n\"a\" = 2"), "f:2: 'a' is defined twice; it is there already in line 1"},
        {STR("a.b = 1\na = 2"), "f:2: 'a' is defined twice; it is there already in line 1"},
        {STR("a = 1\na.b = 2"), "f:2: 'a' is defined twice; it is there already in line 1"},
        {STR("[a]\n[a]"), "f:2: 'a' is defined twice; it is there already in line 1"},
        {STR("[a]\nb=1\n[a.b]"), "f:3: 'b' is defined twice; it is there already in line 2"},
        {STR("a.b = 1\n[a]"), "f:2: 'a' is defined twice; it is there already in line 1"},
        {STR("[a.b]\n[a]\nb.c = 1"), "f:3: 'b' is defined twice; it is there already in line 1"},
        {STR("a = {b = 1}\na.c = 2"), "f:2: 'a' is defined twice; it is there already in line 1"},
        {STR("a = {b.c = 1}\n[a.b]"), "f:2: 'a' is defined twice; it is there already in line 1"},
        {STR("a = {b = 1, b = 2}"), "f:1: 'b' is defined twice; it is there already in line 1"},
        {STR("a = []\n[[a]]"), "f:2: 'a' is defined twice; it is there already in line 1"},
        {STR("[a]\n[[a]]"), "f:2: 'a' is defined twice; it is there already in line 1"},
        {STR("[[a]]\n[a]"), "f:2: 'a' is defined twice; it is there already in line 1"},
        {STR("[[a]]\nb=1\nb=2"), "f:3: 'b' is defined twice; it is there already in line 2"},
        {STR("a = 1 b = 2"), "f:1: there is more on the line than a key and a value"},
        {STR("[a] b = 1"), "f:1: there is more on the line than a key and a value"},
        {STR("a\n"), "f:1: an = is missing after the key"},
        {STR("a =\n"), "f:1: a value is missing after the ="},
        {STR("= 1"), "f:1: a key is missing; lines read key = value, [table] or # comment"},
        {STR("a. = 1"), "f:1: a key is missing; lines read key = value, [table] or # comment"},
        {STR("[]"), "f:1: a key is missing; lines read key = value, [table] or # comment"},
        {STR("[a"), "f:1: the header of a table does not end in ]"},
        {STR("[[a] ]"), "f:1: the header of a table does not end in ]]"},
        {STR("a = \"b"), "f:1: a string does not end on its line"},
        {STR("\na = 'b\n'"), "f:2: a string does not end on its line"},
        {STR("a = \"\"\"b\"\"\""), "f:1: strings over several lines are not supported"},
        {STR("a = \"\\x41\""), "f:1: an unknown escape in a string; write \\\\ for a backslash"},
        {STR("a = \"\\u12\""), "f:1: \\u needs 4 hexadecimal digits"},
        {STR("a = \"\\uD800\""), "f:1: an escape that is no character a value may hold"},
        {STR("a = \"\\u0000\""), "f:1: an escape that is no character a value may hold"},
        {STR("a = \"\\U00110000\""), "f:1: an escape that is no character a value may hold"},
        {STR("a = \"\x01\""), "f:1: a control character"},
        {STR("\n# \x7f"), "f:2: a control character"},
        {STR("a = 1\0"), "f:1: a control character"},
        {STR("a = 1\rb = 2"), "f:1: a carriage return without a line feed"},
        {STR("# \xff"), "f:1: the text is not UTF-8"},
        {STR("\xef\xbb\xbf"
             "a = 1"),
         "f:1: a byte order mark is not allowed"},
        {STR("a = [1 2]"), "f:1: a , or ] is missing in an array"},
        {STR("a = [1\n"), "f:2: a , or ] is missing in an array"},
        {STR("a = [,]"), "f:1: a value is missing after the ="},
        {STR("a = {b = 1,}"),
         "f:1: a key is missing; lines read key = value, [table] or # comment"},
        {STR("a = {b = 1\n}"), "f:1: a , or } is missing in an inline table"},
        {STR("a = True"), "f:1: 'True' is no value; write \"text\", a whole number, true or false"},
        {STR("a = 1.5"), "f:1: '1.5' is no value; write \"text\", a whole number, true or false"},
        {STR("a = 01"), "f:1: '01' is no value; write \"text\", a whole number, true or false"},
        {STR("a = 1__0"), "f:1: '1__0' is no value; write \"text\", a whole number, true or false"},
        {STR("a = _1"), "f:1: '_1' is no value; write \"text\", a whole number, true or false"},
        {STR("a = 1_"), "f:1: '1_' is no value; write \"text\", a whole number, true or false"},
        {STR("a = +0x1"), "f:1: '+0x1' is no value; write \"text\", a whole number, true or false"},
        {STR("a = 9223372036854775808"),
         "f:1: '9223372036854775808' is no value; write \"text\", a whole number, true or false"},
        {STR("a = 1979-05-27"),
         "f:1: '1979-05-27' is no value; write \"text\", a whole number, true or false"},
        {STR("a.b.c.d.e.f.g.h.i = 1"), "f:1: a key has more than 8 parts"},
        {STR("a = [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]"), "f:1: more than 16 levels"},
        {STR("a = \"{{ .Envs.NOPE }}\""), "f:1: the environment variable NOPE is not set"},
        {STR("a = {{ .Envs.NOPE }}"), "f:1: the environment variable NOPE is not set"},
        {STR("a = \"{{ .Env.NAME }}\""),
         "f:1: only {{ .Envs.NAME }} is supported between {{ and }}"},
        {STR("a = \"{{ .Envs.NAME\""), "f:1: only {{ .Envs.NAME }} is supported between {{ and }}"},
        {STR("a = {{ .Envs.NAME }}"),
         "f:1: the environment variable is neither a whole number nor true or false; write quotes "
         "around {{ }} for text"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config_report report = {0};
        struct toml_node *root = toml_parse(cases[i].text, "f", ENV, &report);

        if (root)
            fail_msg("accepted: %s", cases[i].text.p);
        assert_string_equal(report.error, cases[i].error);
    }
}

static void refuses_endless_strings_and_documents(void **state)
{
    struct config_report report = {0};
    size_t size = 200000;
    char *text = malloc(size);
    size_t n = 0;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text, "a = '", 5);
    text[9000] = '\'';
    assert_null(toml_parse((struct str){text, 9001}, "f", NULL, &report));
    assert_string_equal(report.error, "f:1: a string is longer than 8191 bytes");
    report.error[0] = '\0';
    n = (size_t)snprintf(text, size, "a = [");
    while (n < size - 10)
        n += (size_t)snprintf(text + n, size - n, "1,");
    assert_null(toml_parse((struct str){text, n}, "f", NULL, &report));
    assert_string_equal(report.error, "f:1: more than 4096 values");
    free(text);
}

struct warnings {
    char text[1024];
};

static void collect(void *arg, const char *line)
{
    struct warnings *w = arg;
    size_t n = strlen(w->text);

    snprintf(w->text + n, sizeof(w->text) - n, "%s\n", line);
}

/* The file that ExApps' start script writes. */
static const char START_SCRIPT[] = "serverAddr = \"harp.example.com\"\n"
                                   "serverPort = 8782\n"
                                   "loginFailExit = false\n"
                                   "\n"
                                   "transport.tls.enable = true\n"
                                   "transport.tls.certFile = \"/certs/frp/client.crt\"\n"
                                   "transport.tls.keyFile = \"/certs/frp/client.key\"\n"
                                   "transport.tls.trustedCaFile = \"/certs/frp/ca.crt\"\n"
                                   "transport.tls.serverName = \"harp.nc\"\n"
                                   "\n"
                                   "metadatas.token = \"the shared key\"\n"
                                   "\n"
                                   "[[proxies]]\n"
                                   "remotePort = 23005\n"
                                   "type = \"tcp\"\n"
                                   "name = \"skeleton\"\n"
                                   "[proxies.plugin]\n"
                                   "type = \"unix_domain_socket\"\n"
                                   "unixPath = \"/tmp/exapp.sock\"\n";

static void reads_what_the_start_script_writes(void **state)
{
    struct warnings w = {""};
    struct config_report report = {.warn = collect, .arg = &w};
    struct tunnel_config t = {0};

    (void)state;
    assert_int_equal(frpc_toml_read(&t, str_of(START_SCRIPT), "f", NULL, &report), 0);
    assert_string_equal(t.server_address, "harp.example.com");
    assert_int_equal(t.server_port, 8782);
    assert_false(t.login_fail_exit);
    assert_true(t.tls_enable);
    assert_string_equal(t.tls_cert_file, "/certs/frp/client.crt");
    assert_string_equal(t.tls_key_file, "/certs/frp/client.key");
    assert_string_equal(t.tls_ca_file, "/certs/frp/ca.crt");
    assert_string_equal(t.tls_server_name, "harp.nc");
    assert_string_equal(t.shared_key, "the shared key");
    assert_int_equal(t.metas_n, 0);
    assert_int_equal(t.proxies_n, 1);
    assert_string_equal(t.proxies[0].name, "skeleton");
    assert_int_equal(t.proxies[0].remote_port, 23005);
    assert_string_equal(t.proxies[0].unix_path, "/tmp/exapp.sock");
    assert_string_equal(w.text, "");
    tunnel_config_free(&t);
}

static void has_frpcs_defaults(void **state)
{
    struct warnings w = {""};
    struct config_report report = {.warn = collect, .arg = &w};
    struct tunnel_config t = {0};

    (void)state;
    assert_int_equal(frpc_toml_read(&t,
                                    STR("serverAddr = '::1'\n[[proxies]]\nname='a'\nremotePort=1\n"
                                        "localPort=80"),
                                    "f", NULL, &report),
                     0);
    assert_int_equal(t.server_port, 7000);
    assert_true(t.login_fail_exit);
    assert_true(t.tls_enable);
    assert_string_equal(t.tls_server_name, "::1");
    assert_true(t.tcp_mux);
    assert_int_equal(t.tcp_mux_keepalive, 30000);
    assert_int_equal(t.heartbeat_interval, 0);
    assert_int_equal(t.heartbeat_timeout, 0);
    assert_int_equal(t.dial_timeout, 10000);
    assert_int_equal(t.pool_count, 1);
    assert_int_equal(t.reconnect_min, 1000);
    assert_int_equal(t.reconnect_max, 30000);
    assert_int_equal(t.log_level, LOG_LEVEL_INFO);
    assert_string_equal(t.auth_token, "");
    assert_string_equal(t.proxies[0].local_host, "127.0.0.1");
    assert_int_equal(t.proxies[0].local_port, 80);
    assert_string_equal(t.proxies[0].unix_path, "");
    assert_string_equal(w.text, "f: transport.tls.trustedCaFile is not set, so the server's "
                                "certificate is not checked\n");
    tunnel_config_free(&t);
}

static void reads_all_that_is_supported(void **state)
{
    static const char text[] = "proxies = [ { name = 'b', type = 'tcp', remotePort = 2, localIP = "
                               "'db', localPort = 5432,\n"
                               "  transport.useEncryption = true, transport = 1 } ]\n";
    static const char good[] =
        "proxies = [\n"
        "  { name = 'a', remotePort = 1, localPort = 80 },\n"
        "  { name = 'b', type = 'tcp', remotePort = 2, localIP = 'db', localPort = 5432,"
        " transport.useEncryption = true, transport.useCompression = true },\n"
        "  { name = 'c', remotePort = 3, localPort = 1, enabled = false },\n"
        "]\n"
        "serverAddr = \"{{ .Envs.NAME }}\"\nserverPort = {{ .Envs.PORT }}\nuser = 'me'\n"
        "udpPacketSize = 1500\n"
        "[auth]\nmethod = 'token'\ntoken = 'frp'\n"
        "[log]\nto = './frpc.log'\nlevel = 'trace'\nmaxDays = 3\ndisablePrintColor = true\n"
        "[transport]\nprotocol = 'tcp'\nwireProtocol = 'v1'\ntcpMux = false\n"
        "tcpMuxKeepaliveInterval = 7\npoolCount = 0\nheartbeatInterval = -1\nheartbeatTimeout = "
        "60\n"
        "dialServerTimeout = 3\n"
        "tls.enable = false\ntls.disableCustomTLSFirstByte = true\n"
        "[metadatas]\ntoken = 'key'\nother = 'x'\n";
    struct warnings w = {""};
    struct config_report report = {.warn = collect, .arg = &w};
    struct tunnel_config t = {0};

    (void)state;
    assert_int_equal(frpc_toml_read(&t, str_of(text), "f", ENV, &report), -1);
    tunnel_config_free(&t);
    report.error[0] = '\0';
    if (frpc_toml_read(&t, str_of(good), "f", ENV, &report) != 0)
        fail_msg("%s", report.error);
    assert_string_equal(t.server_address, "app");
    assert_int_equal(t.server_port, 23001);
    assert_string_equal(t.auth_token, "frp");
    assert_string_equal(t.shared_key, "key");
    assert_int_equal(t.metas_n, 1);
    assert_string_equal(t.metas[0].name, "other");
    assert_string_equal(t.metas[0].value, "x");
    assert_int_equal(t.log_level, LOG_LEVEL_DEBUG);
    assert_false(t.tcp_mux);
    assert_int_equal(t.tcp_mux_keepalive, 7000);
    assert_int_equal(t.pool_count, 0);
    assert_int_equal(t.heartbeat_interval, 0);
    assert_int_equal(t.heartbeat_timeout, 60000);
    assert_int_equal(t.dial_timeout, 3000);
    assert_false(t.tls_enable);
    assert_int_equal(t.proxies_n, 2);
    assert_string_equal(t.proxies[0].name, "me.a");
    assert_string_equal(t.proxies[1].name, "me.b");
    assert_string_equal(t.proxies[1].local_host, "db");
    assert_true(t.proxies[1].use_encryption);
    assert_true(t.proxies[1].use_compression);
    assert_false(tunnel_proxy_equal(&t.proxies[0], &t.proxies[1]));
    assert_true(tunnel_proxy_equal(&t.proxies[1], &t.proxies[1]));
    assert_string_equal(w.text, "f:14: log.to: this program writes its log to standard error, not "
                                "to a file\n");
    tunnel_config_free(&t);
}

static void heartbeats_follow_tcp_mux(void **state)
{
    struct config_report report = {0};
    struct tunnel_config t = {0};

    (void)state;
    assert_int_equal(frpc_toml_read(&t,
                                    STR("serverAddr = 'a'\ntransport.tcpMux = false\n"
                                        "transport.heartbeatTimeout = 0\n[[proxies]]\nname='a'\n"
                                        "remotePort=1\nlocalPort=80"),
                                    "f", NULL, &report),
                     0);
    assert_int_equal(t.heartbeat_interval, 30000);
    assert_int_equal(t.heartbeat_timeout, 90000);
    tunnel_config_free(&t);
}

#define HEAD "serverAddr = 'a'\n"
#define PROXY "[[proxies]]\nname = 'a'\nremotePort = 1\nlocalPort = 2\n"

static void wrong_settings_are_named_with_their_line(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"serverAdr = 'a'", "f:1: unknown setting 'serverAdr'"},
        {"serveraddr = 'a'", "f:1: unknown setting 'serveraddr'; it is spelled serverAddr"},
        {"\ntransport.tls.enabled = true", "f:2: unknown setting 'transport.tls.enabled'"},
        {"transport.tls.'a.b' = true", "f:1: unknown setting 'transport.tls.a.b'"},
        {"'transport.tcpMux' = true", "f:1: unknown setting 'transport.tcpMux'"},
        {"\"a\\nb\" = 1", "f:1: unknown setting 'a\\x0ab'"},
        {"[nonsense]", "f:1: unknown setting 'nonsense'"},
        {"transport = 5", "f:1: transport: this is a table of settings, not a value"},
        {"serverAddr = 5", "f:1: serverAddr: write a text in double quotes"},
        {"serverAddr = \"a\\nb\"", "f:1: serverAddr: the text has a control character in it"},
        {"serverPort = '7000'", "f:1: serverPort: write a whole number from 1 to 65535, without "
                                "quotes"},
        {"serverPort = 0",
         "f:1: serverPort: '0' is out of range; write a whole number from 1 to 65535"},
        {"loginFailExit = 'false'", "f:1: loginFailExit: write true or false, without quotes"},
        {"transport.dialServerTimeout = -1",
         "f:1: transport.dialServerTimeout: '-1' is out of range; write a whole number from 0 to "
         "31536000"},
        {"transport.protocol = 'quic'",
         "f:1: transport.protocol: 'quic' is not supported; only \"tcp\" is"},
        {"transport.wireProtocol = 'v2'",
         "f:1: transport.wireProtocol: 'v2' is not supported; only \"v1\" is"},
        {"auth.method = 'oidc'", "f:1: auth.method: 'oidc' is not supported; only \"token\" is"},
        {"log.level = 'loud'", "f:1: log.level: write one of \"trace\", \"debug\", \"info\", "
                               "\"warn\", \"error\""},
        {"[webServer]\nport = 7400",
         "f:1: webServer: frpc has this setting, but this program does not support it"},
        {"start = ['a']",
         "f:1: start: frpc has this setting, but this program does not support it"},
        {"metadatas = 1", "f:1: metadatas: write a table of texts"},
        {"metadatas.token = 1", "f:1: metadatas.'token': write a text in double quotes"},
        {PROXY, "f: serverAddr: not set; write the server's name or IP address"},
        {"serverAddr = 'a:80'\n" PROXY,
         "f: serverAddr: 'a:80' is no host; write a name or an IP address, without port and "
         "brackets"},
        {HEAD, "f: proxies: there are none; write a [[proxies]] table"},
        {HEAD "[proxies]\nname = 'a'", "f:2: proxies: write [[proxies]], in two pairs of brackets"},
        {HEAD "proxies = [1]", "f:2: proxies: write [[proxies]], in two pairs of brackets"},
        {HEAD "[[proxies]]\nremotePort = 1\nlocalPort = 2", "f:2: a proxy has no name"},
        {HEAD "[[proxies]]\nname = 'a'\nlocalPort = 2", "f:2: the proxy 'a' has no remote port"},
        {HEAD "[[proxies]]\nname = 'a'\nremotePort = 1",
         "f:2: the proxy 'a' has no local unix socket or port"},
        {HEAD PROXY "localIP = '[::1]'", "f:2: proxies.localIP: '[::1]' is no host"},
        {HEAD PROXY "type = 'udp'", "f:6: proxies.type: 'udp' is not supported; only \"tcp\" is"},
        {HEAD PROXY "customDomains = ['a']",
         "f:6: proxies.customDomains: frpc has this setting, but this program does not support it"},
        {HEAD PROXY "remoteport = 5",
         "f:6: unknown setting 'proxies.remoteport'; it is spelled proxies.remotePort"},
        {HEAD PROXY "[proxies.plugin]\ntype = 'socks5'",
         "f:2: proxies.plugin.type: 'socks5' is not supported; only \"unix_domain_socket\" is"},
        {HEAD PROXY "[proxies.plugin]\ntype = 'unix_domain_socket'",
         "f:2: proxies.plugin.unixPath: not set"},
        {HEAD PROXY "[proxies.plugin]\nunixPath = '/a'",
         "f:2: proxies.plugin.type: not set; write \"unix_domain_socket\""},
        {HEAD PROXY "plugin.type = 'unix_domain_socket'\nplugin.unixPath = 'a'",
         "f:2: the unix socket of the proxy 'a' must be a path from / on, of at most 107 bytes"},
        {HEAD PROXY PROXY, "f:6: there are two proxies with the name 'a'"},
        {HEAD PROXY "[[proxies]]\nname = 'b'\nremotePort = 1\nlocalPort = 2",
         "f:6: there are two proxies with the remote port 1"},
        {HEAD "transport.tls.certFile = 'a'\n" PROXY,
         "f: transport.tls.certFile and transport.tls.keyFile: both or none are needed"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config_report report = {0};
        struct tunnel_config t = {0};

        if (frpc_toml_read(&t, str_of(cases[i].text), "f", NULL, &report) == 0)
            fail_msg("accepted: %s", cases[i].text);
        assert_string_equal(report.error, cases[i].error);
        tunnel_config_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_language),
        cmocka_unit_test(refuses_what_toml_forbids),
        cmocka_unit_test(refuses_endless_strings_and_documents),
        cmocka_unit_test(reads_what_the_start_script_writes),
        cmocka_unit_test(has_frpcs_defaults),
        cmocka_unit_test(reads_all_that_is_supported),
        cmocka_unit_test(heartbeats_follow_tcp_mux),
        cmocka_unit_test(wrong_settings_are_named_with_their_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
