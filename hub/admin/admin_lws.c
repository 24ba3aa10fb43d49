/* admin_lws.c - libwebsockets on the hub's loop: answers requests that admin.c has judged.
 *
 * The library listens nowhere: it is given descriptors. It reads a head written here instead of the
 * client's, and sends one answer, after which it closes. Its own HTTP parser is so never in a
 * stranger's hands: it cleans up paths, runs a second request behind Transfer-Encoding with
 * Content-Length, and switches to HTTP/2 or to raw bytes when asked to.
 *
 * Idle, it costs one wake-up in 30 s (a timer of its own), in 4.1.6 as in 4.3.5.
 */
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/log/log.h"
#include "hub/admin/admin.h"
#include "hub/admin/admin_impl.h"

enum {
    TIMEOUT_S = 15,               /* more than admin.c gives */
    HEAD_BYTES = 1024,            /* for the head below */
    SPARE_FDS = 8,                /* the library's own */
    SEND_BYTES = 4 * 1024 * 1024, /* larger than any answer: one write sends it all */
    TURNS = 64,                   /* to close everything; it takes three */
    LOG_LINES = 5,                /* a minute */
};

/* What the library reads of every connection. */
static const char REQUEST[] = "GET / HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n";

struct admin_lws {
    struct loop *loop;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct admin_conn *serving; /* inside admin_lws_serve */
    bool broken;                /* half made: it can't be destroyed */
};

/* ---- the library's messages ---- */

/* The library hands no argument to its function for messages, and has one for the process: so this
 * is the one thing of the hub that can't hang on a struct. */
static struct {
    struct log *log;
    struct log_limit limit;
    struct loop *loop;
    bool failed;
    char error[200]; /* the last one */
} messages;

/* Builds with timestamps write "[2026/01/31 12:00:00:1234] E: text"; the log has its own. */
static const char *without_stamp(const char *line)
{
    const char *end = *line == '[' ? strstr(line, "] ") : NULL;
    if (!end) {
        return line;
    }
    line = end + 2;
    return line[0] && line[1] == ':' && line[2] == ' ' ? line + 3 : line;
}

static void on_message(int level, const char *line)
{
    /* Told with each adopted connection, though nothing is wrong. */
    if (strstr(line, "adopt_socket_readbuf: calling service")) {
        return;
    }
    line = without_stamp(line);
    size_t n = strcspn(line, "\r\n");
    if (level & LLL_ERR) {
        messages.failed = true;
        snprintf(messages.error, sizeof(messages.error), "%.*s", (int)MIN(n, 190U), line);
    }
    if (messages.loop && log_limit_pass(&messages.limit, loop_now(messages.loop), messages.log,
                                        LOG_LEVEL_WARNING, "admin")) {
        log_warning(messages.log, "admin", 0, "libwebsockets: %.*s", (int)MIN(n, 500U), line);
    }
}

/* ---- one connection ---- */

