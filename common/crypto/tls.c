/* tls.c - see tls.h. What failures are called is in tls_error.c. */
#include "common/crypto/tls.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "common/crypto/pemfile.h"

/* AES-128-GCM first: with AES instructions it is the cheapest, and nobody needs more. A client
 * without them puts ChaCha20 first in its own list, and SSL_OP_PRIORITIZE_CHACHA honours that. */
static const char suites_13[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char suites_12[] = "ECDHE+AESGCM+AES128:ECDHE+AESGCM:ECDHE+CHACHA20";

enum {
    DAY = 24 * 3600,
    CACHED_SESSIONS = 2048,
    SESSION_SECONDS = 2 * 3600,
    CHAIN_DEPTH = 5,
    FILE_ERROR = 512,
};

static int fail(struct tls_report *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int fail(struct tls_report *r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(r->error, sizeof(r->error), fmt, ap);
    va_end(ap);
    return -1;
}

static SSL_CTX *new_ctx(const SSL_METHOD *method, struct tls_report *r)
{
    SSL_CTX *ctx;
    char why[128];

    memset(r, 0, sizeof(*r));
    ERR_clear_error();
    ctx = SSL_CTX_new(method);
    if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, suites_13) != 1 ||
        SSL_CTX_set_cipher_list(ctx, suites_12) != 1) {
        fail(r, "TLS cannot be set up: %s", pem_openssl_reason(why, sizeof(why)));
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* A system-wide configuration may have set it; a cut stream must not pass for a whole one. */
    SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* Without NO_AUTO_CHAIN OpenSSL would build the chain anew, and send the CA, in each handshake.
     */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_verify_depth(ctx, CHAIN_DEPTH);
    return ctx;
}

/* Writes what is wrong with the dates of x to out and returns true; false when they are fine. */
static bool bad_dates(const char *path, const X509 *x, char *out, size_t cap)
{
    int64_t from, until, now = (int64_t)time(NULL);
    char date[PEM_DATE_SIZE];

    if (pem_cert_times(x, &from, &until) < 0)
        snprintf(out, cap, "%s: the certificate's dates cannot be read", path);
    else if (until < now)
        snprintf(out, cap, "%s: the certificate expired on %s", path, pem_date(until, date));
    else if (from > now)
        snprintf(out, cap, "%s: the certificate is valid from %s on only; is the clock right?",
                 path, pem_date(from, date));
    else
        return false;
    return true;
}

/* The certificates of all that signed leaf, as far as it holds them, in the order in which they are
 * sent (RFC 8446 4.4.2). The root is left out: who trusts it has it. The certificates stay certs'.
 */
static STACK_OF(X509) * chain_of(const STACK_OF(X509) * certs, X509 *leaf)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    X509 *at = leaf;

    while (chain && at && sk_X509_num(chain) < CHAIN_DEPTH) {
        X509 *next = NULL;

        for (int i = 0; !next && i < sk_X509_num(certs); i++) {
            X509 *x = sk_X509_value(certs, i);

            if (x != leaf && sk_X509_find(chain, x) < 0 && !X509_self_signed(x, 0) &&
                X509_check_issued(x, at) == X509_V_OK)
                next = x;
        }
        if (next && !sk_X509_push(chain, next)) {
            sk_X509_free(chain);
            return NULL;
        }
        at = next;
    }
    ERR_clear_error();
    return chain;
}

/* Gives ctx the certificate among certs that fits key. */
static int use_identity(SSL_CTX *ctx, const char *cert_path, const STACK_OF(X509) * certs,
                        const char *key_path, EVP_PKEY *key, bool old_is_fine, struct tls_report *r)
{
    X509 *leaf = pem_find_cert(certs, key);
    STACK_OF(X509) * chain;
    char why[FILE_ERROR];
    int ok;

    if (!leaf)
        return fail(r, "%s: the key does not match the certificate in %s", key_path, cert_path);
    if (bad_dates(cert_path, leaf, why, sizeof(why))) {
        if (!old_is_fine)
            return fail(r, "%s", why);
        snprintf(r->warning, sizeof(r->warning), "%s", why);
    }
    chain = chain_of(certs, leaf);
    ok = chain && SSL_CTX_use_cert_and_key(ctx, leaf, key, chain, 1) == 1;
    sk_X509_free(chain);
    if (!ok)
        return fail(r, "%s: cannot be used: %s", cert_path, pem_openssl_reason(why, sizeof(why)));
    return 0;
}

