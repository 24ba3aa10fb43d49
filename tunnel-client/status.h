/* status.h - what the client says about itself, at a unix socket: one JSON document for whoever connects.
 *
 *   {"version": "0.8.0", "server": "hub.example.com:8782", "state": "running", "since": 1764000000,
 *    "last_error": null,
 *    "proxies": [{"name": "docker-host-1", "remote_port": 24001, "state": "open",
 *                 "target": "unix:/run/docker.sock", "connections": 3, "answered": 3,
 *                 "last_error": null}]}
 *
 * state: "running" (logged in), "connecting", "waiting" (for the next try), "stopped"; since: when it became or
 * ceased to be running, in seconds since 1970; a proxy's: "closed", "opening", "open", "refused". connections:
 * handed to the local service so far; answered: over how many of them it sent something.
 *
 * Nothing is read from who connects, so there is nothing to get wrong; the client's own user and root may, no
 * others (mode 0600). Owns its listener and the connections: at most STATUS_CLIENTS at a time, for
 * STATUS_LIMIT_MS each.
 */
#ifndef HARP_TUNNEL_CLIENT_STATUS_H
#define HARP_TUNNEL_CLIENT_STATUS_H

#include "tunnel-client/session.h"

enum {
    STATUS_CLIENTS = 8,
    STATUS_LIMIT_MS = 5000,
    STATUS_BYTES =
        512 * 1024, /* of the document: 256 proxies with the longest names and errors fit */
};

struct status;

/* NULL where `at` is off or can't be listened at; the log says why: the tunnel matters more. */
struct status *status_start(struct session *s, const struct listen_addr *at) MUST_CHECK;
/* Before session_free; NULL is allowed. */
void status_free(struct status *st);

#endif
