#include "hub/answer.h"

#include <stdio.h>

static const char *words(int status)
{
    switch (status) {
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 408: return "Request Timeout";
    case 414: return "URI Too Long";
    case 417: return "Expectation Failed";
    case 431: return "Request Header Fields Too Large";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Error";
    }
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
