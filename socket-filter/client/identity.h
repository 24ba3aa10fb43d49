/* identity.h - who a client is: by its certificate, or by user and password (RFC 7617). Owns nothing. */
#ifndef HARP_FILTER_IDENTITY_H
#define HARP_FILTER_IDENTITY_H

#include <openssl/x509.h>

#include "common/crypto/secret.h"
#include "common/http/head.h"
#include "socket-filter/settings/settings.h"

/* The policy that the listener has for a verified certificate, NULL if it has none for it. Its name (the
 * subject's common name, else the fingerprint) goes to `name`, printable. */
const char *identity_find(const struct filter_listener *set, X509 *cert, char *name, size_t cap);

/* Whether the request has one Authorization field, `Basic`, that says "user:password" as in `credentials`. */
bool identity_basic(const struct http_request *r, const struct secret *credentials);

#endif
