/* hub.h - what the parts of the hub share: one per process, made and freed by main.c.
 *
 * Owns everything it points to. There is no other state of the process.
 */
#ifndef HARP_HUB_HUB_H
#define HARP_HUB_HUB_H

#include "common/crypto/secret.h"
#include "common/docker/forward.h"
#include "common/http/head.h"
#include "common/http/reply.h"
#include "common/loop/loop.h"
#include "hub/access/nextcloud_facts.h"
#include "hub/client/rewrite.h"
#include "hub/settings/settings.h"

struct admin;
struct bans;
struct deploys;
struct engines;
struct exapps;
struct frontend;
struct nextcloud;
struct resolver;
struct sessions;
struct tunnels;
struct log;

struct hub {
    struct loop loop;
    struct log *log;
    struct hub_settings settings;
    struct bans *bans;
    struct secret key; /* HP_SHARED_KEY, to compare with */
    struct nextcloud *nextcloud;
    struct exapps *exapps;
    struct sessions *sessions;
    struct tunnels *tunnels;
    struct engines *engines;
    struct deploys *deploys;
    struct frontend *frontend;
    struct admin *admin;
    struct resolver *resolver;
    bool stopping;  /* SIGTERM came: nothing new is accepted */
    uint64_t since; /* loop_now at the start */
    struct nextcloud_facts facts;
    bool local_engine_seen; /* something was at HP_DOCKER_SOCKET since the start */
    /* Scratch of one callback; nothing in it survives it. */
    struct http_request request;
    struct http_response response;
    struct docker_call docker_call;
    char gate_why[DOCKER_MESSAGE_MAX];
    char head[REWRITE_MAX];
    char trailers[HTTP_REPLY_MAX];
};

#endif
