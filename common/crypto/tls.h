/* tls.h - TLS contexts of the hub and the tunnel client, and TLS failures in plain words.
 *
 * Knows no sockets. A builder returns an SSL_CTX that belongs to the caller (SSL_CTX_free), or NULL
 * with the reason in report->error: one sentence that begins with the file's path. All contexts:
 * TLS 1.2 or newer, forward-secret AEAD ciphers only, no renegotiation (RFC 9325 4.1-4.2, 3.5), no
 * compression, a TCP end without close_notify is an error (RFC 8446 6.1).
 *
 * The contexts are made for memory BIOs or descriptors alike, set partial writes, moving write
 * buffers, and let an idle connection hold no buffers of OpenSSL's.
 */
#ifndef HARP_CRYPTO_TLS_H
#define HARP_CRYPTO_TLS_H

#include <openssl/ssl.h>

#include "common/base/base.h"

enum { TLS_TEXT_SIZE = 640 };

struct tls_report {
    char error[TLS_TEXT_SIZE];   /* why the builder gave NULL */
    char warning[TLS_TEXT_SIZE]; /* "" or what an administrator should be told anyway */
    bool unverified;             /* a client context that checks no server certificate */
};

/* For browsers and reverse proxies. cert_pem holds the certificate, its chain and its key in any
 * order, as HAProxy's `crt` takes them; a key that is not in it is looked for in cert_pem + ".key",
 * then in key.pem beside it. Sends the certificate that fits the key, then what signed it, without
 * a root. The name asked for (SNI) plays no role. A client that offers protocols by ALPN without
 * http/1.1 is refused (RFC 7301 3.2). Sessions resume, by ticket or from a bounded cache.
 * A certificate outside its dates is served with a warning: many a reverse proxy checks none, and
 * the plain frontend must not go down with this one. */
SSL_CTX *tls_server_public(const char *cert_pem, struct tls_report *report) MUST_CHECK;
/* The same with a key that is only looked for in the file `key`. */
SSL_CTX *tls_server_public_pair(const char *cert_pem, const char *key,
                                struct tls_report *report) MUST_CHECK;

/* For tunnel clients: each must show a certificate signed by a CA in the file ca. Nothing is
 * resumed, so that every session is checked against the CA anew. The list of CA names is not sent:
 * a Go client would then hide a certificate of another CA instead of letting us tell about it. */
SSL_CTX *tls_server_tunnel(const char *cert, const char *key, const char *ca,
                           struct tls_report *report) MUST_CHECK;

/* For the tunnel client. cert and key are both given or both NULL. With ca the server's chain is
 * checked and its subject alternative names must hold server_name (a host name or an address; the
 * common name does not count). Without ca nothing is checked, as frpc does: report->unverified is
 * set and report->warning says so. SNI is set on each connection by whoever makes the SSL. */
SSL_CTX *tls_client_tunnel(const char *cert, const char *key, const char *ca,
                           const char *server_name, struct tls_report *report) MUST_CHECK;

/* Full days until the certificate in the PEM file ends; negative in *days when it has ended. Of
 * several the first that is not a CA counts, else the first. Negative result: err has the reason. */
int tls_cert_days_left(const char *path, int64_t *days, char *err, size_t cap) MUST_CHECK;

/* Writes why an operation on ssl that returned ret (<= 0) failed, in words for an administrator,
 * to buf. Call it right after the operation, before errno changes. Empties OpenSSL's error queue,
 * so that the next connection does not meet this one's errors. */
void tls_error_text(SSL *ssl, int ret, char *buf, size_t n);

#endif
