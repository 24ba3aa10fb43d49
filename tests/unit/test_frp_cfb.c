/* Control encryption: against OpenSSL called plainly, and however the stream is cut. */
#include "common/frp/cfb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/evp.h>

static const char text[] =
    "h\0\0\0\0\0\0\0\2{}w and then some more that fills several blocks of 16";

static void encrypts_as_specified(void **state)
{
    static const char *const tokens[] = {"", "ref-token-123"};

    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(tokens); t++) {
        uint8_t iv[FRP_IV_LEN], key[16], ours[sizeof(text)], plain[sizeof(text)];
        struct frp_cipher *c = frp_encrypt_new(str_of(tokens[t]), iv);
        EVP_CIPHER_CTX *evp = EVP_CIPHER_CTX_new();
        int n = 0;

        assert_non_null(c);
        memcpy(ours, text, sizeof(text));
        assert_int_equal(frp_encrypt(c, ours, 5), 0);
        assert_int_equal(frp_encrypt(c, ours + 5, sizeof(text) - 5), 0);
        assert_int_equal(frp_decrypt(c, ours, 1), -1);
        assert_int_equal(PKCS5_PBKDF2_HMAC_SHA1(tokens[t], (int)strlen(tokens[t]),
                                                (const unsigned char *)"frp", 3, 64, 16, key),
                         1);
        assert_int_equal(EVP_DecryptInit_ex(evp, EVP_aes_128_cfb128(), NULL, key, iv), 1);
        assert_int_equal(EVP_DecryptUpdate(evp, plain, &n, ours, sizeof(ours)), 1);
        assert_memory_equal(plain, text, sizeof(text));
        EVP_CIPHER_CTX_free(evp);
        frp_cipher_free(c);
    }
    frp_cipher_free(NULL);
}

/* Of a recorded session with frps 0.61.1, auth token "ref-token-123": IV and the first message. */
static void decrypts_a_recorded_message(void **state)
{
    uint8_t recorded[] = {0xe7, 0x64, 0xb5, 0xdd, 0x24, 0x18, 0x18, 0xdd, 0xfc,
                          0x47, 0xff, 0xb7, 0x94, 0xc2, 0xf9, 0x0d, 0x5b, 0x9e,
                          0xcd, 0x1a, 0xc1, 0x65, 0x6f, 0x73, 0xdf, 0x6c, 0xcb};
    struct frp_cipher *c = frp_decrypt_new(STR("ref-token-123"));

    (void)state;
    assert_non_null(c);
    assert_int_equal(frp_decrypt(c, recorded, sizeof(recorded)), FRP_IV_LEN);
    assert_memory_equal(recorded + FRP_IV_LEN, "r\0\0\0\0\0\0\0\2{}", 11);
    frp_cipher_free(c);
}

static void decrypts_the_same_however_it_is_cut(void **state)
{
    uint8_t wire[FRP_IV_LEN + sizeof(text)];
    struct frp_cipher *c = frp_encrypt_new(STR("tok"), wire);

    (void)state;
    assert_non_null(c);
    memcpy(wire + FRP_IV_LEN, text, sizeof(text));
    assert_int_equal(frp_encrypt(c, wire + FRP_IV_LEN, sizeof(text)), 0);
    frp_cipher_free(c);
    for (size_t step = 1; step <= sizeof(wire); step++) {
        uint8_t copy[sizeof(wire)];
        size_t iv = 0;

        memcpy(copy, wire, sizeof(wire));
        c = frp_decrypt_new(STR("tok"));
        assert_non_null(c);
        assert_int_equal(frp_decrypt(c, NULL, 0), 0);
        for (size_t i = 0; i < sizeof(wire); i += step) {
            ssize_t got = frp_decrypt(c, copy + i, MIN(step, sizeof(wire) - i));

            assert_true(got >= 0 && (size_t)got <= step);
            iv += (size_t)got;
        }
        assert_int_equal(iv, FRP_IV_LEN);
        assert_memory_equal(copy + FRP_IV_LEN, text, sizeof(text));
        frp_cipher_free(c);
    }
}

static void another_token_gives_other_bytes(void **state)
{
    uint8_t wire[FRP_IV_LEN + sizeof(text)];
    struct frp_cipher *c = frp_encrypt_new(STR("tok"), wire);

    (void)state;
    assert_non_null(c);
    memcpy(wire + FRP_IV_LEN, text, sizeof(text));
    assert_int_equal(frp_encrypt(c, wire + FRP_IV_LEN, sizeof(text)), 0);
    frp_cipher_free(c);
    c = frp_decrypt_new(STR("tok2"));
    assert_non_null(c);
    assert_int_equal(frp_decrypt(c, wire, sizeof(wire)), FRP_IV_LEN);
    assert_memory_not_equal(wire + FRP_IV_LEN, text, sizeof(text));
    assert_int_equal(frp_encrypt(c, wire, 1), -1);
    frp_cipher_free(c);
}

static void every_stream_has_its_own_iv(void **state)
{
    uint8_t a[FRP_IV_LEN], b[FRP_IV_LEN];
    struct frp_cipher *x = frp_encrypt_new(STR(""), a);
    struct frp_cipher *y = frp_encrypt_new(STR(""), b);

    (void)state;
    assert_true(x && y);
    assert_memory_not_equal(a, b, FRP_IV_LEN);
    frp_cipher_free(x);
    frp_cipher_free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encrypts_as_specified),
        cmocka_unit_test(decrypts_a_recorded_message),
        cmocka_unit_test(decrypts_the_same_however_it_is_cut),
        cmocka_unit_test(another_token_gives_other_bytes),
        cmocka_unit_test(every_stream_has_its_own_iv),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
