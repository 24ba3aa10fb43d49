/* Which system calls are left inside the sandbox, to its threads as well; and that a server has all that it
 * needs. Each test enters it in a child process of its own, which then tries. */
#include "socket-filter/system/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/stream/listener.h"
#include "common/stream/relay.h"
#include "common/system/service.h"
#include "tests/unit/sandbox_child.h"
#include "tests/unit/tls_shake.h"

enum { LIMIT = 5000 };

/* ---- sockets ---- */

static void unix_only_child(const void *arg UNUSED)
{
    struct sock_addr a;
    enter_plainly(false);
    NEED_ERRNO(socket(AF_INET, SOCK_STREAM, 0), EPERM);
    NEED_ERRNO(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), EPERM);
    NEED_ERRNO(socket(AF_NETLINK, SOCK_RAW, 0), EPERM);
    NEED_ERRNO(socket(AF_VSOCK, SOCK_STREAM, 0), EPERM);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    NEED(fd >= 0 && sock_unix_addr(&a, field.docker) == 0);
    NEED(connect(fd, (struct sockaddr *)&a.sa, a.len) == 0); /* its path is not listed */
    NEED_ERRNO(listen(fd, 1), EPERM);
    NEED(socket(AF_UNIX, SOCK_DGRAM, 0) >= 0);
}

static void without_a_network_only_unix_sockets_are_made(void **state)
{
    (void)state;
    skip_unless(sandbox_seccomp_usable(), "no seccomp");
    in_child(unix_only_child, NULL);
}

static void network_child(const void *arg)
{
    const struct sockaddr_in *to = arg;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    enter_plainly(true);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    NEED(fd >= 0 && connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0);
    NEED((fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP)) >= 0 ||
         errno == EAFNOSUPPORT);
    NEED_ERRNO(socket(AF_INET, SOCK_DGRAM, 0), EPERM);
    NEED_ERRNO(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), EPERM);
    NEED_ERRNO(socket(AF_INET, SOCK_STREAM, 132 /* SCTP */), EPERM);
    NEED_ERRNO(socket(AF_PACKET, SOCK_RAW, 0), EPERM);
    NEED_ERRNO(bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&any, sizeof(any)), EPERM);
}

static int tcp_listener(struct sockaddr_in *in)
{
    socklen_t len = sizeof(*in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)in, sizeof(*in)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)in, &len), 0);
    return fd;
}

static void with_a_network_tcp_can_be_connected_and_no_more(void **state)
{
    struct sockaddr_in in;
    (void)state;
    skip_unless(sandbox_seccomp_usable(), "no seccomp");
    int fd = tcp_listener(&in);
    in_child(network_child, &in);
    close(fd);
}

static void names_child(const void *arg UNUSED)
{
    struct sandbox_settings settings = with("", true);
    char why[256];
    const int on = 1;
    settings.names = true;
    NEED(sandbox_enter(&settings, said, why, sizeof(why)) == 0);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    NEED(fd >= 0 && socket(AF_INET, SOCK_STREAM, 0) >= 0);
    NEED(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)) == 0);
    NEED_ERRNO(setsockopt(fd, IPPROTO_IP, IP_TTL, &on, sizeof(on)), EPERM);
    NEED_ERRNO(socket(AF_INET, SOCK_DGRAM, 136 /* UDP-Lite */), EPERM);
    NEED_ERRNO(socket(AF_INET, SOCK_RAW, IPPROTO_UDP), EPERM);
    NEED_ERRNO(socket(AF_NETLINK, SOCK_RAW, 0), EPERM);
    NEED_ERRNO(socket(AF_PACKET, SOCK_DGRAM, 0), EPERM);
}

static void where_names_are_asked_for_udp_is_there_and_no_more(void **state)
{
    (void)state;
    skip_unless(sandbox_seccomp_usable(), "no seccomp");
    in_child(names_child, NULL);
}

/* A TCP socket from before can be had by accepting, too. */
static void old_socket_child(const void *arg)
{
    const struct sockaddr_in *to = arg;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    enter_plainly(false);
    NEED_ERRNO(connect(fd, (const struct sockaddr *)to, sizeof(*to)), EACCES);
    if (sandbox_seccomp_usable()) {
        NEED_ERRNO(sendto(fd, "x", 1, MSG_FASTOPEN, (const struct sockaddr *)to, sizeof(*to)),
                   EPERM);
    }
}

