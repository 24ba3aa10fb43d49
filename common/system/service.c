#include "common/system/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/config/values.h"

enum { FIRST_FD = 3 /* SD_LISTEN_FDS_START */, VALUE_MAX = 4096 + SERVICE_MAX };

/* A variable's value as it was, or NULL, and then it is gone. buf of VALUE_MAX; what is longer is cut off
 * behind what any of these may have, and so is refused as too long. */
static const char *take(const char *name, char buf[VALUE_MAX])
{
    const char *value = getenv(name);
    if (!value) {
        return NULL;
    }
    snprintf(buf, VALUE_MAX, "%s", value);
    unsetenv(name);
    return buf;
}

/* ---- telling ---- */

/* One per process, as the variable is. It is connected early: inside the sandbox a name in the abstract
 * namespace can't be reached any more, but a connection to it stays good. */
static struct {
    bool known; /* the variable was read */
    struct sockaddr_un at;
    socklen_t len; /* 0: nobody wants to know */
    int fd;        /* -1: not connected */
} manager = {.fd = -1};

static void read_manager(void)
{
    char buf[VALUE_MAX];
    const char *path = take("NOTIFY_SOCKET", buf);
    size_t n = path ? strlen(path) : 0;
    manager.known = true;
    /* A path, or with @ for a NUL a name in the abstract namespace. Other kinds are for virtual machines. */
    if (n < 2 || n >= sizeof(manager.at.sun_path) || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    manager.at.sun_family = AF_UNIX;
    memcpy(manager.at.sun_path, path, n);
    manager.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/'));
    if (path[0] == '@') {
        manager.at.sun_path[0] = '\0';
    }
}

static void connect_manager(void)
{
    if (!manager.known) {
        read_manager();
    }
    if (manager.len == 0 || manager.fd >= 0) {
        return;
    }
    manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (manager.fd >= 0 &&
        connect(manager.fd, (const struct sockaddr *)&manager.at, manager.len) < 0) {
        close(manager.fd);
        manager.fd = -1;
    }
}

void service_notify(const char *state)
{
    /* A second time if the manager was started anew meanwhile. */
    for (int i = 0; i < 2; i++) {
        connect_manager();
        if (manager.fd < 0 || send(manager.fd, state, strlen(state), MSG_NOSIGNAL) >= 0 ||
            errno == EAGAIN) {
            return;
        }
        close(manager.fd);
        manager.fd = -1;
    }
}

uint64_t service_watchdog_ms(void)
{
    char pid_buf[VALUE_MAX], usec_buf[VALUE_MAX];
    const char *pid = take("WATCHDOG_PID", pid_buf), *usec = take("WATCHDOG_USEC", usec_buf);
    int64_t whose, us;
    /* Without a process number it is for whoever was started. */
    if ((pid && (value_parse_int(str_of(pid), 1, INT32_MAX, &whose) != 0 || whose != getpid())) ||
        !usec || value_parse_int(str_of(usec), 1, INT64_MAX, &us) != 0) {
        return 0;
    }
    return MAX((uint64_t)us / 2000, 1);
}

/* ---- sockets ---- */

/* What is passed on must be what a listener can take. NULL, or what is wrong. */
static const char *check_socket(int fd)
{
    int type = 0, family = 0, listens = 0;
    socklen_t len = sizeof(int);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0) {
        return errno == EBADF ? "is not open" : "is no socket";
    }
    if (type != SOCK_STREAM || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) < 0 ||
        (family != AF_UNIX && family != AF_INET && family != AF_INET6)) {
        return "is no TCP or unix stream socket";
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 || !listens) {
        return "does not listen (Accept=no is needed)";
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        return "can't be made non-blocking and close-on-exec";
    }
    return NULL;
}

/* As many names as sockets, with colons between. -1: they are not. */
static int read_names(const char *names, struct service_socket *out, int count)
{
    for (int i = 0; i < count; i++) {
        size_t n = strcspn(names, ":");
        if (n >= SERVICE_NAME_MAX || !value_is_printable((struct str){names, n}) ||
            (names[n] == ':') != (i < count - 1)) {
            return -1;
        }
        memcpy(out[i].name, names, n);
        out[i].name[n] = '\0';
        names += n + 1;
    }
    return 0;
}

static int read_sockets(const char *fds, const char *names, struct service_socket *out, char *err,
                        size_t errlen)
{
    int64_t count;
    if (!fds || value_parse_int(str_of(fds), 0, SERVICE_MAX, &count) != 0) {
        snprintf(err, errlen,
                 "LISTEN_FDS is no number from 0 to %d; fix the service manager's "
                 "socket unit",
                 SERVICE_MAX);
        return -1;
    }
    for (int i = 0; i < count; i++) {
        const char *wrong = check_socket(FIRST_FD + i);
        if (wrong) {
            snprintf(err, errlen,
                     "descriptor %d, which LISTEN_FDS=%d names, %s; fix the service "
                     "manager's socket unit",
                     FIRST_FD + i, (int)count, wrong);
            return -1;
        }
        out[i] = (struct service_socket){.fd = FIRST_FD + i};
    }
    if (names && count > 0 && read_names(names, out, (int)count) < 0) {
        snprintf(err, errlen,
                 "LISTEN_FDNAMES has not one printable name of at most %d bytes for "
                 "each of LISTEN_FDS=%d",
                 SERVICE_NAME_MAX - 1, (int)count);
        return -1;
    }
    return (int)count;
}

int service_sockets(struct service_socket out[SERVICE_MAX], char *err, size_t errlen)
{
    char pid_buf[VALUE_MAX], fds_buf[VALUE_MAX], names_buf[VALUE_MAX];
    const char *pid = take("LISTEN_PID", pid_buf), *fds = take("LISTEN_FDS", fds_buf),
               *names = take("LISTEN_FDNAMES", names_buf);
    int64_t whose;
    unsetenv("LISTEN_PIDFDID"); /* a second way to say who is meant */
    connect_manager();
    if (!pid) {
        return 0;
    }
    if (value_parse_int(str_of(pid), 1, INT32_MAX, &whose) != 0) {
        snprintf(err, errlen,
                 "LISTEN_PID is no process number; unset it, or start by a service "
                 "manager");
        return -1;
    }
    if (whose != getpid()) { /* left over from a parent */
        return 0;
    }
    return read_sockets(fds, names, out, err, errlen);
}
