/* tunnel_identity.h - who a client of the tunnel port is, and what it may open. Rules only: no sockets, no
 * state; whoever calls counts the failures.
 *
 *   logs in with           and, where there is TLS, a certificate    may open
 *   the shared key         of any name but the two below             any port, or as frp_accept_shared_key says
 *   a token of one ExApp   of that ExApp's own                       its id as proxy, at its port, nothing else
 *   any other token        harp.engine.NAME                          ports of Docker engines
 *
 * What a client tries that its token or certificate does not allow is a failure of its address. Not so what
 * the setting forbids to those who have the shared key: they can't be attackers, only mistaken.
 *
 * Nothing is allocated. A `struct tunnel_identity` holds no secret. Texts of a refusal are literals, or
 * stand in the buffer that the caller gave.
 */
#ifndef HARP_HUB_TUNNEL_IDENTITY_H
#define HARP_HUB_TUNNEL_IDENTITY_H

#include <openssl/x509.h>

#include "hub/tunnel/app_token.h"
#include "hub/settings/settings.h"
#include "hub/tunnel/tunnels.h"

#define TUNNEL_ENGINE_CERTIFICATE "harp.engine."

enum {
    TUNNEL_REFUSAL_MAX = 160,
    TUNNEL_IDENTITY_TEXT_MAX = APP_CONTAINER_MAX + EXAPP_ID_MAX + 48,
};

/* The certificate that a client showed in its handshake; its chain was checked there. */
struct tunnel_cert {
    bool there;                  /* false: no TLS */
    char name[CERTS_CN_MAX + 1]; /* "" unless it has exactly one common name, of printable ASCII */
    int64_t until;               /* seconds since 1970; 0: not known */
};

struct tunnel_rules {
    const struct secret *key; /* the shared key, to compare with */
    struct str shared_key;    /* the same, to check signatures */
    enum frp_accept accept;
    bool can_issue; /* ExApps get certificates of their own: the one for all is not enough */
};

struct tunnel_identity {
    enum tunnel_kind kind;
    struct app_token app; /* TUNNEL_KIND_APP; else all zero */
    char certificate[CERTS_CN_MAX + 1];
};

struct tunnel_refusal {
    const char *error;   /* NULL: not refused */
    const char *failure; /* what is counted against the address; NULL: nothing */
};

/* For a connection with TLS. x: what the client showed; NULL is like a certificate without a name. */
void tunnel_cert_read(struct tunnel_cert *cert, const X509 *x);
/* Whether a certificate that ends then, issued for `days`, should be replaced: in 30 days, or a third of
 * its time when that is less. now: seconds since 1970. */
bool tunnel_cert_ends_soon(int64_t until, int64_t days, int64_t now);

/* Fills who, unless the login is refused. token: metas.token of the login. */
struct tunnel_refusal tunnel_identify(struct tunnel_identity *who, const struct tunnel_rules *rules,
                                      const struct tunnel_cert *cert, struct str token) MUST_CHECK;
/* Whether the client may open this proxy at this port as far as it depends on who it is. */
struct tunnel_refusal tunnel_may_open(const struct tunnel_identity *who, enum frp_accept accept,
                                      struct str name, int64_t port,
                                      char text[TUNNEL_REFUSAL_MAX]) MUST_CHECK;
/* Whether the one may take over the other's session. */
bool tunnel_identity_equal(const struct tunnel_identity *a, const struct tunnel_identity *b);
/* What it logged in with, for the log: "the token of ExApp sample (container nc_app_sample)". */
const char *tunnel_identity_text(const struct tunnel_identity *who,
                                 char buf[TUNNEL_IDENTITY_TEXT_MAX]);

#endif
