/*
 * WebSocket load for the benchmark: an echo origin, and two kinds of clients.
 *
 *   wsload echo-server HOST:PORT|unix:PATH      prints "ready" once it listens, ends by a signal
 *   wsload echo HOST PORT PATH CONNS SECONDS SIZE
 *                                               one message under way per connection, then JSON
 *   wsload idle HOST PORT PATH CONNS            prints "ready N", holds them until stdin ends, then
 *                                               "lost N"
 *
 * One thread, one epoll. HOST is a numeric IPv4 address. Sizes are bytes, times nanoseconds unless
 * named otherwise. A connection is owned by its slot in `struct loop` and ended by conn_close alone.
 * Everything is bounded: frames and heads by wsframe.h, the opening of connections by OPEN_LIMIT, and
 * a peer that does not take its echo is not read from.
 * Exit status: 0 all as expected, 1 something went wrong (stderr says what), 2 wrong usage.
 * Rules: RFC 6455 sections 4.1, 4.2.2, 5.1, 5.5. Continuation frames are echoed as they come.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "wsframe.h"

#define MAX_CONNS 60000
#define OPENING_AT_ONCE 64 /* below every listen backlog in the way */
#define SECOND 1000000000ull
#define OPEN_LIMIT (20 * SECOND)
#define LAST_ECHO_LIMIT (3 * SECOND)

enum { OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };
enum conn_state { UNUSED, CONNECTING, HANDSHAKE, OPEN };

struct conn {
    int fd;
    enum conn_state state;
    bool waiting; /* an echo is due */
    bool ending;  /* close once everything is written */
    uint32_t events;
    uint64_t sent_at;
    uint64_t serial;
    char key[25];
    struct buf in;
    struct buf out;
};

struct loop {
    int epoll;
    struct conn *conns;
    int size;
    int opened;
    int lost;
    uint64_t errors;
    size_t payload;
    bool running; /* echo client: a finished round trip starts the next one */
    struct histogram latency;
    uint8_t scratch[MAX_BUFFER];
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    static int said;
    va_list args;

