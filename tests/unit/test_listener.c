/* Who may connect to a unix socket that the listener makes, from the moment that its name is there; and
 * sockets that somebody else made listen. bind, listen and what changes rights are this file's own here:
 * they look at the socket file before they return. */
#include "common/stream/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/memory_stream.h"

enum { LIMIT = 5000, SOMEBODY = 54321, SOME_GROUP = 54322 };

/* ---- what the file looks like after each step ---- */

static struct {
    const char *path; /* NULL: nobody looks */
    unsigned steps, listening, umasks;
    mode_t modes;      /* all bits that it ever had */
    gid_t gid;         /* the last */
    bool shared_early; /* others had rights while the group was not the last one */
    gid_t want;
} seen;

static void look(void)
{
    struct stat st;
    if (seen.path && lstat(seen.path, &st) == 0) {
        seen.steps++;
        seen.modes |= st.st_mode & 07777;
        seen.gid = st.st_gid;
        seen.shared_early |= (st.st_mode & 0077) != 0 && st.st_gid != seen.want;
    }
}

int bind(int fd, __CONST_SOCKADDR_ARG at, socklen_t len)
{
    int r = (int)syscall(SYS_bind, fd, at.__sockaddr__, len);
    look();
    return r;
}

int listen(int fd, int backlog)
{
    look();
    seen.listening++;
    return (int)syscall(SYS_listen, fd, backlog);
}

int fchownat(int dir, const char *name, uid_t uid, gid_t gid, int flags)
{
    int r = (int)syscall(SYS_fchownat, dir, name, uid, gid, flags);
    look();
    return r;
}

int chmod(const char *path, mode_t mode)
{
    int r = (int)syscall(SYS_fchmodat, AT_FDCWD, path, mode);
    look();
    return r;
}

mode_t umask(mode_t mask)
{
    seen.umasks++;
    return (mode_t)syscall(SYS_umask, mask);
}

/* ---- the rest ---- */

struct fixture {
    struct loop l;
    struct listener *ls;
    unsigned accepted;
    int fd;
    char dir[64], path[96];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    *state = f;
    f->fd = -1;
    snprintf(f->dir, sizeof(f->dir), "/tmp/harp-listener-XXXXXX");
    if (!mkdtemp(f->dir) || chmod(f->dir, 0755) < 0) {
        return -1;
    }
    snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
    return loop_init(&f->l, NULL);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    seen.path = NULL;
    if (f->ls) {
        listener_close(f->ls);
    }
    if (f->fd >= 0) {
        close(f->fd);
    }
    loop_free(&f->l);
    int left = rmdir(f->dir);
    free(f);
    return left;
}

static void take(void *owner, int fd, const struct sock_addr *from UNUSED)
{
    struct fixture *f = owner;
    f->accepted++;
    if (f->fd >= 0) {
        close(f->fd);
    }
    f->fd = fd;
}

static struct listener *open_with(struct fixture *f, mode_t mode, gid_t gid, char err[200])
{
    const struct listener_unix rights = {mode, gid, 0};
    err[0] = '\0';
    f->ls = listener_open_unix(&f->l, f->path, &rights, "test", take, f, err, 200);
    return f->ls;
}

static void close_it(struct fixture *f)
{
    listener_close(f->ls);
    f->ls = NULL;
}

static void watch_from_now(const struct fixture *f, gid_t want)
{
    memset(&seen, 0, sizeof(seen));
    seen.path = f->path;
    seen.want = want;
}

static void a_socket_never_has_more_rights_than_asked_for(void **state)
{
    static const mode_t modes[] = {0600, 0660, 0666, 0777, 0400, 0070, 0},
                        masks[] = {0, 022, 077, 0777};
    struct fixture *f = *state;
    char err[200];
    mode_t old = (mode_t)syscall(SYS_umask, 022);
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        for (size_t k = 0; k < ARRAY_LEN(masks); k++) {
            struct stat st;
            watch_from_now(f, getegid());
            syscall(SYS_umask, masks[k]);
            assert_non_null(open_with(f, modes[i], (gid_t)-1, err));
            assert_int_equal(lstat(f->path, &st), 0);
            assert_int_equal(st.st_mode, S_IFSOCK | modes[i]);
            assert_int_equal(seen.modes & ~modes[i], 0);
            assert_true(seen.steps >= 2 && seen.listening == 1);
            assert_int_equal(seen.umasks, 0); /* it is the whole process's */
            close_it(f);
            assert_int_equal(lstat(f->path, &st), -1);
        }
    }
    syscall(SYS_umask, old);
}

