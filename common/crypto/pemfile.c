/* pemfile.c - see pemfile.h. */
#include "common/crypto/pemfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "common/crypto/secret.h"

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Says that, and what to do where it is a question of rights. */
static void cannot_be_read(const char *path, char *err, size_t cap)
{
    if (errno == EACCES)
        snprintf(err, cap,
                 "%s: cannot be read: %s; let user %u read it (chown %u), and enter its folder",
                 path, strerror(errno), (unsigned)geteuid(), (unsigned)geteuid());
    else
        snprintf(err, cap, "%s: cannot be read: %s", path, strerror(errno));
}

/* Reads all of fd, which must be a regular file of at most PEM_FILE_MAX bytes. The text belongs to
 * the caller. Returns NULL with the reason in *why. */
static char *read_all(int fd, size_t *len, const char **why)
{
    struct stat st;
    char *p;
    size_t n = 0;

    if (fstat(fd, &st) < 0) {
        *why = strerror(errno);
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        *why = "is not a regular file";
        return NULL;
    }
    /* One byte more than may be there, so that a file too large shows itself. */
    p = malloc(PEM_FILE_MAX + 1);
    if (!p) {
        *why = "out of memory";
        return NULL;
    }
    while (n <= PEM_FILE_MAX) {
        ssize_t got = read(fd, p + n, PEM_FILE_MAX + 1 - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            *why = strerror(errno);
            goto fail;
        }
        if (got == 0) {
            *len = n;
            return p;
        }
        n += (size_t)got;
    }
    *why = "is larger than 1 MiB";
fail:
    secret_wipe(p, n);
    free(p);
    return NULL;
}

int pem_file_read(struct pem_file *f, const char *path, char *err, size_t cap)
{
    const char *why = NULL;
    size_t n = 0;
    char *text;
    int fd, r;

    memset(f, 0, sizeof(*f));
    /* O_NONBLOCK: a fifo under this name must not hold up the start. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        cannot_be_read(path, err, cap);
        return -1;
    }
    text = read_all(fd, &n, &why);
    close(fd);
    if (!text) {
        snprintf(err, cap, "%s: cannot be read: %s", path, why);
        return -1;
    }
    r = pem_file_parse(f, path, (struct str){text, n}, err, cap);
    secret_wipe(text, n);
    free(text);
    return r;
}

static const char *take_cert(struct pem_file *f, const unsigned char *data, long len)
{
    const unsigned char *end = data;
    X509 *x = d2i_X509(NULL, &end, len);

    if (!x)
        return "holds a certificate that cannot be read";
    if (end != data + len || !sk_X509_push(f->certs, x)) {
        X509_free(x);
        return "holds a certificate with bytes left over";
    }
    return NULL;
}

static const char *take_key(struct pem_file *f, const char *name, const char *header,
                            const unsigned char *data, long len)
{
    const unsigned char *end = data;

    if (f->key)
        return "holds more than one private key";
    if (strcmp(name, "ENCRYPTED PRIVATE KEY") == 0 || strstr(header, "ENCRYPTED"))
        return "holds a private key under a passphrase: store it without one";
    f->key = d2i_AutoPrivateKey(NULL, &end, len);
    return f->key ? NULL : "holds a private key that cannot be read";
}

static const char *parse(struct pem_file *f, BIO *in)
{
    const char *why = NULL;
    char *name, *header;
    unsigned char *data;
    long len;

    ERR_clear_error();
    while (!why && PEM_read_bio(in, &name, &header, &data, &len) == 1) {
        if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0)
            why = take_cert(f, data, len);
        else if (ends_with(name, "PRIVATE KEY"))
            why = take_key(f, name, header, data, len);
        secret_wipe(data, (size_t)len);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(data);
    }
    /* The end of the file is reported as a missing start line; anything else is a broken block. */
    if (!why && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        why = "holds a broken PEM block";
    ERR_clear_error();
    return why;
}

int pem_file_parse(struct pem_file *f, const char *name, struct str text, char *err, size_t cap)
{
    const char *why = NULL;
    BIO *in = NULL;

    memset(f, 0, sizeof(*f));
    if (text.n == 0)
        why = "is empty";
    else if (text.n > PEM_FILE_MAX)
        why = "is larger than 1 MiB";
    else if (text.p[0] == 0x30)
        why = "is not PEM (it looks like DER or PKCS#12; convert it with openssl)";
    else if (!(f->certs = sk_X509_new_null()) || !(in = BIO_new_mem_buf(text.p, (int)text.n)))
        why = "out of memory";
    else
        why = parse(f, in);
    if (!why && sk_X509_num(f->certs) == 0 && !f->key)
        why = "is not PEM: it holds neither a certificate nor a private key";
    BIO_free(in);
    if (!why)
        return 0;
    snprintf(err, cap, "%s: %s", name, why);
    pem_file_free(f);
    return -1;
}

void pem_file_free(struct pem_file *f)
{
    sk_X509_pop_free(f->certs, X509_free);
    EVP_PKEY_free(f->key);
    memset(f, 0, sizeof(*f));
}

int pem_file_read_certs(struct pem_file *f, const char *path, char *err, size_t cap)
{
    if (pem_file_read(f, path, err, cap) < 0)
        return -1;
    if (sk_X509_num(f->certs) > 0)
        return 0;
    snprintf(err, cap, "%s: holds no certificate", path);
    pem_file_free(f);
    return -1;
}

int pem_file_read_key(struct pem_file *f, const char *path, char *err, size_t cap)
{
    if (pem_file_read(f, path, err, cap) < 0)
        return -1;
    if (f->key)
        return 0;
    snprintf(err, cap, "%s: holds no private key", path);
    pem_file_free(f);
    return -1;
}

X509 *pem_find_cert(const STACK_OF(X509) * certs, const EVP_PKEY *key)
{
    X509 *found = NULL;

    for (int i = 0; !found && i < sk_X509_num(certs); i++) {
        X509 *x = sk_X509_value(certs, i);
        EVP_PKEY *pub = X509_get0_pubkey(x);

        if (pub && EVP_PKEY_eq(pub, key) == 1)
            found = x;
    }
    /* A comparison of an RSA with an EC key leaves an error behind. */
    ERR_clear_error();
    return found;
}

static int seconds_of(const ASN1_TIME *t, int64_t *out)
{
    struct tm tm;

    if (!t || ASN1_TIME_to_tm(t, &tm) != 1)
        return -1;
    *out = (int64_t)timegm(&tm);
    return 0;
}

int pem_cert_times(const X509 *cert, int64_t *from, int64_t *until)
{
    if (seconds_of(X509_get0_notBefore(cert), from) < 0)
        return -1;
    return seconds_of(X509_get0_notAfter(cert), until);
}

const char *pem_date(int64_t when, char out[PEM_DATE_SIZE])
{
    time_t t = (time_t)when;
    struct tm tm;

    if (!gmtime_r(&t, &tm) || strftime(out, PEM_DATE_SIZE, "%Y-%m-%d", &tm) == 0)
        snprintf(out, PEM_DATE_SIZE, "(unreadable date)");
    return out;
}

const char *pem_openssl_reason(char *out, size_t cap)
{
    unsigned long first = ERR_get_error();
    const char *text = first ? ERR_reason_error_string(first) : NULL;

    snprintf(out, cap, "%s", text ? text : first ? "an error without a name" : "");
    ERR_clear_error();
    return out;
}
