/* client.h - one connection of a browser, a reverse proxy or AppAPI, and the exchange it is in.
 *
 * The data's way: client stream -> request head -> verdict (access.h) -> upstream connection
 * (upstream.h) -> rewritten head and body; and the answer back the same way. A head stays unread in
 * the stream until there is somebody to send it to; bodies pass through without being kept.
 *
 *   SHAKE -> HEAD -> DECIDE -> CONNECT -> EXCHANGE -> HEAD ...        (client.c up to CONNECT,
 *              |        |_> CONTROL [-> WORK] |_____-> HEAD ...         exchange.c EXCHANGE,
 *              \________\_________\__________\______-> CLOSING         client_control.c CONTROL, WORK)
 *
 * client_enter is the only place that changes the state, client_end the only one that ends a
 * connection. A `struct client` is owned by the frontend's ring; its memory goes at the end of the
 * turn. After 101 both streams move to a relay and the client stays only as the relay's owner.
 */
#ifndef HARP_HUB_CLIENT_H
#define HARP_HUB_CLIENT_H

#include "common/http/body.h"
#include "common/stream/relay.h"
#include "hub/access/access.h"
#include "hub/client/answer.h"
#include "hub/client/upstream.h"

struct frontend;
struct hub;
struct intake;

enum client_state {
    CLIENT_SHAKE,    /* TLS handshake */
    CLIENT_HEAD,     /* between two requests, or inside a head */
    CLIENT_DECIDE,   /* waits for the verdict */
    CLIENT_CONNECT,  /* waits for an upstream connection */
    CLIENT_CONTROL,  /* the body of a call to the hub itself comes */
    CLIENT_WORK,     /* what it asks for is being done (deploy.h) */
    CLIENT_EXCHANGE, /* the request goes up, the answer comes down */
    CLIENT_CLOSING,  /* last bytes leave, what still comes is dropped */
    CLIENT_UPGRADED, /* a relay has the streams */
    CLIENT_ENDED,
};

/* Why no upstream connection could be had; kept until the head is read again. */
struct upstream_failure {
    int status;
    enum hop hop;
    char why[160];
};

/* All of an exchange; zeroed between two. */
struct exchange {
    struct upstream_failure *failure;
    struct access access;
    struct access_verdict verdict;
    struct intake *intake; /* CONTROL */
    struct upstream_wait *wait;
    struct stream *up;
    uint64_t up_target; /* which tunnel it goes through; 0 direct */
    char *replay;       /* the request as sent, while it can be sent again */
    size_t replay_len;
    uint64_t started;
    size_t up_scanned;
    struct http_body request, response;
    enum http_method method;
    uint16_t status;
    uint8_t tries;      /* connections asked for */
    uint8_t interim;    /* 1xx answers passed on */
    uint8_t minor;      /* the client's HTTP/1.x */
    bool decided;       /* verdict is there */
    bool keep_alive;    /* the client's connection outlives this exchange */
    bool upgrade;       /* the request asks for one */
    bool reused;        /* up served a request before */
    bool repeatable;    /* the request may be sent again */
    bool request_done;  /* the request's body has been passed on */
    bool answered;      /* a byte came from upstream */
    bool head_sent;     /* the final answer's head went to the client */
    bool up_keep_alive; /* up can serve another request after this one */
    bool client_ended;  /* the client half-closed while it waits for the answer */
};

struct client {
    struct client *prev, *next; /* the frontend's ring */
    struct hub *hub;
    struct stream *s;
    struct relay *relay;
    struct ip_addr addr; /* the socket's */
    uint16_t port;
    bool tls;
    bool counted; /* in the frontend's table of addresses */
    bool linger;  /* CLOSING: wait for the client to close, too */
    enum client_state state;
    size_t scanned;
    size_t unsent; /* at the last time limit that a slow reader met; 0: none since it had all */
    uint64_t id;
    uint64_t requests;
    struct timer timer;
    struct loop_task release;
    struct exchange x;
};

/* Takes a stream of the frontend's; the handshake, if any, is still to come. */
struct client *client_new(struct frontend *f, struct stream *s, const struct ip_addr *addr,
                          uint16_t port, bool tls);
void client_end(struct client *c, const char *why);
/* The hub stops: idle connections end, the others after their exchange. */
void client_stop(struct client *c);

/* ---- between client.c, client_control.c and exchange.c ---- */

void client_enter(struct client *c, enum client_state state);
/* Answers by the hub's own words and goes on, or closes. Of *a only what is to be said is set. */
void client_reply(struct client *c, struct answer *a, bool close);
void client_answer(struct client *c, int status, enum hop hop, const char *why, bool close);
/* Ends the connection once everything written has left. linger: the client may be sending still. */
void client_close(struct client *c, bool linger);
/* The request head just parsed (hub->request, head_len bytes at p) goes to c->x.up; returns how
 * many of the n bytes at p were used. */
size_t exchange_begin(struct client *c, const struct target *target, const char *p, size_t head_len,
                      size_t n);
/* Who is at the other end. */
enum hop exchange_hop(const struct client *c);
#define EXCHANGE_PEER(c, says)                                                                     \
    ((c)->x.access.for_engine ? "the Docker engine" says : "the ExApp" says)
/* Makes c the owner of c->x.up. */
void exchange_own(struct client *c);
size_t exchange_client_data(struct client *c, const char *p, size_t n);
void exchange_client_eof(struct client *c);
void exchange_client_drained(struct client *c);
void exchange_timeout(struct client *c);
/* Ends what the exchange holds, whatever its state. */
void exchange_clear(struct client *c);
/* The same for a call to the hub itself. */
size_t control_begin(struct client *c, const struct target *target, const char *p, size_t head_len,
                     size_t n);
size_t control_data(struct client *c, const char *p, size_t n);
void control_clear(struct client *c);
struct tunnel_origin client_origin(const struct client *c);

#endif