static void a_group_is_set_before_others_than_the_owner_may_connect(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    char err[200];
    if (geteuid() != 0) {
        skip();
    }
    watch_from_now(f, SOME_GROUP);
    assert_non_null(open_with(f, 0660, SOME_GROUP, err));
    assert_int_equal(lstat(f->path, &st), 0);
    assert_int_equal(st.st_gid, SOME_GROUP);
    assert_int_equal(st.st_mode, S_IFSOCK | 0660);
    assert_int_equal(seen.gid, SOME_GROUP);
    assert_false(seen.shared_early);
}

/* As somebody with one more group: whether a connection comes about, 0 or an errno. */
static int try_as(const struct fixture *f, gid_t group)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct sock_addr at;
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (setgroups(1, &group) < 0 || setgid(SOMEBODY) < 0 || setuid(SOMEBODY) < 0 ||
            sock_unix_addr(&at, f->path) < 0) {
            _exit(255);
        }
        _exit(connect(fd, (struct sockaddr *)&at.sa, at.len) == 0 ? 0 : errno);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void mode_and_group_say_who_may_connect(void **state)
{
    struct fixture *f = *state;
    char err[200];
    if (geteuid() != 0) {
        skip();
    }
    assert_non_null(open_with(f, 0660, SOME_GROUP, err));
    assert_int_equal(try_as(f, SOMEBODY), EACCES);
    assert_int_equal(try_as(f, SOME_GROUP), 0);
    close_it(f);
    assert_non_null(open_with(f, 0600, SOME_GROUP, err));
    assert_int_equal(try_as(f, SOME_GROUP), EACCES);
    close_it(f);
    assert_non_null(open_with(f, 0666, (gid_t)-1, err));
    assert_int_equal(try_as(f, SOMEBODY), 0);
}

static void an_owner_is_given_the_socket_with_its_mode(void **state)
{
    struct fixture *f = *state;
    const struct listener_unix rights = {0600, (gid_t)-1, SOMEBODY};
    struct stat st;
    char err[200];
    if (geteuid() != 0) {
        skip();
    }
    f->ls = listener_open_unix(&f->l, f->path, &rights, "test", take, f, err, sizeof(err));
    assert_non_null(f->ls);
    assert_int_equal(lstat(f->path, &st), 0);
    assert_int_equal(st.st_uid, SOMEBODY);
    assert_int_equal(st.st_mode, S_IFSOCK | 0600);
    assert_int_equal(try_as(f, SOMEBODY), 0);
}

/* As somebody who has no right to give that group. */
static void a_group_that_can_not_be_given_is_an_error_and_leaves_no_socket(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    char err[200];
    uid_t me = geteuid();
    assert_int_equal(chmod(f->dir, 0777), 0);
    if (me == 0) {
        assert_int_equal(seteuid(SOMEBODY), 0);
    }
    watch_from_now(f, SOME_GROUP);
    struct listener *ls = open_with(f, 0660, SOME_GROUP, err);
    if (me == 0) {
        assert_int_equal(seteuid(0), 0);
    }
    assert_null(ls);
    assert_non_null(strstr(err, f->path));
    assert_non_null(strstr(err, strerror(EPERM)));
    assert_int_equal(seen.modes, 0600 & ~022);
    assert_int_equal(seen.listening, 0);
    assert_int_equal(lstat(f->path, &st), -1);
}

static void a_wrong_mode_or_path_is_refused(void **state)
{
    static const mode_t modes[] = {01777, 02660, 04600, 0100600};
    struct fixture *f = *state;
    struct listener_unix rights = {0600, (gid_t)-1, 0};
    struct stat st;
    char err[200], path[200];
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        assert_null(open_with(f, modes[i], (gid_t)-1, err));
        assert_non_null(strstr(err, "0777"));
        assert_int_equal(lstat(f->path, &st), -1);
    }
    assert_null(listener_open_unix(&f->l, "", &rights, "test", take, f, err, sizeof(err)));
    memset(path, 'p', 108);
    path[108] = '\0';
    assert_null(listener_open_unix(&f->l, path, &rights, "test", take, f, err, sizeof(err)));
    assert_non_null(strstr(err, "1 to 107 bytes"));
}

