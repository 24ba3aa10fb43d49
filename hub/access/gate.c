#include "hub/access/gate.h"

#include <stdio.h>

#include "common/config/values.h"
#include "common/docker/forward.h"
#include "hub/hub.h"

void gate_read(struct hub *hub, const struct http_request *request, struct str target)
{
    struct docker_verdict judged;
    int status = docker_judge(&docker_policy_hub, request, target, &hub->docker_call, &judged);
    (void)status; /* as it was before */
}

void gate_judge(struct hub *hub, const struct http_request *request, struct str port,
                struct str target, struct gate_verdict *v)
{
    struct docker_verdict judged;
    char *why = hub->gate_why;
    *v = (struct gate_verdict){.why = why};
    if (value_parse_port(port, &v->port) < 0) {
        v->status = 400;
        snprintf(why, sizeof(hub->gate_why), "Invalid 'docker-engine-port' header value: %.*s",
                 value_is_printable(port) ? (int)MIN(port.n, 40U) : 0, port.p);
        return;
    }
    v->status = docker_judge(&docker_policy_hub, request, target, &hub->docker_call, &judged);
    v->streams = judged.answer == DOCKER_ANSWER_STREAM;
    if (v->status != 0) {
        size_t n = docker_verdict_message(&judged, why, sizeof(hub->gate_why) - 1);
        why[n] = '\0';
    }
}

size_t gate_forward(struct hub *hub, char *out, size_t cap)
{
    return docker_forward_request(out, cap, &hub->docker_call, &hub->request,
                                  &(struct docker_forwarding){.keep_alive = false});
}
