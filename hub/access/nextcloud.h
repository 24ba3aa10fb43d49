/* nextcloud.h - what the hub asks Nextcloud: what an ExApp is, who a client is, and, when an administrator
 * wants to know, whether it is there and takes the key.
 *
 * Over one fetcher with its own limits (HP_NEXTCLOUD_*). The shared key goes to Nextcloud's address
 * and nowhere else: redirects are not followed. Nothing is asked twice by itself, as Nextcloud counts
 * wrong keys as attacks by the hub. Rules: spec/appapi.md section 4.
 *
 * A `struct nextcloud_call` belongs to Nextcloud's part until `done` or nextcloud_cancel. `done` comes
 * from the loop, never from inside the asking. Owned by the hub; freed after all who ask.
 */
#ifndef HARP_HUB_NEXTCLOUD_H
#define HARP_HUB_NEXTCLOUD_H

#include "common/config/ip.h"
#include "common/http/head.h"
#include "hub/access/exapp_meta.h"

struct hub;
struct nextcloud;
struct nextcloud_call;

enum { NEXTCLOUD_USER_MAX = 512 };

/* NULL: err says why. */
struct nextcloud *nextcloud_new(struct hub *hub, char *err, size_t errlen) MUST_CHECK;
void nextcloud_free(struct nextcloud *nc);
/* Whether there is a Nextcloud at all: without one, ExApps are those that hub.cfg declares. */
bool nextcloud_configured(const struct nextcloud *nc);

enum nextcloud_result {
    NEXTCLOUD_YES,    /* the app is known; the client is a user */
    NEXTCLOUD_NO,     /* it is not known; the client is nobody */
    NEXTCLOUD_FAILED, /* no usable answer: why */
};

/* What an answer says of the shared key. */
enum nextcloud_proof { NEXTCLOUD_KEY_NOT_TOLD, NEXTCLOUD_KEY_ACCEPTED, NEXTCLOUD_KEY_REFUSED };

struct nextcloud_answer {
    enum nextcloud_result result;
    enum nextcloud_proof proof;
    const char *why;
    struct exapp_meta *meta;  /* of an app: may be taken over, then leave it empty */
    struct str user;          /* of a client */
    enum exapp_access access; /* of a client */
};

/* All in it is valid during the call only. */
typedef void nextcloud_done(void *owner, const struct nextcloud_answer *answer);

/* NULL: too many wait already. id in lower case. */
struct nextcloud_call *nextcloud_ask_app(struct nextcloud *nc, const char *id, nextcloud_done *done,
                                         void *owner) MUST_CHECK;
/* The same with the client's own fields but those for the hub, for a connection, or about a body;
 * where it came from is told by `client` in place of what it said itself. */
struct nextcloud_call *nextcloud_ask_user(struct nextcloud *nc, const char *id,
                                          const struct http_request *request,
                                          const struct ip_addr *client, nextcloud_done *done,
                                          void *owner) MUST_CHECK;
/* Who a client without credentials is, of an app that Nextcloud knows: YES, the key is right; NO, it is not
 * (or the app is not known any more), which counts as an attack there. */
struct nextcloud_call *nextcloud_ask_key(struct nextcloud *nc, const char *id, nextcloud_done *done,
                                         void *owner) MUST_CHECK;
/* Its page for monitoring, without the key: YES or FAILED. */
struct nextcloud_call *nextcloud_ask_status(struct nextcloud *nc, nextcloud_done *done,
                                            void *owner) MUST_CHECK;
void nextcloud_cancel(struct nextcloud_call *call);

#endif