    if (said++ >= 5) /* thousands of connections fail alike */
        return;
    va_start(args, format);
    fputs("wsload: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void conn_close(struct loop *l, struct conn *c)
{
    (void)l;
    if (c->state == UNUSED)
        return;
    close(c->fd);
    buf_consume(&c->in, c->in.len);
    buf_consume(&c->out, c->out.len);
    *c = (struct conn){.fd = -1, .state = UNUSED};
}

static int conn_watch(struct loop *l, struct conn *c, uint32_t events, int how)
{
    struct epoll_event e = {.events = events, .data.u32 = (uint32_t)(c - l->conns)};

    if (how == EPOLL_CTL_MOD && c->events == events)
        return 0;
    c->events = events;
    return epoll_ctl(l->epoll, how, c->fd, &e);
}

/* Writes what it can. While something is left, nothing more is read: the peer must take it first. */
static int conn_flush(struct loop *l, struct conn *c)
{
    while (c->out.len) {
        ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return conn_watch(l, c, EPOLLOUT, EPOLL_CTL_MOD);
        if (n < 0)
            return -1;
        buf_consume(&c->out, (size_t)n);
    }
    if (c->ending)
        return -1;
    return conn_watch(l, c, EPOLLIN, EPOLL_CTL_MOD);
}

/* 1 something was read, 0 nothing there, -1 the connection is over. */
static int conn_read(struct loop *l, struct conn *c)
{
    ssize_t n = recv(c->fd, l->scratch, MAX_BUFFER - c->in.len, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return -1;
    return buf_append(&c->in, l->scratch, (size_t)n) < 0 ? -1 : 1;
}

/* Length of the head that is there, 0 if it is not whole, -1 if it is too long. The head's last CRLF
 * is overwritten by a NUL. */
static int conn_head(struct conn *c)
{
    uint8_t *end = memmem(c->in.data, c->in.len, "\r\n\r\n", 4);

    if (!end)
        return c->in.len > MAX_HEAD ? -1 : 0;
    end[2] = 0;
    return (int)(end + 4 - c->in.data);
}

static int listen_on(const char *where)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET};
    bool local = strncmp(where, "unix:", 5) == 0;
    const char *colon = strrchr(where, ':');
    char host[32] = "";
    int one = 1;
    int fd;

    if (local) {
        if (strlen(where + 5) >= sizeof(un.sun_path))
            return -1;
        strcpy(un.sun_path, where + 5);
        unlink(un.sun_path);
    } else {
        if (!colon || (size_t)(colon - where) >= sizeof(host))
            return -1;
        memcpy(host, where, (size_t)(colon - where));
        in.sin_port = htons((uint16_t)atoi(colon + 1));
        if (inet_pton(AF_INET, host, &in.sin_addr) != 1)
            return -1;
    }
    fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, local ? (struct sockaddr *)&un : (struct sockaddr *)&in,
             local ? sizeof(un) : sizeof(in)) < 0 ||
        listen(fd, 4096) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int server_handshake(struct conn *c)
{
    char key[65], accept[29], answer[256];
    int head = conn_head(c);
    int n;

    if (head <= 0)
        return head;
    if (!head_field((char *)c->in.data, "Sec-WebSocket-Key", key, sizeof(key)))
        return -1;
    accept_of_key(key, accept);
    n = snprintf(answer, sizeof(answer),
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                 accept);
    buf_consume(&c->in, (size_t)head);
    c->state = OPEN;
    return buf_append(&c->out, answer, (size_t)n);
}

static int server_frames(struct conn *c)
{
    struct frame f;
    size_t used = 0;
    int whole = 0;

    while (!c->ending && (whole = frame_parse(c->in.data + used, c->in.len - used, &f)) > 0) {
        uint8_t op = f.first & 0x0f;
        uint8_t *payload = (uint8_t *)(uintptr_t)f.payload;

        if (!f.masked) /* RFC 6455 5.1: a client must mask */
            return -1;
        for (size_t i = 0; i < f.len; i++)
            payload[i] ^= f.mask[i & 3];
        used += f.whole;
        if (op == OP_PONG)
            continue;
        if (frame_append(&c->out, op == OP_PING ? 0x80 | OP_PONG : f.first, payload, f.len, NULL))
            return -1;
        c->ending = op == OP_CLOSE;
    }
    buf_consume(&c->in, used);
    return whole;
}

static void server_event(struct loop *l, struct conn *c)
{
    int r = c->out.len ? 0 : conn_read(l, c);

    if (r > 0 && c->state == HANDSHAKE)
        r = server_handshake(c);
    if (r >= 0 && c->state == OPEN && c->in.len)
        r = server_frames(c);
    if (r < 0 || conn_flush(l, c) < 0)
        conn_close(l, c);
}

static void server_accept(struct loop *l, int listener)
{
    int one = 1;
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        /* The descriptor's number is the slot: unique, small, and free again when it is closed. */
        if (fd >= l->size) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        l->conns[fd] = (struct conn){.fd = fd, .state = HANDSHAKE};
        if (conn_watch(l, &l->conns[fd], EPOLLIN, EPOLL_CTL_ADD) < 0)
            conn_close(l, &l->conns[fd]);
    }
}

static int run_server(struct loop *l, const char *where)
{
    struct epoll_event events[256];
    struct epoll_event listening = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
    int listener = listen_on(where);

    if (listener < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, listener, &listening) < 0) {
        say("cannot listen on %s: %s", where, strerror(errno));
        return 1;
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(l->epoll, events, 256, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.u32 == UINT32_MAX)
                server_accept(l, listener);
            else if (l->conns[events[i].data.u32].state != UNUSED)
                server_event(l, &l->conns[events[i].data.u32]);
        }
        if (n < 0 && errno != EINTR)
            return 1;
    }
}

static int client_open(struct loop *l, struct conn *c, const struct sockaddr_in *to,
                       const char *path)
{
    uint8_t random[16];
    char request[2048];
    int one = 1;
    int n;

    *c = (struct conn){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (c->fd < 0 || getrandom(random, sizeof(random), 0) != sizeof(random))
        return -1;
    c->state = CONNECTING;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    EVP_EncodeBlock((uint8_t *)c->key, random, sizeof(random));
    n = snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: %s\r\n\r\n",
                 path, c->key);
    if (n >= (int)sizeof(request) || buf_append(&c->out, request, (size_t)n) < 0)
        return -1;
    if (connect(c->fd, (const struct sockaddr *)to, sizeof(*to)) < 0 && errno != EINPROGRESS)
        return -1;
    return conn_watch(l, c, EPOLLOUT, EPOLL_CTL_ADD);
}

