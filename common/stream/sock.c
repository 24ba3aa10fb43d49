#include "common/stream/sock.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static void on_poll(uv_poll_t *poll, int status, int events);

static struct sock *of(struct stream *s)
{
    return CONTAINER_OF(s, struct sock, s);
}

/* What should be watched now. A dropped interest in reading is made good lazily, so `wanted` may be
 * less than what is being watched. */
static uint8_t wanted(const struct sock *k)
{
    uint8_t events = 0;
    if (k->connecting || k->s.tail.len > 0) {
        events |= UV_WRITABLE;
    }
    if (!k->connecting && !k->s.paused && !k->s.eof_in && k->s.events) {
        events |= UV_READABLE;
    }
    return events;
}

static void set_watch(struct sock *k, uint8_t events)
{
    if (k->watching == events) {
        return;
    }
    k->watching = events;
    if (events == 0) {
        uv_poll_stop(&k->poll);
    } else {
        uv_poll_start(&k->poll, events, on_poll);
    }
}

void sock_watch(struct stream *s)
{
    struct sock *k = of(s);
    uint8_t events = wanted(k);
    if (!s->dead && (events & ~k->watching)) {
        set_watch(k, events);
    }
}

/* ---- sending ---- */

/* Whether the owner has still something to read, here or in the kernel. */
static bool unread(const struct sock *k)
{
    char c;
    return k->s.hold.len > 0 || k->kept || recv(k->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* err 0: the descriptor knows it. */
static void write_broke(struct sock *k, int err)
{
    struct stream *s = &k->s;
    k->broken = true;
    if (s->tail.len > 0) {
        stream_sent(s, s->tail.len);
    }
    /* The peer may have answered before it closed: what it sent is read first, and the end of that
     * tells the owner. When nobody reads, or nothing is left, nothing would ever tell. */
    if (s->eof_in || (s->paused && !unread(k))) {
        socklen_t len = sizeof(err);
        if (err == 0) {
            getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &err, &len);
        }
        stream_fail(s, err == 0 || err == EPIPE ? "connection closed by peer" : strerror(err));
    }
}

void sock_send(struct sock *k, const struct iovec *iov, int cnt)
{
    if (k->broken) {
        write_broke(k, 0); /* the owner may have paused since */
        return;
    }
    if (k->s.tail.len > 0 || k->connecting) {
        stream_keep(&k->s, iov, cnt, 0);
        return;
    }
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)cnt};
    ssize_t n;
    do {
        n = cnt == 1 ? send(k->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
                     : sendmsg(k->fd, &msg, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            write_broke(k, errno);
            return;
        }
        n = 0;
    }
    stream_keep(&k->s, iov, cnt, (size_t)n);
    if (k->s.tail.len > 0) {
        sock_watch(&k->s);
    }
}

static void sock_write(struct stream *s, const struct iovec *iov, int cnt)
{
    sock_send(of(s), iov, cnt);
}

static void flush_tail(struct sock *k)
{
    while (k->s.tail.len > 0) {
        ssize_t n = send(k->fd, buf_head(&k->s.tail), k->s.tail.len, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                write_broke(k, errno);
            }
            break;
        }
        stream_sent(&k->s, (size_t)n);
    }
    if (k->s.tail.len == 0 && k->shut_due) {
        k->shut_due = false;
        shutdown(k->fd, SHUT_WR);
    }
    stream_progress(&k->s);
}

void sock_fin(struct stream *s)
{
    struct sock *k = of(s);
    if (s->tail.len > 0) {
        k->shut_due = true;
    } else {
        shutdown(k->fd, SHUT_WR);
    }
}

/* ---- receiving ---- */

