/* Control encryption: any cutting decrypts as the whole does, and a round trip gives the text back.
 * Input: one byte of token length, the token, one byte that seeds the cutting, then the stream. */
#include "common/frp/cfb.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth)
        abort();
}

static size_t next_step(uint32_t *seed, size_t left)
{
    *seed = *seed * 1664525u + 1013904223u;
    return MIN(left, (size_t)(*seed >> 24) % 37);
}

static void decrypt_in_pieces(struct str token, uint8_t *p, size_t n, uint32_t seed)
{
    struct frp_cipher *c = frp_decrypt_new(token);
    size_t iv = 0;

    must(c != NULL);
    for (size_t i = 0; i < n;) {
        size_t step = next_step(&seed, n - i);
        ssize_t got = frp_decrypt(c, p + i, step);

        must(got >= 0 && (size_t)got <= step);
        iv += (size_t)got;
        i += step;
    }
    must(iv == MIN(n, (size_t)FRP_IV_LEN));
    frp_cipher_free(c);
}

static void round_trip(struct str token, const uint8_t *text, size_t n, uint32_t seed)
{
    uint8_t *wire = malloc(FRP_IV_LEN + n);
    struct frp_cipher *c = frp_encrypt_new(token, wire);
    uint32_t cut = ~seed;

    must(c != NULL);
    memcpy(wire + FRP_IV_LEN, text, n);
    for (size_t i = 0; i < n;) {
        size_t step = next_step(&cut, n - i);

        must(frp_encrypt(c, wire + FRP_IV_LEN + i, step) == 0);
        i += step;
    }
    frp_cipher_free(c);
    decrypt_in_pieces(token, wire, FRP_IV_LEN + n, seed);
    must(memcmp(wire + FRP_IV_LEN, text, n) == 0);
    free(wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frp_cipher *c;
    struct str token;
    uint8_t *whole, *pieces;
    uint32_t seed;

    if (size < 2 || size > 4096 || data[0] > size - 2)
        return 0;
    token = (struct str){(const char *)data + 1, data[0]};
    seed = data[1 + token.n];
    data += 2 + token.n;
    size -= 2 + token.n;
    if (size == 0)
        return 0;

    whole = malloc(size);
    pieces = malloc(size);
    must(whole && pieces);
    memcpy(whole, data, size);
    memcpy(pieces, data, size);
    c = frp_decrypt_new(token);
    must(c && frp_decrypt(c, whole, size) == (ssize_t)MIN(size, (size_t)FRP_IV_LEN));
    frp_cipher_free(c);
    decrypt_in_pieces(token, pieces, size, seed);
    must(memcmp(whole, pieces, size) == 0);
    free(whole);
    free(pieces);
    round_trip(token, data, size, seed);
    return 0;
}
