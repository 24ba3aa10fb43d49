/* What a service manager hands over and is told, with real sockets: each case in a child process that has
 * descriptors and variables as a manager leaves them. */
#include "common/system/service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a child: what does not hold is said, and the child ends. */
#define NEED(what)                                                                                 \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                             \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void in_child(void (*body)(const void *), const void *arg)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        body(arg);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- in the child ---- */

enum kind { TCP, UNIX, BOUND, DATAGRAM, PIPE, CLOSED, NONE };

static int make(enum kind kind)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un un = {.sun_family = AF_UNIX}; /* the kernel chooses an abstract name */
    int ends[2], fd = -1;
    switch (kind) {
    case UNIX:
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        NEED(bind(fd, (struct sockaddr *)&un, sizeof(sa_family_t)) == 0 && listen(fd, 4) == 0);
        break;
    case TCP:
    case BOUND:
        fd = socket(AF_INET, SOCK_STREAM, 0);
        NEED(bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
        NEED(kind == BOUND || listen(fd, 4) == 0);
        break;
    case DATAGRAM:
        fd = socket(AF_UNIX, SOCK_DGRAM, 0);
        break;
    case PIPE:
        NEED(pipe(ends) == 0);
        fd = ends[0];
        break;
    default:
        break;
    }
    return fd;
}

/* As a manager does: from 3 on, blocking, and inherited. */
static void hand_over(const enum kind kinds[4])
{
    int fds[4], n = 0;
    for (; n < 4 && kinds[n] != NONE; n++) {
        fds[n] = make(kinds[n]);
        if (fds[n] >= 0) {
            int high = fcntl(fds[n], F_DUPFD, 100);
            close(fds[n]);
            fds[n] = high;
        }
    }
    for (int i = 0; i < n; i++) {
        close(3 + i);
        NEED(fds[i] < 0 || dup2(fds[i], 3 + i) == 3 + i);
    }
}

static void put(const char *name, const char *value)
{
    char pid[24];
    if (!value) {
        unsetenv(name);
        return;
    }
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv(name, strcmp(value, "PID") == 0 ? pid : value, 1);
}

/* ---- sockets ---- */

struct handed {
    const char *pid, *fds, *names; /* "PID": the child's own */
    enum kind kinds[4];
    int count;          /* what is returned */
    const char *expect; /* names with commas between, or a part of the error */
};

static void one_handed(const void *arg)
{
    const struct handed *h = arg;
    struct service_socket got[SERVICE_MAX];
    char err[300] = "", names[1024] = "";
    hand_over(h->kinds);
    put("LISTEN_PID", h->pid);
    put("LISTEN_FDS", h->fds);
    put("LISTEN_FDNAMES", h->names);
    put("LISTEN_PIDFDID", "1");
    int n = service_sockets(got, err, sizeof(err));
    NEED(!getenv("LISTEN_PID") && !getenv("LISTEN_FDS") && !getenv("LISTEN_FDNAMES") &&
         !getenv("LISTEN_PIDFDID"));
    NEED(n == h->count);
    if (n < 0) {
        NEED(strstr(err, h->expect));
        return;
    }
    for (int i = 0; i < n; i++) {
        size_t at = strlen(names);
        NEED(got[i].fd == 3 + i);
        NEED(fcntl(got[i].fd, F_GETFD) == FD_CLOEXEC);
        NEED(fcntl(got[i].fd, F_GETFL) & O_NONBLOCK);
        NEED(accept(got[i].fd, NULL, NULL) == -1); /* at once: nobody called */
        snprintf(names + at, sizeof(names) - at, "%s%s", i ? "," : "", got[i].name);
    }
    NEED(strcmp(names, h->expect) == 0);
    NEED(service_sockets(got, err, sizeof(err)) == 0); /* they are gone */
}

