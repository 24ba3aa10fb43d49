/* options.h - the command line that all programs share.
 *
 * Owns nothing. --help, --version and --print-config are answered here; the rest is for main.
 * Exit codes of every program: 0 ended well, 1 a setting is wrong or it could not start,
 * 2 wrong usage.
 */
#ifndef HARP_CONFIG_OPTIONS_H
#define HARP_CONFIG_OPTIONS_H

#include "common/config/settings.h"

#define EXIT_CODE_OK 0
#define EXIT_CODE_SETTINGS 1
#define EXIT_CODE_USAGE 2

#define OPTIONS_RUN (-1) /* what options_parse returns when the program is to go on */
#define OPTIONS_PATH_MAX 4096

struct program {
    const char *name; /* "harp-hub" */
    const char *version;
    const char *summary; /* one sentence for --help */
    const struct settings *settings;
    const char *example_head; /* around the settings of --print-config; may be NULL */
    const char *example_tail;
};

struct options {
    char config[OPTIONS_PATH_MAX]; /* --config, else HP_CONFIG, else empty */
    bool check_config;             /* read the settings, say whether they are good, and end */
};

/* Returns OPTIONS_RUN, or the code to exit with after what was written to `out` or `err`. */
int options_parse(struct options *options, int argc, char *const *argv, char *const *env,
                  const struct program *program, FILE *out, FILE *err) MUST_CHECK;

#endif
