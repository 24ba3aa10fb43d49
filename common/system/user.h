/* user.h - a process that was started as root becomes a plain user, and there is no way back.
 *
 *   user_find -> user_keep_group, if an engine's socket is used -> user_become -> user_no_way_up
 *
 * Owns nothing; `struct user` borrows its texts. Called while there is one thread only: the kernel does most
 * of this thread by thread, and those started later inherit it. A failure is a sentence of what failed and
 * what to do; some rights may be gone by then, so there is nothing to do but end.
 */
#ifndef HARP_SYSTEM_USER_H
#define HARP_SYSTEM_USER_H

#include <sys/types.h>

#include "common/base/base.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED_BUILD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) ||                         \
    __has_feature(thread_sanitizer)
#define SANITIZED_BUILD 1
#endif
#endif
#ifndef SANITIZED_BUILD
#define SANITIZED_BUILD 0
#endif

/* Who to be. All zero: who we are. */
struct user {
    bool change; /* else the rest is 0 */
    uid_t uid;
    gid_t gid;
    bool has_group;
    gid_t group;        /* of the engine's socket, kept beside gid */
    const char *name;   /* as it was given */
    const char *engine; /* that socket; NULL: none */
};

#define USER_TEXT_MAX 128

/* name: a name or a number, "": stay who we are. The group is that of the user's entry or, of a number
 * without one, the same number. Looked up while files can still be read; that user already: no change. */
int user_find(const char *name, struct user *out, char *err, size_t errlen) MUST_CHECK;
/* Keeps the group of that socket, which must be there, and no other. Nothing to do without a change. */
int user_keep_group(struct user *user, const char *engine, char *err, size_t errlen) MUST_CHECK;
/* Becomes that user, gives up the bounding set and all capabilities, and makes sure that there is no way
 * back. With no change, only the latter two. */
int user_become(const struct user *user, char *err, size_t errlen) MUST_CHECK;
/* Whether the socket of user_keep_group can be used now: found out at the start, with a remedy, rather than
 * at the first call. */
int user_check_reach(const struct user *user, char *err, size_t errlen) MUST_CHECK;
/* No new privileges by programs that are run, no core dumps, and no tracing by processes of the same user.
 * Builds with a sanitizer stay traceable, as they trace themselves at their end. */
int user_no_way_up(char *err, size_t errlen) MUST_CHECK;

/* "user 990, group 990 and 998": who we are now. */
const char *user_text(char text[USER_TEXT_MAX]);

#endif
