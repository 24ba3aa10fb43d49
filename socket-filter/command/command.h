/* command.h - what the command line of harp-socket-filter has, and its commands, which do one thing and end. */
#ifndef HARP_FILTER_COMMAND_H
#define HARP_FILTER_COMMAND_H

#include "common/config/options.h"

struct program filter_program(const char *version);

/* Runs options->command; returns the code to exit with. */
int filter_command(const struct program *program, const struct options *options, char *const *env,
                   FILE *out, FILE *err);

#endif
