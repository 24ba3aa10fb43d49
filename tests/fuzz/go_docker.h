/* go_docker.h - the Go structs that Docker decodes bodies into (20.10 to 29), as types of go_json.h. Written
 * from Docker's API, not from our tables. Flags say which values mean the same to Docker. */
#ifndef HARP_FUZZ_GO_DOCKER_H
#define HARP_FUZZ_GO_DOCKER_H

#include "tests/fuzz/go_json.h"

extern const struct go_type go_docker_container; /* runconfig.ContainerConfigWrapper */
extern const struct go_type go_docker_exec, go_docker_exec_start, go_docker_volume;

#endif
