/* config.h - everything that can be set in the tunnel client, from either of two files.
 *
 * - `tunnel.cfg`, its own (libconfig), with the environment above it. In an ExApp's container no file
 *   is needed: HP_FRP_ADDRESS, HP_FRP_PORT, HP_SHARED_KEY (or HP_SHARED_KEY_FILE), APP_ID and
 *   APP_PORT, which AppAPI sets, say all there is to say.
 * - `frpc.toml`, as ExApps' start scripts and HaRP's manual write it (frpc_toml.h). It stands alone:
 *   the environment counts only where the file says `{{ .Envs.NAME }}`.
 * The name tells which: one that ends in `.toml` is frpc's.
 *
 * Owns all strings; tunnel_config_free releases them and wipes the secrets. Strings are never NULL,
 * an empty one means "not set". Durations are in milliseconds.
 */
#ifndef HARP_TUNNEL_CLIENT_CONFIG_H
#define HARP_TUNNEL_CLIENT_CONFIG_H

#include "common/config/listen.h"
#include "common/config/options.h"
#include "common/config/settings.h"
#include "common/log/log.h"

#define TUNNEL_PROXIES_MAX 256
#define TUNNEL_METAS_MAX 32
#define TUNNEL_NAME_MAX 128
#define TUNNEL_USER_MAX 64
#define TUNNEL_STATUS_DEFAULT "unix:/run/harp-tunnel-client/status.sock"
#define TUNNEL_TARGET_MAX 320 /* a host or path, and a port, as text */
/* Where an ExApp listens that follows the start script of Nextcloud's ExApps. */
#define TUNNEL_EXAPP_SOCKET "/tmp/exapp.sock"

struct tunnel_meta {
    char *name;
    char *value;
};

/* One port of the hub, and where its connections go. The type is always tcp. */
struct tunnel_proxy {
    char *name; /* as it is sent, with the user in front if there is one */
    uint16_t remote_port;
    char *unix_path; /* if not empty, connections go here; else to host:port */
    char *local_host;
    uint16_t local_port;
    bool use_encryption;
    bool use_compression;
};

struct tunnel_config {
    /* Server */
    char *server_address; /* a name or an IP address, without brackets */
    int64_t server_port;
    char *shared_key; /* secret; sent as the login's meta "token" */
    char *shared_key_file;
    char *auth_token; /* secret; the token of the frp protocol, empty with HaRP */
    char *user;
    struct tunnel_meta metas[TUNNEL_METAS_MAX]; /* others than "token"; values are secrets */
    size_t metas_n;
    bool login_fail_exit; /* end the program if the first login fails */

    /* TLS */
    bool tls_enable;
    char *tls_cert_file;
    char *tls_key_file;
    char *tls_ca_file; /* empty: the server's certificate is not checked, as with frpc */
    char *tls_server_name;

    /* Session */
    bool tcp_mux;
    uint64_t tcp_mux_keepalive;  /* how often to ping; 0: never */
    uint64_t keepalive_timeout;  /* how long a ping may stay unanswered */
    uint64_t heartbeat_interval; /* frp's own Ping message; 0: not sent */
    uint64_t heartbeat_timeout;  /* 0: not watched */
    uint64_t dial_timeout;
    uint64_t reconnect_min;
    uint64_t reconnect_max;
    uint64_t shutdown_timeout;
    int64_t pool_count;

    /* The ExApp of this container, tunnel.cfg and environment only */
    char *app_id;
    int64_t app_port; /* 0: not set */
    char *app_socket;

    /* What it says about itself: a unix socket, or off */
    struct listen_addr status_socket;

    /* Log */
    int log_level;  /* enum log_level */
    int log_format; /* enum log_format */

    struct tunnel_proxy *proxies; /* at least one; names and remote ports differ */
    size_t proxies_n;
};

extern const struct settings tunnel_settings_table;
struct program tunnel_program(const char *version);

/* Reads `path` (NULL or "": no file) and the environment. 0, or -1 with one line in the report and
 * nothing to free. */
int tunnel_config_load(struct tunnel_config *config, const char *path, char *const *env,
                       struct config_report *report) MUST_CHECK;
/* Of the environment, status_socket alone: what a command needs that asks a client whose other settings are
 * in a file that it was not told of, as a container's health check. *config was zeroed. 0, or -1 as above. */
int tunnel_config_load_socket(struct tunnel_config *config, char *const *env,
                              struct config_report *report) MUST_CHECK;
void tunnel_config_free(struct tunnel_config *config);

/* Whether two proxies are the same in all that matters; for reloading. */
bool tunnel_proxy_equal(const struct tunnel_proxy *a, const struct tunnel_proxy *b);

/* Where its connections go, as text: "unix:/PATH", "HOST:PORT"; returns buf. */
const char *tunnel_proxy_target(const struct tunnel_proxy *p, char buf[TUNNEL_TARGET_MAX]);

/* The commands of the command line (status_command.h). */
extern const struct program_command tunnel_commands[];
extern const size_t tunnel_commands_n;

/* For the readers of both files. All return 0, or -1 with the error in the report. `where` stands in
 * front of the error. */

/* Appends a proxy without values; NULL when there are too many or memory is short. */
struct tunnel_proxy *tunnel_config_add_proxy(struct tunnel_config *config, const char *where,
                                             struct config_report *report) MUST_CHECK;
/* Once the last proxy is filled in: refuses what cannot be sent or is there already. */
int tunnel_config_check_proxy(struct tunnel_config *config, const char *where,
                              struct config_report *report) MUST_CHECK;
/* Once all are: puts the user in front of their names. */
int tunnel_config_apply_user(struct tunnel_config *config, const char *where,
                             struct config_report *report) MUST_CHECK;
/* A meta of the login; "token" is the shared key. */
int tunnel_config_add_meta(struct tunnel_config *config, struct str name, struct str value,
                           const char *where, struct config_report *report) MUST_CHECK;
/* Replaces *to by a copy of the text. */
int tunnel_config_set(char **to, struct str text, const char *where,
                      struct config_report *report) MUST_CHECK;

/* config_file.c: the lists of tunnel.cfg that no table describes. */
int tunnel_config_load_lists(struct tunnel_config *config, const struct config_file *file,
                             struct config_report *report) MUST_CHECK;

#endif
