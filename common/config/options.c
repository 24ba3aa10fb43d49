#include "common/config/options.h"

#include <unistd.h>

#define ENV_CONFIG "HP_CONFIG"

static void print_commands(const struct program *program, FILE *out)
{
    fputs("\nCommands, which do one thing with these settings and end:\n\n", out);
    for (size_t i = 0; i < program->commands_n; i++) {
        const struct program_command *c = &program->commands[i];

        fprintf(out, "  %s%s%s\n      %s\n", c->name, *c->arguments ? " " : "", c->arguments,
                c->help);
    }
}

/* The command that `--health` is another spelling of; NULL: this program has none. */
static const struct program_command *health_of(const struct program *program)
{
    for (size_t i = 0; i < program->commands_n; i++)
        if (strcmp(program->commands[i].name, "health") == 0)
            return &program->commands[i];
    return NULL;
}

static int print_help(const struct program *program, FILE *out)
{
    fprintf(out, "Usage: %s [OPTION]...\n", program->name);
    if (program->commands_n)
        fprintf(out, "       %s [OPTION]... COMMAND [ARGUMENT]...\n", program->name);
    fprintf(out,
            "%s\n"
            "\n"
            "  -c, --config FILE   read settings from FILE (else from the file that " ENV_CONFIG
            " names)\n"
            "%s%s%s"
            "      --check-config  read all settings, say whether they are good, and end\n"
            "      --print-config  print an example configuration file with all settings\n"
            "  -h, --help          print this text\n"
            "      --version       print the version\n",
            program->summary, program->config ? "                      a command: else from " : "",
            program->config ? program->config : "", program->config ? ", if it is there\n" : "");
    if (health_of(program))
        fputs("      --health        the same as the command health: for health checks\n", out);
    for (size_t i = 0; i < program->options_n; i++) {
        const struct program_option *o = &program->options[i];

        fprintf(out, "      %s %s\n                      %s\n", o->name, o->argument, o->help);
    }
    if (program->commands_n)
        print_commands(program, out);
    fputs("\n"
          "Settings, by their name in the configuration file and, in brackets, in the\n"
          "environment, with the default. The environment wins over the file.\n",
          out);
    settings_help(program->settings, out);
    fputs("\n"
          "Exit codes: 0 ended well, 1 a setting is wrong or it could not start, 2 wrong usage.\n",
          out);
    if (program->commands_n)
        fputs("A command ends with 1, too, when it could not do what it was told.\n", out);
    return EXIT_CODE_OK;
}

int options_usage_error(const struct program *program, FILE *err, const char *what, const char *arg)
{
    fprintf(err, "%s: %s%s%s%s; try %s --help\n", program->name, what, arg ? " '" : "",
            arg ? arg : "", arg ? "'" : "", program->name);
    return EXIT_CODE_USAGE;
}

static int take_config(struct options *options, const char *path, const struct program *program,
                       FILE *err)
{
    if (options->config[0])
        return options_usage_error(program, err, "--config is given twice", NULL);
    if (!path || !*path)
        return options_usage_error(program, err, "--config needs the name of a file", NULL);
    if (strlen(path) >= sizeof(options->config))
        return options_usage_error(program, err, "the name given to --config is too long", NULL);
    memcpy(options->config, path, strlen(path) + 1);
    return OPTIONS_RUN;
}

/* A word that is no option. */
static int take_word(struct options *options, const char *word, const struct program *program,
                     FILE *err)
{
    if (program->commands_n == 0)
        return options_usage_error(program, err, "unexpected argument", word);
    if (options->command) {
        if (options->arguments_n == OPTIONS_ARGUMENTS_MAX)
            return options_usage_error(program, err, "too many arguments, from", word);
        options->arguments[options->arguments_n++] = word;
        return OPTIONS_RUN;
    }
    for (size_t i = 0; i < program->commands_n; i++) {
        if (strcmp(word, program->commands[i].name) == 0) {
            options->command = &program->commands[i];
            return OPTIONS_RUN;
        }
    }
    return options_usage_error(program, err, "unknown command", word);
}

