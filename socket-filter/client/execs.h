/* execs.h - the commands that were made through this program: only these may be started and asked about.
 *
 * A `struct execs` owns a ring of the last `max` ids; the oldest is forgotten for a new one. An id is known
 * to the policy it was made under alone: who may run commands in one container can't start one that somebody
 * else made.
 */
#ifndef HARP_FILTER_EXECS_H
#define HARP_FILTER_EXECS_H

#include "common/base/base.h"

struct execs;
struct docker_policy;

struct execs *execs_new(size_t max);
void execs_free(struct execs *e);
/* id: 64 hexadecimal digits; anything else is not taken in. */
void execs_add(struct execs *e, const struct docker_policy *policy, struct str id);
bool execs_known(const struct execs *e, const struct docker_policy *policy, struct str id);
unsigned execs_count(const struct execs *e);

#endif
