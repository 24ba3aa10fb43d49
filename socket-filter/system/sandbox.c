#include "socket-filter/system/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "socket-filter/system/sandbox_impl.h"

/* Entries of a folder of /proc, but for the two dotted ones; -1: can't tell. */
static int count_threads(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    if (!dir) {
        return -1;
    }
    for (const struct dirent *e; (e = readdir(dir));) {
        n += e->d_name[0] != '.';
    }
    closedir(dir);
    return n;
}

static bool has_ring(void)
{
    static const char ring[] = "anon_inode:[io_uring]";
    bool found = false;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir) {
        return false;
    }
    for (const struct dirent *e; !found && (e = readdir(dir));) {
        char to[sizeof(ring)];
        ssize_t n = readlinkat(dirfd(dir), e->d_name, to, sizeof(to));
        found = n == sizeof(ring) - 1 && memcmp(to, ring, sizeof(ring) - 1) == 0;
    }
    closedir(dir);
    return found;
}

/* What would make the sandbox leak. Where there is no /proc to look into, this is the caller's promise. */
static int check_start(char *err, size_t errlen)
{
    int threads = count_threads();
    if (threads > 1) {
        snprintf(err, errlen,
                 "can't enter the sandbox with %d threads: it must come before any is started",
                 threads);
        return -1;
    }
    if (sandbox_seccomp_usable() && has_ring()) {
        snprintf(err, errlen,
                 "can't enter the sandbox with an open io_uring: "
                 "sandbox_prepare() must come before the loop is made");
        return -1;
    }
    return 0;
}

/* A change of the user id has set "dumpable" to what the system says, so this comes after it. */
static int no_way_up(char *err, size_t errlen)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        snprintf(err, errlen, "can't give up new privileges: %s", strerror(errno));
        return -1;
    }
    if (prctl(PR_SET_DUMPABLE, SANDBOX_SANITIZER, 0, 0, 0) < 0) {
        snprintf(err, errlen, "can't forbid core dumps and tracing: %s", strerror(errno));
        return -1;
    }
    return 0;
}

static void say(char said[SANDBOX_SAID_MAX], int abi, bool seccomp)
{
    char more[32] = "", landlock[32] = "no Landlock";
    gid_t groups[64];
    int n = getgroups(ARRAY_LEN(groups), groups), others = 0;
    gid_t other = 0;
    for (int i = 0; i < n; i++) {
        if (groups[i] != getgid()) {
            other = groups[i];
            others++;
        }
    }
    if (others == 1) {
        snprintf(more, sizeof(more), " and %u", (unsigned)other);
    } else if (others > 1 || n < 0) {
        snprintf(more, sizeof(more), " and others");
    }
    if (abi > 0) {
        snprintf(landlock, sizeof(landlock), "Landlock ABI %d", abi);
    }
    snprintf(said, SANDBOX_SAID_MAX,
             "user %u, group %u%s, no capabilities, no new privileges, %s, %s", (unsigned)getuid(),
             (unsigned)getgid(), more, landlock,
             seccomp             ? "seccomp"
             : SANDBOX_SANITIZER ? "no seccomp (built with a sanitizer)"
                                 : "no seccomp");
}

int sandbox_enter(const struct sandbox_settings *settings, char said[SANDBOX_SAID_MAX], char *err,
                  size_t errlen)
{
    struct sandbox_user user;
    bool seccomp = sandbox_seccomp_usable();
    int abi;
    if (check_start(err, errlen) < 0 || sandbox_user_find(settings, &user, err, errlen) < 0 ||
        sandbox_user_become(&user, err, errlen) < 0 || no_way_up(err, errlen) < 0 ||
        sandbox_landlock(settings, &abi, err, errlen) < 0 ||
        (seccomp && sandbox_seccomp(settings, err, errlen) < 0)) {
        return -1;
    }
    say(said, abi, seccomp);
    return 0;
}
