/* settings.h - settings described by a table, read from defaults, then a file, then the environment.
 *
 * The caller owns the struct that the table describes, zeroes it before settings_load and releases
 * with settings_free what the load put into it (strings, sets of addresses); secrets are wiped.
 *
 * Rules: a later source wins (default < file < environment). Surrounding quotes are dropped from
 * every value. An empty environment variable counts as not set; in the file, strings, secrets and
 * address lists may be empty. A setting in the file that no table row and no `nested` name knows is
 * an error. A wrong value is one line that names the setting as the user wrote it (the environment
 * name, or file:line: name), shows the value (never a secret's) and says what to write instead.
 *
 * The same table makes the help text and the example configuration file.
 */
#ifndef HARP_CONFIG_SETTINGS_H
#define HARP_CONFIG_SETTINGS_H

#include <stdio.h>

#include "common/config/file.h"
#include "common/config/ip_set.h"
#include "common/config/listen.h"
#include "common/config/report.h"

enum setting_type { /* field                     min and max are                    */
                    SETTING_HEADING, /* none: `help` is a heading                                    */
                    SETTING_STRING, /* char *, never NULL        bytes; max 0: 4096                 */
                    SETTING_SECRET, /* char *, never NULL        not used                           */
                    SETTING_BOOL, /* bool                      not used                           */
                    SETTING_INT,  /* int64_t                   values                             */
                    SETTING_SIZE, /* uint64_t, bytes           bytes                              */
                    SETTING_DURATION, /* uint64_t, milliseconds    milliseconds                       */
                    SETTING_TIMEOUT, /* the same, and a number other than 0 must have its unit */
                    SETTING_CHOICE, /* int, index in `choices`   not used                           */
                    SETTING_LISTEN, /* struct listen_addr        max 1: the word `off` is allowed;
                                                                  min 1: a name is looked up         */
                    SETTING_ADDRESSES, /* struct ip_set             not used                           */
};

struct setting {
    const char *name; /* in the file; lower case */
    const char *env;  /* NULL: cannot be set there */
    enum setting_type type;
    size_t offset;
    const char *def; /* read like a value; NULL: empty */
    int64_t min, max;
    const char *help; /* sentences; wrapped when printed */
    const char *unit; /* what a value looks like, where the type does not say it; may be NULL */
    const char *const *choices; /* SETTING_CHOICE: ends in NULL */
};

/* Where a setting's value came from. */
enum setting_source {
    SETTING_FROM_DEFAULT,
    SETTING_FROM_FILE,
    SETTING_FROM_ENV,
};

struct setting_origin {
    enum setting_source source;
    int line; /* in the file */
};

struct settings {
    const struct setting *table;
    size_t n;
    const char *const
        *nested; /* file settings the caller reads itself; ends in NULL; may be NULL */
};

/* Fills *out. `file` and `env` may be NULL; `origins` (n of them, in table order) too. 0, or -1
 * with the error in the report and nothing to free. */
int settings_load(const struct settings *settings, void *out, const struct config_file *file,
                  char *const *env, struct setting_origin *origins,
                  struct config_report *report) MUST_CHECK;

/* The same for a group inside a file, from defaults and what stands in it. */
int settings_load_group(const struct settings *settings, void *out, const struct config_file *file,
                        const config_setting_t *group, struct config_report *report) MUST_CHECK;

void settings_free(const struct settings *settings, void *out);

/* The row of a setting; the name must be in the table. */
size_t settings_find(const struct settings *settings, const char *name);

/* How the user knows a setting, for errors found later: its environment name if it came from
 * there, "hub.cfg:12: name" if from the file, else the environment name or the name. `buf` has
 * CONFIG_WHERE_MAX bytes. */
const char *settings_where(const struct settings *settings, const char *name,
                           const struct setting_origin *origins, const struct config_file *file,
                           char *buf);

/* The value of an environment variable in `env` (like environ), without quotes around it;
 * {NULL, 0} if it is not set or empty. */
struct str settings_env(char *const *env, const char *name);

/* An example configuration file: `head` and `tail` as they are (may be NULL), and between them every
 * setting, commented out, with its default, meaning, unit and environment name. */
void settings_print(const struct settings *settings, FILE *to, const char *head, const char *tail);

/* Two or three lines a setting, for --help. */
void settings_help(const struct settings *settings, FILE *to);

#endif
