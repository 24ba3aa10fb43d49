/* burst.c - many requests at the same moment, each with a session of its own, and how long each took.
 *
 *     burst PORT COUNT WAVES PUBLIC_PATH USER_PATH NAME
 *
 * Opens COUNT connections and two more, the probes. First all COUNT ask USER_PATH with one and the
 * same session: connections on the other side of the proxy are open from then on, and that session
 * is known. Then the probes go on alone for a while: one asks PUBLIC_PATH without cookies, one
 * USER_PATH with the known session, each again PAUSE after its answer. Then come the waves: COUNT
 * requests at once, each with a session never seen before, the probes meanwhile. NAME must differ
 * between two runs against the same proxy. One thread, so that it leaves the processors to others.
 *
 * Prints one line of JSON, all times in microseconds from the request's send to the whole answer:
 *     {"warm": [..], "waves": [[..], ..], "quiet": {"public": [..], "cached": [..]},
 *      "meanwhile": {"public": [..], "cached": [..]}}
 * An answer that is not a 200 with a body, a connection that ends, or LIMIT seconds in all are a
 * message and exit 1.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    LIMIT_US = 30 * 1000 * 1000,
    QUIET_US = 500 * 1000,
    PAUSE_US = 1000,
    MAX_COUNT = 4096,
    MAX_WAVES = 1000,
    MAX_PROBES = 100000,
    REQUEST_MAX = 1024,
};

struct times {
    unsigned n;
    uint32_t *us;
};

struct conn {
    int fd;
    bool open; /* a request is under way */
    uint64_t sent;
    uint64_t again;   /* of a probe: when to send next */
    struct times *to; /* where its time goes */
    size_t n, need;   /* bytes of the answer so far, and of all of it once the head is there */
    char in[4096];
};

struct probe {
    struct conn c;
    const char *path, *session;
    struct times quiet, meanwhile;
};

static uint64_t limit;
static int port, epoll;
static struct conn *conns;
static unsigned count, open_count;
static struct probe probes[2];

static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("burst: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static struct times times_new(unsigned max)
{
    struct times t = {0, calloc(max, sizeof(*t.us))};
    if (!t.us) {
        fail("out of memory");
    }
    return t;
}

static void times_print(const struct times *t)
{
    putchar('[');
    for (unsigned i = 0; i < t->n; i++) {
        printf(i ? ",%u" : "%u", t->us[i]);
    }
    putchar(']');
}

static void conn_open(struct conn *c)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) < 0) {
        fail("no connection: %s", strerror(errno));
    }
}

/* The four cookies of a Nextcloud session; session NULL: none. */
static void conn_send(struct conn *c, const char *path, const char *session, struct times *to)
{
    char out[REQUEST_MAX];
    int n = snprintf(out, sizeof(out), "GET %s HTTP/1.1\r\nHost: bench\r\n", path);
    if (session) {
        n += snprintf(out + n, sizeof(out) - (size_t)n,
                      "Cookie: oc_sessionPassphrase=passphrase-of-%s; nc_sameSiteCookielax=true; "
                      "nc_sameSiteCookiestrict=true; oc1testinstance=session-of-%s\r\n",
                      session, session);
    }
    n += snprintf(out + n, sizeof(out) - (size_t)n, "\r\n");
    c->open = true;
    c->to = to;
    c->n = c->need = 0;
    c->sent = now_us();
    if (send(c->fd, out, (size_t)n, MSG_NOSIGNAL) != n) {
        fail("a request could not be sent: %s", strerror(errno));
    }
}

/* Bytes of the whole answer, or 0 when its head is not complete. */
static size_t answer_size(const struct conn *c)
{
    const char *end = memmem(c->in, c->n, "\r\n\r\n", 4);
    if (!end) {
        return 0;
    }
    if (c->n < 13 || memcmp(c->in, "HTTP/1.1 200 ", 13) != 0) {
        fail("an answer is not a 200: %.*s", (int)strcspn(c->in, "\r\n"), c->in);
    }
    for (const char *p = c->in; p < end; p++) {
        if (*p == '\n' && strncasecmp(p + 1, "content-length:", 15) == 0) {
            return (size_t)(end + 4 - c->in) + strtoul(p + 16, NULL, 10);
        }
    }
    fail("an answer has no length");
    return 0;
}

