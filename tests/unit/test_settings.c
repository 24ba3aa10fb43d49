/* Settings from a table: sources, errors, the printed example. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "common/config/settings.h"

struct sample {
    char *name;
    char *key;
    bool flag;
    int64_t count;
    uint64_t size;
    uint64_t wait;
    int mode;
    struct listen_addr at;
    struct ip_set from;
};

static const char *const MODES[] = {"slow", "fast", NULL};
static const struct setting ROWS[] = {
    {.type = SETTING_HEADING, .help = "All"},
    {"name", "T_NAME", SETTING_STRING, offsetof(struct sample, name), "nobody", 1, 8, "A name.",
     "a word", NULL},
    {"key", "T_KEY", SETTING_SECRET, offsetof(struct sample, key), NULL, 0, 0, "A key.", NULL,
     NULL},
    {"flag", "T_FLAG", SETTING_BOOL, offsetof(struct sample, flag), "true", 0, 0, "A flag.", NULL,
     NULL},
    {"count", NULL, SETTING_INT, offsetof(struct sample, count), "5", 1, 10, "A count.", NULL,
     NULL},
    {"size", "T_SIZE", SETTING_SIZE, offsetof(struct sample, size), "64K", 1024, 1 << 20, "A size.",
     NULL, NULL},
    {"wait", "T_WAIT", SETTING_DURATION, offsetof(struct sample, wait), "30s", 1, 60000,
     "How long to wait, told in so many words that the line must be wrapped somewhere before the "
     "end of it.",
     NULL, NULL},
    {"mode", "T_MODE", SETTING_CHOICE, offsetof(struct sample, mode), "slow", 0, 0, "A mode.", NULL,
     MODES},
    {"at", "T_AT", SETTING_LISTEN, offsetof(struct sample, at), "127.0.0.1:80", 0, 0, "Where.",
     NULL, NULL},
    {"from", "T_FROM", SETTING_ADDRESSES, offsetof(struct sample, from), "", 0, 0, "Whom.", NULL,
     NULL},
};
static const char *const NESTED[] = {"apps", NULL};
static const struct settings SETTINGS = {ROWS, ARRAY_LEN(ROWS), NESTED};

/* Words for functions that take what main gets, where C has no const. */
#define WORDS(...) ((char *const *)(const char *const[]){__VA_ARGS__, NULL})

#define FILE_NAME "test_settings.cfg"

struct warnings {
    char text[1024];
};

static void collect(void *arg, const char *line)
{
    struct warnings *w = arg;
    size_t n = strlen(w->text);

    snprintf(w->text + n, sizeof(w->text) - n, "%s\n", line);
}