static void a_tcp_socket_from_before_can_not_be_connected(void **state)
{
    struct sockaddr_in in;
    (void)state;
    skip_unless(landlock_abi() >= 4, "Landlock knows no network");
    int fd = tcp_listener(&in);
    in_child(old_socket_child, &in);
    close(fd);
}

/* ---- system calls ---- */

struct call {
    const char *name;
    long nr;
    long args[6];
};

static long do_call(const struct call *c)
{
    return syscall(c->nr, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4], c->args[5]);
}

static void deadly_child(const void *arg)
{
    enter_plainly(true);
    do_call(arg);
}

static void what_is_never_meant_ends_the_process(void **state)
{
#define CALL(name, ...)                                                                            \
    {                                                                                              \
#name, SYS_##name,                                                                         \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
    static const char path[] = "/bin/true";
    const char *argv[] = {path, NULL};
    struct call calls[] = {
        CALL(execve, (long)path, (long)argv, 0),
        CALL(execveat, AT_FDCWD, (long)path, (long)argv, 0, 0),
        CALL(ptrace, 0),
        CALL(process_vm_readv, getpid(), 0, 0, 0, 0, 0),
        CALL(process_vm_writev, getpid(), 0, 0, 0, 0, 0),
        CALL(pidfd_getfd, -1, 0, 0),
        CALL(mount, 0, 0, 0, 0, 0),
        CALL(umount2, (long)path, 0),
        CALL(pivot_root, 0, 0),
        CALL(chroot, (long)path),
        CALL(setns, -1, 0),
        CALL(unshare, CLONE_NEWUSER),
        CALL(bpf, -1, 0, 0),
        CALL(perf_event_open, 0, 0, 0, 0, 0),
        CALL(userfaultfd, -1),
        CALL(keyctl, -1),
        CALL(add_key, 0, 0, 0, 0, 0),
        CALL(request_key, 0, 0, 0, 0),
        CALL(open_by_handle_at, -1, 0, 0),
        CALL(init_module, 0, 0, 0),
        CALL(finit_module, -1, 0, 0),
        CALL(kexec_load, 0, 0, 0, 0),
        CALL(reboot, 0, 0, 0, 0),
    };
    (void)state;
    skip_unless(sandbox_seccomp_usable(), "no seccomp");
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        int status = run_child(deadly_child, &calls[i]);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) {
            fail_msg("%s: status %x", calls[i].name, (unsigned)status);
        }
    }
}

/* All of them are fine outside, or fail for another reason. */
static void refused_child(const void *arg UNUSED)
{
    long page = (long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const struct call calls[] = {
        CALL(mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
        CALL(mprotect, page, 4096, PROT_READ | PROT_EXEC),
        CALL(clone, SIGCHLD),
        CALL(clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWUSER),
        CALL(setuid, getuid()),
        CALL(setgid, getgid()),
        CALL(setgroups, 0, 0),
        CALL(capset, 0, 0),
        CALL(kill, getppid(), 0),
        CALL(kill, getpid(), 0),
        CALL(tgkill, getppid(), getppid(), 0),
        CALL(prlimit64, getppid(), RLIMIT_NOFILE, 0, 0),
        CALL(prctl, PR_SET_DUMPABLE, 1),
        CALL(fcntl, 0, F_SETOWN, getppid()),
        CALL(fcntl, 0, F_DUPFD, 0),
        CALL(ioctl, 0, TIOCSTI, (long)"x"),
        CALL(ioctl, 0, 1L << 32 | FIONREAD, page),
        CALL(setsockopt, 0, IPPROTO_IP, 0, 0, 0),
        CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, 0),
        CALL(io_uring_setup, 1, 0),
        CALL(memfd_create, (long)"x", 0),
        CALL(fchmodat, AT_FDCWD, (long)field.write, 0700),
        CALL(fchownat, AT_FDCWD, (long)field.write, -1, -1, 0),
        CALL(mkdirat, AT_FDCWD, (long)field.write, 0700),
        CALL(linkat, AT_FDCWD, (long)field.in_read, AT_FDCWD, (long)field.write, 0),
        CALL(chdir, (long)field.read),
        CALL(personality, -1),
        CALL(pidfd_open, getppid(), 0),
        CALL(seccomp, 0, 0, 0),
        CALL(shmget, 0, 4096, 0600),
        CALL(mq_open, (long)"x", 0),
    };
    enter_plainly(true);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        errno = 0;
        if (do_call(&calls[i]) != -1 || errno != EPERM) {
            fprintf(stderr, "%s (the %zu. call): errno %d\n", calls[i].name, i, errno);
            _exit(1);
        }
    }
    NEED_ERRNO(syscall(SYS_clone3, 0, 0), ENOSYS);
    NEED_ERRNO(fork(), EPERM);
}

