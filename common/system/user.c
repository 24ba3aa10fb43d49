#include "common/system/user.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/config/values.h"

enum { ENTRY_MAX = 64 * 1024 }; /* bytes of one user's entry; glibc asks for 1 KiB at first */

/* ---- who ---- */

/* By name, or by number: a number needs no entry. 0, or an errno. */
static int find_entry(const char *text, struct user *out)
{
    struct passwd entry, *found = NULL;
    int64_t number = -1;
    int r = ERANGE;
    bool numeric = value_parse_int(str_of(text), 0, UINT32_MAX - 1, &number) == 0;
    for (size_t size = 1024; r == ERANGE && size <= ENTRY_MAX; size *= 4) {
        char *buf = xmalloc(size);
        r = numeric ? getpwuid_r((uid_t)number, &entry, buf, size, &found)
                    : getpwnam_r(text, &entry, buf, size, &found);
        if (r == 0 && found) {
            out->uid = entry.pw_uid;
            out->gid = entry.pw_gid;
        }
        free(buf);
    }
    if (!found && numeric) { /* also where there is no list of users at all */
        out->uid = (uid_t)number;
        out->gid = (gid_t)number;
        return 0;
    }
    return r == 0 && !found ? ENOENT : r;
}

int user_keep_group(struct user *user, const char *engine, char *err, size_t errlen)
{
    struct stat st;
    if (!user->change) {
        return 0;
    }
    if (stat(engine, &st) < 0) {
        snprintf(
            err, errlen,
            "can't look at the engine's socket %s, whose group user '%s' is to keep: %s; start "
            "the engine first",
            engine, user->name, strerror(errno));
        return -1;
    }
    if (!S_ISSOCK(st.st_mode)) {
        snprintf(err, errlen, "%s is no socket; name that of the engine", engine);
        return -1;
    }
    user->engine = engine;
    user->has_group = true;
    user->group = st.st_gid;
    return 0;
}

int user_find(const char *name, struct user *out, char *err, size_t errlen)
{
    memset(out, 0, sizeof(*out));
    if (!name || name[0] == '\0') {
        return 0;
    }
    int r = find_entry(name, out);
    if (r != 0) {
        snprintf(err, errlen, "can't become user '%s': %s; make it, or name another", name,
                 r == ENOENT ? "there is none of that name" : strerror(r));
        return -1;
    }
    if (out->uid == 0) {
        snprintf(err, errlen,
                 "can't become user '%s' to have fewer rights: that is root; name "
                 "another, or none",
                 name);
        return -1;
    }
    /* Started as that user already: its groups are those that it was started with. */
    if (getuid() == out->uid && geteuid() == out->uid) {
        memset(out, 0, sizeof(*out));
        return 0;
    }
    out->name = name;
    out->change = true;
    return 0;
}

/* ---- becoming ---- */

/* Only root has the right to, and needs it: it bounds what a program started by root would get. Without
 * the right (EPERM) it is no_new_privs that keeps programs from getting any. */
static int drop_bounding_set(char *err, size_t errlen)
{
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM) {
            snprintf(err, errlen, "can't take capability %lu out of the bounding set: %s", cap,
                     strerror(errno));
            return -1;
        }
    }
    return 0;
}

static int drop_capabilities(char *err, size_t errlen)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
    memset(none, 0, sizeof(none));
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
        syscall(SYS_capset, &head, none) < 0) {
        snprintf(err, errlen, "can't give up capabilities: %s", strerror(errno));
        return -1;
    }
    return 0;
}

static int change_user(const struct user *user, char *err, size_t errlen)
{
    if (setgroups(user->has_group ? 1 : 0, &user->group) < 0 ||
        setresgid(user->gid, user->gid, user->gid) < 0 ||
        setresuid(user->uid, user->uid, user->uid) < 0) {
        snprintf(err, errlen,
                 "can't become user '%s': %s; start as root, or as that user, or name none",
                 user->name, strerror(errno));
        return -1;
    }
    return 0;
}

/* Asks the kernel instead of believing the calls' results. */
static bool is_changed(const struct user *user)
{
    uid_t uid[3];
    gid_t gid[3], group = 0;
    return getresuid(&uid[0], &uid[1], &uid[2]) == 0 && getresgid(&gid[0], &gid[1], &gid[2]) == 0 &&
           uid[0] == user->uid && uid[1] == user->uid && uid[2] == user->uid &&
           gid[0] == user->gid && gid[1] == user->gid && gid[2] == user->gid &&
           getgroups(0, NULL) == (user->has_group ? 1 : 0) &&
           (!user->has_group || (getgroups(1, &group) == 1 && group == user->group));
}

static int check_no_way_back(const struct user *user, char *err, size_t errlen)
{
    if (getuid() != 0 && (setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || setuid(0) == 0)) {
        snprintf(err, errlen,
                 "root's rights could be taken back; start as root or as a plain user, "
                 "not by a set-user-id program");
        return -1;
    }
    if (user->change && user->gid != 0 && setresgid((gid_t)-1, 0, (gid_t)-1) == 0) {
        snprintf(err, errlen, "root's group could be taken back after becoming user '%s'",
                 user->name);
        return -1;
    }
    return 0;
}

int user_become(const struct user *user, char *err, size_t errlen)
{
    /* The bounding set first: that needs a capability which goes with the user. */
    if (drop_bounding_set(err, errlen) < 0 ||
        (user->change && change_user(user, err, errlen) < 0) ||
        drop_capabilities(err, errlen) < 0) {
        return -1;
    }
    if (user->change && !is_changed(user)) {
        snprintf(err, errlen, "user or groups are not those of user '%s' after the change",
                 user->name);
        return -1;
    }
    return check_no_way_back(user, err, errlen);
}

int user_check_reach(const struct user *user, char *err, size_t errlen)
{
    if (!user->engine || access(user->engine, W_OK) == 0) {
        return 0;
    }
    snprintf(err, errlen,
             "user '%s' can't use the engine's socket %s: %s; let the socket's group (%u) write "
             "there, or name another user",
             user->name, user->engine, strerror(errno), (unsigned)user->group);
    return -1;
}

/* A change of the user id has set "dumpable" to what the system says, so this comes after it. */
int user_no_way_up(char *err, size_t errlen)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        snprintf(err, errlen, "can't give up new privileges: %s", strerror(errno));
        return -1;
    }
    if (prctl(PR_SET_DUMPABLE, SANITIZED_BUILD, 0, 0, 0) < 0) {
        snprintf(err, errlen, "can't forbid core dumps and tracing: %s", strerror(errno));
        return -1;
    }
    return 0;
}

/* ---- who we are ---- */

const char *user_text(char text[USER_TEXT_MAX])
{
    char more[32] = "";
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
    snprintf(text, USER_TEXT_MAX, "user %u, group %u%s", (unsigned)getuid(), (unsigned)getgid(),
             more);
    return text;
}
