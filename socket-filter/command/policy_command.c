#include "socket-filter/command/policy_command.h"

#include "common/config/options.h"
#include "socket-filter/policy/policy_test.h"

static int usage(FILE *err, const char *what)
{
    fprintf(err, "policy: %s; write `policy show [NAME]` or `policy test [--policy NAME] FILE`\n",
            what);
    return EXIT_CODE_USAGE;
}

static const struct named_policy *find(const struct policies *policies, const char *name,
                                       const char *file_name, FILE *err)
{
    const struct named_policy *p = policies_find(policies, str_of(name));
    char shown[CONFIG_SHOW_MAX];
    if (!p) {
        fprintf(err, "policy: %s is none of the built-in ones", config_show(shown, str_of(name)));
        if (file_name && *file_name) {
            fprintf(err, ", nor of %s", file_name);
        }
        fputs("; `policy show` lists all\n", err);
    }
    return p;
}

static int list(const struct policies *policies, const char *file_name, FILE *out)
{
    const struct named_policy *p;
    int width = 0;
    for (size_t i = 0; (p = policies_at(policies, i)); i++) {
        width = MAX(width, (int)strlen(p->name));
    }
    for (size_t i = 0; (p = policies_at(policies, i)); i++) {
        fprintf(out, "%-*s  %s%s\n", width, p->name, p->what[0] ? p->what : "Read from ",
                p->what[0]                  ? ""
                : file_name && file_name[0] ? file_name
                                            : "a file");
    }
    return EXIT_CODE_OK;
}

static int show(const struct policies *policies, const char *file_name, int argc,
                const char *const *argv, FILE *out, FILE *err)
{
    if (argc > 1) {
        return usage(err, "show takes one name");
    }
    if (argc == 0) {
        return list(policies, file_name, out);
    }
    const struct named_policy *p = find(policies, argv[0], file_name, err);
    if (!p) {
        return EXIT_CODE_SETTINGS;
    }
    policies_print(out, p);
    fputc('\n', out);
    return EXIT_CODE_OK;
}

static int test(const struct policies *policies, const char *file_name, int argc,
                const char *const *argv, FILE *out, FILE *err)
{
    static const char option[] = "--policy";
    const char *name = policies_built_in[0].name;
    if (argc > 0 && strncmp(argv[0], option, sizeof(option) - 1) == 0 &&
        argv[0][sizeof(option) - 1] == '=') {
        name = argv[0] + sizeof(option);
        argc--;
        argv++;
    } else if (argc > 1 && strcmp(argv[0], option) == 0) {
        name = argv[1];
        argc -= 2;
        argv += 2;
    } else if (argc == 2) {
        name = argv[0];
        argc--;
        argv++;
    }
    if (argc != 1) {
        return usage(err, "test takes one file");
    }
    const struct named_policy *p = find(policies, name, file_name, err);
    return p ? policy_test(p, argv[0], out, err) : EXIT_CODE_SETTINGS;
}

int policy_command(const struct policies *policies, const char *file_name, int argc,
                   const char *const *argv, FILE *out, FILE *err)
{
    if (argc > 0 && strcmp(argv[0], "show") == 0) {
        return show(policies, file_name, argc - 1, argv + 1, out, err);
    }
    if (argc > 0 && strcmp(argv[0], "test") == 0) {
        return test(policies, file_name, argc - 1, argv + 1, out, err);
    }
    return usage(err, argc > 0 ? "unknown word" : "a word is missing");
}
