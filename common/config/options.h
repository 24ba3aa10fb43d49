/* options.h - the command line that all programs share.
 *
 * Owns nothing. --help, --version and --print-config are answered here; the rest is for main.
 * A program may have commands: `harp-hub [OPTION]... bans lift 192.0.2.1` does one thing and ends.
 * The first word that is no option is the command, the others are its arguments; options may stand
 * anywhere, and mean the same as without a command. A command named `health` may be written
 * `--health`, too, as a container's health check wants it.
 * Exit codes of every program: 0 ended well, 1 a setting is wrong or it could not start (a command:
 * could not do it), 2 wrong usage.
 */
#ifndef HARP_CONFIG_OPTIONS_H
#define HARP_CONFIG_OPTIONS_H

#include "common/config/settings.h"

#define EXIT_CODE_OK 0
#define EXIT_CODE_SETTINGS 1
#define EXIT_CODE_USAGE 2

#define OPTIONS_RUN (-1) /* what options_parse returns when the program is to go on */
#define OPTIONS_PATH_MAX 4096
#define OPTIONS_ARGUMENTS_MAX 1024 /* of a command */
#define OPTIONS_GIVEN_MAX 32       /* options of the program's own on one command line */

struct program_command {
    const char *name;      /* "bans" */
    const char *arguments; /* as in --help: "[list|lift ADDRESS]"; may be "" */
    const char *help;      /* one sentence */
    bool dashes; /* words behind it that begin with `-` are its arguments, unless known here */
};

/* An option that only this program has; it may be given several times. */
struct program_option {
    const char *name;     /* "--docker" */
    const char *argument; /* as in --help: "unix:PATH" */
    const char *help;     /* one sentence */
};

struct program {
    const char *name; /* "harp-hub" */
    const char *version;
    const char *summary; /* one sentence for --help */
    const struct settings *settings;
    const char *
        config; /* the file that a package installs: what a command reads where no other is named */
    const char *example_head; /* around the settings of --print-config; may be NULL */
    const char *example_tail;
    const struct program_command *commands;
    size_t commands_n; /* 0: it has none */
    const struct program_option *options;
    size_t options_n;
};

struct option_given {
    const struct program_option *option;
    const char *value; /* a word of argv */
};

struct options {
    /* --config, else HP_CONFIG, else of a command the program's own file if it is there, else empty */
    char config[OPTIONS_PATH_MAX];
    bool check_config; /* read the settings, say whether they are good, and end */
    const struct program_command *command;        /* NULL: none, the program itself is to run */
    const char *arguments[OPTIONS_ARGUMENTS_MAX]; /* words of argv */
    size_t arguments_n;
    struct option_given given[OPTIONS_GIVEN_MAX]; /* in the order of the command line */
    size_t given_n;
};

/* The one way in which all say what is wrong with the command line; arg may be NULL. Returns
 * EXIT_CODE_USAGE. */
int options_usage_error(const struct program *program, FILE *err, const char *what,
                        const char *arg);

/* Returns OPTIONS_RUN, or the code to exit with after what was written to `out` or `err`. */
int options_parse(struct options *options, int argc, char *const *argv, char *const *env,
                  const struct program *program, FILE *out, FILE *err) MUST_CHECK;

#endif
