#include "common/config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void config_wipe_free(char *p, size_t n)
{
    if (p)
        explicit_bzero(p, n);
    free(p);
}

static ssize_t read_full(int fd, char *p, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = read(fd, p + done, n - done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

char *config_read_all(const char *what, const char *path, size_t max, size_t *n,
                      struct config_report *report)
{
    struct stat st;
    char *buf = NULL;
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0 || fstat(fd, &st) != 0) {
        if (errno == EACCES)
            config_fail(report, "%s: cannot open '%s': %s; let user %u read it (chown %u)", what,
                        path, strerror(errno), (unsigned)geteuid(), (unsigned)geteuid());
        else
            config_fail(report, "%s: cannot open '%s': %s", what, path, strerror(errno));
        goto out;
    }
    if (S_ISDIR(st.st_mode)) {
        config_fail(report, "%s: '%s' is a folder, not a file", what, path);
        goto out;
    }
    buf = malloc(max + 2);
    if (!buf) {
        config_fail(report, "%s: out of memory", what);
        goto out;
    }
    got = read_full(fd, buf, max + 1);
    if (got < 0 || (size_t)got > max) {
        if (got < 0)
            config_fail(report, "%s: cannot read '%s': %s", what, path, strerror(errno));
        else
            config_fail(report, "%s: '%s' is larger than %zu bytes", what, path, max);
        config_wipe_free(buf, max + 2);
        buf = NULL;
        goto out;
    }
    buf[got] = '\0';
    *n = (size_t)got;
out:
    if (fd >= 0)
        (void)close(fd);
    return buf;
}

int config_file_open(struct config_file *file, const char *path, struct config_report *report)
{
    const char *slash = strrchr(path, '/');
    char *dir = NULL;
    char *text;
    size_t n;
    int rc = -1;

    text = config_read_all("configuration file", path, CONFIG_FILE_MAX, &n, report);
    if (!text)
        return -1;
    config_init(&file->tree);
    file->path = path;
    if (memchr(text, '\0', n)) {
        config_fail(report, "%s: there is a NUL byte in the file", path);
        goto out;
    }
    if (slash) {
        dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
        if (!dir) {
            config_fail(report, "%s: out of memory", path);
            goto out;
        }
        config_set_include_dir(&file->tree, dir);
    }
    if (config_read_string(&file->tree, text) != CONFIG_TRUE) {
        const char *in = config_error_file(&file->tree);

        config_fail(report, "%s:%d: %s", in ? in : path, config_error_line(&file->tree),
                    config_error_text(&file->tree));
        goto out;
    }
    rc = 0;
out:
    free(dir);
    config_wipe_free(text, n);
    if (rc != 0)
        config_file_close(file);
    return rc;
}

static void wipe_tree(config_setting_t *setting)
{
    int type = config_setting_type(setting);

    if (type == CONFIG_TYPE_STRING) {
        /* The tree is ours and about to be freed; libconfig offers no other way to it. */
        char *z = (char *)config_setting_get_string(setting);

        if (z)
            explicit_bzero(z, strlen(z));
    } else if (config_setting_is_aggregate(setting)) {
        for (int i = 0; i < config_setting_length(setting); i++)
            wipe_tree(config_setting_get_elem(setting, (unsigned)i));
    }
}

void config_file_close(struct config_file *file)
{
    wipe_tree(config_root_setting(&file->tree));
    config_destroy(&file->tree);
    file->path = NULL;
}

const char *config_file_where(const struct config_file *file, const config_setting_t *setting,
                              char *buf)
{
    const char *in = config_setting_source_file(setting);
    const char *name = config_setting_name(setting);

    snprintf(buf, CONFIG_WHERE_MAX, "%s:%u%s%s", in ? in : file->path,
             (unsigned)config_setting_source_line(setting), name ? ": " : "", name ? name : "");
    return buf;
}

int config_file_fail(const struct config_file *file, struct config_report *report,
                     const config_setting_t *setting, const char *problem)
{
    char where[CONFIG_WHERE_MAX];

    return config_fail(report, "%s: %s", config_file_where(file, setting, where), problem);
}

int config_file_fail_value(const struct config_file *file, struct config_report *report,
                           const config_setting_t *setting, struct str value, const char *problem)
{
    char where[CONFIG_WHERE_MAX], shown[CONFIG_SHOW_MAX];

    return config_fail(report, "%s: %s %s", config_file_where(file, setting, where),
                       config_show(shown, value), problem);
}

struct str config_file_text(const config_setting_t *setting, char *buf)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_STRING:
        return str_of(config_setting_get_string(setting));
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        snprintf(buf, 64, "%lld", config_setting_get_int64(setting));
        return str_of(buf);
    case CONFIG_TYPE_FLOAT:
        snprintf(buf, 64, "%.9g", config_setting_get_float(setting));
        return str_of(buf);
    case CONFIG_TYPE_BOOL:
        return config_setting_get_bool(setting) ? STR("true") : STR("false");
    default:
        return (struct str){NULL, 0};
    }
}
