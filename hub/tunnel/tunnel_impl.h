/* tunnel_impl.h - what the files of the tunnel server share (see tunnels.h); for them alone. */
#ifndef HARP_HUB_TUNNEL_IMPL_H
#define HARP_HUB_TUNNEL_IMPL_H

#include <openssl/ssl.h>

#include "common/base/stamp.h"
#include "common/frp/control.h"
#include "common/frp/yamux.h"
#include "common/stream/listener.h"
#include "common/log/log.h"
#include "hub/client/addresses.h"
#include "hub/tunnel/certs.h"
#include "hub/hub.h"
#include "hub/tunnel/tunnel_identity.h"
#include "hub/tunnel/tunnels.h"

enum {
    TUNNEL_PORTS = TUNNEL_ENGINE_LAST - TUNNEL_APP_FIRST + 1,
    TUNNEL_NAME_MAX = 128,
    TUNNEL_RUN_ID_MAX = 64,
    /* Control messages a second; a client of frp's sends a handful in its life. */
    TUNNEL_MAX_MESSAGES = 100,
    /* Bytes for the control stream that wait for a client that does not read it: its end. */
    TUNNEL_MAX_UNREAD = 64 * 1024,
    /* With tcpMux off the client pings; silent for so long, it is gone. */
    TUNNEL_SILENCE_MS = 90 * 1000,
    /* Log lines a minute about proxies that were refused, of all clients. */
    TUNNEL_REFUSED_LINES = 60,
    TUNNEL_REFUSED_LINES_MS = 60 * 1000,
};

struct tunnel_link {
    struct tunnel_link *prev, *next;
};

enum { TUNNEL_TLS_FILES = 3 };

struct tunnels {
    struct hub *hub;
    struct listener *listener;
    SSL_CTX *tls;                       /* NULL: TLS is switched off */
    struct certs certs;                 /* with TLS: the folder that it uses */
    struct addresses *addresses;        /* connections without a login, by address */
    struct tunnel_link conns, sessions; /* rings of tunnel_conn and tunnel */
    struct tunnel *ports[TUNNEL_PORTS];
    struct tunnel_gone *gone[TUNNEL_PORTS]; /* NULL, or the last session that ended with the port */
    unsigned strangers;                     /* connections without a login */
    uint64_t generations;
    size_t held; /* bytes held for slow receivers, all yamux sessions */
    bool stopped;
    tunnels_offered *offered; /* NULL: nobody watches */
    void *offered_owner;
    struct log_limit refused; /* lines about refused proxies */
    /* With TLS: looking at the certificates again. */
    struct file_stamp files[TUNNEL_TLS_FILES];
    struct timer watch;
    uint64_t checked; /* loop_now of the last time that their dates were checked */
    int64_t clock;    /* time() less loop_now, in seconds, then */
};

enum conn_stage {
    CONN_FIRST,   /* TLS or not is told by the first byte */
    CONN_AFTER17, /* the marker byte of old clients came, now TLS must */
    CONN_SHAKE,   /* TLS handshake */
    CONN_INNER,   /* yamux or a message is told by the first byte */
    CONN_MESSAGE, /* the first message */
    CONN_MUX,     /* yamux runs on it */
};

/* A connection, or a stream inside a yamux session, up to its first message; and a yamux session
 * for as long as it lives. */
struct tunnel_conn {
    struct tunnel_link link;
    struct tunnels *ts;
    struct tunnel_conn *mux;    /* a stream inside this session */
    struct stream *s;           /* NULL: handed on, or yamux has it */
    struct yamux *yamux;        /* CONN_MUX */
    struct tunnel *tunnel;      /* CONN_MUX: the session that logged in on it */
    struct tunnel_link streams; /* CONN_MUX: its streams that have no message yet */
    struct ip_addr addr;
    uint16_t port;
    uint64_t id;
    struct tunnel_cert cert; /* of the connection; a stream's is that of its session */
    enum conn_stage stage;
    bool stranger; /* counted as one without a login */
    bool dead;
    struct timer timer;
    struct loop_task release;
};

/* A session: a client that logged in. */
struct tunnel {
    struct tunnel_link link;
    struct tunnels *ts;
    struct tunnel_conn *mux; /* NULL with tcpMux off */
    struct stream *control;
    struct frp_control crypt;
    struct ip_addr addr;
    uint64_t id, generation;
    uint64_t since; /* of its login */
    struct tunnel_identity who;
    char run_id[TUNNEL_RUN_ID_MAX + 1];
    char name[TUNNEL_NAME_MAX + 1];      /* of its proxy; "" none */
    uint16_t port;                       /* of its proxy; 0 none */
    char last_name[TUNNEL_NAME_MAX + 1]; /* of the proxy that it had before it had none */
    uint16_t last_port;                  /* 0: it has one, or never had */
    bool dead;
    unsigned pool;  /* how many work connections it keeps ready */
    unsigned asked; /* for and not come yet */
    unsigned ready_n;
    struct tunnel_link ready, waits; /* rings of ready_conn, tunnel_wait */
    uint64_t second;
    unsigned messages; /* in that second */
    struct timer silence;
    struct loop_task release;
};

static inline void tunnel_link_init(struct tunnel_link *l)
{
    l->prev = l->next = l;
}
static inline void tunnel_link_add(struct tunnel_link *ring, struct tunnel_link *l)
{
    l->prev = ring->prev;
    l->next = ring;
    ring->prev->next = l;
    ring->prev = l;
}
static inline void tunnel_link_remove(struct tunnel_link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    l->prev = l->next = l;
}

/* tunnel_conn.c */
void tunnel_conn_accepted(void *tunnels, int fd, const struct sock_addr *from);
/* Ends it and everything on it. */
void tunnel_conn_end(struct tunnel_conn *c, const char *why);
/* The login was good: the limits of strangers end. */
void tunnel_conn_trusted(struct tunnel_conn *c);
/* The same for a yamux session's number of streams. */
void tunnel_conn_raise_limits(struct tunnel_conn *mux);
/* What the client of the connection, or of the session that c is a stream of, showed. */
const struct tunnel_cert *tunnel_conn_cert(const struct tunnel_conn *c);

/* tunnel.c: the first message of a stream. They take over s. */
void tunnel_login(struct tunnels *ts, struct tunnel_conn *c, struct stream *s,
                  const struct frp_login *login);
void tunnel_end(struct tunnel *t, const char *why);
void tunnel_send(struct tunnel *t, const struct frp_msg *msg);
struct tunnel *tunnel_by_run_id(struct tunnels *ts, struct str run_id);
void stream_send_msg(struct stream *s, const struct frp_msg *msg);
/* Counts a failure of a client's address. */
void tunnel_failure(struct tunnels *ts, const struct ip_addr *from, const char *what);

/* tunnel_work.c */
void tunnel_work_init(struct tunnel *t);
void tunnel_work_came(struct tunnels *ts, struct tunnel_conn *c, struct stream *s,
                      const struct frp_new_work_conn *m);
void tunnel_work_clear(struct tunnel *t, const char *why);
/* Asks for as many as are needed. */
void tunnel_work_ask(struct tunnel *t, unsigned n);

#endif