static void what_is_not_needed_is_refused(void **state)
{
    (void)state;
    skip_unless(sandbox_seccomp_usable(), "no seccomp");
    in_child(refused_child, NULL);
}

static void abort_child(const void *arg UNUSED)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    enter_plainly(false);
    abort();
}

static void aborting_still_works(void **state)
{
    (void)state;
    int status = run_child(abort_child, NULL);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* ---- threads ---- */

static void *wait_for_end(void *arg)
{
    char c;
    return read(*(int *)arg, &c, 1) == 0 ? NULL : arg;
}

static void early_thread_child(const void *arg UNUSED)
{
    struct sandbox_settings settings = with("", false);
    int ends[2];
    pthread_t thread;
    NEED(pipe(ends) == 0 && pthread_create(&thread, NULL, wait_for_end, &ends[0]) == 0);
    enter_in_vain(&settings, "with 2 threads");
    close(ends[1]);
    NEED(pthread_join(thread, NULL) == 0);
}

static void it_is_not_entered_with_threads_that_it_would_not_hold(void **state)
{
    (void)state;
    in_child(early_thread_child, NULL);
}

static void *look_around(void *arg)
{
    bool landlock = *(bool *)arg;
    if (landlock) {
        NEED_ERRNO(open(field.in_outside, O_RDONLY), EACCES);
    }
    if (sandbox_seccomp_usable()) {
        NEED_ERRNO(socket(AF_INET, SOCK_STREAM, 0), EPERM);
    }
    char *p = malloc(4u << 20); /* a heap of the thread's own */
    NEED(p);
    memset(p, 1, 4u << 20);
    free(p);
    return arg;
}

static void on_work(uv_work_t *work)
{
    work->data = look_around(work->data);
}

static void late_threads_child(const void *arg UNUSED)
{
    bool landlock = landlock_abi() > 0;
    pthread_t threads[8];
    uv_work_t work = {.data = &landlock};
    uv_loop_t loop;
    char err[200] = "";
    NEED(sandbox_prepare(err, sizeof(err)) == 0 && uv_loop_init(&loop) == 0);
    enter_plainly(false);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        NEED(pthread_create(&threads[i], NULL, look_around, &landlock) == 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *result = NULL;
        NEED(pthread_join(threads[i], &result) == 0 && result == &landlock);
    }
    NEED(uv_queue_work(&loop, &work, on_work, NULL) == 0);
    NEED(uv_run(&loop, UV_RUN_DEFAULT) == 0 && work.data == &landlock);
    NEED(uv_loop_close(&loop) == 0);
}

static void threads_start_inside_and_are_held_as_well(void **state)
{
    (void)state;
    in_child(late_threads_child, NULL);
}

/* ---- io_uring ---- */

/* struct io_uring_params is of 120 bytes; all zero is what most ask for. */
static int ring_open(void)
{
    char params[120] = {0};
    return (int)syscall(SYS_io_uring_setup, 4, params);
}

static void ring_child(const void *arg UNUSED)
{
    struct sandbox_settings settings = with("", false);
    NEED(ring_open() >= 0);
    enter_in_vain(&settings, "sandbox_prepare() must come before");
}

static void prepared_child(const void *arg UNUSED)
{
    char err[200] = "";
    NEED(sandbox_prepare(err, sizeof(err)) == 0);
    NEED_ERRNO(ring_open(), ENOSYS);
    NEED(open(field.in_outside, O_RDONLY) >= 0 && socket(AF_INET, SOCK_STREAM, 0) >= 0);
    pid_t pid = fork(); /* nothing else is different */
    NEED(pid >= 0);
    if (pid == 0) {
        _exit(0);
    }
    NEED(waitpid(pid, NULL, 0) == pid);
    enter_plainly(false);
    NEED_ERRNO(socket(AF_INET, SOCK_STREAM, 0), EPERM);
}

static void rings_that_would_pass_by_seccomp_are_not_let_in(void **state)
{
    (void)state;
    skip_unless(sandbox_seccomp_usable(), "no seccomp");
    in_child(prepared_child, NULL);
    int fd = ring_open();
    skip_unless(fd >= 0, "no io_uring");
    close(fd);
    in_child(ring_child, NULL);
}

/* ---- a server ---- */

/* What comes in goes to the engine's socket, as in a filter without rules. */
struct server {
    struct loop l;
    struct listener *ls[2];
    struct timer timer;
    unsigned left; /* connections until it ends */
    bool ticked;
};

static void on_relayed(void *owner, uint64_t a_to_b, uint64_t b_to_a, const char *failed)
{
    struct server *v = owner;
    NEED(a_to_b == 5 && b_to_a == 6 && !failed);
    if (--v->left == 0 && v->ticked) {
        loop_stop(&v->l);
    }
}

static void on_tick(struct timer *t)
{
    struct server *v = CONTAINER_OF(t, struct server, timer);
    v->ticked = true;
    if (v->left == 0) {
        loop_stop(&v->l);
    }
}

static void on_accepted(void *owner, int fd, const struct sock_addr *from UNUSED)
{
    static const struct relay_limits limits = {0};
    struct server *v = owner;
    struct sock_addr engine, here, there;
    NEED(sock_unix_addr(&engine, field.docker) == 0);
    struct stream *caller = sock_adopt(&v->l, fd), *to = sock_connect(&v->l, &engine);
    NEED(caller && to && sock_ends(caller, &here, &there) == 0);
    NEED(relay_start(caller, to, &limits, on_relayed, v));
}

static void serve_child(const void *arg)
{
    struct server v = {.left = 2};
    char err[300] = "";
    const int *fds = arg;
    struct sandbox_settings settings = with(is_root() ? "54321" : "", false);
    settings.docker = field.docker;
    NEED(sandbox_prepare(err, sizeof(err)) == 0 && loop_init(&v.l, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        v.ls[i] = listener_adopt(&v.l, fds[i], "test", on_accepted, &v, err, sizeof(err));
        NEED(v.ls[i]);
    }
    enter(&settings);
    v.timer.fire = on_tick;
    timer_set(&v.l, &v.timer, 20);
    loop_run(&v.l);
    NEED(v.left == 0 && v.ticked);
    listener_close(v.ls[0]);
    listener_close(v.ls[1]);
    loop_free(&v.l);
}

static void call_through(const struct sockaddr *to, socklen_t len)
{
    char buf[16];
    int client = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, to, len), 0);
    assert_int_equal(send(client, "hello", 5, MSG_NOSIGNAL), 5);
    struct pollfd called = {.fd = field.engine, .events = POLLIN};
    assert_int_equal(poll(&called, 1, LIMIT), 1);
    int engine = accept(field.engine, NULL, NULL);
    assert_true(engine >= 0);
    assert_int_equal(recv(engine, buf, 5, MSG_WAITALL), 5);
    assert_memory_equal(buf, "hello", 5);
    assert_int_equal(send(engine, "answer", 6, MSG_NOSIGNAL), 6);
    assert_int_equal(shutdown(engine, SHUT_WR), 0);
    assert_int_equal(recv(client, buf, 6, MSG_WAITALL), 6);
    assert_memory_equal(buf, "answer", 6);
    assert_int_equal(recv(client, buf, 1, 0), 0);
    close(client);
    assert_int_equal(recv(engine, buf, 1, 0), 0);
    close(engine);
}

