#include "hub/tunnel/certs_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/tunnel/certs_files.h"

enum { READ = 4, WRITE = 2, ENTER = 1 };

struct hand_over {
    const char *dir;
    uid_t uid;
    gid_t gid;
    certs_log_fn *log;
    void *arg;
    unsigned given;
};

static void tell(const struct hand_over *h, enum certs_level level, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

static void tell(const struct hand_over *h, enum certs_level level, const char *fmt, ...)
{
    char text[CERTS_TEXT_SIZE];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    h->log(h->arg, level, text);
}

/* Whether that user has these rights, as the kernel sees it. */
static bool usable(const struct hand_over *h, const struct stat *st, unsigned need)
{
    unsigned has = st->st_uid == h->uid   ? st->st_mode >> 6
                   : st->st_gid == h->gid ? st->st_mode >> 3
                                          : st->st_mode;
    return (has & need) == need;
}

/* fd holds what the name stood for, so that it can't be exchanged in between. It may be a link itself. */
static void give(struct hand_over *h, int fd, mode_t type, unsigned need, const char *what)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != type || usable(h, &st, need)) {
        return;
    }
    if (type == S_IFREG && st.st_nlink != 1) {
        tell(h, CERTS_WARNING, "%s%s has a second name, so it is not given to user %u", h->dir,
             what, (unsigned)h->uid);
    } else if (fchownat(fd, "", h->uid, h->gid, AT_EMPTY_PATH) < 0) {
        tell(h, CERTS_WARNING, "%s%s can't be given to user %u: %s", h->dir, what, (unsigned)h->uid,
             strerror(errno));
    } else {
        h->given++;
    }
}

static void give_file(struct hand_over *h, int dir, const char *folder, const char *name)
{
    char what[64];
    int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    snprintf(what, sizeof(what), "%s/%s", folder, name);
    give(h, fd, S_IFREG, READ, what);
    close(fd);
}

/* Makes it where it is not there; at: AT_FDCWD or a folder. -1: there is none, for a reason that shows later. */
static int open_folder(int at, const char *name)
{
    const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(at, name, flags);
    if (fd < 0 && errno == ENOENT && mkdirat(at, name, 0755) == 0) {
        fd = openat(at, name, flags);
    }
    return fd;
}

void certs_hand_over(const char *certs_dir, uid_t uid, gid_t gid, certs_log_fn *log, void *arg)
{
    struct hand_over h = {.dir = certs_dir, .uid = uid, .gid = gid, .log = log, .arg = arg};
    int base = open_folder(AT_FDCWD, certs_dir), frp = base < 0 ? -1 : open_folder(base, "frp");
    if (base >= 0) {
        give(&h, base, S_IFDIR, frp < 0 ? READ | WRITE | ENTER : ENTER, "");
        give_file(&h, base, "", "cert.pem");
        close(base);
    }
    if (frp >= 0) {
        give(&h, frp, S_IFDIR, READ | WRITE | ENTER, "/frp");
        for (int f = 0; f < CERTS_FILE_COUNT; f++) {
            give_file(&h, frp, "/frp", certs_file_name((enum certs_file)f));
        }
        close(frp);
    }
    if (h.given > 0) {
        tell(&h, CERTS_INFO,
             "of files and folders in %s, user %u was given those that they could not use: %u",
             certs_dir, (unsigned)uid, h.given);
    }
}
