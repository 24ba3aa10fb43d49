#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/system/user.h"
#include "socket-filter/system/sandbox_impl.h"

/* What a server needs that has opened what it listens at and loaded what it calls: libuv, OpenSSL and glibc
 * in it. Names with spaces between. Those of one architecture only do no harm on another. */
static const char *const allowed[] = {
    /* readiness */
    "epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 poll ppoll eventfd2 pipe2",
    "timerfd_create timerfd_settime timerfd_gettime inotify_init1 inotify_add_watch",
    "inotify_rm_watch",
    /* descriptors and sockets; what is not simply allowed stands below */
    "read write readv writev pread64 pwrite64 preadv pwritev lseek close",
    "accept4 connect shutdown recvfrom recvmsg getsockname getpeername getsockopt",
    /* files: Landlock says which */
    "open openat openat2 stat lstat fstat newfstatat statx statfs fstatfs access faccessat",
    "faccessat2 readlink readlinkat getdents64 getcwd ftruncate fsync fdatasync flock",
    "rename renameat renameat2 unlink unlinkat umask",
    /* memory, threads and signals */
    "munmap mremap madvise brk futex set_robust_list rseq sched_yield sched_getaffinity",
    "exit exit_group rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend",
    "rt_sigtimedwait sigaltstack restart_syscall",
    /* what can be asked */
    "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time",
    "getpid gettid getppid getuid geteuid getgid getegid getresuid getresgid getgroups",
    "getcpu getrusage sysinfo uname getrandom"};

/* What is never meant: one try ends the process, so that there is no second. */
static const char *const deadly[] = {
    "execve execveat ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp",
    "mount umount2 move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr pivot_root",
    "chroot setns unshare bpf perf_event_open userfaultfd keyctl add_key request_key",
    "open_by_handle_at init_module finit_module delete_module kexec_load kexec_file_load reboot",
    "swapon swapoff acct quotactl settimeofday clock_settime sethostname setdomainname",
    "iopl ioperm modify_ldt vmsplice syslog"};

/* Commands of ioctl: libuv's, stream/sock.c's, and stdio's question whether it writes to a terminal. */
static const unsigned long ioctls[] = {FIONBIO, FIOCLEX, FIONREAD, SIOCOUTQ, TCGETS};

/* Commands of fcntl: none that would send signals to somebody or reach for another process. */
static const int fcntls[] = {F_GETFD, F_SETFD,  F_GETFL,     F_SETFL,     F_DUPFD_CLOEXEC, F_GETLK,
                             F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW};

/* A filter on its way: after the first failure nothing more is added. */
struct filter {
    scmp_filter_ctx ctx;
    int r;         /* 0, or what libseccomp returned (a negative errno) */
    char call[64]; /* of the rule that failed */
};

/* The macros for this leave a field out. All 64 bits count, though the kernel looks at 32 of some. */
static struct scmp_arg_cmp arg_is(unsigned arg, uint64_t value)
{
    return (struct scmp_arg_cmp){arg, SCMP_CMP_EQ, value, 0};
}

static struct scmp_arg_cmp arg_masked(unsigned arg, uint64_t mask, uint64_t value)
{
    return (struct scmp_arg_cmp){arg, SCMP_CMP_MASKED_EQ, mask, value};
}

/* cnt conditions, all of which must hold. */
static void add(struct filter *f, uint32_t action, const char *call, unsigned cnt,
                const struct scmp_arg_cmp *when)
{
    if (f->r != 0) {
        return;
    }
    int nr = seccomp_syscall_resolve_name(call);
    snprintf(f->call, sizeof(f->call), "%s", call);
    f->r = nr == __NR_SCMP_ERROR ? -EINVAL : seccomp_rule_add_array(f->ctx, action, nr, cnt, when);
}

static void add_names(struct filter *f, uint32_t action, const char *names)
{
    char name[sizeof(f->call)];
    for (size_t n; (n = strcspn(names, " ")) > 0; names += n + (names[n] == ' ')) {
        snprintf(name, sizeof(name), "%.*s", (int)n, names);
        add(f, action, name, 0, NULL);
    }
}

static void allow_if(struct filter *f, const char *call, struct scmp_arg_cmp when)
{
    add(f, SCMP_ACT_ALLOW, call, 1, &when);
}

static void add_threads(struct filter *f)
{
    /* A new process has no CLONE_THREAD; a new namespace is never a thread's. */
    const uint64_t looked_at = CLONE_THREAD | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                               CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    allow_if(f, "clone", arg_masked(0, looked_at, CLONE_THREAD));
    /* Its flags are in memory, where no filter looks: glibc then calls clone. */
    add(f, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);
    allow_if(f, "tgkill", arg_is(0, (uint64_t)getpid())); /* abort() */
    allow_if(f, "prlimit64", arg_is(0, 0));               /* our own */
    allow_if(f, "prctl", arg_is(0, PR_SET_NAME));
    allow_if(f, "mmap", arg_masked(2, PROT_EXEC, 0));
    allow_if(f, "mprotect", arg_masked(2, PROT_EXEC, 0));
}

