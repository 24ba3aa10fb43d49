/* sandbox_impl.h - the steps of sandbox_enter; for the files of that name and their tests.
 *
 * Owns nothing. Each step returns 0, or -1 with err, a whole sentence of what failed and what to do.
 */
#ifndef HARP_FILTER_SANDBOX_IMPL_H
#define HARP_FILTER_SANDBOX_IMPL_H

#include "socket-filter/system/sandbox.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) ||                         \
    __has_feature(thread_sanitizer)
#define SANDBOX_SANITIZER 1
#endif
#endif
#ifndef SANDBOX_SANITIZER
#define SANDBOX_SANITIZER 0
#endif

/* Who to be. */
struct sandbox_user {
    bool change; /* else the rest is 0 */
    uid_t uid;
    gid_t gid;
    bool has_group; /* the engine's socket has one that counts */
    gid_t group;
    const char *name;   /* borrowed from the settings */
    const char *docker; /* the same */
};

/* Looks up settings->user, while files can still be read. */
int sandbox_user_find(const struct sandbox_settings *settings, struct sandbox_user *out, char *err,
                      size_t errlen) MUST_CHECK;
/* Becomes that user, gives up all capabilities, and makes sure that there is no way back. */
int sandbox_user_become(const struct sandbox_user *user, char *err, size_t errlen) MUST_CHECK;

/* *abi: the kernel's version of Landlock, 0 if it has none, and then nothing was done. */
int sandbox_landlock(const struct sandbox_settings *settings, int *abi, char *err,
                     size_t errlen) MUST_CHECK;

/* Whether the kernel has seccomp, and this build can live with it. */
bool sandbox_seccomp_usable(void);
int sandbox_seccomp(const struct sandbox_settings *settings, char *err, size_t errlen) MUST_CHECK;

#endif
