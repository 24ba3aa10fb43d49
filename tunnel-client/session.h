/* session.h - the client's session with the hub (or an unmodified frps), as event x state.
 *
 *   WAITING --timer--> DIALING --connected--> SHAKING --TLS--> LOGGING_IN --LoginResp--> RUNNING
 *      ^__________________________ any failure, with back-off ______________________________|
 *
 * The data's way: the hub asks for work connections (ReqWorkConn); work.c opens one, hears for whom
 * it is (StartWorkConn), connects to the local socket, and joins the two.
 *
 * session.c   states, connecting, the control stream, the end
 * proxies.c   which ports are offered; opening, refusal, reload
 * work.c      work connections
 *
 * Owned by main: session_new, session_free. Settings are borrowed and must outlive it, or be
 * replaced by session_reload.
 */
#ifndef HARP_TUNNEL_CLIENT_SESSION_H
#define HARP_TUNNEL_CLIENT_SESSION_H

#include <openssl/ssl.h>

#include "common/base/stamp.h"
#include "common/frp/control.h"
#include "common/frp/yamux.h"
#include "common/stream/dial.h"
#include "tunnel-client/backoff.h"
#include "tunnel-client/config.h"

enum session_state {
    SESSION_WAITING,
    SESSION_DIALING,
    SESSION_SHAKING,
    SESSION_LOGGING_IN,
    SESSION_RUNNING,
    SESSION_STOPPED,
};

enum proxy_state { PROXY_CLOSED, PROXY_OPENING, PROXY_OPEN, PROXY_REFUSED };

#define SESSION_ERROR_MAX 256

enum {
    SESSION_MAX_WORK = 8192, /* work connections at a time */
    SESSION_RUN_ID_MAX = 64,
    SESSION_TLS_FILES = 3,
};

struct session;

/* What became of a proxy's connections; for status.h. */
struct proxy_seen {
    uint64_t id;                        /* the same for as long as the proxy is, through reloads */
    uint64_t connections;               /* taken by the local service */
    uint64_t answered;                  /* of those that have ended */
    char last_error[SESSION_ERROR_MAX]; /* "": the last one was handed over */
};

struct proxy {
    struct session *session;
    const struct tunnel_proxy *set; /* in the settings */
    enum proxy_state state;
    struct timer retry; /* after a refusal, with the session's pauses */
    struct backoff backoff;
    struct proxy_seen seen;
};

struct work_link {
    struct work_link *prev, *next;
};

struct session {
    struct loop *loop;
    struct log *log;
    struct resolver *resolver;
    const struct tunnel_config *set;
    SSL_CTX *tls; /* NULL: plain TCP */
    struct file_stamp
        files[SESSION_TLS_FILES]; /* what tls is made of; looked at before each connecting */
    enum session_state state;
    struct dial *dial;
    struct stream *transport; /* until yamux or the control stream has it */
    struct yamux *yamux;      /* NULL with tcpMux off */
    struct stream *control;
    struct frp_control crypt;
    bool clear; /* LoginResp is still to come: nothing is encrypted */
    char run_id[SESSION_RUN_ID_MAX + 1];
    bool ever;                          /* logged in at least once */
    int64_t since;                      /* seconds since 1970: when it began to run, or ceased to */
    char last_error[SESSION_ERROR_MAX]; /* "": none since it runs */
    struct backoff backoff;
    struct timer timer;     /* of the state */
    struct timer heartbeat; /* tcpMux off: frp's own Ping */
    uint64_t heard;         /* when the last Pong came */
    struct proxy *proxies;
    size_t proxies_n;
    struct work_link works; /* ring */
    unsigned works_n;
    void (*failed)(void *owner); /* the first login failed and login_fail_exit is set */
    void *owner;
};

/* The TLS context for the settings; NULL with *off: TLS is switched off; NULL: err. */
SSL_CTX *session_tls(const struct tunnel_config *set, struct log *log, bool *off, char *err,
                     size_t errlen) MUST_CHECK;
struct session *session_new(struct loop *l, struct resolver *r, const struct tunnel_config *set,
                            SSL_CTX *tls, void (*failed)(void *owner), void *owner);
void session_free(struct session *s);
/* Goes over to new settings: with the same server, proxies that stay the same are not touched. Takes
 * over tls; the caller frees the old settings afterwards. */
void session_reload(struct session *s, const struct tunnel_config *set, SSL_CTX *tls);
/* Takes no more work; true once nothing is being served. To be asked again until it is. */
bool session_stop(struct session *s);

/* ---- between the files ---- */

void session_send(struct session *s, const struct frp_msg *msg);
/* Makes a text printable ASCII: a server's words go into JSON, and into lines for the service manager, in which
 * a newline would begin another word to it. */
void session_tame(char *text);
/* The pause before the next try, in ms. */
uint64_t session_pause(const struct session *s, struct backoff *b);
/* Ends the connection and tries again after the back-off. */
void session_lost(struct session *s, const char *why);
/* TLS over a connected stream, which is used up. NULL: errno. */
struct stream *session_encrypt(struct session *s, struct stream *plain) MUST_CHECK;

void proxies_set(struct session *s, const struct tunnel_config *set);
void proxies_free(struct session *s);
/* Opens those that are not open yet. */
void proxies_open_closed(struct session *s);
void proxies_lost(struct session *s);
void proxies_on_resp(struct session *s, const struct frp_new_proxy_resp *m);
struct proxy *proxies_find(const struct session *s, struct str name);
/* By its number; NULL: it is gone meanwhile. */
struct proxy *proxies_find_id(const struct session *s, uint64_t id);

void work_open(struct session *s);
void work_end_all(struct session *s);
/* Ends those that serve nothing just now; returns how many are left. */
unsigned work_end_idle(struct session *s);
/* Of all connections that the proxy's service took so far: those over which it sent a byte. */
uint64_t work_answered(const struct session *s, const struct proxy *p);

#endif
