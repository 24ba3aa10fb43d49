#include "tunnel-client/config.h"

/* Macros that write initialisers cannot put their arguments in parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define AT(field) offsetof(struct tunnel_config, field)
#define HEADING(text)                                                                              \
    {                                                                                              \
        .type = SETTING_HEADING, .help = text                                                      \
    }
/* environment, type, field = name, default, min, max, shape of the value, help */
#define ROW(env_name, kind, field, default_text, least, most, shape, text)                         \
    {                                                                                              \
        .name = #field, .env = env_name, .type = kind, .offset = AT(field), .def = default_text,   \
        .min = least, .max = most, .unit = shape, .help = text                                     \
    }
#define CHOICE(env_name, field, default_text, names, text)                                         \
    {                                                                                              \
        .name = #field, .env = env_name, .type = SETTING_CHOICE, .offset = AT(field),              \
        .def = default_text, .choices = names, .help = text                                        \
    }

/* NOLINTEND(bugprone-macro-parentheses) */

#define MS 1LL
#define SECONDS 1000LL
#define HOURS (3600 * SECONDS)
#define DAYS (24 * HOURS)

static const struct setting ROWS[] = {
    HEADING("Server"),
    ROW("HP_FRP_ADDRESS", SETTING_STRING, server_address, "", 0, 253,
        "a host name or IP address, without port and brackets",
        "The hub (or an frps) to connect to. Needed."),
    ROW("HP_FRP_PORT", SETTING_INT, server_port, "8782", 1, 65535, NULL, "Its port."),
    ROW("HP_SHARED_KEY", SETTING_SECRET, shared_key, "", 0, 0, NULL,
        "The secret that the hub asks for, here or in shared_key_file, not in both. It is sent as "
        "the meta \"token\" of the login."),
    ROW("HP_SHARED_KEY_FILE", SETTING_STRING, shared_key_file, "", 0, 0, "a file",
        "A file with the secret; newlines at its end do not count."),
    ROW("HP_FRP_AUTH_TOKEN", SETTING_SECRET, auth_token, "", 0, 0, NULL,
        "The token of the tunnel protocol itself. HaRP sets none."),
    ROW("HP_TUNNEL_USER", SETTING_STRING, user, "", 0, TUNNEL_USER_MAX, NULL,
        "A name that is put, with a dot, in front of the names of all proxies."),
    ROW("HP_LOGIN_FAIL_EXIT", SETTING_BOOL, login_fail_exit, "false", 0, 0, NULL,
        "End the program if the first login fails, instead of trying again."),

    HEADING("TLS"),
    ROW("HP_TLS_ENABLE", SETTING_BOOL, tls_enable, "true", 0, 0, NULL,
        "Connect with TLS. The hub expects it unless its frp_disable_tls is set."),
    ROW("HP_TLS_CERT_FILE", SETTING_STRING, tls_cert_file, "/certs/frp/client.crt", 0, 0, "a file",
        "The client's certificate, as PEM."),
    ROW("HP_TLS_KEY_FILE", SETTING_STRING, tls_key_file, "/certs/frp/client.key", 0, 0, "a file",
        "The key of that certificate."),
    ROW("HP_TLS_CA_FILE", SETTING_STRING, tls_ca_file, "/certs/frp/ca.crt", 0, 0, "a file",
        "Certificates that the server's must be signed by. If empty, any server is believed."),
    ROW("HP_TLS_SERVER_NAME", SETTING_STRING, tls_server_name, "harp.nc", 0, 253, "a host name",
        "The name that the server's certificate must have."),

    HEADING("Session"),
    ROW("HP_TCP_MUX", SETTING_BOOL, tcp_mux, "true", 0, 0, NULL,
        "Carry everything in one TCP connection. The server must have the same."),
    ROW("HP_TCP_MUX_KEEPALIVE", SETTING_DURATION, tcp_mux_keepalive, "30s", 0, DAYS, NULL,
        "With tcp_mux: how often the server is pinged; 0: never."),
    ROW("HP_KEEPALIVE_TIMEOUT", SETTING_DURATION, keepalive_timeout, "10s", 1 * MS, HOURS, NULL,
        "How long such a ping may stay unanswered before the network counts as dead."),
    ROW("HP_HEARTBEAT_INTERVAL", SETTING_DURATION, heartbeat_interval, "30s", 0, DAYS, NULL,
        "How often the protocol's own ping is sent; 0: never. If not set, only without tcp_mux."),
    ROW("HP_HEARTBEAT_TIMEOUT", SETTING_DURATION, heartbeat_timeout, "90s", 0, DAYS, NULL,
        "How long after the last answer to it the session counts as dead; 0: never. If not set, "
        "only without tcp_mux."),
    ROW("HP_DIAL_TIMEOUT", SETTING_DURATION, dial_timeout, "10s", 1 * MS, HOURS, NULL,
        "For each of: connecting to the server or a local service, the TLS handshake, the login."),
    ROW("HP_RECONNECT_MIN", SETTING_DURATION, reconnect_min, "1s", 1 * MS, HOURS, NULL,
        "The pause before connecting again; it doubles with each failure."),
    ROW("HP_RECONNECT_MAX", SETTING_DURATION, reconnect_max, "30s", 1 * MS, HOURS, NULL,
        "The longest such pause."),
    ROW("HP_SHUTDOWN_TIMEOUT", SETTING_DURATION, shutdown_timeout, "30s", 0, DAYS, NULL,
        "How long connections that run may go on after SIGTERM; 0: they are cut at once."),
    ROW("HP_POOL_COUNT", SETTING_INT, pool_count, "1", 0, 1000, NULL,
        "Connections to offer the server before it needs them."),

    HEADING("The ExApp of this container (AppAPI sets these in the environment)"),
    ROW("APP_ID", SETTING_STRING, app_id, "", 0, TUNNEL_NAME_MAX, "an app's id",
        "The name of a proxy to make beside those of the list; empty: none."),
    ROW("APP_PORT", SETTING_INT, app_port, "0", 0, 65535, NULL,
        "That proxy's port at the hub; needed with app_id."),
    ROW("APP_SOCKET", SETTING_STRING, app_socket, TUNNEL_EXAPP_SOCKET, 1, 107, "a path",
        "The unix socket that the app listens on."),

    HEADING("Status"),
    ROW("HP_STATUS_SOCKET", SETTING_LISTEN, status_socket, TUNNEL_STATUS_DEFAULT, 0, 1,
        "unix:/path, or off",
        "Where the commands status and health ask, which only the client's own user and root may. "
        "Read at the start; without its folder the client runs, but can't be asked."),

    HEADING("Log"),
    CHOICE("HP_LOG_LEVEL", log_level, "info", log_level_names,
           "The least important lines that are written."),
    CHOICE("HP_LOG_FORMAT", log_format, "text", log_format_names, "How lines are written."),
};