#define LONG_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG_255                                                                                   \
    LONG_64 LONG_64 LONG_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static void sockets_are_taken_over_by_number_and_name(void **state)
{
    static const struct handed cases[] = {
        {NULL, NULL, NULL, {NONE}, 0, ""},
        {NULL, "1", NULL, {TCP, NONE}, 0, ""},
        {"PID", "0", NULL, {NONE}, 0, ""},
        {"PID", "1", NULL, {TCP, NONE}, 1, ""},
        {"PID", "1", "", {UNIX, NONE}, 1, ""},
        {"PID", "2", NULL, {TCP, UNIX, NONE}, 2, ","},
        {"PID", "1", "docker", {UNIX, NONE}, 1, "docker"},
        {"PID", "3", "a::filter.socket", {TCP, UNIX, TCP, NONE}, 3, "a,,filter.socket"},
        {"PID", "1", LONG_255, {UNIX, NONE}, 1, LONG_255},
        {"1", "1", NULL, {TCP, NONE}, 0, ""}, /* somebody else's */
        {"1", "nonsense", NULL, {NONE}, 0, ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        in_child(one_handed, &cases[i]);
    }
}

static void what_is_malformed_is_an_error(void **state)
{
    static const struct handed cases[] = {
        {"", "1", NULL, {TCP, NONE}, -1, "LISTEN_PID"},
        {"0", "1", NULL, {TCP, NONE}, -1, "LISTEN_PID"},
        {"-1", "1", NULL, {TCP, NONE}, -1, "LISTEN_PID"},
        {"12x", "1", NULL, {TCP, NONE}, -1, "LISTEN_PID"},
        {" 12", "1", NULL, {TCP, NONE}, -1, "LISTEN_PID"},
        {"4294967297", "1", NULL, {TCP, NONE}, -1, "LISTEN_PID"},
        {"PID", NULL, NULL, {TCP, NONE}, -1, "LISTEN_FDS"},
        {"PID", "", NULL, {TCP, NONE}, -1, "LISTEN_FDS"},
        {"PID", "-1", NULL, {TCP, NONE}, -1, "LISTEN_FDS"},
        {"PID", "+1", NULL, {TCP, NONE}, -1, "LISTEN_FDS"},
        {"PID", "01", NULL, {TCP, NONE}, -1, "LISTEN_FDS"},
        {"PID", "1 ", NULL, {TCP, NONE}, -1, "LISTEN_FDS"},
        {"PID", "17", NULL, {TCP, NONE}, -1, "from 0 to 16"},
        {"PID", "99999999999999999999", NULL, {TCP, NONE}, -1, "LISTEN_FDS"},
        {"PID", "1", "a:b", {TCP, NONE}, -1, "LISTEN_FDNAMES"},
        {"PID", "2", "a", {TCP, TCP, NONE}, -1, "LISTEN_FDNAMES"},
        {"PID", "1", "a\n", {TCP, NONE}, -1, "LISTEN_FDNAMES"},
        {"PID", "1", "\xc3\xa4", {TCP, NONE}, -1, "LISTEN_FDNAMES"},
        {"PID", "1", LONG_255 "f", {TCP, NONE}, -1, "LISTEN_FDNAMES"},
        {"PID", "1", NULL, {CLOSED, NONE}, -1, "descriptor 3, which LISTEN_FDS=1 names, is not"},
        {"PID", "2", NULL, {TCP, PIPE, NONE}, -1, "descriptor 4, which LISTEN_FDS=2 names, is no"},
        {"PID", "1", NULL, {DATAGRAM, NONE}, -1, "no TCP or unix stream socket"},
        {"PID", "1", NULL, {BOUND, NONE}, -1, "does not listen"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        in_child(one_handed, &cases[i]);
    }
}

/* ---- telling ---- */

struct managed {
    struct sockaddr_un at;
    socklen_t len;
    char variable[128];
    int fd;
};

static bool manager_open(struct managed *m)
{
    m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return bind(m->fd, (struct sockaddr *)&m->at, m->len) == 0;
}

static bool manager_at(struct managed *m, const char *path)
{
    memset(m, 0, sizeof(*m));
    m->at.sun_family = AF_UNIX;
    snprintf(m->variable, sizeof(m->variable), "%s", path);
    memcpy(m->at.sun_path, path, strlen(path));
    m->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + (*path == '/'));
    if (*path == '@') {
        m->at.sun_path[0] = '\0';
    }
    return manager_open(m);
}

/* The next message, or "" if there is none. */
static const char *told(const struct managed *m, char buf[128])
{
    ssize_t n = recv(m->fd, buf, 127, 0);
    buf[MAX(n, 0)] = '\0';
    return buf;
}

static void tell(const void *arg)
{
    const struct managed *m = arg;
    put("NOTIFY_SOCKET", m->variable);
    service_notify("READY=1");
    NEED(!getenv("NOTIFY_SOCKET"));
    put("NOTIFY_SOCKET", "/nowhere"); /* is not read again */
    service_notify("STATUS=two words");
}

static void a_manager_is_told_by_path_and_by_abstract_name(void **state)
{
    char dir[] = "/tmp/harp-service-XXXXXX", path[2][64], buf[128];
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path[0], sizeof(path[0]), "%s/notify", dir);
    snprintf(path[1], sizeof(path[1]), "@%s/notify", dir + 1);
    for (int i = 0; i < 2; i++) {
        struct managed m;
        assert_true(manager_at(&m, path[i]));
        in_child(tell, &m);
        assert_string_equal(told(&m, buf), "READY=1");
        assert_string_equal(told(&m, buf), "STATUS=two words");
        assert_string_equal(told(&m, buf), "");
        close(m.fd);
    }
    unlink(path[0]);
    assert_int_equal(rmdir(dir), 0);
}

