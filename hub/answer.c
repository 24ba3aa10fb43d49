#include "hub/answer.h"

#include <stdio.h>

static const char *words(int status)
{
    static const struct {
        int status;
        const char *words;
    } table[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {408, "Request Timeout"},
        {414, "URI Too Long"},
        {417, "Expectation Failed"},
        {431, "Request Header Fields Too Large"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].status == status) {
            return table[i].words;
        }
    }
    return "Error";
}

const char *hop_name(enum hop hop)
{
    static const char *const names[] = {"", "hub", "tunnel", "ExApp"};
    return names[hop];
}

size_t answer_write(char out[ANSWER_MAX], const struct answer *a)
{
    char body[512];
    int n = snprintf(body, sizeof(body), "%d %s%s\n", a->status, words(a->status),
                     a->status == 503 ? " (HaRP)" : "");
    if (a->hop != HOP_NONE) {
        n += snprintf(body + n, sizeof(body) - (size_t)n, "hop: %s\n", hop_name(a->hop));
    }
    if (a->why && a->why[0]) {
        n += snprintf(body + n, sizeof(body) - (size_t)n, "reason: %.300s\n", a->why);
    }
    int len = snprintf(out, ANSWER_MAX,
                       "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
                       "%s%s\r\n%s",
                       a->status, words(a->status), n, a->close ? "Connection: close\r\n" : "",
                       !a->close && a->keep_alive ? "Connection: keep-alive\r\n" : "",
                       a->head ? "" : body);
    return (size_t)len;
}
