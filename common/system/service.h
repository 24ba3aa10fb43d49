/* service.h - sockets handed over by a service manager, and telling it how we are (sd_listen_fds(3),
 * sd_notify(3), sd_watchdog_enabled(3)), without its library.
 *
 * Owns one descriptor for as long as the process lives: the connection to the manager. The environment
 * variables are taken out, so that nobody else believes to be meant; so each of these is for one loop of
 * the process, its main one, and not for several threads.
 */
#ifndef HARP_SYSTEM_SERVICE_H
#define HARP_SYSTEM_SERVICE_H

#include "common/base/base.h"

enum { SERVICE_MAX = 16, SERVICE_NAME_MAX = 256 };

struct service_socket {
    int fd; /* a stream socket that listens, close-on-exec, non-blocking; the caller's */
    char name[SERVICE_NAME_MAX]; /* FileDescriptorName=, "" if there is none */
};

/* How many there are, 0 when we were not started so; -1: err says what is wrong with them. To be called
 * once, before anything else is opened and before the sandbox: it also connects service_notify. */
int service_sockets(struct service_socket out[SERVICE_MAX], char *err, size_t errlen) MUST_CHECK;

/* "READY=1", "STOPPING=1", "STATUS=...", "WATCHDOG=1"; does nothing where no manager listens, or where it
 * does not take the message at once. */
void service_notify(const char *state);

/* How often the manager wants to hear "WATCHDOG=1", in ms: half of what it waits. 0: it does not ask for
 * it. To be called once. */
uint64_t service_watchdog_ms(void) MUST_CHECK;

#endif