/* Connected already when the sockets are asked for; found again when it comes back; no harm when it is
 * gone or takes nothing. */
static void tell_one_that_restarts(const void *arg)
{
    struct managed m;
    struct service_socket got[SERVICE_MAX];
    char err[200], buf[128], path[64], moved[64];
    snprintf(path, sizeof(path), "%s/notify", (const char *)arg);
    snprintf(moved, sizeof(moved), "%s/moved", (const char *)arg);
    NEED(manager_at(&m, path));
    put("NOTIFY_SOCKET", path);
    NEED(service_sockets(got, err, sizeof(err)) == 0 && !getenv("NOTIFY_SOCKET"));
    NEED(rename(path, moved) == 0);
    service_notify("READY=1"); /* by the connection, as the name leads nowhere */
    NEED(strcmp(told(&m, buf), "READY=1") == 0);
    close(m.fd);
    service_notify("lost");
    NEED(manager_open(&m));
    service_notify("STATUS=back");
    NEED(strcmp(told(&m, buf), "STATUS=back") == 0);
    for (int i = 0; i < 5000; i++) {
        service_notify("WATCHDOG=1"); /* more than any queue takes: none of them blocks */
    }
    NEED(strcmp(told(&m, buf), "WATCHDOG=1") == 0);
    close(m.fd);
    NEED(manager_open(&m) == false && unlink(path) == 0 && manager_open(&m));
    service_notify("STATUS=again"); /* by a connection that broke while it was in use */
    NEED(strcmp(told(&m, buf), "STATUS=again") == 0);
    NEED(unlink(path) == 0 && unlink(moved) == 0);
}

static void a_manager_that_restarts_is_told_again(void **state)
{
    char dir[] = "/tmp/harp-service-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(dir));
    in_child(tell_one_that_restarts, dir);
    assert_int_equal(rmdir(dir), 0);
}

/* Nothing is left open by it. */
static void tell_nobody(const void *arg)
{
    int before = dup(0), after;
    close(before);
    put("NOTIFY_SOCKET", arg);
    service_notify("READY=1");
    service_notify("STOPPING=1");
    NEED(!getenv("NOTIFY_SOCKET"));
    after = dup(0);
    NEED(after == before);
}

static void nobody_is_told_where_nobody_listens(void **state)
{
    (void)state;
    in_child(tell_nobody, NULL);
    in_child(tell_nobody, "");
    in_child(tell_nobody, "/");
    in_child(tell_nobody, "relative");
    in_child(tell_nobody, "vsock:2:1234");
    in_child(tell_nobody, "/nowhere/at/all");
    in_child(tell_nobody, "@nobody-listens-here");
    in_child(tell_nobody, "/" LONG_64 LONG_64);
}

/* ---- watchdog ---- */

struct watched {
    const char *pid, *usec;
    uint64_t ms;
};

static void one_watched(const void *arg)
{
    const struct watched *w = arg;
    put("WATCHDOG_PID", w->pid);
    put("WATCHDOG_USEC", w->usec);
    NEED(service_watchdog_ms() == w->ms);
    NEED(!getenv("WATCHDOG_PID") && !getenv("WATCHDOG_USEC"));
    NEED(service_watchdog_ms() == 0);
}

static void a_watchdog_is_fed_at_half_its_time_if_it_is_ours(void **state)
{
    static const struct watched cases[] = {
        {NULL, NULL, 0},
        {"PID", "30000000", 15000},
        {NULL, "30000000", 15000},
        {"PID", "1999", 1}, /* 0 would be never */
        {"PID", "9223372036854775807", 4611686018427387},
        {"1", "30000000", 0},
        {"PID", NULL, 0},
        {"PID", "0", 0},
        {"PID", "-5", 0},
        {"PID", "5s", 0},
        {"x", "30000000", 0},
        {"", "30000000", 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        in_child(one_watched, &cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_are_taken_over_by_number_and_name),
        cmocka_unit_test(what_is_malformed_is_an_error),
        cmocka_unit_test(a_manager_is_told_by_path_and_by_abstract_name),
        cmocka_unit_test(a_manager_that_restarts_is_told_again),
        cmocka_unit_test(nobody_is_told_where_nobody_listens),
        cmocka_unit_test(a_watchdog_is_fed_at_half_its_time_if_it_is_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
