/* control.h - AppAPI's calls to the hub itself: /exapps/app_api/..., spec/appapi.md section 5.
 *
 * Two steps, as a body is read only when there is somebody to take it: control_find judges the head,
 * control_answer gets the whole body. Both know no sockets. That the caller has the shared key was
 * judged before (access.h). What is to be done with containers is handed to deploy.h, and answered
 * later.
 */
#ifndef HARP_HUB_CONTROL_H
#define HARP_HUB_CONTROL_H

#include "common/http/head.h"
#include "hub/client/answer.h"
#include "hub/deploy/deploy.h"
#include "hub/access/exapp_meta.h"

struct hub;

enum {
    CONTROL_BODY_MAX = EXAPP_META_BYTES,
    CONTROL_TEXT_MAX = 2 * DEPLOY_ERROR_MAX,
};

enum control_kind {
    CONTROL_HEARTBEAT,
    CONTROL_INFO,
    CONTROL_PUSH,
    CONTROL_DELETE,
    CONTROL_DEPLOY,
};

struct control_call {
    enum control_kind kind;
    char appid[EXAPP_ID_MAX + 1]; /* as in the path; of CONTROL_PUSH and CONTROL_DELETE */
    enum deploy_kind deploy;      /* of CONTROL_DEPLOY, and the engine's port */
    uint16_t engine;
    char text[96]; /* for the answer of control_find */
};

/* 0: *call is what is asked for. -1: *a is the answer, whatever the body. path begins behind
 * /exapps/app_api and has no query. */
int control_find(const struct http_request *request, struct str path, struct control_call *call,
                 struct answer *a) MUST_CHECK;
/* Does it and fills *a; text is for what *a points to. */
void control_answer(struct hub *hub, const struct control_call *call, struct str body,
                    struct answer *a, char text[CONTROL_TEXT_MAX]);
/* The same of a CONTROL_DEPLOY. NULL: *a is the answer. Else `done` follows, unless deploy_abandon. */
struct deploy *control_deploy(struct hub *hub, const struct control_call *call, struct str body,
                              const struct tunnel_origin *origin, struct answer *a,
                              char text[CONTROL_TEXT_MAX], deploy_done *done,
                              void *owner) MUST_CHECK;

/* What `/heartbeat` and `/info` say, here and at the administration's address: JSON. */
extern const char control_heartbeat[], control_info[];

#endif