/* Of other tests' children. */
static void forget_calls(void)
{
    struct pollfd engine = {.fd = field.engine, .events = POLLIN};
    while (poll(&engine, 1, 0) == 1) {
        close(accept(field.engine, NULL, NULL));
    }
}

/* Sockets of the parent's, so that calls wait until the child is there, and none of its own descriptors
 * keeps the child's connections open. */
static void a_server_inside_accepts_connects_and_relays(void **state)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX}; /* the kernel chooses an abstract name */
    socklen_t len = sizeof(un);
    struct sockaddr_in in;
    int status = 0;
    (void)state;
    int fds[2] = {tcp_listener(&in), socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(bind(fds[1], (struct sockaddr *)&un, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(fds[1], 4), 0);
    assert_int_equal(getsockname(fds[1], (struct sockaddr *)&un, &len), 0);
    forget_calls();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        serve_child(fds);
        _exit(0);
    }
    close(fds[0]); /* should the child end, calls fail instead of waiting */
    close(fds[1]);
    call_through((struct sockaddr *)&in, sizeof(in));
    call_through((struct sockaddr *)&un, len);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* ---- the service manager ---- */

static void notify_child(const void *arg)
{
    struct service_socket got[SERVICE_MAX];
    char err[200] = "";
    NEED(setenv("NOTIFY_SOCKET", arg, 1) == 0);
    NEED(service_sockets(got, err, sizeof(err)) == 0);
    enter_plainly(false);
    service_notify("READY=1");
}

/* By an abstract name, too, which Landlock lets nobody connect to from inside. */
static void a_manager_is_told_from_inside(void **state)
{
    char path[128], buf[16];
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        snprintf(path, sizeof(path), "%c%.60s/n", "/@"[i], field.dir + 1);
        memcpy(un.sun_path, path, strlen(path));
        un.sun_path[0] = i ? '\0' : '/';
        socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + !i);
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&un, len), 0);
        in_child(notify_child, path);
        assert_int_equal(recv(fd, buf, sizeof(buf), 0), 7);
        assert_memory_equal(buf, "READY=1", 7);
        close(fd);
    }
    snprintf(path, sizeof(path), "%.60s/n", field.dir);
    assert_int_equal(unlink(path), 0);
}