/* The value of an option in the same word, `--name=VALUE`; NULL if it is not that option. */
static const char *joined_value(const char *arg, const char *name)
{
    size_t n = strlen(name);

    return strncmp(arg, name, n) == 0 && arg[n] == '=' ? arg + n + 1 : NULL;
}

/* The program's own option that `arg` is, with its value in the same word or not (*value is NULL then). */
static const struct program_option *own_option(const struct program *program, const char *arg,
                                               const char **value)
{
    for (size_t i = 0; i < program->options_n; i++) {
        const struct program_option *o = &program->options[i];

        *value = joined_value(arg, o->name);
        if (*value || strcmp(arg, o->name) == 0)
            return o;
    }
    return NULL;
}

static int take_own(struct options *options, const struct program_option *option, const char *value,
                    const struct program *program, FILE *err)
{
    if (!value || !*value)
        return options_usage_error(program, err, "a value is missing behind", option->name);
    if (options->given_n == OPTIONS_GIVEN_MAX)
        return options_usage_error(program, err, "too many options, from", option->name);
    options->given[options->given_n++] = (struct option_given){option, value};
    return OPTIONS_RUN;
}

static int finish(int code, FILE *out)
{
    /* A full disk behind `--print-config > file` must not look like success. */
    return fflush(out) == 0 && !ferror(out) ? code : EXIT_CODE_SETTINGS;
}

int options_parse(struct options *options, int argc, char *const *argv, char *const *env,
                  const struct program *program, FILE *out, FILE *err)
{
    struct str from_env;

    *options = (struct options){0};
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        const char *value = joined_value(arg, "--config"), *own_value = NULL;
        const struct program_option *own = own_option(program, arg, &own_value);
        int rc = OPTIONS_RUN;

        if (!value)
            value = joined_value(arg, "-c");
        if (value)
            rc = take_config(options, value, program, err);
        else if (strcmp(arg, "--config") == 0 || strcmp(arg, "-c") == 0)
            rc = take_config(options, ++i < argc ? argv[i] : NULL, program, err);
        else if (strcmp(arg, "--check-config") == 0)
            options->check_config = true;
        else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)
            return finish(print_help(program, out), out);
        else if (strcmp(arg, "--version") == 0) {
            fprintf(out, "%s %s\n", program->name, program->version);
            return finish(EXIT_CODE_OK, out);
        } else if (strcmp(arg, "--print-config") == 0) {
            settings_print(program->settings, out, program->example_head, program->example_tail);
            return finish(EXIT_CODE_OK, out);
        } else if (strcmp(arg, "--health") == 0 && health_of(program) && !options->command)
            options->command = health_of(program);
        else if (own)
            rc = take_own(options, own,
                          own_value    ? own_value
                          : ++i < argc ? argv[i]
                                       : NULL,
                          program, err);
        else if (arg[0] == '-' && !(options->command && options->command->dashes))
            rc = options_usage_error(program, err, "unknown option", arg);
        else
            rc = take_word(options, arg, program, err);
        if (rc != OPTIONS_RUN)
            return rc;
    }
    from_env = settings_env(env, ENV_CONFIG);
    if (!options->config[0] && from_env.p) {
        if (from_env.n >= sizeof(options->config))
            return options_usage_error(program, err, "the name in " ENV_CONFIG " is too long",
                                       NULL);
        memcpy(options->config, from_env.p, from_env.n);
    }
    /* Who looks what is wrong should not have to know where the service has its settings. The program itself reads
     * no file that nobody named. */
    if (!options->config[0] && options->command && program->config &&
        access(program->config, F_OK) == 0)
        snprintf(options->config, sizeof(options->config), "%s", program->config);
    return OPTIONS_RUN;
}
