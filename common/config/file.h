/* file.h - a libconfig file in memory, and where in it a setting stands.
 *
 * Owns the parsed tree: config_file_close wipes its strings (they may be secrets) and frees it.
 * Pointers into the tree are valid until then. `path` is borrowed from the caller. Limits: 1 MiB.
 * Settings are named in messages as the user can find them, `hub.cfg:12: timeout_server`.
 * The parser's own buffers are libconfig's and are not wiped.
 */
#ifndef HARP_CONFIG_FILE_H
#define HARP_CONFIG_FILE_H

#include <libconfig.h>

#include "common/config/report.h"

#define CONFIG_WHERE_MAX 320
#define CONFIG_FILE_MAX ((size_t)1 << 20)

struct config_file {
    config_t tree;
    const char *path;
};

/* 0, or -1 with the error in the report and nothing to close. */
int config_file_open(struct config_file *file, const char *path,
                     struct config_report *report) MUST_CHECK;
void config_file_close(struct config_file *file);

/* The whole of a small file, NUL-terminated, to be freed with config_wipe_free(p, *n): a
 * configuration or a key. NULL with the error in the report; `what` names it there. */
char *config_read_all(const char *what, const char *path, size_t max, size_t *n,
                      struct config_report *report) MUST_CHECK;
void config_wipe_free(char *p, size_t n);

/* "hub.cfg:12: name" (or "hub.cfg:12" without a name); `buf` has CONFIG_WHERE_MAX bytes. */
const char *config_file_where(const struct config_file *file, const config_setting_t *setting,
                              char *buf);

/* Reports a problem with a setting, `hub.cfg:12: name: problem`, or with its value, which is then
 * shown. Return -1 as config_fail does. */
int config_file_fail(const struct config_file *file, struct config_report *report,
                     const config_setting_t *setting, const char *problem);
int config_file_fail_value(const struct config_file *file, struct config_report *report,
                           const config_setting_t *setting, struct str value, const char *problem);

/* A scalar setting as the text a user would have written in the environment: strings as they are,
 * numbers in decimal, booleans as true or false. `buf` (64 bytes) holds what is not a string.
 * {NULL, 0} if the setting is a group, a list or an array. */
struct str config_file_text(const config_setting_t *setting, char *buf);

#endif
