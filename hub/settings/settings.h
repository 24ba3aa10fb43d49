/* settings.h - everything that can be set in the hub.
 *
 * Owns all strings in it; hub_settings_free releases them and wipes the secrets. Nothing in it
 * changes after loading. Durations are in milliseconds, sizes in bytes. Strings are never NULL;
 * an empty one means "not set".
 *
 * Names in hub.cfg are the field names; in the environment HP_ and the name in capitals, but for
 * NC_INSTANCE_URL. The names, defaults and rules of the first four groups of settings_table.c are
 * those of Nextcloud HaRP, which this program replaces; the other groups are its own.
 */
#ifndef HARP_HUB_SETTINGS_H
#define HARP_HUB_SETTINGS_H

#include "common/config/host_list.h"
#include "common/config/options.h"
#include "common/config/settings.h"
#include "common/log/log.h"
#include "hub/settings/settings_exapps.h"

/* Whose logins with the shared key itself the tunnel port takes: ExApps' and Docker engines', only the
 * engines', nobody's. */
enum frp_accept { FRP_ACCEPT_ALL, FRP_ACCEPT_ENGINES, FRP_ACCEPT_NONE };

struct hub_settings {
    /* Listeners */
    struct listen_addr exapps_address;
    struct listen_addr exapps_https_address; /* used when cert.pem is in certs_dir */
    struct listen_addr frp_address;
    struct listen_addr admin_address;
    char *admin_token; /* secret; may be empty */
    char *certs_dir;
    uint64_t certs_check_interval;

    /* Nextcloud and clients */
    char *shared_key; /* secret; never empty: from shared_key or shared_key_file */
    char *shared_key_file;
    char *nc_instance_url; /* no trailing `/` or `/index.php`; empty only if ExApps are declared */
    struct ip_set trusted_proxy_ips;
    char *nextcloud_ca_file;
    char *nextcloud_proxy;     /* secret, as a password may stand in it; usually empty */
    uint64_t session_lifetime; /* 0: nothing is remembered */
    int64_t blacklist_count;
    uint64_t blacklist_window;
    bool strip_credentials;
    char *exapp_hosts;
    struct host_list exapp_host_list; /* made of it */

    /* Tunnels and engines */
    bool frp_disable_tls;
    int64_t frp_cert_validity_days;
    int frp_accept_shared_key; /* enum frp_accept */
    bool exapp_tokens;         /* false: ExApps get the shared key and the certificate for all */
    char *frp_auth_token;      /* secret; usually empty */
    char *docker_socket;
    char *instance_aliases; /* as written; instance.h takes it apart */

    /* Timeouts */
    uint64_t timeout_connect;
    uint64_t timeout_client;
    uint64_t timeout_server;
    uint64_t timeout_tunnel; /* 0: no limit */
    uint64_t nextcloud_connect_timeout;
    uint64_t nextcloud_timeout;
    uint64_t exapp_lifetime;
    uint64_t exapp_unknown_lifetime;
    uint64_t head_timeout;
    uint64_t handshake_timeout;
    uint64_t login_timeout;
    uint64_t upstream_idle_timeout;
    uint64_t work_connection_timeout;
    uint64_t engine_timeout;
    uint64_t engine_start_timeout;
    uint64_t shutdown_timeout;

    /* Limits */
    int64_t max_connections;             /* 0: derived from RLIMIT_NOFILE */
    int64_t max_connections_per_address; /* 0: no limit */
    int64_t nextcloud_requests;
    int64_t nextcloud_waiting;
    int64_t max_sessions;
    int64_t upstream_idle_connections;
    int64_t max_unauthenticated_tunnels;
    int64_t tunnel_max_streams;
    int64_t tunnel_max_streams_before_login;
    uint64_t tunnel_max_held;
    uint64_t tunnel_max_held_total;
    int64_t tunnel_max_empty_frames; /* a second */
    uint64_t tunnel_keepalive;
    uint64_t tunnel_keepalive_timeout;
    int64_t tunnel_pool;

    /* Rights */
    char *user;

    /* Log */
    int log_level;  /* enum log_level */
    int log_format; /* enum log_format */
    bool verbose_start;

    struct hub_exapps exapps;
};

/* The table, and what --help and --print-config need; `program` is given the version. */
extern const struct settings hub_settings_table;
struct program hub_program(const char *version);

/* Reads `path` (NULL or "": no file) and the environment. 0, or -1 with one line in the report and
 * nothing to free. */
int hub_settings_load(struct hub_settings *settings, const char *path, char *const *env,
                      struct config_report *report) MUST_CHECK;
void hub_settings_free(struct hub_settings *settings);

#endif
