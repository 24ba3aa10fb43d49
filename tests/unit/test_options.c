/* The command line: options, commands, help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "common/config/options.h"

struct sample {
    int64_t count;
    uint64_t wait;
};

static const struct setting ROWS[] = {
    {"count", NULL, SETTING_INT, offsetof(struct sample, count), "5", 1, 10, "A count.", NULL,
     NULL},
    {"wait", "T_WAIT", SETTING_DURATION, offsetof(struct sample, wait), "30s", 1, 60000,
     "How long.", NULL, NULL},
};
static const struct settings SETTINGS = {ROWS, ARRAY_LEN(ROWS), NULL};

#define WORDS(...) ((char *const *)(const char *const[]){__VA_ARGS__, NULL})

/* Runs the command line; *out has both outputs, to be freed. */
static int run_program(const struct program *program, struct options *o, char *const *args,
                       char *const *env, char **out)
{
    size_t n = 0;
    FILE *f = open_memstream(out, &n);
    int argc = 0;
    int rc;

    assert_non_null(f);
    while (args[argc])
        argc++;
    rc = options_parse(o, argc, args, env, program, f, f);
    fclose(f);
    return rc;
}

static int run_options(struct options *o, char *const *args, char *const *env, char **out)
{
    const struct program program = {
        .name = "prog", .version = "1.2.3", .summary = "Does things.", .settings = &SETTINGS};

    return run_program(&program, o, args, env, out);
}

static const struct program_command COMMANDS[] = {
    {.name = "bans", .arguments = "[list|lift ADDRESS]", .help = "Lists things."},
    {.name = "status", .arguments = "", .help = "Tells the state."},
    {.name = "audit", .arguments = "verify [--head HEX] FILE", .help = "Checks.", .dashes = true},
    {.name = "health", .arguments = "", .help = "Says whether it is well."},
};

static const struct program_option OWN_OPTIONS[] = {
    {"--docker", "unix:PATH", "Where the engine is."},
    {"--listen", "ADDRESS", "Where to listen."},
};

/* What a package would have installed. */
#define INSTALLED "installed.cfg"

static const struct program WITH_COMMANDS = {.name = "prog",
                                             .version = "1.2.3",
                                             .summary = "Does things.",
                                             .settings = &SETTINGS,
                                             .config = INSTALLED,
                                             .commands = COMMANDS,
                                             .commands_n = ARRAY_LEN(COMMANDS),
                                             .options = OWN_OPTIONS,
                                             .options_n = ARRAY_LEN(OWN_OPTIONS)};