/* Sockets of the Internet: of that type, with its protocol or none named. */
static void add_internet(struct filter *f, int type, int protocol)
{
    const int families[] = {AF_INET, AF_INET6}, protocols[] = {0, protocol};
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        for (size_t k = 0; k < ARRAY_LEN(protocols); k++) {
            const struct scmp_arg_cmp when[] = {
                arg_is(0, (uint64_t)families[i]),
                arg_masked(1, ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC), (uint64_t)type),
                arg_is(2, (uint64_t)protocols[k])};
            add(f, SCMP_ACT_ALLOW, "socket", ARRAY_LEN(when), when);
        }
    }
}

/* What glibc does to ask a name server: it sends both questions, for IPv4 and IPv6, at once, and wants to hear
 * that nobody is there. Where a libc does it otherwise, a name in /etc/hosts still works. */
static void add_name_servers(struct filter *f)
{
    const struct scmp_arg_cmp v4[] = {arg_is(1, IPPROTO_IP), arg_is(2, IP_RECVERR)},
                              v6[] = {arg_is(1, IPPROTO_IPV6), arg_is(2, IPV6_RECVERR)};
    add_internet(f, SOCK_DGRAM, IPPROTO_UDP);
    allow_if(f, "sendmmsg", arg_masked(3, MSG_FASTOPEN, 0));
    add(f, SCMP_ACT_ALLOW, "setsockopt", ARRAY_LEN(v4), v4);
    add(f, SCMP_ACT_ALLOW, "setsockopt", ARRAY_LEN(v6), v6);
}

static void add_sockets(struct filter *f, const struct sandbox_settings *settings)
{
    allow_if(f, "socket", arg_is(0, AF_UNIX));
    if (settings->network) {
        add_internet(f, SOCK_STREAM, IPPROTO_TCP);
    }
    if (settings->network && settings->names) {
        add_name_servers(f);
    }
    allow_if(f, "setsockopt", arg_is(1, SOL_SOCKET));
    allow_if(f, "setsockopt", arg_is(1, IPPROTO_TCP));
    /* Sending with that flag connects, past those who watch connect. */
    allow_if(f, "sendto", arg_masked(3, MSG_FASTOPEN, 0));
    allow_if(f, "sendmsg", arg_masked(2, MSG_FASTOPEN, 0));
}

static void add_all(struct filter *f, const struct sandbox_settings *settings)
{
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        add_names(f, SCMP_ACT_ALLOW, allowed[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(deadly); i++) {
        add_names(f, SCMP_ACT_KILL_PROCESS, deadly[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(ioctls); i++) {
        allow_if(f, "ioctl", arg_is(1, ioctls[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(fcntls); i++) {
        allow_if(f, "fcntl", arg_is(1, (uint64_t)fcntls[i]));
    }
    add_threads(f);
    add_sockets(f, settings);
}

static void set(struct filter *f, enum scmp_filter_attr attr, uint32_t value, const char *what)
{
    if (f->r == 0) {
        snprintf(f->call, sizeof(f->call), "%s", what);
        f->r = seccomp_attr_set(f->ctx, attr, value);
    }
}

/* Loads it for all threads, and frees it. */
static int load(struct filter *f, char *err, size_t errlen)
{
    set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS, "other architectures");
    set(f, SCMP_FLTATR_CTL_TSYNC, 1, "all threads");
    set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2, "a tree"); /* instead of one long list */
    if (f->r == 0) {
        snprintf(f->call, sizeof(f->call), "load");
        f->r = seccomp_load(f->ctx);
    }
    int r = f->r;
    seccomp_release(f->ctx);
    if (r != 0) {
        snprintf(err, errlen,
                 "can't use seccomp (%s): %s; allow that system call where this is started",
                 f->call, strerror(-r));
        return -1;
    }
    return 0;
}

bool sandbox_seccomp_usable(void)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    return !SANITIZED_BUILD && (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 ||
                                (errno != ENOSYS && errno != EINVAL && errno != EOPNOTSUPP));
}

int sandbox_seccomp(const struct sandbox_settings *settings, char *err, size_t errlen)
{
    struct filter f = {.ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM))};
    if (!f.ctx) {
        snprintf(err, errlen, "can't make a seccomp filter: out of memory");
        return -1;
    }
    add_all(&f, settings);
    return load(&f, err, errlen);
}

int sandbox_prepare(char *err, size_t errlen)
{
    if (!sandbox_seccomp_usable()) {
        return 0;
    }
    struct filter f = {.ctx = seccomp_init(SCMP_ACT_ALLOW)};
    if (!f.ctx) {
        snprintf(err, errlen, "can't make a seccomp filter: out of memory");
        return -1;
    }
    add(&f, SCMP_ACT_ERRNO(ENOSYS), "io_uring_setup", 0, NULL);
    return load(&f, err, errlen);
}