/* Trusts the CA certificates in the file and nothing else. */
static int use_ca(SSL_CTX *ctx, const char *path, struct tls_report *r)
{
    struct pem_file f;
    char why[FILE_ERROR] = "";
    int usable = 0, result = -1;

    if (pem_file_read_certs(&f, path, why, sizeof(why)) < 0)
        return fail(r, "%s", why);
    for (int i = 0; i < sk_X509_num(f.certs); i++) {
        X509 *x = sk_X509_value(f.certs, i);

        if (X509_check_ca(x) == 0) {
            snprintf(why, sizeof(why), "%s: the certificate is not one of a CA", path);
            continue;
        }
        if (bad_dates(path, x, why, sizeof(why)))
            continue;
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x) != 1) {
            fail(r, "%s: cannot be used: %s", path, pem_openssl_reason(why, sizeof(why)));
            goto out;
        }
        usable++;
    }
    /* Of several, one that is good suffices: an old CA may stay in the file beside its successor. */
    if (usable > 0) {
        if (why[0])
            snprintf(r->warning, sizeof(r->warning), "%s", why);
        result = 0;
    } else {
        fail(r, "%s", why);
    }
out:
    pem_file_free(&f);
    return result;
}

static int use_pair(SSL_CTX *ctx, const char *cert_path, const char *key_path, struct tls_report *r)
{
    struct pem_file cert = {0}, key = {0};
    char why[FILE_ERROR];
    int result = -1;

    if (pem_file_read_certs(&cert, cert_path, why, sizeof(why)) < 0 ||
        pem_file_read_key(&key, key_path, why, sizeof(why)) < 0)
        fail(r, "%s", why);
    else
        result = use_identity(ctx, cert_path, cert.certs, key_path, key.key, false, r);
    pem_file_free(&cert);
    pem_file_free(&key);
    return result;
}

/* Reads the key that stands beside the certificate into f, its path into out. */
static int key_beside(struct pem_file *f, const char *cert_pem, char *out, size_t cap,
                      struct tls_report *r)
{
    const char *slash = strrchr(cert_pem, '/');
    int dir = slash ? (int)(slash - cert_pem) + 1 : 0;
    char why[FILE_ERROR], first[FILE_ERROR];

    snprintf(first, sizeof(first), "%s.key", cert_pem);
    snprintf(out, cap, "%.*skey.pem", dir, cert_pem);
    if (access(first, F_OK) == 0)
        snprintf(out, cap, "%s", first);
    else if (access(out, F_OK) != 0)
        return fail(r, "%s: holds no private key, and neither %s nor %s is there", cert_pem, first,
                    out);
    return pem_file_read_key(f, out, why, sizeof(why)) < 0 ? fail(r, "%s", why) : 0;
}

