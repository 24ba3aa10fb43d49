#include "common/log/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/config/utf8.h"

/* Room kept at the end of a line for the mark of a cut, the closing of a JSON line, a newline. */
#define TAIL_ROOM 8

const char *const log_level_names[] = {"error", "warning", "info", "debug", NULL};
const char *const log_format_names[] = {"text", "json", NULL};

struct line {
    char buf[LOG_LINE_MAX];
    size_t n;
    bool cut;
};

void log_init(struct log *log, int fd, enum log_level level, enum log_format format)
{
    struct stat st;

    *log = (struct log){.level = level, .format = format, .fd = fd, .sink = LOG_SINK_POLL};
    if (fstat(fd, &st) != 0)
        return;
    if (S_ISSOCK(st.st_mode))
        log->sink = LOG_SINK_SOCKET;
    else if (S_ISREG(st.st_mode))
        log->sink = LOG_SINK_FILE;
}

/* Takes all of the bytes or none, so that an escape is never cut in two. */
static void put(struct line *line, const char *p, size_t n)
{
    if (line->cut || n > LOG_LINE_MAX - TAIL_ROOM - line->n) {
        line->cut = true;
        return;
    }
    memcpy(line->buf + line->n, p, n);
    line->n += n;
}

static void put_text(struct line *line, const char *z)
{
    put(line, z, strlen(z));
}

/* The tail's room was kept, so this always fits. */
static void put_tail(struct line *line, const char *z)
{
    size_t n = strlen(z);

    memcpy(line->buf + line->n, z, n);
    line->n += n;
}

/* One character that is not printable ASCII; returns how many bytes it took. */
static size_t put_odd(struct line *line, struct str rest, enum log_format format)
{
    char esc[16];
    uint32_t cp;
    size_t taken = 1;
    int len;

    if (format == LOG_FORMAT_TEXT) {
        len = snprintf(esc, sizeof(esc), "\\x%02x", (unsigned char)rest.p[0]);
    } else {
        /* JSON must stay valid whatever a peer sent, so what is no UTF-8 becomes U+FFFD. */
        taken = utf8_decode(rest, &cp);
        if (taken == 0) {
            cp = 0xFFFD;
            taken = 1;
        }
        if (cp >= 0x10000)
            len = snprintf(esc, sizeof(esc), "\\u%04x\\u%04x",
                           (unsigned)(0xD800 + ((cp - 0x10000) >> 10)),
                           (unsigned)(0xDC00 + ((cp - 0x10000) & 0x3FF)));
        else
            len = snprintf(esc, sizeof(esc), "\\u%04x", (unsigned)cp);
    }
    put(line, esc, (size_t)len);
    return taken;
}

static void put_escaped(struct line *line, const char *p, size_t n, enum log_format format)
{
    for (size_t i = 0; i < n && !line->cut;) {
        unsigned char c = (unsigned char)p[i];

        if ((c == '"' && format == LOG_FORMAT_JSON) || c == '\\') {
            put(line, (char[]){'\\', (char)c}, 2);
            i++;
        } else if (c >= 0x20 && c < 0x7F) {
            put(line, p + i, 1);
            i++;
        } else {
            i += put_odd(line, (struct str){p + i, n - i}, format);
        }
    }
}

static void put_time(struct line *line)
{
    struct timespec ts = {0};
    struct tm tm = {0};
    char buf[64];
    int n;

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    (void)gmtime_r(&ts.tv_sec, &tm);
    n = snprintf(buf, sizeof(buf), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                 (int)(ts.tv_nsec / 1000000));
    put(line, buf, (size_t)n);
}

static void format_line(struct line *line, const struct log *log, enum log_level level,
                        const char *area, uint64_t conn_id, const char *msg, size_t msg_n, bool cut)
{
    bool json = log->format == LOG_FORMAT_JSON;
    char id[48];

    line->n = 0;
    line->cut = false;
    put_text(line, json ? "{\"time\":\"" : "");
    put_time(line);
    put_text(line, json ? "\",\"level\":\"" : " ");
    put_text(line, log_level_names[level]);
    put_text(line, json ? "\",\"area\":\"" : " ");
    put_escaped(line, area, MIN(strlen(area), (size_t)64), log->format);
    put_text(line, json ? "\"" : " ");
    if (conn_id) {
        snprintf(id, sizeof(id), json ? ",\"conn\":%" PRIu64 : "#%" PRIu64 " ", conn_id);
        put_text(line, id);
    }
    put_text(line, json ? ",\"msg\":\"" : "");
    put_escaped(line, msg, msg_n, log->format);
    if (line->cut || cut)
        put_tail(line, "...");
    put_tail(line, json ? "\"}\n" : "\n");
}

/* Whether the line went out. */
static bool send_line(struct log *log, const char *p, size_t n)
{
    ssize_t done;

    if (log->sink == LOG_SINK_POLL) {
        struct pollfd pfd = {.fd = log->fd, .events = POLLOUT};

        /* A writable pipe has a free page, which is more than a line. */
        if (poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLOUT) || (pfd.revents & POLLERR))
            return false;
    }
    do {
        done = log->sink == LOG_SINK_SOCKET ? send(log->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL)
                                            : write(log->fd, p, n);
    } while (done < 0 && errno == EINTR);
    if (done > 0)
        log->torn = (size_t)done != n;
    return done == (ssize_t)n;
}

static bool tell_lost(struct log *log)
{
    struct line line;
    char msg[96];
    int n;

    n = snprintf(msg, sizeof(msg), "%" PRIu64 " lines left out: the log could not be written",
                 log->lost);
    format_line(&line, log, LOG_LEVEL_WARNING, "log", 0, msg, (size_t)n, false);
    if (!send_line(log, line.buf, line.n))
        return false;
    log->lost = 0;
    return true;
}

void log_write(struct log *log, enum log_level level, const char *area, uint64_t conn_id,
               const char *fmt, ...)
{
    int saved = errno;
    struct line line;
    char msg[LOG_LINE_MAX];
    va_list ap;
    int n;

    if (!log_enabled(log, level))
        return;
    va_start(ap, fmt);
    n = vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    if (n < 0)
        n = snprintf(msg, sizeof(msg), "(a message that could not be formatted)");
    format_line(&line, log, level, area, conn_id, msg, MIN((size_t)n, sizeof(msg) - 1),
                (size_t)n >= sizeof(msg));

    if ((log->torn && !send_line(log, "\n", 1)) || (log->lost && !tell_lost(log)) ||
        !send_line(log, line.buf, line.n))
        log->lost++;
    errno = saved;
}

void log_limit_init(struct log_limit *limit, uint32_t max, uint64_t interval_ms)
{
    *limit = (struct log_limit){.max = max, .interval_ms = interval_ms};
}

void log_limit_flush(struct log_limit *limit, struct log *log, enum log_level level,
                     const char *area)
{
    if (limit->left_out)
        LOG_AT(log, level, area, 0, "%" PRIu64 " similar messages left out", limit->left_out);
    limit->left_out = 0;
}

bool log_limit_pass(struct log_limit *limit, uint64_t now_ms, struct log *log, enum log_level level,
                    const char *area)
{
    if (now_ms - limit->started_ms >= limit->interval_ms) {
        log_limit_flush(limit, log, level, area);
        limit->started_ms = now_ms;
        limit->count = 0;
    }
    if (limit->count < limit->max) {
        limit->count++;
        return true;
    }
    limit->left_out++;
    return false;
}
