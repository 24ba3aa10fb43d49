#include "socket-filter/system/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/system/user.h"
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

static void say(char said[SANDBOX_SAID_MAX], int abi, bool seccomp)
{
    char who[USER_TEXT_MAX], landlock[32] = "no Landlock";
    if (abi > 0) {
        snprintf(landlock, sizeof(landlock), "Landlock ABI %d", abi);
    }
    snprintf(said, SANDBOX_SAID_MAX, "%s, no capabilities, no new privileges, %s, %s",
             user_text(who), landlock,
             seccomp           ? "seccomp"
             : SANITIZED_BUILD ? "no seccomp (built with a sanitizer)"
                               : "no seccomp");
}

int sandbox_enter(const struct sandbox_settings *settings, char said[SANDBOX_SAID_MAX], char *err,
                  size_t errlen)
{
    struct user user;
    bool seccomp = sandbox_seccomp_usable();
    int abi;
    if (check_start(err, errlen) < 0 || user_find(settings->user, &user, err, errlen) < 0 ||
        (settings->docker && user_keep_group(&user, settings->docker, err, errlen) < 0) ||
        user_become(&user, err, errlen) < 0 || user_check_reach(&user, err, errlen) < 0 ||
        user_no_way_up(err, errlen) < 0 || sandbox_landlock(settings, &abi, err, errlen) < 0 ||
        (seccomp && sandbox_seccomp(settings, err, errlen) < 0)) {
        return -1;
    }
    say(said, abi, seccomp);
    return 0;
}
