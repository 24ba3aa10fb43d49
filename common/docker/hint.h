/* hint.h - the line of a policy's file that would let a refused call pass. Pure.
 *
 * One line answers one fault; with it, the next one may come to light. Settings that allow more than a name
 * (owner, parameters of a call that the catalogue has) have none.
 */
#ifndef HARP_DOCKER_HINT_H
#define HARP_DOCKER_HINT_H

#include "common/docker/policy.h"

#define DOCKER_HINT_MAX 384u /* what may double by escaping, and the rest of a line is short */

/* Writes it, NUL-terminated, as in `networks = [ "front" ];` with the word to be added alone. "" when
 * nothing can allow the call. Returns buf, of DOCKER_HINT_MAX bytes. Of a folder (DOCKER_FAULT_BIND)
 * verdict->what ends in ":rw" when the container wants to write there. */
const char *docker_hint(const struct docker_verdict *verdict, char *buf);

#endif
