/* tls_shake.h - TLS handshakes in memory: a folder of certificates, contexts made from it, and two
 * ends that are run against each other.
 *
 * The folder and the keys belong to the fixture and live as long as the program's tests; a program
 * has one of each, so they are not passed around. Contexts belong to the caller; shake_end frees what
 * shake_start made. What cannot be made fails the running test.
 *
 * The folder holds ca.crt and, signed by it: server, client and old, each .crt and .key (old is a
 * client's and ended two days ago), oldcert.pem (a server's that ended, with its key), cert.pem (the
 * server's, the CA's and the key), and, of another CA: their-ca.crt, their-client.crt and .key.
 */
#ifndef HARP_UNIT_TLS_SHAKE_H
#define HARP_UNIT_TLS_SHAKE_H

#include "common/crypto/tls.h"
#include "hub/tunnel/certs_make.h"

/* Fixture functions of cmocka, for the whole group. */
int shake_set_up(void **state);
int shake_tear_down(void **state);

/* A file of the folder. Eight results are kept. */
const char *shake_at(const char *name);
void shake_put(const char *name, const char *text);
/* Three texts as one file. */
void shake_put2(const char *name, const char *a, const char *b, const char *c);

/* A CA with what it signed. */
struct shake_pki {
    struct certs_issuer by;
    struct certs_pair ca, server, client, old;
};

/* That of ca.crt. */
const struct shake_pki *shake_ours(void);

/* The context, unless it is NULL: then the test fails with the report's error. */
SSL_CTX *shake_must(SSL_CTX *ctx, const struct tls_report *r);
SSL_CTX *shake_hub(void);
/* `pair` without .crt and .key. NULL for a file: that file is not set. */
SSL_CTX *shake_client(const char *pair, const char *ca, const char *name);
SSL_CTX *shake_public(const char *file);
/* A client that accepts everything; the versions are OpenSSL's numbers. */
SSL_CTX *shake_browser(int min, int max);

/* One handshake: two ends and how each of them fared. */
struct shake {
    SSL *server, *client;
    char server_text[TLS_TEXT_SIZE], client_text[TLS_TEXT_SIZE];
    bool ok;
};

void shake_start(struct shake *s, SSL_CTX *server, SSL_CTX *client);
/* Until both ends are done or have failed, and a byte from the server to the client. */
void shake_run(struct shake *s);
void shake_end(struct shake *s);

#endif
