#include "socket-filter/policy/host_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/buf.h"

#ifndef CONFIGFS_MAGIC
#define CONFIGFS_MAGIC 0x62656570
#endif
#ifndef MQUEUE_MAGIC
#define MQUEUE_MAGIC 0x19800202
#endif

enum { MOUNTS_MAX = 4 * 1024 * 1024, MOUNTS_READ = 16 * 1024 }; /* bytes of the kernel's table */

static const char unseen[] = "can't be looked at from here";

/* ---- spelling ---- */

bool host_path_clean(struct str path)
{
    if (path.n == 0 || path.n > HOST_PATH_MAX || path.p[0] != '/') {
        return false;
    }
    for (size_t i = 0; i < path.n; i++) {
        if ((unsigned char)path.p[i] < 0x20 || path.p[i] == 0x7f) {
            return false;
        }
    }
    for (size_t from = 1, to; from <= path.n && path.n > 1; from = to + 1) {
        const char *slash = from < path.n ? memchr(path.p + from, '/', path.n - from) : NULL;
        to = slash ? (size_t)(slash - path.p) : path.n;
        struct str part = {path.p + from, to - from};
        if (part.n == 0 || part.n > HOST_PATH_PART_MAX || str_eq(part, STR(".")) ||
            str_eq(part, STR(".."))) {
            return false;
        }
    }
    return true;
}

bool host_path_in(struct str path, struct str folder)
{
    if (str_eq(folder, STR("/"))) {
        return path.n > 1 && path.p[0] == '/';
    }
    return path.n > folder.n && path.p[folder.n] == '/' && memcmp(path.p, folder.p, folder.n) == 0;
}

/* ---- looking ---- */

/* Through these, files are what the kernel makes of them: processes, devices, its own settings. */
static bool is_kernels(int fd, bool *answer)
{
    static const unsigned long types[] = {
        PROC_SUPER_MAGIC, SYSFS_MAGIC,    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
        DEBUGFS_MAGIC,    TRACEFS_MAGIC,  SECURITYFS_MAGIC,   SELINUX_MAGIC,
        SMACK_MAGIC,      BPF_FS_MAGIC,   DEVPTS_SUPER_MAGIC, PSTOREFS_MAGIC,
        EFIVARFS_MAGIC,   BINFMTFS_MAGIC, NSFS_MAGIC,         CONFIGFS_MAGIC,
        MQUEUE_MAGIC,
    };
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0) {
        return false;
    }
    *answer = false;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        *answer |= (unsigned long)fs.f_type == types[i];
    }
    return true;
}

/* Notes what is open at fd. */
static const char *note(struct host_path *to, int fd, bool firm, bool last)
{
    struct stat st;
    bool kernel;
    if (fstat(fd, &st) != 0 || !is_kernels(fd, &kernel)) {
        return unseen;
    }
    to->step[to->n++] = (struct host_id){st.st_dev, st.st_ino};
    to->mode = st.st_mode;
    to->kernel |= kernel;
    /* Where an access list grants more, the group's bits show it (POSIX.1e, 23.1.5: they are its mask). */
    return firm && !last && (st.st_uid != 0 || st.st_mode & (S_IWGRP | S_IWOTH))
               ? "has a folder on the way to it that others than root can change"
               : NULL;
}

static int open_part(int at, struct str part)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    char name[HOST_PATH_PART_MAX + 1];
    snprintf(name, sizeof(name), "%.*s", STR_ARG(part));
    return (int)syscall(SYS_openat2, at, name, &how, sizeof(how));
}

static const char *why_not(int error)
{
    switch (error) {
    case ELOOP:
        return "has a symbolic link in it";
    case ENOENT:
    case ENOTDIR:
        return "is not there, or can't be seen from here";
    default:
        return unseen;
    }
}

const char *host_path_look(struct host_path *to, struct str path, bool firm)
{
    *to = (struct host_path){0};
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *why = fd < 0 ? unseen : note(to, fd, firm, path.n == 1);
    for (size_t from = 1, end; !why && from < path.n; from = end + 1) {
        const char *slash = memchr(path.p + from, '/', path.n - from);
        end = slash ? (size_t)(slash - path.p) : path.n;
        if (to->n > HOST_PATH_PARTS) {
            why = "has too many parts";
            break;
        }
        int next = open_part(fd, (struct str){path.p + from, end - from});
        if (next < 0) {
            why = why_not(errno);
            break;
        }
        close(fd);
        fd = next;
        why = note(to, fd, firm, end == path.n);
    }
    if (fd >= 0) {
        close(fd);
    }
    return why;
}

const char *host_path_find(struct host_path *to, const char *path, bool *there)
{
    char *real = realpath(path, NULL);
    *there = real || (errno != ENOENT && errno != ENOTDIR);
    if (!real) {
        return *there ? unseen : NULL;
    }
    const char *why = host_path_look(to, str_of(real), false);
    free(real);
    return why;
}

/* ---- mounts ---- */

/* The mount point is the fifth field; in it \040 and the like stand for blanks (proc(5)). */
static struct str mount_point(char *line)
{
    char *field = line, *to;
    for (int i = 0; i < 4 && field; i++) {
        field = strchr(field, ' ');
        field = field ? field + 1 : NULL;
    }
    if (!field) {
        return STR("");
    }
    to = field;
    for (const char *p = field; *p && *p != ' '; p++) {
        if (*p == '\\' && strspn(p + 1, "01234567") >= 3) {
            *to++ = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
            p += 3;
        } else {
            *to++ = *p;
        }
    }
    return (struct str){field, (size_t)(to - field)};
}

int host_path_mounts_open(void)
{
    return open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
}

/* The whole table as it is now, NUL-terminated, from malloc; NULL: it can't be read, or is larger than any. */
static char *read_mounts(int fd)
{
    struct buf all = {0};
    ssize_t n = lseek(fd, 0, SEEK_SET) == 0 ? 1 : -1;
    while (n > 0 && all.len <= MOUNTS_MAX) {
        char *p = buf_reserve(&all, MOUNTS_READ);
        n = read(fd, p, MOUNTS_READ);
        if (n > 0) {
            buf_added(&all, (size_t)n);
        }
    }
    char *text = n == 0 && all.len > 0 ? xstrndup(buf_head(&all), all.len) : NULL;
    buf_free(&all);
    return text;
}

const char *host_path_mounts(int fd, struct str path,
                             const char *(*each)(void *arg, struct str point), void *arg)
{
    int own = fd >= 0 ? -1 : host_path_mounts_open();
    char *text = read_mounts(fd >= 0 ? fd : own), *rest = NULL;
    const char *why = text ? NULL : unseen;
    for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line && !why;
         line = strtok_r(NULL, "\n", &rest)) {
        struct str point = mount_point(line);
        if (host_path_in(point, path)) {
            why = each(arg, point);
        }
    }
    free(text);
    if (own >= 0) {
        close(own);
    }
    return why;
}