static void reads_the_command_line(void **state)
{
    static const struct {
        const char *args[5];
        int rc;
        const char *config;
        const char *out;
    } cases[] = {
        {{"prog", NULL}, OPTIONS_RUN, "", ""},
        {{"prog", "-c", "a.cfg", NULL}, OPTIONS_RUN, "a.cfg", ""},
        {{"prog", "-c=a.cfg", NULL}, OPTIONS_RUN, "a.cfg", ""},
        {{"prog", "--config", "a.cfg", "--check-config", NULL}, OPTIONS_RUN, "a.cfg", ""},
        {{"prog", "--config=a.cfg", NULL}, OPTIONS_RUN, "a.cfg", ""},
        {{"prog", "--version", NULL}, 0, "", "prog 1.2.3\n"},
        {{"prog", "--config", NULL},
         2,
         "",
         "prog: --config needs the name of a file; try prog --help\n"},
        {{"prog", "-c=", NULL},
         2,
         "",
         "prog: --config needs the name of a file; try prog --help\n"},
        {{"prog", "-c=a", "-c=b", NULL},
         2,
         "a",
         "prog: --config is given twice; try prog --help\n"},
        {{"prog", "--nonsense", NULL},
         2,
         "",
         "prog: unknown option '--nonsense'; try prog --help\n"},
        {{"prog", "--configure", NULL},
         2,
         "",
         "prog: unknown option '--configure'; try prog --help\n"},
        {{"prog", "word", NULL}, 2, "", "prog: unexpected argument 'word'; try prog --help\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct options o;
        char *out = NULL;
        char *none[] = {NULL};

        assert_int_equal(run_options(&o, (char *const *)cases[i].args, none, &out), cases[i].rc);
        assert_string_equal(o.config, cases[i].config);
        assert_string_equal(out, cases[i].out);
        assert_int_equal(o.check_config, cases[i].args[1] && cases[i].args[2] && cases[i].args[3]);
        free(out);
    }
}

static void reads_options_of_the_programs_own(void **state)
{
    static const struct {
        const char *args[8];
        int rc;
        const char *given; /* " --name=value" of each */
        const char *arguments;
        const char *out;
    } cases[] = {
        {{"prog", NULL}, OPTIONS_RUN, "", "", ""},
        {{"prog", "--docker", "unix:/a", NULL}, OPTIONS_RUN, " --docker=unix:/a", "", ""},
        {{"prog", "--docker=unix:/a", "--listen", "x", "--listen=y", NULL},
         OPTIONS_RUN,
         " --docker=unix:/a --listen=x --listen=y",
         "",
         ""},
        {{"prog", "--listen", NULL},
         2,
         "",
         "",
         "prog: a value is missing behind '--listen'; try prog --help\n"},
        {{"prog", "--listen=", NULL},
         2,
         "",
         "",
         "prog: a value is missing behind '--listen'; try prog --help\n"},
        {{"prog", "--listening", NULL},
         2,
         "",
         "",
         "prog: unknown option '--listening'; try prog --help\n"},
        {{"prog", "audit", "verify", "--head", "00", "-x", "--docker=u", NULL},
         OPTIONS_RUN,
         " --docker=u",
         " verify --head 00 -x",
         ""},
        {{"prog", "bans", "--head", NULL},
         2,
         "",
         "",
         "prog: unknown option '--head'; try prog --help\n"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct options o;
        char *out = NULL, *none[] = {NULL}, text[256] = "", words[256] = "";
        int rc = run_program(&WITH_COMMANDS, &o, (char *const *)cases[i].args, none, &out);
        assert_int_equal(rc, cases[i].rc);
        for (size_t k = 0; k < o.given_n; k++) {
            snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s=%s",
                     o.given[k].option->name, o.given[k].value);
        }
        for (size_t k = 0; k < o.arguments_n; k++) {
            snprintf(words + strlen(words), sizeof(words) - strlen(words), " %s", o.arguments[k]);
        }
        assert_string_equal(text, cases[i].given);
        assert_string_equal(words, cases[i].arguments);
        assert_string_equal(out, cases[i].out);
        free(out);
    }
}

static void too_many_words_are_told(void **state)
{
    static const char *args[OPTIONS_ARGUMENTS_MAX + 4] = {"prog"};
    static struct options o;
    char *out = NULL, *none[] = {NULL};
    (void)state;
    for (size_t i = 0; i <= OPTIONS_GIVEN_MAX; i++) {
        args[i + 1] = "--listen=x";
    }
    assert_int_equal(run_program(&WITH_COMMANDS, &o, (char *const *)args, none, &out), 2);
    assert_non_null(strstr(out, "too many options, from '--listen'"));
    free(out);
    args[1] = "bans";
    for (size_t i = 0; i <= OPTIONS_ARGUMENTS_MAX; i++) {
        args[i + 2] = i < OPTIONS_ARGUMENTS_MAX ? "1" : "9";
    }
    assert_int_equal(run_program(&WITH_COMMANDS, &o, (char *const *)args, none, &out), 2);
    assert_string_equal(out, "prog: too many arguments, from '9'; try prog --help\n");
    assert_int_equal(o.arguments_n, OPTIONS_ARGUMENTS_MAX);
    free(out);
}

static void reads_a_command_and_its_arguments(void **state)
{
    static const struct {
        const char *args[12];
        int rc;
        const char *command; /* NULL: none */
        const char *arguments;
        const char *config;
        const char *out;
    } cases[] = {
        {{"prog", NULL}, OPTIONS_RUN, NULL, "", "", ""},
        {{"prog", "status", NULL}, OPTIONS_RUN, "status", "", "", ""},
        {{"prog", "bans", "lift", "::1", NULL}, OPTIONS_RUN, "bans", " lift ::1", "", ""},
        {{"prog", "-c", "a", "bans", "list", NULL}, OPTIONS_RUN, "bans", " list", "a", ""},
        {{"prog", "bans", "--config=a", "list", NULL}, OPTIONS_RUN, "bans", " list", "a", ""},
        {{"prog", "bans", "status", NULL}, OPTIONS_RUN, "bans", " status", "", ""},
        {{"prog", "bans", "", NULL}, OPTIONS_RUN, "bans", " ", "", ""},
        {{"prog", "health", NULL}, OPTIONS_RUN, "health", "", "", ""},
        {{"prog", "--health", NULL}, OPTIONS_RUN, "health", "", "", ""},
        {{"prog", "--health", "-c", "a", "x", NULL}, OPTIONS_RUN, "health", " x", "a", ""},
        {{"prog", "audit", "--health", NULL}, OPTIONS_RUN, "audit", " --health", "", ""},
        {{"prog", "--health", "--health", NULL},
         2,
         "health",
         "",
         "",
         "prog: unknown option '--health'; try prog --help\n"},
        {{"prog", "ban", NULL}, 2, NULL, "", "", "prog: unknown command 'ban'; try prog --help\n"},
        {{"prog", "bans", "--nonsense", NULL},
         2,
         "bans",
         "",
         "",
         "prog: unknown option '--nonsense'; try prog --help\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct options o;
        char *none[] = {NULL}, *out = NULL, arguments[64] = "";

        assert_int_equal(run_program(&WITH_COMMANDS, &o, (char *const *)cases[i].args, none, &out),
                         cases[i].rc);
        assert_string_equal(out, cases[i].out);
        assert_string_equal(o.config, cases[i].config);
        if (cases[i].command)
            assert_string_equal(o.command->name, cases[i].command);
        else
            assert_null(o.command);
        for (size_t k = 0; k < o.arguments_n; k++) {
            strcat(arguments, " ");
            strcat(arguments, o.arguments[k]);
        }
        assert_string_equal(arguments, cases[i].arguments);
        free(out);
    }
}

static void help_names_the_commands_if_there_are_any(void **state)
{
    struct options o;
    char *none[] = {NULL}, *out = NULL;

    (void)state;
    assert_int_equal(run_program(&WITH_COMMANDS, &o, WORDS("prog", "bans", "--help"), none, &out),
                     0);
    assert_non_null(strstr(out, "Usage: prog [OPTION]...\n"
                                "       prog [OPTION]... COMMAND [ARGUMENT]...\n"));
    assert_non_null(strstr(out, "  bans [list|lift ADDRESS]\n      Lists things.\n"
                                "  status\n      Tells the state.\n"));
    assert_non_null(strstr(out, "A command ends with 1, too, when it could not"));
    assert_non_null(strstr(out, "      --health        the same as the command health"));
    free(out);
    assert_int_equal(run_options(&o, WORDS("prog", "--help"), none, &out), 0);
    assert_null(strstr(out, "ommand"));
    free(out);
    assert_int_equal(run_options(&o, WORDS("prog", "--health"), none, &out), 2);
    assert_string_equal(out, "prog: unknown option '--health'; try prog --help\n");
    free(out);
}

static void the_environment_names_the_file_if_no_option_does(void **state)
{
    char *const *env = WORDS("HP_CONFIG=\"env.cfg\"");
    struct options o;
    char *out = NULL;

    (void)state;
    assert_int_equal(run_options(&o, WORDS("prog"), env, &out), OPTIONS_RUN);
    assert_string_equal(o.config, "env.cfg");
    free(out);
    assert_int_equal(run_options(&o, WORDS("prog", "-c", "b"), env, &out), OPTIONS_RUN);
    assert_string_equal(o.config, "b");
    free(out);
}

static void a_command_reads_the_installed_file_where_no_other_is_named(void **state)
{
    char variable[] = "HP_CONFIG=b", *none[] = {NULL}, *named[] = {variable, NULL}, *out = NULL;
    static const struct {
        const char *args[5];
        bool by_env;
        const char *config;
    } cases[] = {
        {{"prog", "status", NULL}, false, INSTALLED},
        {{"prog", "--health", NULL}, false, INSTALLED},
        {{"prog", "-c", "a", "status"}, false, "a"},
        {{"prog", "status", NULL}, true, "b"},
        {{"prog", NULL}, false, ""}, /* the program itself reads what it is told to */
        {{"prog", "--check-config", NULL}, false, ""},
    };
    FILE *f = fopen(INSTALLED, "w");

    (void)state;
    assert_non_null(f);
    fclose(f);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct options o;

        assert_int_equal(run_program(&WITH_COMMANDS, &o, (char *const *)cases[i].args,
                                     cases[i].by_env ? named : none, &out),
                         OPTIONS_RUN);
        assert_string_equal(o.config, cases[i].config);
        free(out);
    }
    assert_int_equal(unlink(INSTALLED), 0);
}

static void help_names_settings_and_exit_codes(void **state)
{
    struct options o;
    char *out = NULL;
    char *none[] = {NULL};

    (void)state;
    assert_int_equal(run_options(&o, WORDS("prog", "--help"), none, &out), 0);
    assert_non_null(strstr(out, "Usage: prog [OPTION]...\nDoes things.\n"));
    assert_non_null(strstr(out, "    wait (T_WAIT) = 30s\n        How long."));
    assert_non_null(strstr(out, "    count = 5\n"));
    assert_non_null(strstr(out, "Exit codes: 0 ended well, 1 a setting is wrong or it could not "
                                "start, 2 wrong usage.\n"));
    free(out);
}

static void a_full_disk_is_not_success(void **state)
{
    const struct program program = {
        .name = "prog", .version = "1.2.3", .summary = "Does things.", .settings = &SETTINGS};
    FILE *full = fopen("/dev/full", "w");
    char *const *args = WORDS("prog", "--print-config");
    char *none[] = {NULL};
    struct options o;

    (void)state;
    assert_non_null(full);
    assert_int_equal(options_parse(&o, 2, args, none, &program, full, full), 1);
    fclose(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_command_line),
        cmocka_unit_test(reads_options_of_the_programs_own),
        cmocka_unit_test(too_many_words_are_told),
        cmocka_unit_test(reads_a_command_and_its_arguments),
        cmocka_unit_test(help_names_the_commands_if_there_are_any),
        cmocka_unit_test(the_environment_names_the_file_if_no_option_does),
        cmocka_unit_test(a_command_reads_the_installed_file_where_no_other_is_named),
        cmocka_unit_test(help_names_settings_and_exit_codes),
        cmocka_unit_test(a_full_disk_is_not_success),
    };
    char dir[] = "/tmp/test_options.XXXXXX";
    int rc;

    if (!mkdtemp(dir) || chdir(dir) != 0)
        return 1;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    if (chdir("/") != 0 || rmdir(dir) != 0)
        return 1;
    return rc;
}
