/* filter.h - what a running socket filter is made of.
 *
 * One per process, made by main.c, handed around by pointer. The scratch members at the end are good within
 * one call from the loop only.
 */
#ifndef HARP_FILTER_FILTER_H
#define HARP_FILTER_FILTER_H

#include "common/access/bans.h"
#include "common/docker/forward.h"
#include "common/http/reply.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include "common/loop/resolver.h"
#include "socket-filter/client/metrics.h"
#include "socket-filter/policy/bind_source.h"
#include "socket-filter/settings/settings.h"

struct engine;
struct execs;
struct frontend;

struct filter {
    struct loop loop;
    struct log *log;
    struct filter_settings settings;
    struct resolver *resolver; /* for ExApps' host; NULL: no listener passes on to them */
    struct bans *bans;         /* NULL: no listener asks for a password */
    struct audit *audit;       /* NULL: off */
    struct engine *engine;
    struct execs *execs;
    struct frontend *frontend;
    struct bind_host bind_host; /* what mounts are judged by */
    struct metrics metrics;
    bool stopping;
    bool
        lost; /* the engine's socket is out of reach for good: this process ends, and another may do better */

    struct http_request request;
    struct http_response response;
    struct docker_call call;
    struct docker_verdict verdict;
    char head[DOCKER_FORWARD_MAX];
    char trailers[HTTP_REPLY_MAX];
};

#endif
