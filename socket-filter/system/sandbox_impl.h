/* sandbox_impl.h - the steps of sandbox_enter; for the files of that name and their tests.
 *
 * Owns nothing. Each step returns 0, or -1 with err, a whole sentence of what failed and what to do.
 */
#ifndef HARP_FILTER_SANDBOX_IMPL_H
#define HARP_FILTER_SANDBOX_IMPL_H

#include "socket-filter/system/sandbox.h"

/* *abi: the kernel's version of Landlock, 0 if it has none, and then nothing was done. */
int sandbox_landlock(const struct sandbox_settings *settings, int *abi, char *err,
                     size_t errlen) MUST_CHECK;

/* Whether the kernel has seccomp, and this build can live with it. */
bool sandbox_seccomp_usable(void);
int sandbox_seccomp(const struct sandbox_settings *settings, char *err, size_t errlen) MUST_CHECK;

#endif