static const char *const NESTED[] = {"proxies", "metas", NULL};

const struct settings tunnel_settings_table = {ROWS, ARRAY_LEN(ROWS), NESTED};

static const char EXAMPLE_HEAD[] = "# Settings of harp-tunnel-client. Each is shown with its "
                                   "default; take away the # to change it.\n"
                                   "# An environment variable that is set wins over this file. The "
                                   "program reads frpc's TOML files\n"
                                   "# as well: harp-tunnel-client -c frpc.toml\n";

static const char EXAMPLE_TAIL[] =
    "\n"
    "# ---- Proxies ----\n"
    "\n"
    "# Ports at the hub, and where their connections go: `local` is unix:/PATH, HOST:PORT or\n"
    "# [IPV6]:PORT. ExApps have ports 23000 to 23999, Docker engines 24001 to 24099.\n"
    "#proxies = (\n"
    "#    {\n"
    "#        name = \"deploy-daemon-1\";\n"
    "#        remote_port = 24001;\n"
    "#        local = \"unix:/var/run/docker.sock\";\n"
    "#        use_encryption = false;\n"
    "#        use_compression = false;\n"
    "#    }\n"
    "#);\n"
    "\n"
    "# More that is told to the server at the login.\n"
    "#metas = { example = \"text\"; };\n";

struct program tunnel_program(const char *version)
{
    return (struct program){
        .name = "harp-tunnel-client",
        .config = "/etc/harp/tunnel.cfg",
        .version = version,
        .summary =
            "Connects to a hub and hands the connections that come through to local services.",
        .settings = &tunnel_settings_table,
        .example_head = EXAMPLE_HEAD,
        .example_tail = EXAMPLE_TAIL,
        .commands = tunnel_commands,
        .commands_n = tunnel_commands_n,
    };
}
