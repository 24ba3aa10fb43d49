/* frontend.h - the public listeners (8780 HTTP, 8781 HTTPS) and the connections they accepted.
 *
 * Owns the listeners, the TLS context and all client connections until each ends (client.c) or
 * becomes a relay of upgraded bytes. Limits: connections in all and per address (IPv6 by /64;
 * trusted proxies are exempt from the latter).
 */
#ifndef HARP_HUB_FRONTEND_H
#define HARP_HUB_FRONTEND_H

#include <openssl/ssl.h>

#include "common/base/stamp.h"
#include "common/config/listen.h"
#include "common/stream/listener.h"
#include "hub/client/addresses.h"
#include "hub/client/client.h"

struct hub;

enum { FRONTEND_CERT_FILES = 3 };

struct frontend {
    struct hub *hub;
    struct listener *http, *https;
    SSL_CTX *tls;
    struct client clients;  /* head of the ring */
    struct client upgraded; /* head of the ring of relays */
    unsigned count;         /* both rings */
    unsigned max;
    struct addresses *addresses;
    struct listen_addr http_at, https_at;
    struct file_stamp
        cert[FRONTEND_CERT_FILES]; /* cert.pem and where its key may be, as last read */
    struct timer watch;
};

/* Opens the listeners. NULL: err says why. */
struct frontend *frontend_start(struct hub *hub, char *err, size_t errlen) MUST_CHECK;
/* Reads cert.pem again; keeps the old one, and says so, when the new one can't be used. Where there was none
 * before, HTTPS is served from now on. Done by itself, too, once the file was changed or came. */
void frontend_reload(struct frontend *f);
/* Accepts nothing more; idle connections end, running exchanges finish. */
void frontend_stop(struct frontend *f);
void frontend_free(struct frontend *f);

#endif
