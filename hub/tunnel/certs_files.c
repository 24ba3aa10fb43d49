/* certs_files.c - see certs_files.h. */
#include "hub/tunnel/certs_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char staging[] = ".new";
static const char committed[] = ".commit";

enum {
    LOCK_TRIES = 100,
    LOCK_PAUSE_MS = 100,
};

static const struct {
    const char *name;
    mode_t mode;
} files[CERTS_FILE_COUNT] = {
    /* client.key as well: who copies it to a Docker host does so as root (docker cp). */
    [CERTS_CA_KEY] = {"ca.key", 0600},         [CERTS_CA_CRT] = {"ca.crt", 0644},
    [CERTS_SERVER_KEY] = {"server.key", 0600}, [CERTS_SERVER_CRT] = {"server.crt", 0644},
    [CERTS_CLIENT_KEY] = {"client.key", 0600}, [CERTS_CLIENT_CRT] = {"client.crt", 0644},
};

const char *certs_file_name(enum certs_file f)
{
    return files[f].name;
}

/* Says that doing `what` to {dir}/name failed, with errno. */
static int fail(const struct certs_files *s, const char *name, const char *what, char *err,
                size_t cap)
{
    int e = errno;

    snprintf(err, cap, "%s%s%s: %s: %s", s->dir, name[0] ? "/" : "", name, what, strerror(e));
    return -1;
}

/* The same, with what to do about it. */
static int fail_to_write(const struct certs_files *s, const char *name, const char *what, char *err,
                         size_t cap)
{
    char text[256];
    int e = errno;

    if (e == EROFS)
        snprintf(text, sizeof(text),
                 "%s (mount HP_CERTS_DIR to be written to, or set it to another folder)", what);
    else
        snprintf(text, sizeof(text),
                 "%s (let user %u write to HP_CERTS_DIR: chown it, or set it to another folder)",
                 what, (unsigned)geteuid());
    errno = e;
    return fail(s, name, text, err, cap);
}

static int open_folder(struct certs_files *s, const char *base, char *err, size_t cap)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

    s->fd = open(s->dir, flags);
    if (s->fd >= 0)
        return 0;
    if (errno != ENOENT)
        return fail(s, "", "the certificate folder cannot be opened", err, cap);
    /* 0755, as HaRP makes it: the keys in it have their own modes, and others may watch the dates
     * of the certificates. */
    if ((mkdir(base, 0755) < 0 && errno != EEXIST) || (mkdir(s->dir, 0755) < 0 && errno != EEXIST))
        return fail_to_write(s, "", "the certificate folder cannot be made", err, cap);
    s->fd = open(s->dir, flags);
    if (s->fd < 0)
        return fail(s, "", "the certificate folder cannot be opened", err, cap);
    return 0;
}

/* A second hub on the same folder waits until the first has its files. */
static int lock(struct certs_files *s, char *err, size_t cap)
{
    const struct timespec pause = {0, LOCK_PAUSE_MS * 1000000L};

    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(s->fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        /* Some network file systems lock nothing; they are no reason not to start. */
        if (errno != EWOULDBLOCK && errno != EINTR)
            return 0;
        nanosleep(&pause, NULL);
    }
    errno = EWOULDBLOCK;
    return fail(s, "", "another process keeps the certificate folder locked", err, cap);
}

static int sync_folder(const struct certs_files *s, const char *name, char *err, size_t cap)
{
    int fd = name[0] ? openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : s->fd;
    int r;

    if (fd < 0)
        return fail(s, name, "cannot be opened", err, cap);
    /* EINVAL: a file system that knows no fsync of folders. */
    r = fsync(fd) < 0 && errno != EINVAL ? fail(s, name, "cannot be synced", err, cap) : 0;
    if (fd != s->fd)
        close(fd);
    return r;
}

