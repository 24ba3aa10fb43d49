/* target.h - reads `/exapps/{appid}/...` out of a request's path; the one place that does.
 *
 * Pure; the slices point into the path given. What reaches the ExApp is byte for byte what the
 * client sent after the prefix: nothing is decoded or cleaned up, and what would need cleaning up
 * to be judged is refused instead.
 */
#ifndef HARP_HUB_TARGET_H
#define HARP_HUB_TARGET_H

#include "common/base/base.h"

struct target {
    struct str appid; /* as the client spelled it */
    struct str path;  /* path for the ExApp, without the query; begins with '/' */
    struct str rest;  /* what stands behind the appid in the request: path and query */
    bool reserved;    /* what AppAPI alone may call: /heartbeat, /init, /enabled, however spelled */
    bool bare;        /* nothing but perhaps a query stands there: "/" goes in front of rest */
};

enum target_result {
    TARGET_OK,
    TARGET_UNKNOWN, /* not below /exapps/, or no valid appid: 404 */
    TARGET_HOSTILE, /* a dot segment in any encoding, NUL or a backslash: closed without an answer */
};

enum target_result target_parse(struct target *t, struct str path) MUST_CHECK;

#endif
