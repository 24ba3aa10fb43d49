/* frontend.h - the listeners, and the clients they accepted: who they are, and which policy counts.
 *
 * Owns the listeners, their TLS contexts, and all clients until each has ended. Limits: clients over all
 * listeners; addresses that failed too often are closed without a word.
 */
#ifndef HARP_FILTER_FRONTEND_H
#define HARP_FILTER_FRONTEND_H

#include <openssl/ssl.h>

#include "common/base/stamp.h"
#include "common/crypto/secret.h"
#include "common/stream/listener.h"
#include "socket-filter/settings/settings.h"
#include "common/system/service.h"

struct client;
struct filter;

enum { LISTENING_FILES = 3 };

/* One listener. */
struct listening {
    struct filter *f;
    const struct filter_listener *set; /* NULL: the administrator's socket */
    struct listener *listener;
    SSL_CTX *tls;
    struct file_stamp files[LISTENING_FILES]; /* what tls is made of, as last read */
    struct secret credentials;                /* "user:password" */
};

struct frontend;

/* Opens all listeners, taking those a service manager has opened from `sockets`. NULL: err says why. */
struct frontend *frontend_start(struct filter *f, struct service_socket *sockets, size_t nsockets,
                                char *err, size_t errlen) MUST_CHECK;
/* Reads certificates again; keeps the old ones, and says so, where the new ones can't be used. Done by itself,
 * too, once a file was changed. */
void frontend_reload(struct frontend *fe);
/* Accepts nothing more; idle clients end, running exchanges finish. */
void frontend_stop(struct frontend *fe);
bool frontend_busy(const struct frontend *fe);
unsigned frontend_clients(const struct frontend *fe);
void frontend_free(struct frontend *fe);

/* Finds out who a client is and sets its policy, once the connection stands. NULL: it may come in; else a
 * reason to close. */
const char *frontend_identify(struct client *c);
/* Whether the request's credentials are those of the listener; GOOD where it asks for none. A wrong one that
 * is one too many bans the address, and is the last that is answered: BANNED are those that follow on
 * connections which were open already. */
enum frontend_credentials { FRONTEND_GOOD, FRONTEND_WRONG, FRONTEND_BANNED };
enum frontend_credentials frontend_authorize(struct client *c, const struct http_request *r);

/* ---- for clients ---- */
void frontend_enter(struct client *c);
void frontend_upgraded(struct client *c); /* is not waited for when the program stops */
void frontend_leave(struct client *c);

#endif
