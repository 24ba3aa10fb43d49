/* secret.h - comparing secrets, wiping them, signing with them, random bytes, and bytes as text.
 *
 * Owns nothing and allocates nothing: every result goes to the caller's buffer.
 * Lengths are bytes. A text buffer needs room for its ending NUL; the macros below give the size.
 *
 * Why digests: a comparison that stops at the first wrong byte, or at a wrong length, tells a
 * stranger how far a guess was right. Here both sides become an HMAC-SHA256 under a random key,
 * and 32 bytes are compared with 32 bytes. A `struct secret` keeps only key and digest, so the
 * time of a comparison depends on nothing but the length of what the stranger sent.
 *
 * Base64 is RFC 4648 section 4, with padding and without line breaks; base64url is its section 5,
 * without padding. Hexadecimal is lower case.
 */
#ifndef HARP_CRYPTO_SECRET_H
#define HARP_CRYPTO_SECRET_H

#include "common/base/base.h"

#define SECRET_DIGEST_LEN 32

#define HEX_SIZE(n) (2 * (size_t)(n) + 1)
#define BASE64_SIZE(n) (((size_t)(n) + 2) / 3 * 4 + 1)
#define BASE64URL_SIZE(n) (((size_t)(n)*4 + 2) / 3 + 1)

/* A run id is 8 random bytes in hexadecimal: the shape that frps gives to its clients. */
#define RANDOM_ID_LEN 16

/* What a secret is compared with. Belongs to the caller; secret_clear ends it. */
struct secret {
    unsigned char key[SECRET_DIGEST_LEN];
    unsigned char digest[SECRET_DIGEST_LEN];
    bool set;
};

/* Remembers the digest of value. Negative when no random bytes can be had: s then matches nothing.
 * The empty string is a value like any other; whether it may be one is the caller's rule. */
MUST_CHECK int secret_set(struct secret *s, struct str value);

/* True when given is the value that was set. Never true for a cleared or zeroed s. */
MUST_CHECK bool secret_matches(const struct secret *s, struct str given);

void secret_clear(struct secret *s);

/* Compares two values once. The longer of them shows in the time taken, the content does not. */
MUST_CHECK bool secret_equal(struct str a, struct str b);

/* HMAC-SHA256 (RFC 2104) of text under key, which must not be empty. Negative on failure: out is then
 * all zero, use nothing. */
MUST_CHECK int secret_mac(unsigned char out[SECRET_DIGEST_LEN], struct str key, struct str text);

/* Overwrites n bytes in a way the compiler keeps. p may be NULL when n is 0. */
void secret_wipe(void *p, size_t n);

/* Fills out with n bytes fit for keys. Negative on failure: out is then all zero, use nothing. */
MUST_CHECK int random_bytes(void *out, size_t n);

/* Writes RANDOM_ID_LEN hexadecimal characters and a NUL. Negative on failure: out is then "". */
MUST_CHECK int random_id(char out[RANDOM_ID_LEN + 1]);

/* All give the length of the text without its NUL; negative when cap is too small, and out is
 * then "" (if there is room for that). in and out must not overlap. */
MUST_CHECK ssize_t hex_encode(char *out, size_t cap, const void *in, size_t n);
MUST_CHECK ssize_t base64_encode(char *out, size_t cap, const void *in, size_t n);
MUST_CHECK ssize_t base64url_encode(char *out, size_t cap, const void *in, size_t n);

#endif
