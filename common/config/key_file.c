#include "common/config/key_file.h"

#include <stdlib.h>

#include "common/config/file.h"
#include "common/config/values.h"

#define SECRET_FILE_MAX 4096

int key_file_read(const char *where, const char *path, char **key, struct config_report *report)
{
    size_t n = 0;
    char *text = config_read_all(where, path, SECRET_FILE_MAX, &n, report);
    struct str value = {text, n};
    const char *problem;
    char *copy = NULL;

    if (!text)
        return -1;
    while (value.n && (value.p[value.n - 1] == '\n' || value.p[value.n - 1] == '\r'))
        value.n--;
    value = value_unquote(value);
    problem = value_check_key(value);
    if (problem) {
        config_fail(report,
                    "%s: the key in '%s' (not shown) %s; use printable ASCII without double quote "
                    "and backslash",
                    where, path, problem);
    } else {
        copy = strndup(value.p, value.n);
        if (!copy)
            config_fail(report, "%s: out of memory", where);
    }
    config_wipe_free(text, n);
    if (!copy)
        return -1;
    config_wipe_free(*key, *key ? strlen(*key) : 0);
    *key = copy;
    return 0;
}