static void a_live_socket_and_a_file_stay_a_dead_one_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct listener_unix rights = {0600, (gid_t)-1, 0};
    struct sock_addr at;
    struct stat st;
    char err[200];
    assert_int_equal(sock_unix_addr(&at, f->path), 0);
    int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(syscall(SYS_bind, dead, &at.sa, at.len), 0);
    close(dead);
    assert_non_null(open_with(f, 0640, (gid_t)-1, err));
    assert_null(listener_open_unix(&f->l, f->path, &rights, "two", take, f, err, sizeof(err)));
    assert_int_equal(lstat(f->path, &st), 0);
    assert_int_equal(st.st_mode, S_IFSOCK | 0640); /* untouched */
    close_it(f);
    int file = open(f->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    close(file);
    assert_null(open_with(f, 0600, (gid_t)-1, err));
    assert_int_equal(lstat(f->path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(unlink(f->path), 0);
}

static void call_and_await(struct fixture *f, const struct sock_addr *at)
{
    int client = socket(at->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    f->accepted = 0;
    assert_int_equal(connect(client, (const struct sockaddr *)&at->sa, at->len), 0);
    assert_true(loop_until_set(&f->l, &f->accepted, LIMIT));
    close(client);
}

static void a_socket_with_rights_accepts(void **state)
{
    struct fixture *f = *state;
    char err[200];
    assert_non_null(open_with(f, 0600, getegid(), err));
    call_and_await(f, listener_address(f->ls));
}

/* ---- adopted ---- */

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static struct listener *adopt(struct fixture *f, int fd, char err[200])
{
    err[0] = '\0';
    f->ls = listener_adopt(&f->l, fd, "test", take, f, err, 200);
    return f->ls;
}

static void an_adopted_unix_socket_accepts_and_its_path_stays(void **state)
{
    struct fixture *f = *state;
    struct sock_addr at;
    struct stat st;
    char err[200];
    assert_int_equal(sock_unix_addr(&at, f->path), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* blocking, as a manager's is */
    assert_int_equal(syscall(SYS_bind, fd, &at.sa, at.len), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_non_null(adopt(f, fd, err));
    assert_string_equal(((const struct sockaddr_un *)&listener_address(f->ls)->sa)->sun_path,
                        f->path);
    call_and_await(f, &at);
    call_and_await(f, &at);
    close_it(f);
    assert_false(is_open(fd));
    assert_int_equal(lstat(f->path, &st), 0);
    assert_int_equal(unlink(f->path), 0);
}

static void an_adopted_tcp_socket_accepts_as_one_of_our_own(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 0;
    socklen_t len = sizeof(on);
    char err[200];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(syscall(SYS_bind, fd, &in, sizeof(in)), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_non_null(adopt(f, fd, err));
    call_and_await(f, listener_address(f->ls));
    assert_int_equal(getsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    assert_true(on);
    assert_int_equal(getsockopt(f->fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
    assert_true(on);
}

static void what_does_not_listen_is_not_adopted_but_closed(void **state)
{
    struct fixture *f = *state;
    char err[200];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const int fds[] = {ends[0], ends[1], socket(AF_UNIX, SOCK_STREAM, 0),
                       socket(AF_UNIX, SOCK_DGRAM, 0), socket(AF_INET, SOCK_STREAM, 0)};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        assert_true(is_open(fds[i]));
        assert_null(adopt(f, fds[i], err));
        assert_non_null(strstr(err, "listens"));
        assert_false(is_open(fds[i]));
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_socket_never_has_more_rights_than_asked_for),
        T(a_group_is_set_before_others_than_the_owner_may_connect),
        T(mode_and_group_say_who_may_connect),
        T(an_owner_is_given_the_socket_with_its_mode),
        T(a_group_that_can_not_be_given_is_an_error_and_leaves_no_socket),
        T(a_wrong_mode_or_path_is_refused),
        T(a_live_socket_and_a_file_stay_a_dead_one_is_replaced),
        T(a_socket_with_rights_accepts),
        T(an_adopted_unix_socket_accepts_and_its_path_stays),
        T(an_adopted_tcp_socket_accepts_as_one_of_our_own),
        T(what_does_not_listen_is_not_adopted_but_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