/* RFC 7301 3.2: no protocol in common ends the handshake. */
static int select_alpn(SSL *ssl UNUSED, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned int in_len, void *arg UNUSED)
{
    static const char http11[] = "http/1.1";
    const unsigned char n = sizeof(http11) - 1;

    for (unsigned int at = 0; at < in_len; at += 1U + in[at]) {
        if (in[at] == n && in_len - at > n && memcmp(in + at + 1, http11, n) == 0) {
            *out = in + at + 1;
            *out_len = n;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* The key of a certificate: in the same file, or in `key`, or, where that is NULL, beside it. *path becomes
 * where it was found. NULL: report has the reason. */
static EVP_PKEY *find_key(const char *cert_pem, const char *key, const struct pem_file *cert,
                          struct pem_file *other, char *path, size_t cap, struct tls_report *r)
{
    char why[FILE_ERROR];

    snprintf(path, cap, "%s", key ? key : cert_pem);
    if (!key && cert->key)
        return cert->key;
    if (!key)
        return key_beside(other, cert_pem, path, cap, r) == 0 ? other->key : NULL;
    if (pem_file_read_key(other, key, why, sizeof(why)) < 0)
        fail(r, "%s", why);
    return other->key;
}

static SSL_CTX *server_public(const char *cert_pem, const char *key_pem, struct tls_report *report)
{
    SSL_CTX *ctx = new_ctx(TLS_server_method(), report);
    struct pem_file cert = {0}, other = {0};
    char why[FILE_ERROR], key_path[FILE_ERROR];
    EVP_PKEY *key = NULL;
    int ok = -1;

    if (!ctx)
        return NULL;
    if (pem_file_read_certs(&cert, cert_pem, why, sizeof(why)) < 0)
        fail(report, "%s", why);
    else
        key = find_key(cert_pem, key_pem, &cert, &other, key_path, sizeof(key_path), report);
    if (key)
        ok = use_identity(ctx, cert_pem, cert.certs, key_path, key, true, report);
    pem_file_free(&cert);
    pem_file_free(&other);
    if (ok < 0) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(ctx, CACHED_SESSIONS);
    SSL_CTX_set_timeout(ctx, SESSION_SECONDS);
    return ctx;
}

SSL_CTX *tls_server_public(const char *cert_pem, struct tls_report *report)
{
    return server_public(cert_pem, NULL, report);
}

SSL_CTX *tls_server_public_pair(const char *cert_pem, const char *key, struct tls_report *report)
{
    return server_public(cert_pem, key, report);
}

static void resume_nothing(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
}

SSL_CTX *tls_server_tunnel(const char *cert, const char *key, const char *ca,
                           struct tls_report *report)
{
    SSL_CTX *ctx = new_ctx(TLS_server_method(), report);

    if (!ctx)
        return NULL;
    if (use_pair(ctx, cert, key, report) < 0 || use_ca(ctx, ca, report) < 0) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    resume_nothing(ctx);
    return ctx;
}

static int expect_name(SSL_CTX *ctx, const char *name, struct tls_report *r)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
    unsigned char raw[16];
    int ok;

    if (!name || name[0] == '\0')
        return fail(r, "a server name is needed to check the server's certificate against");
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (inet_pton(AF_INET, name, raw) == 1 || inet_pton(AF_INET6, name, raw) == 1)
        ok = X509_VERIFY_PARAM_set1_ip_asc(param, name);
    else
        ok = X509_VERIFY_PARAM_set1_host(param, name, 0);
    return ok == 1 ? 0 : fail(r, "%s: cannot be used as a server name", name);
}

SSL_CTX *tls_client_tunnel(const char *cert, const char *key, const char *ca,
                           const char *server_name, struct tls_report *report)
{
    SSL_CTX *ctx = new_ctx(TLS_client_method(), report);

    if (!ctx)
        return NULL;
    if (!cert != !key) {
        fail(report, "%s: a certificate and its key are set together or not at all",
             cert ? cert : key);
        goto fail;
    }
    if (cert && use_pair(ctx, cert, key, report) < 0)
        goto fail;
    if (ca) {
        if (use_ca(ctx, ca, report) < 0 || expect_name(ctx, server_name, report) < 0)
            goto fail;
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    } else {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
        report->unverified = true;
        snprintf(report->warning, sizeof(report->warning),
                 "no CA file is set: the server's certificate is not checked, so anyone on the "
                 "way can pose as the hub");
    }
    resume_nothing(ctx);
    return ctx;
fail:
    SSL_CTX_free(ctx);
    return NULL;
}

int tls_cert_days_left(const char *path, int64_t *days, char *err, size_t cap)
{
    struct pem_file f;
    int64_t from, until, left;
    X509 *x = NULL;
    int r = -1;

    if (pem_file_read_certs(&f, path, err, cap) < 0)
        return -1;
    for (int i = 0; !x && i < sk_X509_num(f.certs); i++)
        if (X509_check_ca(sk_X509_value(f.certs, i)) == 0)
            x = sk_X509_value(f.certs, i);
    if (!x)
        x = sk_X509_value(f.certs, 0);
    if (pem_cert_times(x, &from, &until) == 0) {
        left = until - (int64_t)time(NULL);
        /* Rounded down on both sides of zero: an hour past the end is a day too late. */
        *days = left >= 0 ? left / DAY : -((DAY - 1 - left) / DAY);
        r = 0;
    } else {
        snprintf(err, cap, "%s: the certificate's dates cannot be read", path);
    }
    pem_file_free(&f);
    return r;
}
