/* activation.h - sockets handed over by a service manager, and telling it how we are (sd_listen_fds(3),
 * sd_notify(3), sd_watchdog_enabled(3)), without its library.
 *
 * Owns one descriptor for as long as the process lives: the connection to the manager. The environment
 * variables are taken out, so that nobody else believes to be meant; so each of these is for one loop of
 * the process, its main one, and not for several threads.
 */
#ifndef HARP_FILTER_ACTIVATION_H
#define HARP_FILTER_ACTIVATION_H

#include "common/base/base.h"

enum { ACTIVATION_MAX = 16, ACTIVATION_NAME_MAX = 256 };

struct activation_socket {
    int fd; /* a stream socket that listens, close-on-exec, non-blocking; the caller's */
    char name[ACTIVATION_NAME_MAX]; /* FileDescriptorName=, "" if there is none */
};

/* How many there are, 0 when we were not started so; -1: err says what is wrong with them. To be called
 * once, before anything else is opened and before the sandbox: it also connects activation_notify. */
int activation_sockets(struct activation_socket out[ACTIVATION_MAX], char *err,
                       size_t errlen) MUST_CHECK;

/* "READY=1", "STOPPING=1", "STATUS=...", "WATCHDOG=1"; does nothing where no manager listens, or where it
 * does not take the message at once. */
void activation_notify(const char *state);

/* How often the manager wants to hear "WATCHDOG=1", in ms: half of what it waits. 0: it does not ask for
 * it. To be called once. */
uint64_t activation_watchdog_ms(void) MUST_CHECK;

#endif
