/* fetch_impl.h - what the files of common/fetch share, and nobody else includes. */
#ifndef HARP_FETCH_IMPL_H
#define HARP_FETCH_IMPL_H

#include <sys/queue.h>

#include <curl/curl.h>

#include "common/base/stamp.h"
#include "common/fetch/fetch.h"

/* A request is in the list of its state, and in no other. */
enum fetch_state {
    FETCH_NEW,     /* not sent */
    FETCH_LINE,    /* sent; no place yet */
    FETCH_RUNNING, /* has an easy handle, which is in the multi handle */
    FETCH_ENDED,   /* `done` is owed */
    FETCH_LISTS,
    FETCH_GONE = FETCH_LISTS, /* `done` is being called, or it is being freed */
};

TAILQ_HEAD(fetch_list, fetch);
LIST_HEAD(fetch_watches, watch);

struct fetcher {
    struct loop *loop;
    CURLM *multi;
    struct fetch_list lists[FETCH_LISTS];
    unsigned count[FETCH_LISTS];
    struct fetch_watches watches;
    struct timer curl_timer; /* libcurl's one */
    struct loop_task turn;
    bool kick;   /* libcurl wants to be called at once */
    bool hushed; /* "at once" means 1 ms now: see on_timeout */
    unsigned at_once, waiting;
    uint64_t connect_timeout, timeout;
    size_t body_max;
    char *ca_file, *proxy;      /* or NULL */
    struct file_stamp ca_stamp; /* of ca_file, as last seen */
    uint64_t ca_changed;        /* loop_now, when it was seen to be another one; 0: never */
    char *proxy_peer;           /* "the proxy host:port" for messages, or NULL */
    bool no_ca_dir;             /* see fetcher_new */
};

enum fetch_excess { FETCH_FITS, FETCH_BODY_TOO_LARGE, FETCH_HEAD_TOO_LARGE };

struct fetch {
    struct fetcher *fetcher;
    TAILQ_ENTRY(fetch) link;
    enum fetch_state state;
    char *url;
    struct curl_slist *fields;
    bool bad; /* a field that can't be sent was given */
    bool only_head;
    int upload; /* a descriptor that is the caller's, or -1 */
    uint64_t upload_size, upload_at;
    char *scope, *key, *secret; /* of a signature, or NULL */
    fetch_field *field;
    void *field_arg;
    fetch_done *done;
    void *owner;
    uint64_t deadline; /* on the loop's clock; 0: none */
    CURL *easy;        /* only while running */
    char *body;
    size_t body_len, body_cap;
    size_t head_len; /* bytes of all header lines that came, 1xx and trailers included */
    enum fetch_excess excess;
    int status;
    bool timed_out;
    char error[CURL_ERROR_SIZE];
    char why[CURL_ERROR_SIZE + 176];
};

/* fetch_loop.c: serves the multi handle until fetch_loop_stop, after which none of its callbacks
 * come. Whenever libcurl returned, fetch_collect is called. */
void fetch_loop_start(struct fetcher *f);
void fetch_loop_stop(struct fetcher *f);
/* Lets libcurl do what is due by the clock. */
void fetch_act_on_time(struct fetcher *f);

/* fetch_put.c: what makes a request something else than a GET; false: libcurl refused. */
bool fetch_configure_kind(struct fetch *q);
/* Hands a header line to fetch_on_field's function. */
void fetch_tell_field(struct fetch *q, struct str line);

/* Ends the requests that libcurl is done with. */
void fetch_collect(struct fetcher *f);

/* Fills q->why and q->timed_out from what libcurl says about the request that ended with code. */
void fetch_explain(struct fetch *q, CURLcode code);
/* The same for one whose time ran out before it had a place. */
void fetch_explain_line(struct fetch *q);

#endif
