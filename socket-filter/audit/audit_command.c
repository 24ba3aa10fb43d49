#include "socket-filter/audit/audit_command.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "socket-filter/audit/record.h"
#include "socket-filter/audit/show.h"
#include "socket-filter/audit/verify.h"

const char audit_command_usage[] =
    "verify [--head HASH] FILE|FOLDER...\n"
    "show [--verdict WORD] [--call PATTERN] [--object PATTERN] [--client PATTERN]\n"
    "     [--since TIME] [--until TIME] [--json] FILE|FOLDER...\n";

static int usage(FILE *err, const char *what, const char *word)
{
    fprintf(err, "audit: %s%s%s%s; it is one of\n%s", what, word ? " '" : "", word ? word : "",
            word ? "'" : "", audit_command_usage);
    return AUDIT_UNUSABLE;
}

/* If the word is this option, takes its value: `--name VALUE` or `--name=VALUE`. 1: taken; 0: it is
 * another; -1: err has been told. */
static int take_value(int argc, const char *const *argv, int *i, const char *name,
                      const char **value, FILE *err)
{
    size_t n = strlen(name);
    const char *word = argv[*i];

    if (strncmp(word, name, n) != 0 || (word[n] != '\0' && word[n] != '=')) {
        return 0;
    }
    if (*value) {
        usage(err, "an option is given twice:", name);
        return -1;
    }
    if (word[n] == '=') {
        *value = word + n + 1;
    } else if (*i + 1 < argc) {
        *value = argv[++*i];
    } else {
        usage(err, "a value is missing behind", name);
        return -1;
    }
    return 1;
}

struct option {
    const char *name;
    const char **value;
};

/* Sorts the words into options and files. `files` has room for argc. 0, or the exit code. */
static int sort_words(int argc, const char *const *argv, const struct option *options, size_t n,
                      bool *json, const char **files, size_t *nfiles, FILE *err)
{
    bool only_files = false;

    *nfiles = 0;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        int taken = 0;
        if (only_files || word[0] != '-') {
            files[(*nfiles)++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            only_files = true;
            continue;
        }
        if (json && strcmp(word, "--json") == 0) {
            *json = true;
            continue;
        }
        for (size_t k = 0; k < n && taken == 0; k++) {
            taken = take_value(argc, argv, &i, options[k].name, options[k].value, err);
        }
        if (taken < 0) {
            return AUDIT_UNUSABLE;
        }
        if (taken == 0) {
            return usage(err, "unknown option", word);
        }
    }
    return *nfiles > 0 ? 0 : usage(err, "no file is named", NULL);
}

static int run_verify(int argc, const char *const *argv, const char **files, FILE *out, FILE *err)
{
    const char *head = NULL;
    const struct option options[] = {{"--head", &head}};
    size_t n;
    int rc = sort_words(argc, argv, options, ARRAY_LEN(options), NULL, files, &n, err);

    return rc ? rc : audit_verify(files, n, head, out, err);
}

static bool is_verdict(const char *word)
{
    for (size_t i = 0; audit_verdict_names[i]; i++) {
        if (strcmp(word, audit_verdict_names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int run_show(int argc, const char *const *argv, const char **files, FILE *out, FILE *err)
{
    struct audit_filter f = {0};
    const char *since = NULL, *until = NULL;
    const struct option options[] = {
        {"--verdict", &f.verdict}, {"--call", &f.call}, {"--object", &f.object},
        {"--client", &f.client},   {"--since", &since}, {"--until", &until},
    };
    size_t n;
    int rc = sort_words(argc, argv, options, ARRAY_LEN(options), &f.json, files, &n, err);

    if (rc) {
        return rc;
    }
    if (f.verdict && !is_verdict(f.verdict)) {
        fprintf(err, "audit: --verdict is one of");
        for (size_t i = 0; audit_verdict_names[i]; i++) {
            fprintf(err, " %s", audit_verdict_names[i]);
        }
        fprintf(err, "\n");
        return AUDIT_UNUSABLE;
    }
    f.since_given = since;
    f.until_given = until;
    if ((since && audit_moment(str_of(since), &f.since) < 0) ||
        (until && audit_moment(str_of(until), &f.until) < 0)) {
        fprintf(err, "audit: a time is written 2026-01-31T12:00:00Z, or with an offset, +01:00\n");
        return AUDIT_UNUSABLE;
    }
    return audit_show(&f, files, n, out, err);
}

int audit_command(int argc, const char *const *argv, FILE *out, FILE *err)
{
    int rc;

    if (argc < 1) {
        return usage(err, "a word is missing", NULL);
    }
    const char **files = xcalloc((size_t)argc, sizeof(*files));
    if (strcmp(argv[0], "verify") == 0) {
        rc = run_verify(argc, argv, files, out, err);
    } else if (strcmp(argv[0], "show") == 0) {
        rc = run_show(argc, argv, files, out, err);
    } else {
        rc = usage(err, "unknown word", argv[0]);
    }
    free(files);
    return rc;
}
