/* gate.h - the Docker gate: which calls of AppAPI pass on to a Docker engine, and how they go on.
 *
 * The policy is common/docker's docker_policy_hub; here it meets the hub's requests. Pure but for
 * hub->docker_call, the scratch that a passing call is read into, and hub->gate_why: they hold until the
 * next request is judged.
 */
#ifndef HARP_HUB_GATE_H
#define HARP_HUB_GATE_H

#include "common/http/head.h"

struct hub;

struct gate_verdict {
    int status; /* 0: it passes; else 400 or 403 */
    const char
        *why;      /* of one that does not: the message for a Docker client; in the hub's scratch */
    uint16_t port; /* of the engine */
    bool streams;  /* of one that passes: its answer may be long in coming, and without end */
};

/* port: docker-engine-port as sent. target: path and query behind /exapps/app_api. */
void gate_judge(struct hub *hub, const struct http_request *request, struct str port,
                struct str target, struct gate_verdict *v);
/* The same for a request that passed before: only reads it again. */
void gate_read(struct hub *hub, const struct http_request *request, struct str target);
/* The head for the engine, of hub->docker_call; 0: it does not fit. */
size_t gate_forward(struct hub *hub, char *out, size_t cap) MUST_CHECK;

#endif
