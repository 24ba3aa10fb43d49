#include "common/stream/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log/log.h"

enum {
    BACKLOG = 1024,
    BATCH = 64,        /* connections accepted per turn, so that others have theirs */
    PAUSE_MS = 100,    /* wait for descriptors to be freed */
    TELL_EVERY = 5000, /* ms between two lines about that */
};

struct listener {
    uv_poll_t poll;
    struct loop *loop;
    int fd;
    struct sock_addr at;
    const char *name;
    listener_accept *accepted;
    void *owner;
    struct timer pause;
    uint64_t told;
    bool closed;
    bool unlinks; /* the socket file is ours to remove */
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void pause_fire(struct timer *t)
{
    struct listener *ls = CONTAINER_OF(t, struct listener, pause);
    uv_poll_start(&ls->poll, UV_READABLE, on_poll);
}

static void pause_accepting(struct listener *ls, int err)
{
    uint64_t now = loop_now(ls->loop);
    if (ls->told == 0 || now - ls->told > TELL_EVERY) {
        ls->told = now;
        log_warning(ls->loop->log, ls->name, 0,
                    "accepting is paused: %s; raise the limit of open files if this stays",
                    strerror(err));
    }
    uv_poll_stop(&ls->poll);
    timer_set(ls->loop, &ls->pause, PAUSE_MS);
}

static void on_poll(uv_poll_t *poll, int status, int events UNUSED)
{
    struct listener *ls = poll->data;
    if (status < 0) { /* libuv stopped watching */
        pause_accepting(ls, EBADF);
        return;
    }
    for (int i = 0; i < BATCH && !ls->closed; i++) {
        struct sock_addr from;
        memset(&from, 0, sizeof(from));
        from.len = sizeof(from.sa);
        int fd =
            accept4(ls->fd, (struct sockaddr *)&from.sa, &from.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            ls->accepted(ls->owner, fd, &from);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(ls, errno);
        }
        /* Anything else is one connection that went away while it waited. */
        if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

/* A socket file that nobody answers at is left over from a process that died. */
static void remove_stale(const struct sock_addr *at)
{
    const char *path = ((const struct sockaddr_un *)&at->sa)->sun_path;
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        return;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        if (connect(fd, (const struct sockaddr *)&at->sa, at->len) < 0 && errno == ECONNREFUSED) {
            unlink(path);
        }
        close(fd);
    }
}

/* Accepted sockets inherit these: a system call each less for every connection. */
static void set_options(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
}

/* Gives the socket file, which only its owner may use so far, its mode, group and owner. It is held by a
 * descriptor meanwhile: should the name be changed under our feet, then nothing but a socket of our own
 * can be meant. */
static int set_rights(const char *path, const struct listener_unix *rights)
{
    char held[32];
    struct stat st;
    int r = -1, fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    if (fstat(fd, &st) < 0) {
        goto out;
    }
    if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & 07777 & ~rights->mode) != 0) {
        errno = EPERM;
        goto out;
    }
    if (rights->gid != (gid_t)-1 && rights->gid != st.st_gid &&
        fchownat(fd, "", (uid_t)-1, rights->gid, AT_EMPTY_PATH) < 0) {
        goto out;
    }
    /* fchmod takes no such descriptor, and chmod would follow a link. */
    snprintf(held, sizeof(held), "/proc/self/fd/%d", fd);
    r = (st.st_mode & 0777) == rights->mode ? 0 : chmod(held, rights->mode);
    /* Last: who may give a file away need not have the right to change the mode of another user's. */
    if (r == 0 && rights->uid != 0 && rights->uid != st.st_uid) {
        r = fchownat(fd, "", rights->uid, (gid_t)-1, AT_EMPTY_PATH);
    }
out:;
    int err = errno;
    close(fd);
    errno = err;
    return r;
}

/* The file gets the socket's own mode, less the umask: so it begins with no more than the owner's rights,
 * without touching the umask, which all threads share. */
static int bind_unix(int fd, const struct sock_addr *at, const struct listener_unix *rights)
{
    const char *path = ((const struct sockaddr_un *)&at->sa)->sun_path;
    if (rights && fchmod(fd, rights->mode & S_IRWXU) < 0) {
        return -1;
    }
    if (bind(fd, (const struct sockaddr *)&at->sa, at->len) < 0) {
        return -1;
    }
    if (rights && set_rights(path, rights) < 0) {
        int err = errno;
        unlink(path);
        errno = err;
        return -1;
    }
    return 0;
}

