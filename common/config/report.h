/* report.h - how reading a configuration says what is wrong.
 *
 * The caller owns the `struct config_report` (it holds no pointers of ours) and zeroes it before
 * use. `error` is one line without a newline: where (environment name or file:line: setting), what
 * is wrong, and the remedy. The first error is kept. Warnings do not end the reading; each goes to
 * `warn` (which may be NULL) as one line, valid during the call only.
 * Values of secrets never come near either of them.
 */
#ifndef HARP_CONFIG_REPORT_H
#define HARP_CONFIG_REPORT_H

#include "common/base/base.h"

#define CONFIG_LINE_MAX 640 /* bytes of an error or a warning, with its NUL */
#define CONFIG_SHOW_MAX 128 /* bytes that config_show needs, with its NUL */

struct config_report {
    char error[CONFIG_LINE_MAX];
    void (*warn)(void *arg, const char *line);
    void *arg;
};

/* Keeps the line if it is the first; returns -1 always, to be returned in turn. */
int config_fail(struct config_report *report, const char *fmt, ...) PRINTF_LIKE(2, 3);

void config_warn(struct config_report *report, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* 'value' for a message: in single quotes, other than plain ASCII escaped, cut with "..." when
 * long. `buf` has CONFIG_SHOW_MAX bytes; returns it. */
const char *config_show(char *buf, struct str value);

#endif
