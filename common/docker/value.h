/* value.h - what the parameters of Docker calls may be.
 *
 * Pure. Each function takes a decoded value and returns NULL when it is good, else a static English
 * reason that goes on after the parameter's name: "is not ...". None takes an empty value: Docker reads
 * that as if the parameter were not there, and who means that can leave it out.
 *
 * Where Docker and Podman read a value differently, only what both read alike is taken: Docker's
 * booleans are all but "", 0, no, false and none, Podman's are those of Go's strconv.ParseBool; a `tail`
 * that is no number means all lines to Docker; times that are no seconds are read by Podman only.
 */
#ifndef HARP_DOCKER_VALUE_H
#define HARP_DOCKER_VALUE_H

#include "common/base/base.h"

#define DOCKER_TAIL_DIGITS 9u     /* fits an int of 32 bits */
#define DOCKER_SECONDS_DIGITS 12u /* some 30000 years */
#define DOCKER_FRACTION_DIGITS 9u /* nanoseconds */

/* 0, 1, false or true. */
const char *docker_value_bool(struct str s) MUST_CHECK;
/* Whether a value that docker_value_bool took means true. */
bool docker_value_is_true(struct str s);

/* Seconds since 1970 in decimal digits, perhaps with a "." and up to 9 digits. */
const char *docker_value_time(struct str s) MUST_CHECK;

/* A number of lines, or "all". */
const char *docker_value_tail(struct str s) MUST_CHECK;

/* 1 to 9 decimal digits, or -1. */
const char *docker_value_number(struct str s) MUST_CHECK;

/* A signal: letters, digits and `+` `-`, at most 16. */
const char *docker_value_signal(struct str s) MUST_CHECK;

/* Anything that a value may be, but nothing. */
const char *docker_value_any(struct str s) MUST_CHECK;

/* A name for a container to be made; what the policy grants is not looked at. */
const char *docker_value_name(struct str s) MUST_CHECK;

/* The folder "/". */
const char *docker_value_root(struct str s) MUST_CHECK;

/* Not true: of parameters that are taken, but may ask for nothing. */
const char *docker_value_false(struct str s) MUST_CHECK;

/* By which an image can be pulled, see reference.h. */
const char *docker_value_reference(struct str s) MUST_CHECK;

/* A tag, or a digest: Docker's clients send either as `tag`. */
const char *docker_value_tag(struct str s) MUST_CHECK;

const char *docker_value_platform(struct str s) MUST_CHECK;

#endif