static int open_socket(const struct sock_addr *at, const struct listener_unix *rights)
{
    int family = at->sa.ss_family, one = 1, r;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (family == AF_UNIX) {
        remove_stale(at);
        r = bind_unix(fd, at, rights);
    } else {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        set_options(fd);
        r = bind(fd, (const struct sockaddr *)&at->sa, at->len);
    }
    if (r < 0 || listen(fd, BACKLOG) < 0) {
        int err = errno;
        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

/* fd listens; it is closed if this fails. */
static struct listener *start(struct loop *l, int fd, const char *name, listener_accept *accepted,
                              void *owner, char *err, size_t errlen)
{
    char text[128];
    struct listener *ls = xcalloc(1, sizeof(*ls));
    ls->loop = l;
    ls->fd = fd;
    ls->name = name;
    ls->accepted = accepted;
    ls->owner = owner;
    ls->at.len = sizeof(ls->at.sa);
    ls->pause.fire = pause_fire;
    ls->poll.data = ls;
    getsockname(fd, (struct sockaddr *)&ls->at.sa, &ls->at.len);
    int r = uv_poll_init(&l->uv, &ls->poll, fd);
    if (r != 0) {
        snprintf(err, errlen, "can't watch %s: %s", sock_addr_text(&ls->at, text, sizeof(text)),
                 uv_strerror(r));
        close(fd);
        free(ls);
        return NULL;
    }
    uv_poll_start(&ls->poll, UV_READABLE, on_poll);
    return ls;
}

static struct listener *open_at(struct loop *l, const struct sock_addr *at,
                                const struct listener_unix *rights, const char *name,
                                listener_accept *accepted, void *owner, char *err, size_t errlen)
{
    char text[128];
    int fd = open_socket(at, rights), why = errno;
    if (fd < 0) {
        snprintf(
            err, errlen, "can't listen at %s: %s%s", sock_addr_text(at, text, sizeof(text)),
            strerror(why),
            why == EADDRNOTAVAIL
                ? "; no interface has that address: it is misspelled, or comes later (then let "
                  "the service manager start this program again, or listen at 0.0.0.0 or [::])"
                : "");
        return NULL;
    }
    struct listener *ls = start(l, fd, name, accepted, owner, err, errlen);
    if (ls) {
        ls->unlinks = at->sa.ss_family == AF_UNIX;
    }
    return ls;
}

struct listener *listener_open(struct loop *l, const struct sock_addr *at, const char *name,
                               listener_accept *accepted, void *owner, char *err, size_t errlen)
{
    return open_at(l, at, NULL, name, accepted, owner, err, errlen);
}

struct listener *listener_open_unix(struct loop *l, const char *path,
                                    const struct listener_unix *rights, const char *name,
                                    listener_accept *accepted, void *owner, char *err,
                                    size_t errlen)
{
    struct sock_addr at;
    if (sock_unix_addr(&at, path) < 0) {
        snprintf(err, errlen, "can't listen at unix:%s: the path must have 1 to %zu bytes", path,
                 sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
        return NULL;
    }
    if (rights->mode & ~(mode_t)0777) {
        snprintf(err, errlen, "can't listen at unix:%s: mode %o is more than 0777", path,
                 (unsigned)rights->mode);
        return NULL;
    }
    return open_at(l, &at, rights, name, accepted, owner, err, errlen);
}

struct listener *listener_adopt(struct loop *l, int fd, const char *name, listener_accept *accepted,
                                void *owner, char *err, size_t errlen)
{
    int type = 0, listens = 0;
    socklen_t type_len = sizeof(type), listens_len = sizeof(listens);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0 || type != SOCK_STREAM ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_len) < 0 || !listens) {
        snprintf(err, errlen, "descriptor %d is no stream socket that listens", fd);
        close(fd);
        return NULL;
    }
    set_options(fd); /* a unix socket knows no TCP_NODELAY, which does not matter */
    return start(l, fd, name, accepted, owner, err, errlen);
}

const struct sock_addr *listener_address(const struct listener *ls)
{
    return &ls->at;
}

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

void listener_close(struct listener *ls)
{
    if (!ls->closed) {
        ls->closed = true;
        timer_remove(ls->loop, &ls->pause);
        if (ls->unlinks) {
            unlink(((struct sockaddr_un *)&ls->at.sa)->sun_path);
        }
        uv_close((uv_handle_t *)&ls->poll, on_closed);
        close(ls->fd);
    }
}