static int client_handshake(struct loop *l, struct conn *c)
{
    char got[64] = "", wanted[29];
    int head = conn_head(c);

    if (head <= 0)
        return head;
    accept_of_key(c->key, wanted);
    if (strncmp((char *)c->in.data, "HTTP/1.1 101 ", 13) != 0 ||
        !head_field((char *)c->in.data, "Sec-WebSocket-Accept", got, sizeof(got)) ||
        strcmp(got, wanted) != 0) {
        say("handshake refused: %.*s", (int)strcspn((char *)c->in.data, "\r"), (char *)c->in.data);
        return -1;
    }
    buf_consume(&c->in, (size_t)head);
    c->state = OPEN;
    l->opened++;
    return 0;
}

/* Every byte depends on the connection and the round: a mixed-up or stale echo is seen. */
static void client_payload(const struct loop *l, const struct conn *c, uint8_t *out)
{
    uint64_t x = (uint64_t)(c - l->conns) << 40 ^ c->serial * 0x9e3779b97f4a7c15ull;

    for (size_t i = 0; i < l->payload; i++)
        out[i] = (uint8_t)((x >> (i % 8 * 8)) + i);
}

static int client_send(struct loop *l, struct conn *c)
{
    uint8_t mask[4];

    c->serial++;
    memcpy(mask, &(uint32_t){(uint32_t)(c->serial * 2654435761u)}, 4);
    client_payload(l, c, l->scratch);
    if (frame_append(&c->out, 0x82, l->scratch, l->payload, mask) < 0)
        return -1;
    c->waiting = true;
    c->sent_at = now();
    return conn_flush(l, c);
}

static int client_frames(struct loop *l, struct conn *c)
{
    struct frame f;
    int whole;

    while ((whole = frame_parse(c->in.data, c->in.len, &f)) > 0) {
        uint64_t at = now();

        client_payload(l, c, l->scratch);
        if (f.masked || f.first != 0x82 || !c->waiting || f.len != l->payload ||
            memcmp(f.payload, l->scratch, f.len) != 0) {
            say("an echo is not what was sent (first byte %02x, %zu bytes)", f.first, f.len);
            return -1;
        }
        histogram_add(&l->latency, at - c->sent_at);
        c->waiting = false;
        buf_consume(&c->in, f.whole);
        if (l->running && client_send(l, c) < 0)
            return -1;
    }
    return whole;
}

static int client_event(struct loop *l, struct conn *c)
{
    int r = 0;

    if (c->state == CONNECTING) {
        int error = 0;

        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)});
        if (error) {
            say("cannot connect: %s", strerror(error));
            return -1;
        }
        c->state = HANDSHAKE;
    }
    if (c->out.len)
        return conn_flush(l, c);
    r = conn_read(l, c);
    if (r > 0 && c->state == HANDSHAKE)
        r = client_handshake(l, c);
    if (r >= 0 && c->state == OPEN && c->in.len)
        r = client_frames(l, c);
    return r;
}

/* Runs events until `until`, all are open (`opening`), none waits (`draining`), or stdin ends. */
static int client_run(struct loop *l, uint64_t until, bool draining, int *stdin_ended)
{
    struct epoll_event events[256];
    int n = epoll_wait(l->epoll, events, 256,
                       until ? (int)((until > now() ? until - now() : 0) / 1000000) + 1 : -1);

    if (n < 0)
        return errno == EINTR ? 0 : -1;
    for (int i = 0; i < n; i++) {
        struct conn *c;

        if (events[i].data.u32 == UINT32_MAX) {
            char nothing[64];

            *stdin_ended = read(0, nothing, sizeof(nothing)) <= 0;
            continue;
        }
        c = &l->conns[events[i].data.u32];
        if (c->state == UNUSED || client_event(l, c) >= 0)
            continue;
        if (!draining || c->waiting)
            l->errors++;
        l->lost++;
        conn_close(l, c);
    }
    return 0;
}

