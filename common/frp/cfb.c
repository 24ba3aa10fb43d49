/* Control encryption on OpenSSL's EVP. */
#include "common/frp/cfb.h"

#include "common/base/buf.h"
#include "common/crypto/secret.h"

#include <stdlib.h>

#include <openssl/evp.h>

#define KEY_LEN 16
#define ROUNDS 64
#define STEP_MAX ((size_t)1 << 20) /* EVP counts in int */

struct frp_cipher {
    EVP_CIPHER_CTX *evp;
    uint8_t key[KEY_LEN]; /* wiped once the IV is known */
    uint8_t iv[FRP_IV_LEN];
    uint8_t iv_len; /* bytes of the IV that are there */
    bool sends;
};

static struct frp_cipher *new_cipher(struct str token)
{
    static const unsigned char salt[] = {'f', 'r', 'p'};
    struct frp_cipher *c = xcalloc(1, sizeof(*c));

    c->evp = EVP_CIPHER_CTX_new();
    if (!c->evp || token.n > 65536 ||
        PKCS5_PBKDF2_HMAC(token.n ? token.p : "", (int)token.n, salt, sizeof(salt), ROUNDS,
                          EVP_sha1(), KEY_LEN, c->key) != 1) {
        frp_cipher_free(c);
        return NULL;
    }
    return c;
}

/* CFB runs the block cipher forwards in both directions; only the feedback differs. */
static int key_cipher(struct frp_cipher *c)
{
    int ok = EVP_CipherInit_ex(c->evp, EVP_aes_128_cfb128(), NULL, c->key, c->iv, c->sends);

    secret_wipe(c->key, sizeof(c->key));
    return ok == 1 ? 0 : -1;
}

static int run(struct frp_cipher *c, uint8_t *p, size_t n)
{
    while (n) {
        size_t step = MIN(n, STEP_MAX);
        int done;

        if (EVP_CipherUpdate(c->evp, p, &done, p, (int)step) != 1 || (size_t)done != step)
            return -1;
        p += step;
        n -= step;
    }
    return 0;
}

struct frp_cipher *frp_encrypt_new(struct str token, uint8_t iv[FRP_IV_LEN])
{
    struct frp_cipher *c = new_cipher(token);

    if (!c)
        return NULL;
    c->sends = true;
    c->iv_len = FRP_IV_LEN;
    if (random_bytes(c->iv, sizeof(c->iv)) < 0 || key_cipher(c) < 0) {
        frp_cipher_free(c);
        return NULL;
    }
    memcpy(iv, c->iv, FRP_IV_LEN);
    return c;
}

struct frp_cipher *frp_decrypt_new(struct str token)
{
    return new_cipher(token);
}

void frp_cipher_free(struct frp_cipher *c)
{
    if (!c)
        return;
    EVP_CIPHER_CTX_free(c->evp);
    secret_wipe(c, sizeof(*c));
    free(c);
}

int frp_encrypt(struct frp_cipher *c, uint8_t *p, size_t n)
{
    return c->sends ? run(c, p, n) : -1;
}

ssize_t frp_decrypt(struct frp_cipher *c, uint8_t *p, size_t n)
{
    size_t taken = 0;

    if (c->sends)
        return -1;
    if (n == 0)
        return 0;
    if (c->iv_len < FRP_IV_LEN) {
        taken = MIN(n, (size_t)(FRP_IV_LEN - c->iv_len));
        memcpy(c->iv + c->iv_len, p, taken);
        c->iv_len = (uint8_t)(c->iv_len + taken);
        if (c->iv_len == FRP_IV_LEN && key_cipher(c) < 0)
            return -1;
    }
    /* Nothing is left while the IV is incomplete, so an unkeyed cipher never runs. */
    return run(c, p + taken, n - taken) < 0 ? -1 : (ssize_t)taken;
}
