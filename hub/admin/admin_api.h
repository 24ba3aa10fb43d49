/* admin_api.h - who may ask the administration interface, and what: the verdict on a request.
 *
 * Pure: a request head that http/head.h took goes in, a verdict comes out; no socket in sight.
 *
 * Without a token everybody who reaches the address may ask, so it is on the loopback (settings.c).
 * A web page that the administrator looks at reaches it, too, by a name of its own that it lets
 * point to 127.0.0.1 (DNS rebinding). So without a token only those are answered who call the hub
 * `localhost` or by an IP address, and pages of other origins are not. A unix socket has its mode.
 *
 *     GET    /heartbeat          {"status": "ok"}
 *     GET    /info               as AppAPI gets it, control.h
 *     GET    /health             {"status": "ok"}; 503: something does not listen (any more). Without the token
 *     GET    /status             admin_status.h
 *     GET    /api/engines        admin_engines.h
 *     GET    /api/bans           admin_bans.h
 *     DELETE /api/bans/ADDRESS   204; 404: it had no failures; 400: it is no address
 */
#ifndef HARP_HUB_ADMIN_API_H
#define HARP_HUB_ADMIN_API_H

#include "common/config/ip.h"
#include "common/crypto/secret.h"
#include "common/http/head.h"

enum { ADMIN_HEAD_MAX = 512 }; /* bytes of an answer's head */

struct admin_rules {
    const struct secret *token; /* NULL: none is asked for */
    bool check_host;            /* where a browser can come from: TCP */
};

enum admin_op {
    ADMIN_OP_HEARTBEAT,
    ADMIN_OP_INFO,
    ADMIN_OP_HEALTH,
    ADMIN_OP_BANS,
    ADMIN_OP_ENGINES, /* others have to be asked first */
    ADMIN_OP_STATUS,  /* the same */
    ADMIN_OP_LIFT,    /* of `ip` */
};

struct admin_verdict {
    int status;        /* 0: do `op`; else the answer to give */
    const char *why;   /* of a status: English, for the answer's text */
    const char *allow; /* of a 405 */
    enum admin_op op;
    bool head; /* a HEAD: the answer has no body */
    struct ip_addr ip;
};

void admin_judge(struct admin_verdict *v, const struct http_request *r,
                 const struct admin_rules *rules);

struct admin_answer {
    int status;
    bool json; /* else text */
    bool head;
    const char *allow; /* may be NULL */
    const char *body;  /* lives as long as its maker says */
    size_t n;
};

/* Every answer is the last on its connection, and says so. Returns its length. */
size_t admin_answer_head(char out[ADMIN_HEAD_MAX], const struct admin_answer *a);

#endif
