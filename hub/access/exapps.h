/* exapps.h - the ExApps the hub knows, and how it comes to know them.
 *
 * From the administrator (hub.cfg), from AppAPI's push (exapp_storage), or from Nextcloud when a
 * request for an app comes (exapp-meta). Rules: spec/appapi.md sections 4 and 5.
 *
 *   what is pushed or declared stays until it is pushed again or deleted;
 *   what was asked lives for exapp_lifetime, as Nextcloud tells nothing when an app is disabled;
 *   that an app is unknown is remembered for exapp_unknown_lifetime, as each such question counts as
 *       an attack there; the last EXAPPS_UNKNOWN_MAX of these;
 *   a deleted app is disabled: clients get no answer from it until it is pushed again, and AppAPI's
 *       own calls use what is asked afresh and kept by nobody.
 *
 * One question per app is on its way at a time; all who come meanwhile wait for it. A push or a delete
 * in between counts, whatever the answer says then.
 *
 * Owned by the hub; freed after all waits ended and before Nextcloud's part.
 */
#ifndef HARP_HUB_EXAPPS_H
#define HARP_HUB_EXAPPS_H

#include "hub/access/exapp.h"

struct exapps;
struct exapps_wait;
struct hub;

enum {
    EXAPPS_MAX = 16384, /* apps of all kinds but the unknown ones */
    EXAPPS_UNKNOWN_MAX = 4096,
};

enum exapps_asker {
    EXAPPS_FOR_CLIENT,
    EXAPPS_FOR_APPAPI,
    EXAPPS_FOR_APPAPI_AFRESH, /* does not believe that it is unknown because it was a moment ago */
};

enum exapps_result {
    EXAPPS_HERE,
    EXAPPS_UNKNOWN,
    EXAPPS_DISABLED,
    EXAPPS_FAILED, /* Nextcloud was of no use: why */
};

struct exapps_answer {
    enum exapps_result result;
    struct exapp *app; /* HERE: to be kept with exapp_ref */
    const char *why;
    bool remembered; /* UNKNOWN: Nextcloud was not asked this time */
};

/* Comes from the loop, never from inside exapps_find. */
typedef void exapps_done(void *owner, const struct exapps_answer *answer);

/* NULL: out of memory. */
struct exapps *exapps_new(struct hub *hub) MUST_CHECK;
void exapps_free(struct exapps *list);

/* id in any letter case, at most EXAPP_ID_MAX bytes. true: *answer is there. false: done follows,
 * unless exapps_cancel(*wait). */
bool exapps_find(struct exapps *list, struct str id, enum exapps_asker asker,
                 struct exapps_answer *answer, exapps_done *done, void *owner,
                 struct exapps_wait **wait) MUST_CHECK;
void exapps_cancel(struct exapps_wait *wait);

/* Takes over *meta. -1: there are EXAPPS_MAX already; it is then still the caller's. */
int exapps_push(struct exapps *list, struct exapp_meta *meta) MUST_CHECK;
enum exapps_deleted { EXAPPS_DELETED, EXAPPS_NOT_THERE, EXAPPS_TOO_MANY };
/* Disables the app, whether it was known or not. */
enum exapps_deleted exapps_delete(struct exapps *list, struct str id) MUST_CHECK;
/* Adds one of hub.cfg, of which the list makes a copy. -1: err says what is wrong with it. */
int exapps_declare(struct exapps *list, const struct exapp_meta *meta, char *err,
                   size_t errlen) MUST_CHECK;
enum exapps_kind {
    EXAPPS_KIND_DECLARED, /* by the administrator, in hub.cfg */
    EXAPPS_KIND_PUSHED,   /* by AppAPI */
    EXAPPS_KIND_LEARNED,  /* from Nextcloud, when it was asked */
    EXAPPS_KIND_DISABLED,
};
struct exapps_entry {
    const char *id; /* in lower case */
    enum exapps_kind kind;
    const struct exapp *app; /* NULL of a disabled one */
};
/* Calls fn for all apps but unknown ones, in no order. fn must not change the list; strings live as long as
 * nothing does. */
void exapps_each(const struct exapps *list, void (*fn)(void *arg, const struct exapps_entry *entry),
                 void *arg);

/* What AppAPI said in the head of its call, as an app that is in no list. The caller has the only
 * reference. Takes over *meta. */
struct exapp *exapps_stranger(struct exapps *list, struct exapp_meta *meta) MUST_CHECK;

#endif