/* ---- OpenSSL ---- */

/* Certificates are read again, as after a signal, and a connection is made with them. */
static void tls_child(const void *arg)
{
    struct sandbox_settings settings = {.user = "", .paths = {{arg, false}}};
    struct shake s;
    enter(&settings);
    SSL_CTX *server = shake_hub(), *client = shake_client("client", "ca.crt", "harp.nc");
    shake_start(&s, server, client);
    shake_run(&s);
    NEED(s.ok);
    shake_end(&s);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
}

static void certificates_are_read_again_and_used_inside(void **state)
{
    char dir[128];
    (void)state;
    snprintf(dir, sizeof(dir), "%s", shake_at("."));
    in_child(tls_child, dir);
}

static int set_up(void **state)
{
    return shake_set_up(state) < 0 ? -1 : sandbox_set_up(state);
}

static int tear_down(void **state)
{
    return sandbox_tear_down(state) < 0 ? -1 : shake_tear_down(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_network_only_unix_sockets_are_made),
        cmocka_unit_test(with_a_network_tcp_can_be_connected_and_no_more),
        cmocka_unit_test(where_names_are_asked_for_udp_is_there_and_no_more),
        cmocka_unit_test(a_tcp_socket_from_before_can_not_be_connected),
        cmocka_unit_test(what_is_never_meant_ends_the_process),
        cmocka_unit_test(what_is_not_needed_is_refused),
        cmocka_unit_test(aborting_still_works),
        cmocka_unit_test(it_is_not_entered_with_threads_that_it_would_not_hold),
        cmocka_unit_test(threads_start_inside_and_are_held_as_well),
        cmocka_unit_test(rings_that_would_pass_by_seccomp_are_not_let_in),
        cmocka_unit_test(a_server_inside_accepts_connects_and_relays),
        cmocka_unit_test(a_manager_is_told_from_inside),
        cmocka_unit_test(certificates_are_read_again_and_used_inside),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