static int client_open_all(struct loop *l, const struct sockaddr_in *to, const char *path)
{
    uint64_t limit = now() + OPEN_LIMIT;
    int begun = 0;

    while (l->opened < l->size && l->lost == 0 && now() < limit) {
        for (; begun < l->size && begun - l->opened < OPENING_AT_ONCE; begun++) {
            if (client_open(l, &l->conns[begun], to, path) < 0) {
                say("cannot open connection %d: %s", begun, strerror(errno));
                return -1;
            }
        }
        if (client_run(l, limit, false, NULL) < 0)
            return -1;
    }
    if (l->opened == l->size && l->lost == 0)
        return 0;
    say("%d of %d connections opened, %d lost", l->opened, l->size, l->lost);
    return -1;
}

static int run_echo(struct loop *l, double seconds)
{
    uint64_t begin = now(), end = begin + (uint64_t)(seconds * (double)SECOND), took, limit;

    l->running = true;
    for (int i = 0; i < l->size; i++)
        if (client_send(l, &l->conns[i]) < 0)
            l->errors++;
    while (now() < end && l->lost == 0 && client_run(l, end, false, NULL) == 0)
        ;
    took = now() - begin;
    /* The echoes still due must come, or the connection has stalled: that is an error. */
    l->running = false;
    limit = now() + LAST_ECHO_LIMIT;
    for (int i = 0; i < l->size; i++)
        while (l->conns[i].waiting && now() < limit && client_run(l, limit, true, NULL) == 0)
            ;
    for (int i = 0; i < l->size; i++)
        l->errors += l->conns[i].waiting;
    printf("{\"count\": %llu, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
           "\"errors\": %llu}\n",
           (unsigned long long)l->latency.count, (double)took / (double)SECOND,
           histogram_us(&l->latency, 0.50), histogram_us(&l->latency, 0.99),
           (unsigned long long)l->errors);
    return l->errors ? 1 : 0;
}

static int run_idle(struct loop *l)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
    int ended = 0;

    printf("ready %d\n", l->opened);
    fflush(stdout);
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, 0, &e) < 0) {
        say("stdin must be a pipe: %s", strerror(errno));
        return 1;
    }
    while (!ended && client_run(l, 0, false, &ended) == 0)
        ;
    printf("lost %d\n", l->lost);
    return l->lost ? 1 : 0;
}

/* 1..max, or 0 if it is no such number. */
static int number(const char *text, int max)
{
    char *end;
    long n = strtol(text, &end, 10);

    return *end || n < 1 || n > max ? 0 : (int)n;
}

int main(int argc, char **argv)
{
    struct rlimit files;
    struct sockaddr_in to = {.sin_family = AF_INET};
    struct loop *l = calloc(1, sizeof(*l));
    const char *what = argc > 1 ? argv[1] : "";
    bool server = argc == 3 && strcmp(what, "echo-server") == 0;
    bool echo = argc == 8 && strcmp(what, "echo") == 0;
    bool idle = argc == 6 && strcmp(what, "idle") == 0;
    int result = 1;

    if (!l)
        return 1;
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    l->size = server ? MAX_CONNS : echo || idle ? number(argv[5], MAX_CONNS) : 0;
    l->payload = echo ? (size_t)number(argv[7], 65535) : 0;
    if (echo || idle)
        to.sin_port = htons((uint16_t)number(argv[3], 65535));
    if (l->size == 0 || (echo && (!l->payload || strtod(argv[6], NULL) <= 0)) ||
        (!server && (!to.sin_port || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1))) {
        fputs("usage: wsload echo-server HOST:PORT|unix:PATH\n"
              "       wsload echo HOST PORT PATH CONNS SECONDS SIZE\n"
              "       wsload idle HOST PORT PATH CONNS\n",
              stderr);
        free(l);
        return 2;
    }
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->conns = calloc((size_t)l->size, sizeof(*l->conns));
    if (l->epoll >= 0 && l->conns) {
        if (server)
            result = run_server(l, argv[2]);
        else if (client_open_all(l, &to, argv[4]) == 0)
            result = echo ? run_echo(l, strtod(argv[6], NULL)) : run_idle(l);
        for (int i = 0; i < l->size; i++)
            conn_close(l, &l->conns[i]);
    }
    free(l->conns);
    free(l);
    return result;
}
