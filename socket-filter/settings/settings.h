/* settings.h - what an administrator sets: by file, environment and command line.
 *
 * Owns all strings and lists in it; filter_settings_free ends them, and wipes passwords. Later sources win:
 * default < file < environment < command line.
 * Without any listener there is one: AppAPI's policy at FILTER_LISTEN_DEFAULT. Where NC_HAPROXY_PASSWORD
 * or NC_HAPROXY_PASSWORD_FILE is in the environment, listeners are those of Nextcloud's Docker Socket Proxy
 * (settings_dsp.c).
 */
#ifndef HARP_FILTER_SETTINGS_H
#define HARP_FILTER_SETTINGS_H

#include <sys/stat.h>

#include "common/config/options.h"
#include "socket-filter/audit/audit.h"
#include "socket-filter/policy/policies.h"

#define FILTER_LISTEN_DEFAULT "unix:/run/harp-socket-filter/docker.sock"

enum {
    FILTER_LISTENERS_MAX = 1100, /* ExApps' ports are up to 1000 of them */
    FILTER_CLIENTS_MAX = 256,    /* certificates of one listener */
    FILTER_USER_MAX = 64,        /* bytes of a listener's user, and of its password */
    FILTER_PASSWORD_MAX = 1024,
};

enum filter_mode { FILTER_ENFORCE, FILTER_REPORT };
enum filter_audit { FILTER_AUDIT_OFF, FILTER_AUDIT_ON, FILTER_AUDIT_REQUIRED };

/* A certificate with a policy of its own. */
struct filter_certificate {
    char *name; /* the subject's common name, a DNS name, or "sha256:" and 64 hexadecimal digits */
    char *policy;
};

struct filter_listener {
    struct listen_addr at;
    char *socket;      /* name of a socket that a service manager hands over; "": `at` counts */
    int64_t mode;      /* of a unix socket */
    char *group;       /* "": the program's own */
    char *policy;      /* "": only those of `certificates` may come in */
    int report;        /* enum filter_mode */
    char *certificate; /* PEM with key; "": no TLS */
    char *key;         /* "": it is in `certificate` */
    char *client_ca;   /* clients must show a certificate signed by one of it; "": they need none */
    struct filter_certificate *certificates;
    size_t ncertificates;
    char *user; /* Basic authentication; "": none */
    char *password;
    char *password_file;
    uint16_t
        exapp; /* not for Docker: passes all on to this port of `exapps_net`; 0: it is for Docker */
    bool dsp;  /* of Nextcloud's Docker Socket Proxy, where a password alone is enough */
    char *where;                /* "filter.cfg:12" or the option's name, for errors; "" */
    char text[LISTEN_TEXT_MAX]; /* for messages and records */
};

struct filter_settings {
    struct listen_addr docker; /* a unix socket */
    struct listen_addr admin;
    int mode; /* of listeners that have none of their own */
    char *user;
    bool sandbox;
    int log_level, log_format;
    uint64_t head_timeout, handshake_timeout, timeout_client, connect_timeout, timeout_short,
        timeout_slow, timeout_stream, shutdown_timeout;
    uint64_t body_max, archive_max, answer_max;
    int64_t max_connections, max_execs;
    int64_t ban_count;
    uint64_t ban_window, certificate_check_interval;
    int audit; /* enum filter_audit */
    char *audit_folder;
    uint64_t audit_segment_size;
    int audit_sync; /* enum audit_sync */

    struct filter_listener *listeners;
    size_t nlisteners;
    char *exapps_net; /* a host */
    bool autostart;   /* start ExApps' containers that have ended, once */
    struct policies *policies;
};

extern const struct settings filter_settings_table;

/* 0, or -1 with the error in the report, and nothing to free. */
int filter_settings_load(struct filter_settings *set, const struct options *options,
                         char *const *env, struct config_report *report) MUST_CHECK;
void filter_settings_free(struct filter_settings *set);

/* ---- between the files of this folder ---- */

/* A listener with all strings empty, at the end of the list. The list must have room. */
struct filter_listener *filter_listener_add(struct filter_settings *set);
/* Sets `text` from the address. */
void filter_listener_name(struct filter_listener *ls);
/* Why a listener must not be at that address, which may be of a socket that a service manager handed over:
 * others can reach it, and nobody is asked who they are. NULL: it may. */
const char *filter_listener_exposed(const struct filter_listener *ls, const struct listen_addr *at);
/* Whether both mean the same file, whatever links lead there. */
bool filter_same_socket(const struct listen_addr *a, const struct listen_addr *b);
int filter_listeners_read(struct filter_settings *set, const struct config_file *file,
                          struct config_report *report) MUST_CHECK;
/* Listeners and time limits of Nextcloud's Docker Socket Proxy, if the environment asks for it. `origins`:
 * of the settings so far; what an administrator has set stays. */
int filter_dsp_read(struct filter_settings *set, char *const *env,
                    const struct setting_origin *origins, struct config_report *report) MUST_CHECK;

#endif
