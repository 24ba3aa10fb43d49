#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/system/user.h"
#include "socket-filter/system/sandbox_impl.h"

/* What came after Linux 6.1, whose headers Debian 12 has. The numbers are the kernel's interface. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14) /* ABI 3, Linux 6.2 */
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP (1ULL << 0) /* ABI 4, Linux 6.7 */
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ULL << 1)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15) /* ABI 5, Linux 6.10 */
#endif
#ifndef LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0) /* ABI 6, Linux 6.12 */
#define LANDLOCK_SCOPE_SIGNAL (1ULL << 1)
#endif

/* The kernel's struct as of ABI 6. Older ones take it as long as what they don't know is zero. */
struct ruleset {
    uint64_t fs, net, scoped;
};

enum { ABI_REFER = 2, ABI_TRUNCATE = 3, ABI_NET = 4, ABI_IOCTL_DEV = 5, ABI_SCOPE = 6 };

#define FS_FIRST (((uint64_t)LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1) /* all of ABI 1 */
#define FS_READ ((uint64_t)(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR))
#define FS_WRITE                                                                                   \
    ((uint64_t)(FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |            \
                LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE))
/* Rights that a file can have; the others are a folder's, and an error with a file. */
#define FS_OF_FILE                                                                                 \
    ((uint64_t)(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |                     \
                LANDLOCK_ACCESS_FS_TRUNCATE))

/* Everything that this kernel can forbid is forbidden, but for connections where there is a network. */
static struct ruleset handled(int abi, bool network)
{
    struct ruleset r = {.fs = FS_FIRST};
    if (abi >= ABI_REFER) {
        r.fs |= LANDLOCK_ACCESS_FS_REFER;
    }
    if (abi >= ABI_TRUNCATE) {
        r.fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
    }
    if (abi >= ABI_NET) {
        r.net = LANDLOCK_ACCESS_NET_BIND_TCP | (network ? 0 : LANDLOCK_ACCESS_NET_CONNECT_TCP);
    }
    if (abi >= ABI_IOCTL_DEV) {
        r.fs |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
    }
    if (abi >= ABI_SCOPE) {
        r.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
    }
    return r;
}

static int allow(int rules, const struct ruleset *all, const struct sandbox_path *path, char *err,
                 size_t errlen)
{
    struct stat st;
    int r = -1, fd = open(path->path, O_PATH | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        struct landlock_path_beneath_attr rule = {
            .allowed_access = (path->write ? FS_WRITE : FS_READ) & all->fs, .parent_fd = fd};
        if (!S_ISDIR(st.st_mode)) {
            rule.allowed_access &= FS_OF_FILE;
        }
        r = (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    }
    if (r < 0) {
        snprintf(err, errlen,
                 "can't keep %s for the time in the sandbox: %s; it must be there, and "
                 "user %u must reach it",
                 path->path, strerror(errno), (unsigned)getuid());
    }
    if (fd >= 0) {
        close(fd);
    }
    return r;
}

static int allow_all(int rules, const struct ruleset *all, const struct sandbox_settings *settings,
                     char *err, size_t errlen)
{
    /* A sanitizer reads its process's memory maps when the program ends. */
    static const struct sandbox_path proc = {"/proc", false};
    if (SANITIZED_BUILD && allow(rules, all, &proc, err, errlen) < 0) {
        return -1;
    }
    for (size_t i = 0; i < SANDBOX_PATHS_MAX && settings->paths[i].path; i++) {
        if (allow(rules, all, &settings->paths[i], err, errlen) < 0) {
            return -1;
        }
    }
    return 0;
}

int sandbox_landlock(const struct sandbox_settings *settings, int *abi, char *err, size_t errlen)
{
    *abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (*abi < 0 && (errno == ENOSYS || errno == EOPNOTSUPP)) { /* not built in, or switched off */
        *abi = 0;
        return 0;
    }
    struct ruleset all = handled(*abi, settings->network);
    int rules = *abi < 0 ? -1 : (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
    if (rules < 0) {
        snprintf(err, errlen,
                 "can't use Landlock: %s; allow its system calls where this is started",
                 strerror(errno));
        return -1;
    }
    int r = allow_all(rules, &all, settings, err, errlen);
    if (r == 0 && syscall(SYS_landlock_restrict_self, rules, 0) < 0) {
        snprintf(err, errlen, "can't enter Landlock: %s", strerror(errno));
        r = -1;
    }
    close(rules);
    return r;
}