static void send_answer(struct admin_conn *c, struct lws *wsi)
{
    struct admin_answer a;
    char *made, head[ADMIN_HEAD_MAX];
    admin_conn_answer(c, &a, &made);
    size_t n = admin_answer_head(head, &a), body = a.head ? 0 : a.n;
    unsigned char *out = xmalloc(LWS_PRE + n + body);
    memcpy(out + LWS_PRE, head, n);
    if (body > 0) {
        memcpy(out + LWS_PRE + n, a.body, body);
    }
    free(made);
    /* What the kernel does not take at once, the library would have to flush before it closes, and
     * meanwhile it would be woken without end by a client that sends. */
    int size = (int)(n + body);
    if (size > 16384) {
        size *= 2; /* the kernel counts its own bytes, too */
        setsockopt(lws_get_socket_fd(wsi), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    }
    /* A failure shows as the end of the connection, which comes anyway. */
    (void)lws_write(wsi, out + LWS_PRE, n + body, LWS_WRITE_HTTP_FINAL);
    free(out);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user UNUSED,
                    void *in UNUSED, size_t len UNUSED)
{
    struct admin_conn *c = lws_get_opaque_user_data(wsi);
    switch ((int)reason) {
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED: {
        struct admin_lws *al = lws_context_user(lws_get_context(wsi));
        c = al->serving;
        c->wsi = wsi;
        lws_set_opaque_user_data(wsi, c);
        return 0;
    }
    case LWS_CALLBACK_HTTP:
        if (c) {
            send_answer(c, wsi);
        }
        return -1; /* closes when all has left */
    case LWS_CALLBACK_WSI_DESTROY:
        if (c) {
            lws_set_opaque_user_data(wsi, NULL);
            c->wsi = NULL;
            admin_conn_end(c, "answered");
        }
        return 0;
    default:
        return 0;
    }
}

void admin_lws_serve(struct admin_lws *al, struct admin_conn *c, int fd)
{
    al->serving = c;
    /* The result says nothing that can be relied on: it may have been answered and closed. */
    (void)lws_adopt_socket_vhost_readbuf(al->vhost, fd, REQUEST, sizeof(REQUEST) - 1);
    al->serving = NULL;
    if (!c->wsi) {
        admin_conn_end(c, "could not be served");
    }
}

void admin_lws_cut(struct admin_conn *c)
{
    if (c->wsi) {
        /* Without the shutdown it would wait until the client has taken everything. */
        shutdown(lws_get_socket_fd(c->wsi), SHUT_RDWR);
        lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
    }
}

/* ---- start and end ---- */

static const struct lws_protocols PROTOCOLS[] = {
    {.name = "admin", .callback = on_event, .tx_packet_size = SEND_BYTES},
    {.name = NULL},
};

static struct lws_context *make_context(struct admin_lws *al,
                                        struct lws_context_creation_info *info)
{
    void *loops[] = {&al->loop->uv};
    memset(info, 0, sizeof(*info));
    info->port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info->options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                    LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME;
    info->foreign_loops = loops;
    info->user = al;
    info->vhost_name = "admin";
    info->protocols = PROTOCOLS;
    info->alpn = "http/1.1";
    info->timeout_secs = TIMEOUT_S;
    info->keepalive_timeout = TIMEOUT_S;
    info->timeout_secs_ah_idle = TIMEOUT_S;
    /* Without this the tables are made for as many descriptors as the hub may open. */
    info->fd_limit_per_thread = ADMIN_CONNECTIONS + SPARE_FDS;
    info->max_http_header_pool2 = ADMIN_CONNECTIONS;
    info->max_http_header_data2 = HEAD_BYTES;
    info->pt_serv_buf_size = 4096;
    struct lws_context *context = lws_create_context(info);
    info->foreign_loops = NULL;
    return context;
}

static void count_poll(uv_handle_t *h, void *arg)
{
    *(unsigned *)arg += uv_handle_get_type(h) == UV_POLL;
}

struct admin_lws *admin_lws_start(struct loop *l, struct log *log, char *err, size_t errlen)
{
    struct admin_lws *al = xcalloc(1, sizeof(*al));
    struct lws_context_creation_info info;
    al->loop = l;
    messages.log = log;
    messages.failed = false;
    snprintf(messages.error, sizeof(messages.error), "it may be out of descriptors");
    log_limit_init(&messages.limit, LOG_LINES, 60000);
    lws_set_log_level(LLL_ERR | LLL_WARN, on_message);
    unsigned before = 0, after = 0;
    uv_walk(&l->uv, count_poll, &before);
    al->context = make_context(al, &info);
    uv_walk(&l->uv, count_poll, &after);
    /* With a loop that is not its own, it may return a context that it has begun to destroy. And
     * out of descriptors, 4.1 goes on without the pipe that it wakes itself with and ends by. */
    al->broken = al->context && (messages.failed || after == before);
    if (al->context && !al->broken) {
        al->vhost = lws_create_vhost(al->context, &info);
    }
    if (!al->vhost) {
        snprintf(err, errlen,
                 "libwebsockets could not start: %s; is the package libwebsockets-evlib-uv there?",
                 messages.error);
        admin_lws_free(al);
        return NULL;
    }
    messages.loop = l;
    return al;
}

static void note_closing(uv_handle_t *h, void *arg)
{
    if (uv_is_closing(h)) {
        *(bool *)arg = true;
    }
}

/* The first call of lws_context_destroy begins to close its handles in the loop; when those for
 * connections are closed, 4.1 begins with those of its own (4.3 closes all at once). Only then may
 * the second call free the context. loop_free would close the handles a second time: so the turns
 * are run here. */
void admin_lws_free(struct admin_lws *al)
{
    if (!al) {
        return;
    }
    messages.loop = NULL;
    if (al->context) {
        bool closing = true;
        if (!al->broken) {
            lws_context_destroy(al->context);
        }
        for (int i = 0; i < TURNS && closing; i++) {
            uv_run(&al->loop->uv, UV_RUN_NOWAIT);
            closing = false;
            uv_walk(&al->loop->uv, note_closing, &closing);
        }
        /* What is broken stays in memory: the program ends. */
        if (!al->broken) {
            lws_context_destroy(al->context);
        }
    }
    free(al);
}
