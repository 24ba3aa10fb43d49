/* secret.c - see secret.h. */
#include "common/crypto/secret.h"

#include <limits.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

static int digest(unsigned char out[SECRET_DIGEST_LEN], const unsigned char key[SECRET_DIGEST_LEN],
                  struct str value)
{
    return secret_mac(out, (struct str){(const char *)key, SECRET_DIGEST_LEN}, value);
}

int secret_set(struct secret *s, struct str value)
{
    secret_clear(s);
    if (random_bytes(s->key, sizeof(s->key)) < 0 || digest(s->digest, s->key, value) < 0) {
        secret_clear(s);
        return -1;
    }
    s->set = true;
    return 0;
}

bool secret_matches(const struct secret *s, struct str given)
{
    unsigned char got[SECRET_DIGEST_LEN];
    bool same;

    if (!s->set || digest(got, s->key, given) < 0)
        return false;
    same = CRYPTO_memcmp(got, s->digest, sizeof(got)) == 0;
    secret_wipe(got, sizeof(got));
    return same;
}

void secret_clear(struct secret *s)
{
    secret_wipe(s, sizeof(*s));
}

bool secret_equal(struct str a, struct str b)
{
    struct secret s;
    bool same = secret_set(&s, a) == 0 && secret_matches(&s, b);

    secret_clear(&s);
    return same;
}

int secret_mac(unsigned char out[SECRET_DIGEST_LEN], struct str key, struct str text)
{
    unsigned int n = 0;
    const unsigned char *p = (const unsigned char *)(text.n > 0 ? text.p : "");

    if (key.n > 0 && key.n <= INT_MAX &&
        HMAC(EVP_sha256(), key.p, (int)key.n, p, text.n, out, &n) && n == SECRET_DIGEST_LEN)
        return 0;
    secret_wipe(out, SECRET_DIGEST_LEN);
    return -1;
}

void secret_wipe(void *p, size_t n)
{
    if (n > 0)
        OPENSSL_cleanse(p, n);
}

int random_bytes(void *out, size_t n)
{
    if (n == 0)
        return 0;
    if (n <= INT_MAX && RAND_bytes(out, (int)n) == 1)
        return 0;
    memset(out, 0, n);
    return -1;
}

int random_id(char out[RANDOM_ID_LEN + 1])
{
    unsigned char raw[RANDOM_ID_LEN / 2];

    out[0] = '\0';
    if (random_bytes(raw, sizeof(raw)) < 0)
        return -1;
    return hex_encode(out, RANDOM_ID_LEN + 1, raw, sizeof(raw)) == RANDOM_ID_LEN ? 0 : -1;
}

ssize_t hex_encode(char *out, size_t cap, const void *in, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = in;

    if (cap > 0)
        out[0] = '\0';
    if (cap == 0 || n > (cap - 1) / 2)
        return -1;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * n] = '\0';
    return (ssize_t)(2 * n);
}

ssize_t base64_encode(char *out, size_t cap, const void *in, size_t n)
{
    if (cap > 0)
        out[0] = '\0';
    /* The first bound keeps BASE64_SIZE from wrapping and the length inside OpenSSL's int. */
    if (n > INT_MAX / 2 || cap < BASE64_SIZE(n))
        return -1;
    if (n == 0)
        return 0;
    return EVP_EncodeBlock((unsigned char *)out, in, (int)n);
}

ssize_t base64url_encode(char *out, size_t cap, const void *in, size_t n)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *p = in;
    unsigned pending = 0, bits = 0;
    size_t at = 0;

    if (cap > 0)
        out[0] = '\0';
    if (n > INT_MAX / 2 || cap < BASE64URL_SIZE(n))
        return -1;
    for (size_t i = 0; i < n; i++) {
        pending = pending << 8 | p[i];
        for (bits += 8; bits >= 6; bits -= 6)
            out[at++] = letters[pending >> (bits - 6) & 63];
    }
    /* The last character's missing bits are zero. */
    if (bits > 0)
        out[at++] = letters[pending << (6 - bits) & 63];
    out[at] = '\0';
    return (ssize_t)at;
}