static void conn_read(struct conn *c)
{
    ssize_t got = recv(c->fd, c->in + c->n, sizeof(c->in) - 1 - c->n, 0);
    if (got <= 0) {
        fail("a connection ended: %s", got < 0 ? strerror(errno) : "closed by the other side");
    }
    c->n += (size_t)got;
    c->in[c->n] = '\0';
    if (!c->need) {
        c->need = answer_size(c);
    }
    if (!c->need || c->n < c->need) {
        return;
    }
    uint64_t now = now_us();
    if (c->n > c->need || !c->open) {
        fail("more came than one answer");
    }
    c->open = false;
    c->to->us[c->to->n++] = (uint32_t)(now - c->sent);
    c->again = now + PAUSE_US;
    if (c != &probes[0].c && c != &probes[1].c) {
        open_count--;
    }
}

/* Goes on until `until`, or with 0 until all requests but the probes' are answered; then waits for
 * the probes. `quiet` says which of their times are counted. */
static void run(uint64_t until, bool quiet, bool probing)
{
    struct epoll_event events[64];
    for (;;) {
        uint64_t now = now_us();
        bool more = until ? now < until : open_count > 0;
        if (now > limit) {
            fail("not done within %d s", LIMIT_US / 1000000);
        }
        for (size_t i = 0; i < 2 && probing && more; i++) {
            struct probe *p = &probes[i];
            struct times *to = quiet ? &p->quiet : &p->meanwhile;
            if (!p->c.open && now >= p->c.again && to->n < MAX_PROBES) {
                conn_send(&p->c, p->path, p->session, to);
            }
        }
        if (!more && !probes[0].c.open && !probes[1].c.open) {
            return;
        }
        int n = epoll_wait(epoll, events, 64, 1);
        for (int i = 0; i < n; i++) {
            conn_read(events[i].data.ptr);
        }
    }
}

static void wave(const char *path, const char *name, int number, struct times *to)
{
    char session[128];
    open_count = count;
    for (unsigned i = 0; i < count; i++) {
        if (number < 0) {
            snprintf(session, sizeof(session), "%s-known", name);
        } else {
            snprintf(session, sizeof(session), "%s-%d-%u", name, number, i);
        }
        conn_send(&conns[i], path, session, to);
    }
    run(0, false, number >= 0);
}

static void print_probes(const char *title, bool quiet)
{
    printf("\"%s\": {\"public\": ", title);
    times_print(quiet ? &probes[0].quiet : &probes[0].meanwhile);
    printf(", \"cached\": ");
    times_print(quiet ? &probes[1].quiet : &probes[1].meanwhile);
    printf("}");
}

int main(int argc, char **argv)
{
    char known[128];
    if (argc != 7) {
        fail("usage: burst PORT COUNT WAVES PUBLIC_PATH USER_PATH NAME");
    }
    port = atoi(argv[1]);
    count = (unsigned)atoi(argv[2]);
    int waves = atoi(argv[3]);
    const char *name = argv[6];
    if (count < 1 || count > MAX_COUNT || waves < 1 || waves > MAX_WAVES || strlen(name) > 64 ||
        strlen(argv[4]) > 128 || strlen(argv[5]) > 128) {
        fail("a number or a word is too large");
    }
    limit = now_us() + LIMIT_US;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc(count, sizeof(*conns));
    struct times warm = times_new(count), *cold = calloc((size_t)waves, sizeof(*cold));
    if (epoll < 0 || !conns || !cold) {
        fail("could not begin");
    }
    snprintf(known, sizeof(known), "%s-known", name);
    for (size_t i = 0; i < 2; i++) {
        probes[i].path = argv[4 + i];
        probes[i].session = i ? known : NULL;
        probes[i].quiet = times_new(MAX_PROBES);
        probes[i].meanwhile = times_new(MAX_PROBES);
        conn_open(&probes[i].c);
    }
    for (unsigned i = 0; i < count; i++) {
        conn_open(&conns[i]);
    }
    wave(argv[5], name, -1, &warm);
    run(now_us() + QUIET_US, true, true);
    for (int i = 0; i < waves; i++) {
        cold[i] = times_new(count);
        wave(argv[5], name, i, &cold[i]);
    }
    printf("{\"warm\": ");
    times_print(&warm);
    printf(", \"waves\": [");
    for (int i = 0; i < waves; i++) {
        printf(i ? "," : "");
        times_print(&cold[i]);
    }
    printf("], ");
    print_probes("quiet", true);
    printf(", ");
    print_probes("meanwhile", false);
    printf("}\n");
    return 0;
}
