/* sandbox_child.h - for tests of the sandbox: a folder to try things in, and child processes to enter the
 * sandbox in, as nobody comes out of it again.
 *
 * The folder has read/file, write/ (for everybody), outside/file, and a socket that listens as an engine's
 * does: mode 0660, of SOME_GROUP where the tests run as root. It lives as long as the program's tests; a
 * program has one, so it is not passed around.
 */
#ifndef HARP_UNIT_SANDBOX_CHILD_H
#define HARP_UNIT_SANDBOX_CHILD_H

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/system/user.h"
#include "socket-filter/system/sandbox.h"
#include "socket-filter/system/sandbox_impl.h"

enum { SOMEBODY = 54321, SOME_GROUP = 54322 };

struct sandbox_field {
    char dir[64];
    char read[96], in_read[96], write[96], outside[96], in_outside[96], docker[96];
    int engine; /* the socket */
};

extern struct sandbox_field field;
/* What sandbox_enter said in this child. */
extern char said[SANDBOX_SAID_MAX];

/* Fixture functions of cmocka, for the whole group. */
int sandbox_set_up(void **state);
int sandbox_tear_down(void **state);

/* In a child: what does not hold is said, and the child ends. */
#define NEED(what)                                                                                 \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #what, strerror(errno));       \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)
#define NEED_ERRNO(what, number)                                                                   \
    do {                                                                                           \
        errno = 0;                                                                                 \
        NEED((what) == -1 && errno == (number));                                                   \
    } while (0)

/* How a child ended that ran the body: a status as of waitpid. */
int run_child(void (*body)(const void *), const void *arg) MUST_CHECK;
/* Fails the test unless it ended well. */
void in_child(void (*body)(const void *), const void *arg);

/* In a child: settings with read/ and write/, and entering. */
struct sandbox_settings with(const char *user, bool network);
void enter(const struct sandbox_settings *settings);
void enter_plainly(bool network);
/* In a child: becomes SOMEBODY with that one group, if it is root. */
void be_somebody(gid_t group);
/* In a child: entering fails, and the error has that text. */
void enter_in_vain(const struct sandbox_settings *settings, const char *expect);

bool is_root(void);
/* 0: the kernel has none, or lets nobody ask. */
int landlock_abi(void);
/* Skips the running test and says what is not there. */
void skip_unless(bool there, const char *what);

#endif
