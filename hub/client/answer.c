#include "hub/client/answer.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/config/utf8.h"
#include "common/docker/forward.h"
#include "common/http/reply.h"

const char *hop_name(enum hop hop)
{
    static const char *const names[] = {"", "hub", "Nextcloud", "tunnel", "ExApp", "Docker engine"};
    return names[hop];
}

/* Appends what fits; all fits, as the parts are bounded. */
static size_t add(char *out, size_t cap, size_t n, const char *fmt, ...) PRINTF_LIKE(4, 5);

static size_t add(char *out, size_t cap, size_t n, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(out + n, cap - n, fmt, args);
    va_end(args);
    return MIN(n + (size_t)MAX(len, 0), cap - 1);
}

/* JSON is UTF-8: what is not, or was cut inside a character, becomes `?`. */
static void make_utf8(char *text, size_t n)
{
    for (size_t i = 0, len; i < n; i += len) {
        uint32_t cp;
        len = utf8_decode((struct str){text + i, n - i}, &cp);
        if (len == 0) {
            text[i] = '?';
            len = 1;
        }
    }
}

/* For clients of Docker, which print the message of such a body. It fits, as the parts are bounded. */
static size_t docker_write(char *out, size_t cap, const struct answer *a)
{
    char text[512];
    const char *why = a->why && a->why[0] ? a->why : http_status_words(a->status);
    size_t n = add(text, sizeof(text), 0, "%s%s%s%.400s",
                   a->hop == HOP_NONE ? "" : "hop: ", hop_name(a->hop),
                   a->hop == HOP_NONE ? "" : ": ", why);
    make_utf8(text, n);
    return docker_message_body(out, cap, (struct str){text, n});
}

static size_t body_write(char *out, size_t cap, const struct answer *a)
{
    size_t n = 0;
    if (a->docker) {
        return docker_write(out, cap, a);
    }
    if (a->json) {
        return add(out, cap, n, "%s", a->json);
    }
    if (a->words) {
        n = add(out, cap, n, "%s\n", a->words);
    } else {
        n = add(out, cap, n, "%d %s%s\n", a->status, http_status_words(a->status),
                a->status == 503 ? " (HaRP)" : "");
    }
    if (a->hop != HOP_NONE) {
        n = add(out, cap, n, "hop: %s\n", hop_name(a->hop));
    }
    if (a->why && a->why[0]) {
        n = add(out, cap, n, "reason: %.500s\n", a->why);
    }
    return n;
}

size_t answer_write(char out[ANSWER_MAX], const struct answer *a)
{
    char body[ANSWER_MAX - 512];
    size_t n = body_write(body, sizeof(body), a);
    size_t len =
        add(out, ANSWER_MAX, 0, "HTTP/1.1 %d %s\r\n", a->status, http_status_words(a->status));
    if (a->status != 204) {
        len = add(out, ANSWER_MAX, len, "Content-Type: %s\r\nContent-Length: %zu\r\n",
                  a->docker ? "application/json"
                  : a->json ? "application/json; charset=utf-8"
                            : "text/plain",
                  n);
    }
    if (a->allow) {
        len = add(out, ANSWER_MAX, len, "Allow: %s\r\n", a->allow);
    }
    if (a->close || a->keep_alive) {
        len = add(out, ANSWER_MAX, len, "Connection: %s\r\n", a->close ? "close" : "keep-alive");
    }
    return add(out, ANSWER_MAX, len, "\r\n%.*s", a->head || a->status == 204 ? 0 : (int)n, body);
}
