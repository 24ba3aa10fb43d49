/* pemfile.h - reads a PEM file into certificates and at most one private key, strictly.
 *
 * A `struct pem_file` owns what it holds; pem_file_free ends it and may be called on one that was
 * never filled (all zero). The file's bytes are wiped after reading, as a key may be among them.
 * Blocks may come in any order. Blocks of other kinds (EC PARAMETERS, DH PARAMETERS, text between
 * blocks) are passed over; a block that is broken, a second private key, or a key under a
 * passphrase refuses the file. Files over PEM_FILE_MAX bytes are refused.
 *
 * Errors are one sentence that begins with the path and says the reason.
 * The PEM shapes are those of RFC 7468, and the older RSA and EC private keys.
 */
#ifndef HARP_CRYPTO_PEMFILE_H
#define HARP_CRYPTO_PEMFILE_H

#include <openssl/x509.h>

#include "common/base/base.h"

enum { PEM_FILE_MAX = 1024 * 1024 };

struct pem_file {
    STACK_OF(X509) * certs; /* in the order of the file, maybe empty */
    EVP_PKEY *key;          /* NULL when the file holds none */
};

/* Fills f. Negative: err holds the reason and f is empty. The error queue of OpenSSL is left
 * empty either way. */
int pem_file_read(struct pem_file *f, const char *path, char *err, size_t cap) MUST_CHECK;
/* As above, from memory; name stands for the path in errors. */
int pem_file_parse(struct pem_file *f, const char *name, struct str text, char *err,
                   size_t cap) MUST_CHECK;
void pem_file_free(struct pem_file *f);

/* As pem_file_read, and refuses a file without a certificate, or without a key. */
int pem_file_read_certs(struct pem_file *f, const char *path, char *err, size_t cap) MUST_CHECK;
int pem_file_read_key(struct pem_file *f, const char *path, char *err, size_t cap) MUST_CHECK;

/* The certificate that belongs to key, borrowed from certs; NULL when there is none. */
X509 *pem_find_cert(const STACK_OF(X509) * certs, const EVP_PKEY *key);

/* Seconds since 1970 at which cert begins and ends to be valid. Negative: a date that cannot be
 * read. */
int pem_cert_times(const X509 *cert, int64_t *from, int64_t *until) MUST_CHECK;

/* Writes "2031-05-02" (UTC). Needs PEM_DATE_SIZE bytes. */
#define PEM_DATE_SIZE 24
const char *pem_date(int64_t when, char out[PEM_DATE_SIZE]);

/* Takes everything off OpenSSL's error queue; the text of the oldest entry goes to out ("" when the
 * queue was empty). */
const char *pem_openssl_reason(char *out, size_t cap);

#endif
