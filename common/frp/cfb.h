/* cfb.h - encryption of frp's control stream (wire v1), and of proxies with use_encryption.
 *
 * The key is PBKDF2-HMAC-SHA1(password = frp's auth token, salt "frp", 64 rounds, 16 bytes). Each
 * direction begins with 16 random IV bytes in clear, then comes AES-128 in CFB mode with 128 bits
 * of feedback, the state kept from byte to byte however the stream is cut. It hides bytes but does
 * not protect them from change; TLS around it does that.
 *
 * A `struct frp_cipher` is one direction of one stream. It belongs to whoever created it, and
 * frp_cipher_free wipes and frees it. Lengths are bytes; everything happens in place.
 */
#ifndef HARP_FRP_CFB_H
#define HARP_FRP_CFB_H

#include "common/base/base.h"

#define FRP_IV_LEN 16

struct frp_cipher;

/* For sending. iv is filled with random bytes, which the caller sends before anything that was
 * encrypted. NULL on failure. The token may be empty. */
struct frp_cipher *frp_encrypt_new(struct str token, uint8_t iv[FRP_IV_LEN]) MUST_CHECK;
/* For receiving. NULL on failure. */
struct frp_cipher *frp_decrypt_new(struct str token) MUST_CHECK;
/* NULL is allowed. */
void frp_cipher_free(struct frp_cipher *c);

/* Encrypts n bytes. 0, or -1: the cipher is then useless, end the stream. */
int frp_encrypt(struct frp_cipher *c, uint8_t *p, size_t n) MUST_CHECK;

/* Takes n received bytes. Returns how many of them, at the front, belonged to the IV (0..16, and
 * never more than n); what is behind them is now plain text. -1 as above. */
ssize_t frp_decrypt(struct frp_cipher *c, uint8_t *p, size_t n) MUST_CHECK;

#endif