/* Removes what step 1 left. */
static int drop_staging(const struct certs_files *s, char *err, size_t cap)
{
    char path[64];

    for (int f = 0; f < CERTS_FILE_COUNT; f++) {
        snprintf(path, sizeof(path), "%s/%s", staging, files[f].name);
        if (unlinkat(s->fd, path, 0) < 0 && errno != ENOENT)
            return fail(s, path, "a left-over file cannot be removed", err, cap);
    }
    if (unlinkat(s->fd, staging, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return fail(s, staging, "a left-over folder cannot be removed", err, cap);
    return 0;
}

/* Step 3. Nothing to do when there is no ".commit". */
static int finish(const struct certs_files *s, char *err, size_t cap)
{
    char path[64];

    if (faccessat(s->fd, committed, F_OK, 0) < 0) {
        if (errno == ENOENT)
            return 0;
        return fail(s, committed, "cannot be looked at", err, cap);
    }
    for (int f = 0; f < CERTS_FILE_COUNT; f++) {
        snprintf(path, sizeof(path), "%s/%s", committed, files[f].name);
        if (renameat(s->fd, path, s->fd, files[f].name) < 0 && errno != ENOENT)
            return fail(s, path, "cannot be moved to its place", err, cap);
    }
    if (sync_folder(s, "", err, cap) < 0)
        return -1;
    if (unlinkat(s->fd, committed, AT_REMOVEDIR) < 0)
        return fail(s, committed, "cannot be removed", err, cap);
    return 0;
}

static int survey(struct certs_files *s, char *err, size_t cap)
{
    struct stat st;

    for (int f = 0; f < CERTS_FILE_COUNT; f++) {
        /* Links are followed: mounted secrets are often links. One that leads nowhere counts as
         * missing. */
        s->there[f] = fstatat(s->fd, files[f].name, &st, 0) == 0;
        if (!s->there[f] && errno != ENOENT)
            return fail(s, files[f].name, "cannot be looked at", err, cap);
    }
    return 0;
}

int certs_files_open(struct certs_files *s, const char *base, char *err, size_t cap)
{
    size_t n = strlen(base);

    memset(s, 0, sizeof(*s));
    s->fd = -1;
    while (n > 1 && base[n - 1] == '/')
        n--;
    if (n == 0 || n + sizeof("/frp/server.key") > sizeof(s->dir)) {
        snprintf(err, cap, "HP_CERTS_DIR must be a path of 1 to %zu characters",
                 sizeof(s->dir) - sizeof("/frp/server.key"));
        return -1;
    }
    snprintf(s->dir, sizeof(s->dir), "%.*s/frp", (int)n, base);
    if (open_folder(s, base, err, cap) < 0)
        return -1;
    if (lock(s, err, cap) < 0 || finish(s, err, cap) < 0 || drop_staging(s, err, cap) < 0 ||
        survey(s, err, cap) < 0) {
        certs_files_close(s);
        return -1;
    }
    return 0;
}

void certs_files_close(struct certs_files *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

static int write_all(int fd, struct str text)
{
    while (text.n > 0) {
        ssize_t n = write(fd, text.p, text.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        text.p += n;
        text.n -= (size_t)n;
    }
    return 0;
}

static int write_staged(const struct certs_files *s, enum certs_file f, struct str text, char *err,
                        size_t cap)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", staging, files[f].name);
    fd = openat(s->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, files[f].mode);
    if (fd < 0)
        return fail(s, path, "cannot be made", err, cap);
    if (write_all(fd, text) < 0 || fsync(fd) < 0) {
        fail(s, path, "cannot be written", err, cap);
        close(fd);
        return -1;
    }
    if (close(fd) < 0)
        return fail(s, path, "cannot be written", err, cap);
    return 0;
}

int certs_files_replace(struct certs_files *s, const struct str text[CERTS_FILE_COUNT], char *err,
                        size_t cap)
{
    char ignored[16];

    if (mkdirat(s->fd, staging, 0700) < 0)
        return fail_to_write(s, "", "the certificate folder cannot be written to", err, cap);
    for (int f = 0; f < CERTS_FILE_COUNT; f++)
        if (text[f].p && write_staged(s, (enum certs_file)f, text[f], err, cap) < 0)
            goto undo;
    if (sync_folder(s, staging, err, cap) < 0)
        goto undo;
    if (renameat(s->fd, staging, s->fd, committed) < 0) {
        fail(s, staging, "cannot be renamed", err, cap);
        goto undo;
    }
    if (sync_folder(s, "", err, cap) < 0 || finish(s, err, cap) < 0)
        return -1;
    for (int f = 0; f < CERTS_FILE_COUNT; f++)
        s->there[f] = s->there[f] || text[f].p;
    return 0;
undo:
    if (drop_staging(s, ignored, sizeof(ignored)) < 0)
        return -1; /* the next start tries again */
    return -1;
}
