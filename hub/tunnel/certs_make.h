/* certs_make.h - makes keys and X.509 certificates (RFC 5280) in memory. Knows no files.
 *
 * Keys are ECDSA P-256: stock frpc (Go) takes them as well as RSA, they are made in no time where
 * three RSA keys cost half a second of the first start, and a handshake signs some twenty times
 * cheaper. An RSA CA signs P-256 certificates just as well, so a folder may hold both.
 *
 * Whatever is returned belongs to the caller. Errors: NULL or negative, err has one sentence.
 */
#ifndef HARP_HUB_CERTS_MAKE_H
#define HARP_HUB_CERTS_MAKE_H

#include <openssl/x509.h>

#include "common/base/base.h"

/* The most that a common name may hold (RFC 5280 appendix A, ub-common-name). */
#define CERTS_CN_MAX 64

enum certs_role { CERTS_ROLE_CA, CERTS_ROLE_SERVER, CERTS_ROLE_CLIENT };

/* A certificate and its key as PEM text, each ending with a NUL that is not counted. */
struct certs_pair {
    char *cert;
    char *key;
    size_t cert_len;
    size_t key_len;
};

/* Whose signature a certificate gets. */
struct certs_issuer {
    X509 *cert;
    EVP_PKEY *key;
};

EVP_PKEY *certs_key_new(char *err, size_t cap) MUST_CHECK;

/* No clock that shows an earlier time is right: 2026-01-01, as seconds since 1970. */
#define CERTS_CLOCK_MIN INT64_C(1767225600)

/* A certificate of `key` for `cn` (also its DNS name, but for a CA), until `days` from now but not past the
 * end of its CA. It is valid for as long as its CA has been, and a CA from CERTS_CLOCK_MIN or now, whichever
 * is earlier: on a machine without a clock of its own, what was made before the time was known, or after a
 * wrong one was set, must be good when the time is right. issuer NULL: signed with its own key. cn:
 * 1..CERTS_CN_MAX characters of [A-Za-z0-9_.-], the first a letter or digit. */
X509 *certs_make(enum certs_role role, const char *cn, EVP_PKEY *key,
                 const struct certs_issuer *issuer, int days, char *err, size_t cap) MUST_CHECK;

/* A new key with its certificate, as text. */
int certs_make_pair(struct certs_pair *pair, enum certs_role role, const char *cn,
                    const struct certs_issuer *issuer, int days, char *err, size_t cap) MUST_CHECK;
int certs_pair_encode(struct certs_pair *pair, const X509 *cert, const EVP_PKEY *key, char *err,
                      size_t cap) MUST_CHECK;
/* Wipes the key, frees both, leaves the pair all zero. */
void certs_pair_free(struct certs_pair *pair);

#endif