ssize_t sock_recv(struct sock *k, void *p, size_t n)
{
    ssize_t got;
    do {
        got = recv(k->fd, p, n, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        return got;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return SOCK_NOTHING;
    }
    if (got < 0 || k->broken) {
        stream_fail(&k->s, got < 0 ? strerror(errno) : "connection reset by peer");
        return SOCK_FAILED;
    }
    return SOCK_END;
}

static void sock_readable(struct sock *k)
{
    ssize_t n = sock_recv(k, k->s.loop->plain, loop_read_size(k->s.loop));
    if (n > 0) {
        stream_deliver(&k->s, k->s.loop->plain, (size_t)n);
    } else if (n == SOCK_END) {
        stream_deliver_eof(&k->s);
    }
}

static void connect_done(struct sock *k)
{
    int err = 0;
    socklen_t len = sizeof(err);
    getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    k->connecting = false;
    if (err != 0) {
        stream_fail(&k->s, strerror(err));
        return;
    }
    set_watch(k, wanted(k));
    if (k->s.events && k->s.events->ready) {
        k->s.events->ready(k->s.owner, &k->s);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct sock *k = poll->data;
    struct stream *s = &k->s;
    if (status < 0) {
        /* The descriptor has an error pending and libuv stopped watching. What was received before
         * it is still there: read on until the error shows. */
        k->watching = 0;
        if (!k->connecting) {
            write_broke(k, 0);
            stream_progress(s);
        }
        events = UV_READABLE | UV_WRITABLE;
    }
    if (k->connecting) {
        connect_done(k);
        return;
    }
    if ((events & UV_WRITABLE) && s->tail.len > 0) {
        flush_tail(k);
    }
    if ((events & UV_READABLE) && !s->dead && !s->failed) {
        if (!s->paused && !s->eof_in) {
            k->readable(k);
        }
    }
    if (!s->dead && !s->failed) {
        uint8_t want = wanted(k);
        /* Drop what fired and is not wanted; add what is wanted and not watched. */
        if ((events & ~want) || (want & ~k->watching)) {
            set_watch(k, want);
        }
    } else if (!s->dead) {
        set_watch(k, 0);
    }
}

/* ---- life ---- */

static void on_closed(uv_handle_t *h)
{
    struct sock *k = h->data;
    stream_release(&k->s);
    free(k);
}

void sock_destroy(struct stream *s, bool abort)
{
    struct sock *k = of(s);
    if (abort && k->fd >= 0) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        setsockopt(k->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    uv_close((uv_handle_t *)&k->poll, on_closed);
    if (k->fd >= 0) {
        close(k->fd);
        k->fd = -1;
    }
}

int sock_detach(struct stream *s)
{
    struct sock *k = of(s);
    int fd = k->fd;
    set_watch(k, 0);
    k->fd = -1;
    stream_close(s);
    return fd;
}

bool sock_broken(const struct stream *s)
{
    return CONTAINER_OF(s, const struct sock, s)->broken;
}

size_t sock_unsent(const struct stream *s)
{
    int n = 0;
    ioctl(CONTAINER_OF(s, const struct sock, s)->fd, SIOCOUTQ, &n);
    return s->tail.len + (size_t)MAX(n, 0);
}

static const struct stream_ops sock_ops = {
    .write = sock_write,
    .fin = sock_fin,
    .watch = sock_watch,
    .destroy = sock_destroy,
};

int sock_setup(struct sock *k, struct loop *l, const struct stream_ops *ops, int fd)
{
    stream_init(&k->s, l, ops);
    k->fd = fd;
    k->readable = sock_readable;
    k->poll.data = k;
    int r = uv_poll_init(&l->uv, &k->poll, fd);
    if (r != 0) {
        close(fd);
        errno = -r;
        return -1;
    }
    return 0;
}

struct stream *sock_adopt(struct loop *l, int fd)
{
    struct sock *k = xcalloc(1, sizeof(*k));
    if (sock_setup(k, l, &sock_ops, fd) < 0) {
        free(k);
        return NULL;
    }
    return &k->s; /* stream_own starts reading */
}

int sock_open(const struct sock_addr *to, bool *pending)
{
    int family = to->sa.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (family != AF_UNIX) {
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    }
    *pending = false;
    if (connect(fd, (const struct sockaddr *)&to->sa, to->len) < 0) {
        /* A unix socket whose backlog is full says EAGAIN and will not call back: that is a
         * failure the owner can retry. */
        if (errno != EINPROGRESS) {
            int err = errno;
            close(fd);
            errno = err;
            return -1;
        }
        *pending = true;
    }
    return fd;
}

struct stream *sock_connect(struct loop *l, const struct sock_addr *to)
{
    bool pending;
    int fd = sock_open(to, &pending);
    if (fd < 0) {
        return NULL;
    }
    struct sock *k = xcalloc(1, sizeof(*k));
    if (sock_setup(k, l, &sock_ops, fd) < 0) {
        free(k);
        return NULL;
    }
    k->connecting = true; /* a unix socket is connected already: its first event says so */
    set_watch(k, UV_WRITABLE);
    return &k->s;
}

int sock_ends(const struct stream *s, struct sock_addr *here, struct sock_addr *there)
{
    int fd = CONTAINER_OF(s, const struct sock, s)->fd;
    here->len = sizeof(here->sa);
    there->len = sizeof(there->sa);
    return getsockname(fd, (struct sockaddr *)&here->sa, &here->len) < 0 ||
                   getpeername(fd, (struct sockaddr *)&there->sa, &there->len) < 0
               ? -1
               : 0;
}

int sock_unix_addr(struct sock_addr *a, const char *path)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&a->sa;
    size_t n = strlen(path);
    memset(a, 0, sizeof(*a));
    if (n == 0 || n >= sizeof(un->sun_path)) {
        return -1;
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, n + 1);
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
    return 0;
}

const char *sock_left_mounted(const struct sock_addr *a)
{
    struct stat st;
    /* Only a mount keeps the name of a file that has none any more. */
    return a->sa.ss_family == AF_UNIX &&
                   stat(((const struct sockaddr_un *)&a->sa)->sun_path, &st) == 0 &&
                   st.st_nlink == 0
               ? "the socket was made anew, the mount shows the old one: mount its folder"
               : NULL;
}

const char *sock_addr_text(const struct sock_addr *a, char *buf, size_t size)
{
    char host[64], port[8];
    if (a->sa.ss_family == AF_UNIX) {
        snprintf(buf, size, "unix:%s", ((const struct sockaddr_un *)&a->sa)->sun_path);
    } else if (getnameinfo((const struct sockaddr *)&a->sa, a->len, host, sizeof(host), port,
                           sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        snprintf(buf, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
    } else {
        snprintf(buf, size, "unknown");
    }
    return buf;
}
