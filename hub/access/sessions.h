/* sessions.h - who sends a request, by Nextcloud's word, remembered for a moment.
 *
 * A client shows who it is by its cookies and Authorization. They are asked about as a whole: what is
 * remembered stands under an HMAC-SHA256, by a random key, over all of them in their order, so that
 * none of them alone is worth anything here. Only that digest, the user's name and rights are kept,
 * for session_lifetime, at most max_sessions of them, the oldest out first. That somebody is nobody
 * is never remembered: the next request may come after a login.
 *
 * Requests with the same credentials that come while Nextcloud is being asked share the answer when
 * it names a user; else each of them asks for itself. Rules: spec/appapi.md section 3 point 7.
 *
 * Owned by the hub; freed after all waits ended and before Nextcloud's part.
 */
#ifndef HARP_HUB_SESSIONS_H
#define HARP_HUB_SESSIONS_H

#include "hub/access/nextcloud.h"

struct sessions;
struct session_wait;

enum session_result {
    SESSION_USER,
    SESSION_NOBODY,
    SESSION_FAILED, /* Nextcloud was of no use: why */
    SESSION_ALONE,  /* somebody with the same credentials was nobody: ask again, with alone */
};

struct session_answer {
    enum session_result result;
    struct str user; /* valid until the next call of a function here */
    enum exapp_access access;
    const char *why;
};

/* Comes from the loop, never from inside sessions_ask. */
typedef void sessions_done(void *owner, const struct session_answer *answer);

/* NULL: no random bytes to be had. */
struct sessions *sessions_new(struct hub *hub) MUST_CHECK;
void sessions_free(struct sessions *s);

/* Whether the request shows anything that Nextcloud could know its sender by. */
bool sessions_credentials(const struct http_request *request);

/* true: *answer is there. false: done follows, unless sessions_cancel(*wait). id: of the app that is
 * asked for, lower case. alone: shares nobody's answer. */
bool sessions_ask(struct sessions *s, const char *id, const struct http_request *request,
                  const struct ip_addr *client, bool alone, struct session_answer *answer,
                  sessions_done *done, void *owner, struct session_wait **wait) MUST_CHECK;
void sessions_cancel(struct session_wait *wait);
/* How many are remembered. */
unsigned sessions_size(const struct sessions *s);

#endif
