/* log.h - one line an event, as text or as JSON, that can neither be forged nor block the loop.
 *
 * Owns nothing but the state of `struct log`: the descriptor stays the caller's and is never
 * closed here. main makes one `struct log` and hands it around by pointer; a NULL log is allowed
 * everywhere and writes nothing. Nothing is allocated, so there is nothing to free.
 *
 * Shapes (times are UTC, RFC 3339, with milliseconds):
 *   text   2026-01-31T12:00:00.123Z warning tunnel #42 login refused: name already in use
 *   JSON   {"time":"...","level":"warning","area":"tunnel","conn":42,"msg":"login refused: ..."}
 * "#42" and "conn" are the connection's id and are left out when it is 0.
 *
 * A line is at most LOG_LINE_MAX bytes with its newline; a message that is longer is cut and ends
 * in "...". The whole message is escaped, because parts of it may come from a peer: control bytes,
 * backslashes, everything above 0x7E, and in JSON quotes. Output is plain ASCII, and one event is one line.
 *
 * Each line is one write. Where the descriptor is a pipe, a terminal or a socket it is asked first
 * whether it takes bytes; if not, the line is dropped and counted, and the count is told as soon as
 * writing works again. Callers must ignore SIGPIPE. errno is left as it was.
 *
 * Secrets and cookies must never be handed to this module, at any level.
 */
#ifndef HARP_LOG_LOG_H
#define HARP_LOG_LOG_H

#include "common/base/base.h"

#define LOG_LINE_MAX 2048

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

enum log_format {
    LOG_FORMAT_TEXT,
    LOG_FORMAT_JSON,
};

enum log_sink {
    LOG_SINK_FILE,   /* a regular file or a device: written to as it is */
    LOG_SINK_POLL,   /* a pipe or a terminal: asked first */
    LOG_SINK_SOCKET, /* sent without waiting */
};

struct log {
    enum log_level level; /* lines above this level are not written; may be changed at any time */
    enum log_format format;
    int fd;
    enum log_sink sink;
    bool torn;     /* the last write was short: the next line starts on a line of its own */
    uint64_t lost; /* lines dropped since writing last worked */
};

/* Names of levels and formats in the order of their numbers, ending in NULL. */
extern const char *const log_level_names[];
extern const char *const log_format_names[];

void log_init(struct log *log, int fd, enum log_level level, enum log_format format);

static inline bool log_enabled(const struct log *log, enum log_level level)
{
    return log && level <= log->level;
}

/* Writes one line. Use the macros below: they do not evaluate their arguments in vain. */
void log_write(struct log *log, enum log_level level, const char *area, uint64_t conn_id,
               const char *fmt, ...) PRINTF_LIKE(5, 6);

#define LOG_AT(log, lvl, area, conn_id, ...)                                                       \
    do {                                                                                           \
        if (log_enabled((log), (lvl)))                                                             \
            log_write((log), (lvl), (area), (conn_id), __VA_ARGS__);                               \
    } while (0)
#define log_error(log, area, conn_id, ...) LOG_AT(log, LOG_LEVEL_ERROR, area, conn_id, __VA_ARGS__)
#define log_warning(log, area, conn_id, ...)                                                       \
    LOG_AT(log, LOG_LEVEL_WARNING, area, conn_id, __VA_ARGS__)
#define log_info(log, area, conn_id, ...) LOG_AT(log, LOG_LEVEL_INFO, area, conn_id, __VA_ARGS__)
#define log_debug(log, area, conn_id, ...) LOG_AT(log, LOG_LEVEL_DEBUG, area, conn_id, __VA_ARGS__)

/* Keeps one kind of message from filling the log: at most `max` in `interval_ms`. */
struct log_limit {
    uint32_t max;
    uint64_t interval_ms;
    uint64_t started_ms; /* when the running interval began */
    uint32_t count;      /* messages that passed in it */
    uint64_t left_out;   /* messages that did not */
};

void log_limit_init(struct log_limit *limit, uint32_t max, uint64_t interval_ms);

/* True if a message may be written now (now_ms: any clock that does not run backwards). At the
 * first message of a new interval, "M similar messages left out" is written for the last one. */
bool log_limit_pass(struct log_limit *limit, uint64_t now_ms, struct log *log, enum log_level level,
                    const char *area);

/* Writes what is still to be told; for the end of the program. */
void log_limit_flush(struct log_limit *limit, struct log *log, enum log_level level,
                     const char *area);

#endif
