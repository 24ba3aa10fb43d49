/* command.h - commands of the program, which ask a hub that runs, through its administration
 * interface, do one thing and end: `docker exec CONTAINER harp-hub bans`.
 *
 * Owns nothing. They read the same settings as the hub, so they find it where it listens and have
 * the token. Nothing runs in the hub's own process.
 */
#ifndef HARP_HUB_COMMAND_H
#define HARP_HUB_COMMAND_H

#include <stdio.h>

#include "hub/settings/settings.h"

extern const struct program_command hub_commands[];
extern const size_t hub_commands_n;

/* Runs options->command and returns the code to exit with. `program` is for wrong usage. */
int command_run(const struct hub_settings *set, const struct program *program,
                const struct options *options, FILE *out, FILE *err);

#endif
