/* sandbox.h - gives up, for good, all that a running filter does not need.
 *
 * Called once, when everything is open that needs more: listeners, certificates, audit. In this order:
 * the capability bounding set, groups, group and user (where one is set), capabilities, no_new_privs,
 * Landlock, seccomp. What the kernel does not have is left out and said; what it has and fails is an error.
 * Nothing depends on root: started as a plain user, all is done that such a user can do.
 *
 * Builds with a sanitizer can't have seccomp, and stay dumpable: sanitizers look at memory maps and trace
 * their own process when it ends. That is said, too.
 *
 * Afterwards no library can be loaded, no file outside the paths opened, no program started, and no socket
 * made to listen. Connecting to a unix socket needs no path in the list.
 */
#ifndef HARP_FILTER_SANDBOX_H
#define HARP_FILTER_SANDBOX_H

#include "common/base/base.h"

enum { SANDBOX_PATHS_MAX = 64 };

struct sandbox_path {
    const char *path;
    bool write; /* make, write, rename and remove files in that folder; else read what is there */
};

struct sandbox_settings {
    /* Name or number; "": stay who we are. The group is that of the user's entry or, of a number without
     * one, the same number. */
    const char *user;
    const char *docker; /* the engine's socket: its group is kept, and no other; NULL: none */
    bool network;       /* connect to TCP addresses, too; else unix sockets alone */
    bool names;         /* and ask name servers, for which UDP is needed */
    struct sandbox_path paths[SANDBOX_PATHS_MAX]; /* path NULL: the list ends */
};

#define SANDBOX_SAID_MAX 256

/* Before the event loop is made: keeps it from opening an io_uring (libuv does from 1.45 on, and falls back
 * to epoll), because what goes through a ring is not seen by seccomp. 0, or -1 with err. */
int sandbox_prepare(char *err, size_t errlen) MUST_CHECK;

/* 0; said has one line: "user 990, group 990 and 998, no capabilities, no new privileges, Landlock ABI 2,
 * seccomp". -1: err says what failed and what to do; some rights may be gone by then, so there is nothing
 * to do but end. There must be one thread only: the kernel does most of this thread by thread, and those
 * started later inherit it. */
int sandbox_enter(const struct sandbox_settings *settings, char said[SANDBOX_SAID_MAX], char *err,
                  size_t errlen) MUST_CHECK;

#endif
