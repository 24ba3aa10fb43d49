/* health_command.h - asks a running filter whether it is well: for health checks of containers, whose image
 * holds no other program that could ask.
 *
 * Owns nothing beyond the call. It asks the administrator's socket, if the settings have one, else the first
 * listener that asks for no credentials and speaks no TLS, for /_ping, so that the engine is asked, too.
 */
#ifndef HARP_FILTER_HEALTH_COMMAND_H
#define HARP_FILTER_HEALTH_COMMAND_H

#include <stdio.h>

#include "socket-filter/settings/settings.h"

/* Writes one line; EXIT_CODE_OK when the answer was 200, else EXIT_CODE_SETTINGS. Takes 5 seconds at most for
 * each step. */
int health_command(const struct filter_settings *set, FILE *out, FILE *err);

#endif