static void write_file(const char *name, const char *text, size_t n)
{
    FILE *f = fopen(name, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Loads with a file's text (NULL: none); the sample is the caller's to free on 0. */
static int load(const char *text, char *const *env, struct sample *out,
                struct setting_origin *origins, struct config_report *report)
{
    struct config_file file;
    int rc;

    *out = (struct sample){0};
    if (text)
        write_file(FILE_NAME, text, strlen(text));
    if (text && config_file_open(&file, FILE_NAME, report) != 0) {
        unlink(FILE_NAME);
        return -1;
    }
    rc = settings_load(&SETTINGS, out, text ? &file : NULL, env, origins, report);
    if (text) {
        config_file_close(&file);
        unlink(FILE_NAME);
    }
    return rc;
}

static void check_error(const char *text, char *const *env, const char *expected)
{
    struct config_report report = {0};
    struct sample s;

    if (load(text, env, &s, NULL, &report) == 0)
        fail_msg("accepted, expected: %s", expected);
    assert_string_equal(report.error, expected);
    assert_null(s.name);
    assert_null(s.key);
}

static void defaults_come_from_the_table(void **state)
{
    struct config_report report = {0};
    struct sample s;

    (void)state;
    assert_int_equal(load(NULL, NULL, &s, NULL, &report), 0);
    assert_string_equal(s.name, "nobody");
    assert_string_equal(s.key, "");
    assert_true(s.flag);
    assert_int_equal(s.count, 5);
    assert_int_equal(s.size, 65536);
    assert_int_equal(s.wait, 30000);
    assert_int_equal(s.mode, 0);
    assert_int_equal(s.at.port, 80);
    assert_int_equal(s.from.n, 0);
    settings_free(&SETTINGS, &s);
    assert_null(s.name);
}

static void the_environment_wins_over_the_file_over_defaults(void **state)
{
    char *const *env = WORDS("OTHER=1", "T_NAME='env'", "T_SIZE=", "T_MODE=\"\"", "T_FLAG=off");
    struct config_report report = {0};
    struct setting_origin origins[ARRAY_LEN(ROWS)];
    struct sample s;
    char where[CONFIG_WHERE_MAX];
    struct config_file file = {.path = "x.cfg"};

    (void)state;
    assert_int_equal(load("name = \"file\";\nsize = \"2K\";\nmode = \"FAST\";\ncount = 7;\n"
                          "wait = 1.5;\nkey = \"\";\napps = ( 1, 2 );\n",
                          env, &s, origins, &report),
                     0);
    assert_string_equal(s.name, "env");
    assert_int_equal(s.size, 2048);
    assert_int_equal(s.mode, 1);
    assert_int_equal(s.count, 7);
    assert_int_equal(s.wait, 1500);
    assert_false(s.flag);
    assert_string_equal(settings_where(&SETTINGS, "name", origins, &file, where), "T_NAME");
    assert_string_equal(settings_where(&SETTINGS, "size", origins, &file, where), "x.cfg:2: size");
    assert_string_equal(settings_where(&SETTINGS, "count", origins, &file, where),
                        "x.cfg:4: count");
    assert_string_equal(settings_where(&SETTINGS, "at", origins, &file, where), "T_AT");
    settings_free(&SETTINGS, &s);
}

static void values_in_the_file_may_be_of_any_scalar_kind(void **state)
{
    struct config_report report = {0};
    struct sample s;

    (void)state;
    assert_int_equal(load("flag = 0;\ncount = \"8\";\nsize = 4096;\nwait = 10;\n"
                          "from = [\"10.0.0.0/8\", \"::1\"];",
                          NULL, &s, NULL, &report),
                     0);
    assert_false(s.flag);
    assert_int_equal(s.count, 8);
    assert_int_equal(s.size, 4096);
    assert_int_equal(s.wait, 10000);
    assert_int_equal(s.from.n, 2);
    settings_free(&SETTINGS, &s);
    assert_int_equal(load("flag = false;\ncount = 9L;", NULL, &s, NULL, &report), 0);
    assert_false(s.flag);
    assert_int_equal(s.count, 9);
    settings_free(&SETTINGS, &s);
}

static void wrong_values_are_told_with_place_and_remedy(void **state)
{
    static const struct {
        const char *file, *env, *error;
    } cases[] = {
        {NULL, "T_WAIT=abc",
         "T_WAIT: 'abc' is not a duration; write a number with us, ms, s, m, h or d, as in 30s"},
        {NULL, "T_WAIT=0", "T_WAIT: '0' is out of range; write a duration from 1ms to 1m"},
        {NULL, "T_WAIT=2m", "T_WAIT: '2m' is out of range; write a duration from 1ms to 1m"},
        {NULL, "T_SIZE=big",
         "T_SIZE: 'big' is not a size; write a number of bytes from 1K to 1M, with K, M or G if "
         "wanted"},
        {NULL, "T_SIZE=2M",
         "T_SIZE: '2M' is out of range; write a number of bytes from 1K to 1M, with K, M or G if "
         "wanted"},
        {NULL, "T_FLAG=maybe", "T_FLAG: 'maybe' is neither true nor false; write true or false"},
        {NULL, "T_MODE=medium", "T_MODE: 'medium' is not known; write one of slow, fast"},
        {NULL, "T_AT=off",
         "T_AT: 'off' is no address to listen on; write ADDRESS:PORT, [IPV6]:PORT or unix:/PATH"},
        {NULL, "T_NAME=much too long", "T_NAME: 'much too long' is too long; write 1 to 8 bytes"},
        {NULL, "T_NAME=a\nb", "T_NAME: 'a\\x0ab' has a control character in it; write it without"},
        {NULL, "T_KEY=sec\"ret",
         "T_KEY: the value (not shown) has a double quote or a backslash in it; use printable "
         "ASCII "
         "without double quote and backslash"},
        {"\n\ncount = 11;\n", NULL,
         FILE_NAME ":3: count: '11' is out of range; write a whole number from 1 to 10"},
        {"count = true;", NULL,
         FILE_NAME ":1: count: 'true' is not a whole number; write a whole number from 1 to 10"},
        {"count = 1.5;", NULL,
         FILE_NAME ":1: count: '1.5' is not a whole number; write a whole number from 1 to 10"},
        {"count = { a = 1; };", NULL,
         FILE_NAME ":1: count: write one value here, not a group or a list"},
        {"from = [1, 2];", NULL,
         FILE_NAME ":1: from: write addresses as strings, in double quotes"},
        {"wait = \"\";", NULL,
         FILE_NAME
         ":1: wait: '' is not a duration; write a number with us, ms, s, m, h or d, as in "
         "30s"},
        {"name = \"a\";\nnaem = \"b\";", NULL,
         FILE_NAME ":2: naem: unknown setting; --print-config lists those there are"},
        {"T_WAIT = 5;", NULL,
         FILE_NAME ":1: T_WAIT: unknown setting; in this file it is called wait"},
        {"Wait = 5;", NULL, FILE_NAME ":1: Wait: unknown setting; in this file it is called wait"},
        {"name = \"a\"\n\nwait = = 5;", NULL, FILE_NAME ":3: syntax error"},
        {"name = \"a\";\nname = \"b\";", NULL, FILE_NAME ":2: duplicate setting name"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char env_text[64];
        char *env[] = {env_text, NULL};

        snprintf(env_text, sizeof(env_text), "%s", cases[i].env ? cases[i].env : "NONE=1");
        check_error(cases[i].file, env, cases[i].error);
    }
}

static void bad_addresses_are_told_one_by_one_and_left_out(void **state)
{
    char *const *env = WORDS("T_FROM=10.0.0.1,oops,10.0.0.300");
    struct warnings w = {""};
    struct config_report report = {.warn = collect, .arg = &w};
    struct sample s;

    (void)state;
    assert_int_equal(load(NULL, env, &s, NULL, &report), 0);
    assert_int_equal(s.from.n, 1);
    assert_string_equal(w.text, "T_FROM: 'oops' is neither an IP address nor a network like "
                                "10.0.0.0/8; this entry is left out\n"
                                "T_FROM: '10.0.0.300' is neither an IP address nor a network like "
                                "10.0.0.0/8; this entry is left out\n");
    settings_free(&SETTINGS, &s);
}

static void files_that_cannot_be_read_are_told(void **state)
{
    struct config_report report = {0};
    struct config_file file;
    static char big[CONFIG_FILE_MAX + 1];

    (void)state;
    assert_int_equal(config_file_open(&file, "no/such.cfg", &report), -1);
    assert_string_equal(report.error,
                        "configuration file: cannot open 'no/such.cfg': No such file or directory");
    report.error[0] = '\0';
    assert_int_equal(config_file_open(&file, "/", &report), -1);
    assert_string_equal(report.error, "configuration file: '/' is a folder, not a file");
    report.error[0] = '\0';
    write_file(FILE_NAME, "count = 1;\0count = 2;", 21);
    assert_int_equal(config_file_open(&file, FILE_NAME, &report), -1);
    assert_string_equal(report.error, FILE_NAME ": there is a NUL byte in the file");
    report.error[0] = '\0';
    memset(big, ' ', sizeof(big));
    write_file(FILE_NAME, big, sizeof(big));
    assert_int_equal(config_file_open(&file, FILE_NAME, &report), -1);
    assert_string_equal(report.error,
                        "configuration file: '" FILE_NAME "' is larger than 1048576 bytes");
    unlink(FILE_NAME);
}

static void prints_an_example_of_all_settings(void **state)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    (void)state;
    assert_non_null(f);
    settings_print(&SETTINGS, f, "# head\n", "# tail\n");
    fclose(f);
    assert_string_equal(
        text,
        "# head\n\n# ---- All ----\n\n"
        "# A name.\n# Value: a word. Environment: T_NAME.\n#name = \"nobody\";\n\n"
        "# A key.\n# Value: a secret; printable ASCII without double quote and backslash. "
        "Environment: T_KEY.\n#key = \"\";\n\n"
        "# A flag.\n# Value: true or false. Environment: T_FLAG.\n#flag = true;\n\n"
        "# A count.\n# Value: a whole number.\n#count = 5;\n\n"
        "# A size.\n# Value: bytes, or K, M, G. Environment: T_SIZE.\n#size = \"64K\";\n\n"
        "# How long to wait, told in so many words that the line must be wrapped somewhere before "
        "the end\n# of it.\n"
        "# Value: a duration: us, ms, s, m, h, d; without a unit, seconds. Environment: T_WAIT.\n"
        "#wait = \"30s\";\n\n"
        "# A mode.\n# Value: slow, fast. Environment: T_MODE.\n#mode = \"slow\";\n\n"
        "# Where.\n# Value: ADDRESS:PORT, [IPV6]:PORT or unix:/PATH. Environment: T_AT.\n"
        "#at = \"127.0.0.1:80\";\n\n"
        "# Whom.\n# Value: IP addresses and networks with commas between. Environment: T_FROM.\n"
        "#from = \"\";\n# tail\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_come_from_the_table),
        cmocka_unit_test(the_environment_wins_over_the_file_over_defaults),
        cmocka_unit_test(values_in_the_file_may_be_of_any_scalar_kind),
        cmocka_unit_test(wrong_values_are_told_with_place_and_remedy),
        cmocka_unit_test(bad_addresses_are_told_one_by_one_and_left_out),
        cmocka_unit_test(files_that_cannot_be_read_are_told),
        cmocka_unit_test(prints_an_example_of_all_settings),
    };
    char dir[] = "/tmp/test_settings.XXXXXX";
    int rc;

    /* Files are named in errors as they were given; a short name makes those easy to read. */
    if (!mkdtemp(dir) || chdir(dir) != 0)
        return 1;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    if (chdir("/") != 0 || rmdir(dir) != 0)
        return 1;
    return rc;
}
