#include "socket-filter/settings/settings.h"

#include "common/log/log.h"

/* Macros that write initialisers cannot put their arguments in parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define AT(field) offsetof(struct filter_settings, field)
#define HEADING(text)                                                                              \
    {                                                                                              \
        .type = SETTING_HEADING, .help = text                                                      \
    }
/* env, type, field = name, default, min, max, help */
#define ROW(env_name, kind, field, default_text, least, most, text)                                \
    {                                                                                              \
        .name = #field, .env = env_name, .type = kind, .offset = AT(field), .def = default_text,   \
        .min = least, .max = most, .help = text                                                    \
    }
#define CHOICE(env_name, field, default_text, names, text)                                         \
    {                                                                                              \
        .name = #field, .env = env_name, .type = SETTING_CHOICE, .offset = AT(field),              \
        .def = default_text, .choices = names, .help = text                                        \
    }
/* NOLINTEND(bugprone-macro-parentheses) */

#define SECONDS 1000LL
#define HOURS (3600 * SECONDS)
#define DAYS (24 * HOURS)
#define KIB 1024LL
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)
#define OFF_ALLOWED 1

static const char *const mode_names[] = {"enforce", "report", NULL};
static const char *const audit_names[] = {"off", "on", "required", NULL};

static const struct setting rows[] = {
    HEADING("Where the engine is, and who may be told"),
    ROW("HP_FILTER_DOCKER", SETTING_LISTEN, docker, "unix:/var/run/docker.sock", 0, 0,
        "The Docker engine's socket (or Podman's). Only unix:PATH."),
    ROW("HP_FILTER_ADMIN", SETTING_LISTEN, admin, "off", 0, OFF_ALLOWED,
        "A unix socket, for the program's own user alone, that answers GET /health and "
        "GET /metrics."),
    CHOICE("HP_FILTER_MODE", mode, "enforce", mode_names,
           "What becomes of calls that the policy does not allow: `enforce` refuses them, `report` "
           "lets them pass and logs which line of a policy would allow them. A listener may have a "
           "mode of its own."),

    HEADING("Rights"),
    ROW("HP_FILTER_USER", SETTING_STRING, user, "", 0, 64,
        "The user to become when started as root, by name or number. Of groups only that of the "
        "engine's socket is kept. Empty: stay as we are."),
    ROW("HP_FILTER_SANDBOX", SETTING_BOOL, sandbox, "true", 0, 0,
        "Give up capabilities, new privileges, files and system calls that are not needed, as "
        "far as the kernel can. Only for looking for faults should this be false."),

    HEADING("Log"),
    CHOICE("HP_LOG_LEVEL", log_level, "info", log_level_names, "The least important lines told."),
    CHOICE("HP_LOG_FORMAT", log_format, "text", log_format_names, "One event is one line."),

    HEADING("Time limits"),
    ROW("HP_FILTER_HEAD_TIMEOUT", SETTING_TIMEOUT, head_timeout, "10s", SECONDS, HOURS,
        "For a request's head, from its first byte."),
    ROW("HP_FILTER_HANDSHAKE_TIMEOUT", SETTING_TIMEOUT, handshake_timeout, "10s", SECONDS, HOURS,
        "For a TLS handshake."),
    ROW("HP_FILTER_TIMEOUT_CLIENT", SETTING_TIMEOUT, timeout_client, "2m", SECONDS, DAYS,
        "For the next request on a connection, for the next bytes of a request's body, and for a "
        "client to read what it was sent."),
    ROW("HP_FILTER_CONNECT_TIMEOUT", SETTING_TIMEOUT, connect_timeout, "10s", SECONDS, HOURS,
        "For a connection to the engine."),
    ROW("HP_FILTER_TIMEOUT_SHORT", SETTING_TIMEOUT, timeout_short, "60s", SECONDS, DAYS,
        "For the whole answer to calls that only ask something."),
    ROW("HP_FILTER_TIMEOUT_SLOW", SETTING_TIMEOUT, timeout_slow, "15m", SECONDS, DAYS,
        "For the whole answer to calls that do something: create, start, stop, remove."),
    ROW("HP_FILTER_TIMEOUT_STREAM", SETTING_TIMEOUT, timeout_stream, "0", 0, 30 * DAYS,
        "For the next bytes of logs, events, pulls and commands. 0: none, as nothing may happen "
        "for "
        "days; a client that is gone is noticed."),
    ROW("HP_FILTER_CERTIFICATE_CHECK_INTERVAL", SETTING_DURATION, certificate_check_interval, "1m",
        1, HOURS, "How often listeners' certificates are looked at, to take renewed ones."),
    ROW("HP_FILTER_SHUTDOWN_TIMEOUT", SETTING_TIMEOUT, shutdown_timeout, "10s", 0, HOURS,
        "For running calls to finish when the program is told to end."),

    HEADING("Sizes and numbers"),
    ROW("HP_FILTER_BODY_MAX", SETTING_SIZE, body_max, "1M", KIB, MIB,
        "Of a request's JSON body, which is read whole and judged; a larger one is a 413."),
    ROW("HP_FILTER_ARCHIVE_MAX", SETTING_SIZE, archive_max, "16M", KIB, GIB,
        "Of an archive for a container, which is judged as it passes."),
    ROW("HP_FILTER_ANSWER_MAX", SETTING_SIZE, answer_max, "16M", KIB, GIB,
        "Of an answer that is no stream; a larger one is cut, or a 502."),
    ROW("HP_FILTER_MAX_CONNECTIONS", SETTING_INT, max_connections, "1024", 1, 100000,
        "Clients at the same time, over all listeners."),
    ROW("HP_FILTER_MAX_EXECS", SETTING_INT, max_execs, "1024", 1, 100000,
        "Commands in containers that are remembered, to be started and asked about; the oldest "
        "are forgotten first."),

    HEADING("Wrong passwords"),
    ROW("HP_FILTER_BAN_COUNT", SETTING_INT, ban_count, "5", 1, 1000,
        "Failures of an address within the window, after which its connections are closed "
        "without an answer."),
    ROW("HP_FILTER_BAN_WINDOW", SETTING_TIMEOUT, ban_window, "5m", SECONDS, DAYS,
        "The window for counting failures."),

    HEADING("Audit: one record for each decision, chained by hashes"),
    CHOICE("HP_FILTER_AUDIT", audit, "off", audit_names,
           "`required`: a call whose record can't be written is refused."),
    ROW("HP_FILTER_AUDIT_FOLDER", SETTING_STRING, audit_folder, "/var/lib/harp-socket-filter/audit",
        1, 4000, "Where the segments are. The folder must be there."),
    ROW("HP_FILTER_AUDIT_SEGMENT_SIZE", SETTING_SIZE, audit_segment_size, "16M", 64 * KIB, GIB,
        "A segment of this size is finished, and can be shipped; another is begun."),
    CHOICE("HP_FILTER_AUDIT_SYNC", audit_sync, "interval", audit_sync_names,
           "When records are on the disk: `always` before the call goes on, `interval` within a "
           "second, `never` when the system sees fit."),
};

static const char *const nested[] = {"listeners", "policies", NULL};

const struct settings filter_settings_table = {
    .table = rows, .n = ARRAY_LEN(rows), .nested = nested};
