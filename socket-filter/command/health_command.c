#include "socket-filter/command/health_command.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/config/options.h"
#include "common/config/values.h"
#include "common/system/ask.h"

enum { STATUS_LINE = 12 /* "HTTP/1.1 200" */ };

/* NULL: there is none that can be asked. */
static const struct listen_addr *whom(const struct filter_settings *set, const char **request)
{
    *request = "GET /health HTTP/1.1\r\nHost: filter\r\nConnection: close\r\n\r\n";
    if (set->admin.kind == LISTEN_UNIX) {
        return &set->admin;
    }
    *request = "HEAD /_ping HTTP/1.1\r\nHost: filter\r\nConnection: close\r\n\r\n";
    for (size_t i = 0; i < set->nlisteners; i++) {
        const struct filter_listener *ls = &set->listeners[i];
        if (ls->at.kind != LISTEN_OFF && !ls->exapp && !*ls->user && !*ls->certificate) {
            return &ls->at;
        }
    }
    return NULL;
}

/* Reads to the end of the status: its number, or -1 with errno; 0 is no such answer. */
static int read_status(int fd)
{
    char line[STATUS_LINE + 1] = "";
    int64_t status;
    for (size_t n = 0; n < STATUS_LINE;) {
        ssize_t got = recv(fd, line + n, STATUS_LINE - n, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return (int)got;
        }
        n += (size_t)got;
    }
    return memcmp(line, "HTTP/1.", 7) == 0 && line[8] == ' ' &&
                   value_parse_int((struct str){line + 9, 3}, 100, 599, &status) == 0
               ? (int)status
               : 0;
}

static int ask(const struct listen_addr *at, const char *request)
{
    int status = -1, fd = ask_connect(at);
    if (fd < 0) {
        return -1;
    }
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request)) {
        status = read_status(fd);
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return status;
}

int health_command(const struct filter_settings *set, FILE *out, FILE *err)
{
    const char *request;
    char text[LISTEN_TEXT_MAX];
    const struct listen_addr *at = whom(set, &request);
    if (!at) {
        fprintf(err,
                "health: every listener asks for credentials; set admin, which can be asked\n");
        return EXIT_CODE_SETTINGS;
    }
    int status = ask(at, request);
    listen_format(at, text);
    if (status == 200) {
        fprintf(out, "healthy: %s answered 200\n", text);
        return EXIT_CODE_OK;
    }
    if (status > 0) {
        fprintf(err, "not healthy: %s answered %d%s\n", text, status,
                status == 403 ? ": its policy does not let HEAD /_ping pass; set admin" : "");
    } else {
        fprintf(err, "not healthy: %s: %s\n", text,
                status == 0 ? "no HTTP answer" : ask_error(errno));
    }
    return EXIT_CODE_SETTINGS;
}
