#include "hub/command/command.h"
#include "hub/settings/settings.h"

/* Macros that write initialisers cannot put their arguments in parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define AT(field) offsetof(struct hub_settings, field)
#define HEADING(text)                                                                              \
    {                                                                                              \
        .type = SETTING_HEADING, .help = text                                                      \
    }
/* env, type, field = name, default, min, max, help */
#define ROW(env_name, kind, field, default_text, least, most, text)                                \
    {                                                                                              \
        .name = #field, .env = env_name, .type = kind, .offset = AT(field), .def = default_text,   \
        .min = least, .max = most, .help = text                                                    \
    }
#define CHOICE(env_name, field, default_text, names, text)                                         \
    {                                                                                              \
        .name = #field, .env = env_name, .type = SETTING_CHOICE, .offset = AT(field),              \
        .def = default_text, .choices = names, .help = text                                        \
    }
#define TEXT(env_name, field, default_text, shape, text)                                           \
    {                                                                                              \
        .name = #field, .env = env_name, .type = SETTING_STRING, .offset = AT(field),              \
        .def = default_text, .unit = shape, .help = text                                           \
    }

/* NOLINTEND(bugprone-macro-parentheses) */

#define MS 1LL
#define SECONDS 1000LL
#define HOURS (3600 * SECONDS)
#define DAYS (24 * HOURS)
#define KIB 1024LL
#define GIB (KIB * KIB * KIB)
#define OFF_ALLOWED 1
#define NAME_ALLOWED 1 /* as HaRP takes them */

static const char *const FRP_ACCEPT_NAMES[] = {"all", "engines", "none", NULL};

