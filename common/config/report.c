#include "common/config/report.h"

#include <stdarg.h>
#include <stdio.h>

/* A file's name or a library's text may hold anything; the promise is one line. */
static void flatten(char *z)
{
    for (; *z; z++) {
        if ((unsigned char)*z < 0x20 || *z == 0x7F)
            *z = '?';
    }
}

int config_fail(struct config_report *report, const char *fmt, ...)
{
    va_list ap;

    if (report->error[0])
        return -1;
    va_start(ap, fmt);
    (void)vsnprintf(report->error, sizeof(report->error), fmt, ap);
    va_end(ap);
    flatten(report->error);
    return -1;
}

void config_warn(struct config_report *report, const char *fmt, ...)
{
    char line[CONFIG_LINE_MAX];
    va_list ap;

    if (!report->warn)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    flatten(line);
    report->warn(report->arg, line);
}

const char *config_show(char *buf, struct str value)
{
    size_t n = 0;
    size_t room = CONFIG_SHOW_MAX - 5; /* "..." and ' and NUL */

    buf[n++] = '\'';
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        bool plain = c >= 0x20 && c < 0x7F && c != '\'' && c != '\\';

        if (n + (plain ? 1 : 4) > room) {
            memcpy(buf + n, "...", 3);
            n += 3;
            break;
        }
        if (plain)
            buf[n++] = (char)c;
        else
            n += (size_t)snprintf(buf + n, 5, "\\x%02x", c);
    }
    buf[n++] = '\'';
    buf[n] = '\0';
    return buf;
}
