/* admin_impl.h - what the two halves of the administration interface share: admin.c has connections
 * until their request is judged, admin_lws.c has those that are answered by libwebsockets.
 */
#ifndef HARP_HUB_ADMIN_IMPL_H
#define HARP_HUB_ADMIN_IMPL_H

#include "common/stream/stream.h"
#include "hub/admin/admin_api.h"

struct admin;
struct admin_engines;
struct admin_lws;
struct admin_status;
struct lws;

enum admin_state {
    ADMIN_READING, /* the head is awaited; the connection is `s` */
    ADMIN_ASKING, /* what was asked for is being collected (admin_engines.h, admin_status.h); `s` is
                    * still ours */
    ADMIN_SERVED, /* libwebsockets has the descriptor, `wsi` */
    ADMIN_CLOSING, /* refused; the client's last bytes are dropped until it closes */
    ADMIN_ENDED,
};

struct admin_conn {
    struct admin_conn *prev, *next;
    struct admin *admin;
    enum admin_state state;
    struct stream *s; /* READING, ASKING, CLOSING */
    struct lws *wsi;  /* SERVED; NULL before and after */
    struct timer limit;
    size_t scanned; /* READING: by the parser; CLOSING: bytes dropped */
    uint64_t id;
    struct admin_verdict verdict;
    struct admin_engines *engines; /* ASKING, one of the two */
    struct admin_status *status;
    char *made; /* the body that was collected; of made_len bytes */
    size_t made_len;
    struct loop_task release;
};

/* ---- admin.c, called by admin_lws.c ---- */

/* Does what was asked for and fills the answer. *made is the body if it has to be freed. */
void admin_conn_answer(struct admin_conn *c, struct admin_answer *answer, char **made);
/* Unlinks c; its memory goes at the end of the turn. */
void admin_conn_end(struct admin_conn *c, const char *why);

/* ---- admin_lws.c ---- */

/* NULL: err says why. */
struct admin_lws *admin_lws_start(struct loop *l, struct log *log, char *err,
                                  size_t errlen) MUST_CHECK;
/* Every connection is told as ended before it returns. */
void admin_lws_free(struct admin_lws *al);
/* Gives the descriptor away for good; admin_conn_end(c) follows, perhaps in here. */
void admin_lws_serve(struct admin_lws *al, struct admin_conn *c, int fd);
/* Ends a served connection, whatever of its answer has left. */
void admin_lws_cut(struct admin_conn *c);

#endif
