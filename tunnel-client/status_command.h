/* status_command.h - the commands `status` and `health`: ask the client that runs with these settings, at its
 * status socket (status.h). Both return EXIT_CODE_OK if it is logged in and all proxies are open. */
#ifndef HARP_TUNNEL_CLIENT_STATUS_COMMAND_H
#define HARP_TUNNEL_CLIENT_STATUS_COMMAND_H

#include <stdio.h>

#include "tunnel-client/config.h"

/* What options_parse found is one of these. Returns the code to exit with. */
int tunnel_command(const struct tunnel_config *set, const struct program *program,
                   const struct options *options, FILE *out, FILE *err) MUST_CHECK;

#endif
