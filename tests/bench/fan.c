/* fan.c - many different requests at the same moment, to one server or to several, and how long they took.
 *
 *     fan PLAN WAVES kept|fresh
 *
 * PLAN is a file with one entry for each request, all of which make a wave:
 *     ADDRESS LENGTH EXPECTED\n   then LENGTH bytes, which are sent as they are
 * ADDRESS is HOST:PORT (IPv4) or the path of a unix socket; EXPECTED, without blanks, must be in the
 * answer, so that no answer to another request passes for it. `kept`: each entry has a connection that
 * it keeps; `fresh`: each request opens one and closes it. One wave goes first that is not counted.
 * One thread, so that it leaves the processors to others.
 *
 * Prints one line of JSON, in microseconds: {"waves": [..], "each": [..]}; a wave is from the first
 * request's connect or send to the last answer's end. An answer that is not a 200, or not the expected
 * one, a connection that ends, or LIMIT seconds in all are a message and exit 1.
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
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    LIMIT_US = 60 * 1000 * 1000,
    MAX_REQUESTS = 4096,
    MAX_WAVES = 10000,
    REQUEST_MAX = 64 * 1024,
    ANSWER_MAX = 64 * 1024,
    WORD_MAX = 128,
};

struct entry {
    char address[WORD_MAX], expected[WORD_MAX];
    char *request;
    size_t length;
    int fd; /* -1: none */
    bool open;
    uint64_t sent;
    size_t n;
    char in[ANSWER_MAX + 1];
};

static uint64_t limit;
static int epoll;
static struct entry *entries[MAX_REQUESTS];
static unsigned count, open_count;
static uint32_t *each;
static size_t each_n;

static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("fan: ", stderr);
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

static void *need(void *p)
{
    if (!p) {
        fail("out of memory");
    }
    return p;
}

static void read_plan(const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        fail("%s: %s", path, strerror(errno));
    }
    for (;;) {
        struct entry *e = need(calloc(1, sizeof(*e)));
        int got = fscanf(f, "%127s %zu %127s", e->address, &e->length, e->expected);
        if (got == EOF) {
            free(e);
            break;
        }
        if (got != 3 || fgetc(f) != '\n' || e->length == 0 || e->length > REQUEST_MAX ||
            count == MAX_REQUESTS) {
            fail("%s: entry %u is not good", path, count + 1);
        }
        e->request = need(malloc(e->length));
        if (fread(e->request, 1, e->length, f) != e->length) {
            fail("%s: entry %u is too short", path, count + 1);
        }
        e->fd = -1;
        entries[count++] = e;
    }
    fclose(f);
    if (count == 0) {
        fail("%s: nothing to ask", path);
    }
}

static int connect_to(const char *address)
{
    int fd, one = 1;
    if (address[0] == '/') {
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        if (strlen(address) >= sizeof(at.sun_path)) {
            fail("%s is too long for a socket", address);
        }
        memcpy(at.sun_path, address, strlen(address));
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        return fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 ? fd : -1;
    }
    struct sockaddr_in at = {.sin_family = AF_INET};
    char host[WORD_MAX];
    unsigned port;
    if (sscanf(address, "%127[0-9.]:%u", host, &port) != 2 || port > 65535 ||
        inet_pton(AF_INET, host, &at.sin_addr) != 1) {
        fail("%s is no address", address);
    }
    at.sin_port = htons((uint16_t)port);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
                   setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0
               ? fd
               : -1;
}

static void ask(struct entry *e)
{
    e->sent = now_us();
    e->n = 0;
    e->open = true;
    if (e->fd < 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = e};
        e->fd = connect_to(e->address);
        if (e->fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, e->fd, &event) < 0) {
            fail("no connection to %s: %s", e->address, strerror(errno));
        }
    }
    if (send(e->fd, e->request, e->length, MSG_NOSIGNAL) != (ssize_t)e->length) {
        fail("a request could not be sent: %s", strerror(errno));
    }
}

/* Whether all of the answer is there. JSON holds no line end of its own, so that the last chunk can't
 * be mistaken. */
static bool complete(const struct entry *e)
{
    static const char last[] = "\r\n0\r\n\r\n";
    const char *end = memmem(e->in, e->n, "\r\n\r\n", 4);
    if (!end) {
        return false;
    }
    if (e->n < 13 || memcmp(e->in, "HTTP/1.1 200 ", 13) != 0) {
        fail("an answer is not a 200: %.*s", (int)(e->n < 600 ? e->n : 600), e->in);
    }
    for (const char *p = e->in; p < end; p++) {
        if (*p != '\n') {
            continue;
        }
        if (strncasecmp(p + 1, "content-length:", 15) == 0) {
            return e->n >= (size_t)(end + 4 - e->in) + strtoul(p + 16, NULL, 10);
        }
        if (strncasecmp(p + 1, "transfer-encoding:", 18) == 0) {
            return e->n > sizeof(last) &&
                   memcmp(e->in + e->n - (sizeof(last) - 1), last, sizeof(last) - 1) == 0;
        }
    }
    fail("an answer has no length");
    return false;
}

static void take(struct entry *e, bool fresh)
{
    ssize_t got = recv(e->fd, e->in + e->n, ANSWER_MAX - e->n, 0);
    if (got <= 0) {
        fail("a connection ended: %s", got < 0 ? strerror(errno) : "closed by the other side");
    }
    if (!e->open) {
        fail("more came than one answer");
    }
    e->n += (size_t)got;
    e->in[e->n] = '\0';
    if (!complete(e)) {
        if (e->n == ANSWER_MAX) {
            fail("an answer is too long");
        }
        return;
    }
    if (!strstr(e->in, e->expected)) {
        fail("an answer has no %s in it: %.600s", e->expected, e->in);
    }
    each[each_n++] = (uint32_t)(now_us() - e->sent);
    e->open = false;
    open_count--;
    if (fresh) {
        close(e->fd);
        e->fd = -1;
    }
}

/* Returns what it took, in microseconds. */
static uint32_t wave(bool fresh)
{
    struct epoll_event events[64];
    uint64_t began = now_us();
    open_count = count;
    for (unsigned i = 0; i < count; i++) {
        ask(entries[i]);
    }
    while (open_count > 0) {
        int n = epoll_wait(epoll, events, 64, 100);
        for (int i = 0; i < n; i++) {
            take(events[i].data.ptr, fresh);
        }
        if (now_us() > limit) {
            fail("not done within %d s", LIMIT_US / 1000000);
        }
    }
    return (uint32_t)(now_us() - began);
}

static void print(const char *name, const uint32_t *us, size_t n)
{
    printf("\"%s\": [", name);
    for (size_t i = 0; i < n; i++) {
        printf(i ? ",%u" : "%u", us[i]);
    }
    putchar(']');
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fail("usage: fan PLAN WAVES kept|fresh");
    }
    int waves = atoi(argv[2]);
    bool fresh = strcmp(argv[3], "fresh") == 0;
    if (waves < 1 || waves > MAX_WAVES || (!fresh && strcmp(argv[3], "kept") != 0)) {
        fail("a number or a word is not good");
    }
    limit = now_us() + LIMIT_US;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    read_plan(argv[1]);
    uint32_t *took = need(calloc((size_t)waves, sizeof(*took)));
    each = need(calloc(((size_t)waves + 1) * count, sizeof(*each)));
    wave(fresh);
    each_n = 0;
    for (int i = 0; i < waves; i++) {
        took[i] = wave(fresh);
    }
    putchar('{');
    print("waves", took, (size_t)waves);
    fputs(", ", stdout);
    print("each", each, each_n);
    puts("}");
    return 0;
}
