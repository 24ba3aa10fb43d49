/* certs_make.c - see certs_make.h. */
#include "hub/tunnel/certs_make.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/crypto/pemfile.h"
#include "common/crypto/secret.h"

enum {
    DAY = 24 * 3600,
    CLOCK_SLACK = 3600,
    SERIAL_LEN = 16,
};

static int fail(char *err, size_t cap, const char *what)
{
    char why[128];

    pem_openssl_reason(why, sizeof(why));
    snprintf(err, cap, "%s%s%s", what, why[0] ? ": " : "", why);
    return -1;
}

EVP_PKEY *certs_key_new(char *err, size_t cap)
{
    EVP_PKEY *key;

    ERR_clear_error();
    key = EVP_EC_gen("P-256");
    if (!key)
        fail(err, cap, "a private key cannot be made");
    return key;
}

static bool name_is_fine(const char *cn)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    size_t n = strlen(cn);

    return n > 0 && n <= CERTS_CN_MAX && strspn(cn, letters) == n && !strchr("_.-", cn[0]);
}

/* Positive, never zero, at most 20 bytes (RFC 5280 4.1.2.2), and not to be guessed. */
static int set_serial(X509 *x)
{
    unsigned char raw[SERIAL_LEN];
    BIGNUM *bn;
    int ok;

    if (random_bytes(raw, sizeof(raw)) < 0)
        return -1;
    raw[0] = (unsigned char)((raw[0] & 0x7f) | 0x40);
    bn = BN_bin2bn(raw, sizeof(raw), NULL);
    ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x));
    BN_free(bn);
    return ok ? 0 : -1;
}

static int set_dates(X509 *x, const X509 *ca, int days)
{
    int64_t now = (int64_t)time(NULL), from = MIN(now, CERTS_CLOCK_MIN) - CLOCK_SLACK;
    int64_t until = MAX(now, CERTS_CLOCK_MIN) + (int64_t)days * DAY, ca_until;

    if (ca) {
        if (pem_cert_times(ca, &from, &ca_until) < 0)
            return -1;
        until = MIN(until, ca_until);
    }
    return ASN1_TIME_set(X509_getm_notBefore(x), (time_t)from) &&
                   ASN1_TIME_set(X509_getm_notAfter(x), (time_t)until)
               ? 0
               : -1;
}