static const struct setting ROWS[] = {
    HEADING("Listeners"),
    ROW("HP_EXAPPS_ADDRESS", SETTING_LISTEN, exapps_address, "0.0.0.0:8780", NAME_ALLOWED, 0,
        "Where browsers and AppAPI come in over HTTP."),
    ROW("HP_EXAPPS_HTTPS_ADDRESS", SETTING_LISTEN, exapps_https_address, "0.0.0.0:8781",
        NAME_ALLOWED, OFF_ALLOWED,
        "The same over HTTPS. Used when the file cert.pem (certificates and key) is in certs_dir."),
    ROW("HP_FRP_ADDRESS", SETTING_LISTEN, frp_address, "0.0.0.0:8782", NAME_ALLOWED, OFF_ALLOWED,
        "Where tunnels from ExApps and Docker engines come in."),
    ROW("HP_ADMIN_ADDRESS", SETTING_LISTEN, admin_address, "127.0.0.1:8200", 0, OFF_ALLOWED,
        "Where the administration interface is, which `harp-hub bans` asks. Do not open it to a "
        "network."),
    ROW("HP_ADMIN_TOKEN", SETTING_SECRET, admin_token, "", 0, 0,
        "Asked for by the administration interface, as Authorization: Bearer TOKEN. Needed when "
        "admin_address is neither on the loopback nor a unix socket."),
    TEXT("HP_CERTS_DIR", certs_dir, "/certs", "a folder",
         "Certificates. The hub makes those for tunnels itself, in the folder frp below it."),
    ROW("HP_CERTS_CHECK_INTERVAL", SETTING_DURATION, certs_check_interval, "1m", MS, HOURS,
        "How often certs_dir is looked at for certificates that came or were renewed."),

    HEADING("Nextcloud and clients"),
    ROW("HP_SHARED_KEY", SETTING_SECRET, shared_key, "", 0, 0,
        "The secret between AppAPI and the hub. Needed, here or in shared_key_file, not in both."),
    TEXT("HP_SHARED_KEY_FILE", shared_key_file, "", "a file",
         "A file with the secret; newlines at its end do not count."),
    TEXT("NC_INSTANCE_URL", nc_instance_url, "", "an http or https URL",
         "Nextcloud's address as the hub reaches it. Needed, unless ExApps are declared in this "
         "file. A trailing / or /index.php is dropped."),
    ROW("HP_TRUSTED_PROXY_IPS", SETTING_ADDRESSES, trusted_proxy_ips, "", 0, 0,
        "Reverse proxies whose X-Forwarded-For and X-Real-IP are believed. Quotes and spaces "
        "around "
        "an entry do not matter; an entry that is wrong is told and left out."),
    TEXT("HP_NEXTCLOUD_CA_FILE", nextcloud_ca_file, "", "a file",
         "Certificates (PEM) of the authorities that may have signed Nextcloud's; not set: the "
         "system's."),
    ROW("HP_NEXTCLOUD_PROXY", SETTING_SECRET, nextcloud_proxy, "", 0, 0,
        "HTTP proxy on the way to Nextcloud, as in http://proxy.example.com:3128; a user name and "
        "password may stand in it. The usual variables (http_proxy) do not count."),
    ROW("HP_SESSION_LIFETIME", SETTING_DURATION, session_lifetime, "3s", 0, 10 * SECONDS,
        "How long Nextcloud's answer about who a client is may be used again; 0: ask every time."),
    ROW("HP_BLACKLIST_COUNT", SETTING_INT, blacklist_count, "10", 1, 1000000,
        "So many failures of a client address within blacklist_window ban it."),
    ROW("HP_BLACKLIST_WINDOW", SETTING_DURATION, blacklist_window, "300s", 1 * SECONDS, 30 * DAYS,
        "How long a failure counts."),
    ROW("HP_STRIP_CREDENTIALS", SETTING_BOOL, strip_credentials, "false", 0, 0,
        "Take Nextcloud's session cookies and Authorization out of requests to ExApps."),

    TEXT("HP_EXAPP_HOSTS", exapp_hosts, "", "host names, addresses and networks between commas",
         "Where AppAPI may say that an ExApp is which Nextcloud does not know yet, beside tunnels "
         "and ports 23000..23999 of the loopback."),

    HEADING("Tunnels and engines"),
    ROW("HP_FRP_DISABLE_TLS", SETTING_BOOL, frp_disable_tls, "false", 0, 0,
        "Accept tunnels without TLS. Only for setups where something in front of the hub ends "
        "TLS."),
    ROW("HP_FRP_CERT_VALIDITY_DAYS", SETTING_INT, frp_cert_validity_days, "5000", 1, 36500,
        "How long certificates are valid that the hub makes for tunnels, in days."),
    CHOICE("HP_FRP_ACCEPT_SHARED_KEY", frp_accept_shared_key, "all", FRP_ACCEPT_NAMES,
           "Whose tunnels may log in with the shared key itself: those of ExApps and Docker "
           "engines, of engines alone, or none. An ExApp that this hub deployed has a token of its "
           "own."),
    ROW("HP_EXAPP_TOKENS", SETTING_BOOL, exapp_tokens, "true", 0, 0,
        "Deploy each ExApp with a token and a certificate of its own. false: with the shared key "
        "and "
        "the certificate for all, as HaRP does, so that it goes on should you go back to HaRP; "
        "then "
        "any ExApp can pose as any other, and as Nextcloud."),
    ROW("HP_FRP_AUTH_TOKEN", SETTING_SECRET, frp_auth_token, "", 0, 0,
        "The token of the tunnel protocol itself (auth.token of frpc). HaRP sets none."),
    TEXT("HP_DOCKER_SOCKET", docker_socket, "/var/run/docker.sock", "a path",
         "The socket of the Docker engine on the hub's own host; used if it is there."),
    TEXT("HP_INSTANCE_ALIASES", instance_aliases, "", "values of the label harp.instance",
         "Containers with these labels are this hub's, too. The label is made of NC_INSTANCE_URL "
         "and "
         "the shared key: after a change of one of them, write the old value here."),

    HEADING("Timeouts"),
    ROW("HP_TIMEOUT_CONNECT", SETTING_TIMEOUT, timeout_connect, "30s", MS, DAYS,
        "To connect to an ExApp."),
    ROW("HP_TIMEOUT_CLIENT", SETTING_TIMEOUT, timeout_client, "30s", MS, 365 * DAYS,
        "Without a byte from a client that is to send a request or its body."),
    ROW("HP_TIMEOUT_SERVER", SETTING_TIMEOUT, timeout_server, "1800s", MS, 365 * DAYS,
        "Without a byte of an answer, server-sent events and long polls included."),
    ROW("HP_TIMEOUT_TUNNEL", SETTING_TIMEOUT, timeout_tunnel, "1800s", 0, 365 * DAYS,
        "Without a byte on an upgraded connection (WebSocket), in either direction; 0: no limit. "
        "If "
        "not set, it is timeout_server."),
    ROW("HP_NEXTCLOUD_CONNECT_TIMEOUT", SETTING_DURATION, nextcloud_connect_timeout, "5s", MS,
        HOURS, "To connect to Nextcloud."),
    ROW("HP_NEXTCLOUD_TIMEOUT", SETTING_DURATION, nextcloud_timeout, "25s", MS, HOURS,
        "For a whole answer of Nextcloud, the wait for a free connection included."),
    ROW("HP_EXAPP_LIFETIME", SETTING_DURATION, exapp_lifetime, "60s", 0, DAYS,
        "How long what Nextcloud said about an ExApp when asked is believed. What AppAPI tells the "
        "hub by itself stays."),
    ROW("HP_EXAPP_UNKNOWN_LIFETIME", SETTING_DURATION, exapp_unknown_lifetime, "15s", 0, DAYS,
        "How long an ExApp that Nextcloud does not know is not asked for again."),
    ROW("HP_HEAD_TIMEOUT", SETTING_DURATION, head_timeout, "15s", MS, HOURS,
        "For the whole head of a request, from its first byte."),
    ROW("HP_HANDSHAKE_TIMEOUT", SETTING_DURATION, handshake_timeout, "10s", MS, HOURS,
        "For a TLS handshake, and for the first bytes of a tunnel."),
    ROW("HP_LOGIN_TIMEOUT", SETTING_DURATION, login_timeout, "10s", MS, HOURS,
        "For a tunnel's login after the handshake."),
    ROW("HP_UPSTREAM_IDLE_TIMEOUT", SETTING_DURATION, upstream_idle_timeout, "30s", 0, DAYS,
        "How long an unused connection to an ExApp is kept for the next request; 0: it is not."),
    ROW("HP_WORK_CONNECTION_TIMEOUT", SETTING_DURATION, work_connection_timeout, "10s", MS, HOURS,
        "To get a connection from a tunnel's client."),
    ROW("HP_ENGINE_TIMEOUT", SETTING_DURATION, engine_timeout, "60s", MS, HOURS,
        "For a Docker engine's whole answer to a call; twice that for commands run in a container "
        "and for the removal of images."),
    ROW("HP_ENGINE_START_TIMEOUT", SETTING_DURATION, engine_start_timeout, "90s", MS, HOURS,
        "How long AppAPI's call that waits for a container's start waits."),
    ROW("HP_SHUTDOWN_TIMEOUT", SETTING_DURATION, shutdown_timeout, "30s", 0, DAYS,
        "How long requests that run may go on after SIGTERM; 0: they are cut at once."),

    HEADING("Limits"),
    ROW("HP_MAX_CONNECTIONS", SETTING_INT, max_connections, "0", 0, 10000000,
        "Client connections at once; 0: as many as the limit of open files allows."),
    ROW("HP_MAX_CONNECTIONS_PER_ADDRESS", SETTING_INT, max_connections_per_address, "4096", 0,
        10000000,
        "Connections at once from one address (IPv6: one /64) that is no trusted proxy; 0: no "
        "limit."),
    ROW("HP_NEXTCLOUD_REQUESTS", SETTING_INT, nextcloud_requests, "100", 1, 10000,
        "Requests to Nextcloud at once."),
    ROW("HP_NEXTCLOUD_WAITING", SETTING_INT, nextcloud_waiting, "1000", 0, 1000000,
        "Requests to Nextcloud that wait for others to end; what is over that fails."),
    ROW("HP_MAX_SESSIONS", SETTING_INT, max_sessions, "10000", 1, 1000000,
        "Clients whose identity is remembered for session_lifetime; the oldest go first."),
    ROW("HP_UPSTREAM_IDLE_CONNECTIONS", SETTING_INT, upstream_idle_connections, "512", 0, 1000000,
        "Unused connections kept to each ExApp."),
    ROW("HP_MAX_UNAUTHENTICATED_TUNNELS", SETTING_INT, max_unauthenticated_tunnels, "256", 1,
        1000000, "Tunnel connections at once that have not logged in yet."),
    ROW("HP_TUNNEL_MAX_STREAMS", SETTING_INT, tunnel_max_streams, "4096", 1, 1000000,
        "Streams open at once in one tunnel."),
    ROW("HP_TUNNEL_MAX_STREAMS_BEFORE_LOGIN", SETTING_INT, tunnel_max_streams_before_login, "4", 1,
        1000, "Streams open at once in a tunnel that has not logged in yet."),
    ROW("HP_TUNNEL_MAX_HELD", SETTING_SIZE, tunnel_max_held, "64M", 256 * KIB, 1024 * GIB,
        "Bytes that one tunnel may make the hub hold."),
    ROW("HP_TUNNEL_MAX_HELD_TOTAL", SETTING_SIZE, tunnel_max_held_total, "256M", 256 * KIB,
        1024 * GIB, "Bytes that all tunnels together may make the hub hold."),
    ROW("HP_TUNNEL_MAX_EMPTY_FRAMES", SETTING_INT, tunnel_max_empty_frames, "2000", 1, 10000000,
        "Frames a second that carry nothing (pings, empty data) before a tunnel is ended."),
    ROW("HP_TUNNEL_KEEPALIVE", SETTING_DURATION, tunnel_keepalive, "30s", 0, DAYS,
        "How often the hub pings a tunnel; 0: never."),
    ROW("HP_TUNNEL_KEEPALIVE_TIMEOUT", SETTING_DURATION, tunnel_keepalive_timeout, "10s", MS, HOURS,
        "How long a ping may stay unanswered before the tunnel is ended."),
    ROW("HP_TUNNEL_POOL", SETTING_INT, tunnel_pool, "5", 0, 1000,
        "Connections kept ready for each proxy of a tunnel, at most what its client offers."),

    HEADING("Rights"),
    TEXT(
        "HP_USER", user, "", "a name or a number",
        "The user to become when started as root; certs_dir is made usable for them, and of groups "
        "that of docker_socket is kept. Empty: stay as we are."),

    HEADING("Log"),
    CHOICE("HP_LOG_LEVEL", log_level, "warning", log_level_names,
           "The least important lines that are written."),
    CHOICE("HP_LOG_FORMAT", log_format, "text", log_format_names, "How lines are written."),
    ROW("HP_VERBOSE_START", SETTING_BOOL, verbose_start, "true", 0, 0,
        "Say at the start what listens where, whatever the level."),
};

