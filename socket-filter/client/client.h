/* client.h - one connection of somebody who wants something of the engine, and the exchange it is in.
 *
 * The data's way: client stream -> request head -> who is it (frontend.h) -> verdict (common/docker) -> body
 * read whole and judged -> engine asked about the object, where that counts -> record (audit.h) -> head and
 * body written anew to the engine -> answer back.
 *
 *   SHAKE -> HEAD -> [BODY] -> [WAIT] -> EXCHANGE -> HEAD ...      client.c   state, end, head
 *              |        |         |         |                      judge.c    verdicts and what follows them
 *              |        |         |         |                      intake.c   BODY
 *              \________\_________\_________\-> CLOSING            exchange.c EXCHANGE, answer.c the answer's way
 *
 * client_enter is the only place that changes the state, client_end the only one that ends a connection. A
 * `struct client` is owned by the frontend's ring; its memory goes at the end of the turn. After 101 both
 * streams move to a relay and the client stays only as the relay's owner.
 * A request that is judged keeps a copy of its head: what is written to the engine is made from that.
 */
#ifndef HARP_FILTER_CLIENT_H
#define HARP_FILTER_CLIENT_H

#include "common/docker/archive.h"
#include "common/docker/body.h"
#include "common/docker/scrub.h"
#include "common/http/body.h"
#include "common/stream/dial.h"
#include "common/stream/relay.h"
#include "socket-filter/client/engine.h"
#include "socket-filter/client/frontend.h"
#include "socket-filter/client/lookup.h"
#include "socket-filter/filter.h"

enum client_state {
    CLIENT_SHAKE,    /* TLS handshake */
    CLIENT_HEAD,     /* between two requests, or inside a head */
    CLIENT_BODY,     /* JSON comes, to be judged as a whole */
    CLIENT_WAIT,     /* for the engine: about the object, or for a connection */
    CLIENT_EXCHANGE, /* the request goes to the engine, the answer comes */
    CLIENT_CLOSING,  /* last bytes leave, what still comes is dropped */
    CLIENT_UPGRADED, /* a relay has the streams */
    CLIENT_ENDED,
};

/* What of an answer is read whole before the client gets it. */
enum collect { COLLECT_NOTHING, COLLECT_ENV, COLLECT_EXEC };

/* All of an exchange; zeroed between two. */
struct exchange {
    char *head; /* as the client sent it; may hold credentials */
    size_t head_len;
    struct http_body request, response; /* their framing */
    struct buf data;                    /* BODY: what came of it, decoded */
    struct docker_body_out body;        /* what of it goes on */
    struct docker_archive *archive;
    struct lookup *lookup;
    struct engine_wait *wait;
    struct dial *dial; /* to an ExApp */
    struct stream *up;
    struct scrub *scrub;
    struct buf answer; /* one that is collected */
    char *answer_head; /* and its head, without framing */
    size_t answer_head_len;
    uint64_t started;   /* loop_now: when it was sent to the engine */
    uint64_t requested; /* and when the last of its body was */
    size_t up_scanned;
    enum http_method method;
    enum docker_answer kind;
    enum collect collect;
    uint16_t status;
    uint8_t minor;      /* the client's HTTP/1.x */
    uint8_t interim;    /* 1xx answers */
    bool raw;           /* goes on as it came: report mode, and ExApps */
    bool chunked;       /* the request's body goes on in chunks */
    bool upgrade;       /* the request asks for one */
    bool keep_alive;    /* the client's connection outlives this exchange */
    bool request_done;  /* the request's body was read, and passed on if it is to be */
    bool reused;        /* up served a request before */
    bool answered;      /* a byte came from the engine */
    bool head_sent;     /* the final answer's head went to the client */
    bool up_keep_alive; /* up can serve another request after this one */
    bool client_ended;  /* the client half-closed while it waits for the answer */
    char id[65];        /* the full id of the container that the engine was asked about */
};

struct client {
    struct client *prev, *next; /* the frontend's ring */
    struct filter *f;
    struct listening *at;
    const struct named_policy *policy; /* NULL: not known yet, or none is needed */
    struct stream *s;
    struct relay *relay;
    struct ip_addr addr; /* of TCP */
    bool tcp, tls, linger;
    enum client_state state;
    size_t scanned;
    size_t unsent; /* at the last time limit that a slow reader met; 0: none since it had all */
    uint64_t id, requests;
    struct timer timer;
    struct loop_task release;
    char name[128]; /* for records: an address, a certificate's name, "uid 1000" */
    struct exchange x;
};

/* Takes a stream of the frontend's; the handshake, if any, is still to come. */
struct client *client_new(struct listening *at, struct stream *s);
void client_end(struct client *c, const char *why);
/* The program stops: idle connections end, the others after their exchange. */
void client_stop(struct client *c);

/* ---- between the files of this folder ---- */

void client_enter(struct client *c, enum client_state state);
/* For the heads of its requests: at a unix socket there is no host to name. */
struct http_limits client_limits(const struct client *c);
/* Ends the connection once everything written has left. linger: the client may be sending still. */
void client_close(struct client *c, bool linger);
/* Answers by words of our own, in Docker's shape of errors, and goes on with the next request, unless the
 * rest of this one is not read. */
void client_answer(struct client *c, int status, const char *why);
/* The same with another body. */
void client_answer_body(struct client *c, int status, const char *type, struct str body,
                        const char *extra_field);

/* The head just parsed (f->request, len bytes at p of n): returns how many of the n bytes were used. */
size_t judge_begin(struct client *c, const char *p, size_t len, size_t n);
/* The body was judged, or there is none: asks the engine, if need be, and goes on. */
void judge_finish(struct client *c);
/* Reads x.head again into f->request, f->call and f->verdict, as they were when it came. */
void judge_again(struct client *c);
/* A verdict that does not pass: the record, and the answer, or, in report mode, on with it. */
void judge_refused(struct client *c, const struct docker_verdict *v);
/* The same of a request that is under way. true: it goes on as it does, in report mode; else it is answered. */
bool judge_refused_late(struct client *c, struct docker_verdict *v);
/* A body whose framing is broken: nothing of it can go on, in no mode. */
void judge_malformed(struct client *c, const char *why);
/* The record of a request; 0, or -1 when it must not pass without one and is answered. */
int judge_record(struct client *c, enum audit_verdict verdict, const struct docker_verdict *v);

void intake_begin(struct client *c);
size_t intake_data(struct client *c, const char *p, size_t n);

/* Takes the exchange on: connects and writes the request. */
void exchange_start(struct client *c);
size_t exchange_client_data(struct client *c, const char *p, size_t n);
void exchange_client_eof(struct client *c);
void exchange_client_drained(struct client *c);
void exchange_timeout(struct client *c);
void exchange_touch(struct client *c);
/* Both messages are through. excess: the engine sent more than its answer. */
void exchange_finish(struct client *c, bool excess);
void exchange_fail(struct client *c, int status, const char *why);
/* Ends what the exchange holds, whatever its state. */
void exchange_clear(struct client *c);

extern const struct stream_events answer_events; /* of x.up, during EXCHANGE */
/* 101: both streams go on as they are. */
void answer_switch(struct client *c);

#endif