static int add(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;
    int ok;

    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ok = ext && X509_add_ext(x, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok ? 0 : -1;
}

/* Names the CA's key even when the CA certificate bears no key identifier. It must always be there:
 * server and CA are both called harp.nc, and without it OpenSSL takes the server's certificate for
 * a self-signed one. */
static int add_authority(X509 *x, const X509 *ca)
{
    const X509 *signer = ca ? ca : x;
    AUTHORITY_KEYID *akid = AUTHORITY_KEYID_new();
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    int r = -1;

    if (!akid)
        return -1;
    akid->keyid = X509_get_ext_d2i(signer, NID_subject_key_identifier, NULL, NULL);
    if (!akid->keyid) {
        akid->keyid = ASN1_OCTET_STRING_new();
        if (!akid->keyid || X509_pubkey_digest(signer, EVP_sha1(), digest, &n) != 1 ||
            ASN1_OCTET_STRING_set(akid->keyid, digest, (int)n) != 1)
            goto out;
    }
    if (X509_add1_ext_i2d(x, NID_authority_key_identifier, akid, 0, X509V3_ADD_DEFAULT) == 1)
        r = 0;
out:
    AUTHORITY_KEYID_free(akid);
    return r;
}

static int add_extensions(X509 *x, enum certs_role role, const char *cn, const X509 *ca)
{
    char san[CERTS_CN_MAX + 8];

    if (add(x, NID_subject_key_identifier, "hash") < 0 || add_authority(x, ca) < 0)
        return -1;
    if (role == CERTS_ROLE_CA)
        return add(x, NID_basic_constraints, "critical,CA:TRUE") < 0
                   ? -1
                   : add(x, NID_key_usage, "critical,keyCertSign,cRLSign");
    /* name_is_fine keeps out every character that the value's syntax gives a meaning. */
    snprintf(san, sizeof(san), "DNS:%s", cn);
    if (add(x, NID_basic_constraints, "critical,CA:FALSE") < 0 ||
        add(x, NID_key_usage, "critical,digitalSignature") < 0 ||
        add(x, NID_subject_alt_name, san) < 0)
        return -1;
    return add(x, NID_ext_key_usage, role == CERTS_ROLE_SERVER ? "serverAuth" : "clientAuth");
}

static int sign(X509 *x, EVP_PKEY *key)
{
    /* The Edwards curves bring their own digest; naming one is an error there. */
    bool own = EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");

    return X509_sign(x, key, own ? NULL : EVP_sha256()) > 0 ? 0 : -1;
}

X509 *certs_make(enum certs_role role, const char *cn, EVP_PKEY *key,
                 const struct certs_issuer *issuer, int days, char *err, size_t cap)
{
    const X509 *ca = issuer ? issuer->cert : NULL;
    X509_NAME *subject;
    X509 *x;

    ERR_clear_error();
    if (!name_is_fine(cn)) {
        snprintf(err, cap,
                 "a certificate's name must be 1 to %d characters of letters, digits, '_', '.' "
                 "and '-', beginning with a letter or digit",
                 CERTS_CN_MAX);
        return NULL;
    }
    if (days < 1) {
        snprintf(err, cap, "a certificate must be valid for at least one day");
        return NULL;
    }
    x = X509_new();
    if (!x)
        goto fail;
    /* Version 3 is written as 2. */
    if (X509_set_version(x, 2) != 1 || set_serial(x) < 0 || set_dates(x, ca, days) < 0 ||
        X509_set_pubkey(x, key) != 1)
        goto fail;
    subject = X509_get_subject_name(x);
    if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1,
                                   0) != 1 ||
        X509_set_issuer_name(x, ca ? X509_get_subject_name(ca) : subject) != 1)
        goto fail;
    if (add_extensions(x, role, cn, ca) < 0 || sign(x, issuer ? issuer->key : key) < 0)
        goto fail;
    return x;
fail:
    fail(err, cap, "a certificate cannot be made");
    X509_free(x);
    return NULL;
}

/* Copies what was written to bio, with a NUL. */
static char *take_text(BIO *bio, size_t *len)
{
    char *from, *text;
    long n = BIO_get_mem_data(bio, &from);

    if (n <= 0)
        return NULL;
    text = malloc((size_t)n + 1);
    if (!text)
        return NULL;
    memcpy(text, from, (size_t)n);
    text[n] = '\0';
    *len = (size_t)n;
    return text;
}

int certs_pair_encode(struct certs_pair *pair, const X509 *cert, const EVP_PKEY *key, char *err,
                      size_t cap)
{
    /* BIO_free wipes the memory of such a BIO. */
    BIO *c = BIO_new(BIO_s_mem()), *k = BIO_new(BIO_s_mem());

    memset(pair, 0, sizeof(*pair));
    if (c && k && PEM_write_bio_X509(c, cert) == 1 &&
        PEM_write_bio_PKCS8PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) == 1) {
        pair->cert = take_text(c, &pair->cert_len);
        pair->key = take_text(k, &pair->key_len);
    }
    BIO_free(c);
    BIO_free(k);
    if (pair->cert && pair->key)
        return 0;
    certs_pair_free(pair);
    return fail(err, cap, "a certificate cannot be written as text");
}

int certs_make_pair(struct certs_pair *pair, enum certs_role role, const char *cn,
                    const struct certs_issuer *issuer, int days, char *err, size_t cap)
{
    EVP_PKEY *key = certs_key_new(err, cap);
    X509 *cert = NULL;
    int r = -1;

    memset(pair, 0, sizeof(*pair));
    if (key)
        cert = certs_make(role, cn, key, issuer, days, err, cap);
    if (cert)
        r = certs_pair_encode(pair, cert, key, err, cap);
    X509_free(cert);
    EVP_PKEY_free(key);
    return r;
}

void certs_pair_free(struct certs_pair *pair)
{
    if (pair->key)
        secret_wipe(pair->key, pair->key_len);
    free(pair->key);
    free(pair->cert);
    memset(pair, 0, sizeof(*pair));
}