static const char *const NESTED[] = {"exapps", NULL};

const struct settings hub_settings_table = {ROWS, ARRAY_LEN(ROWS), NESTED};

static const char EXAMPLE_HEAD[] =
    "# Settings of harp-hub. Each is shown with its default; take away the # to change it.\n"
    "# An environment variable that is set wins over this file.\n";

static const char EXAMPLE_TAIL[] =
    "\n"
    "# ---- ExApps ----\n"
    "\n"
    "# ExApps that the hub knows without asking Nextcloud. `host` and `port` are where the app "
    "is:\n"
    "# the port of a tunnel that is up, else a host to connect to (default 127.0.0.1). `routes` "
    "are\n"
    "# tried in order; `url` is a regular expression on the path after /exapps/ID; access_level "
    "is\n"
    "# 0 public, 1 user, 2 admin; an answer with a status in bruteforce_protection counts as a\n"
    "# failure of the client.\n"
    "#exapps = (\n"
    "#    {\n"
    "#        id = \"sample\";\n"
    "#        token = \"secret\";\n"
    "#        version = \"1.0.0\";\n"
    "#        host = \"127.0.0.1\";\n"
    "#        port = 23005;\n"
    "#        routes = (\n"
    "#            { url = \"^/.*\"; access_level = 0; bruteforce_protection = [401, 403]; }\n"
    "#        );\n"
    "#    }\n"
    "#);\n";

struct program hub_program(const char *version)
{
    return (struct program){
        .name = "harp-hub",
        .config = "/etc/harp/hub.cfg",
        .version = version,
        .summary = "Lets browsers and Nextcloud reach ExApps, directly or through tunnels.",
        .settings = &hub_settings_table,
        .example_head = EXAMPLE_HEAD,
        .example_tail = EXAMPLE_TAIL,
        .commands = hub_commands,
        .commands_n = hub_commands_n,
    };
}
