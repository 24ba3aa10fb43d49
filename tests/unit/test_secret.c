/* Secrets: comparison, signatures, random ids, hexadecimal and base64 text. */
#include "common/crypto/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void a_secret_matches_only_itself(void **state)
{
    static const struct {
        const char *given;
        bool same;
    } cases[] = {
        {"correct horse", true},  {"correct hors", false},   {"correct horsf", false},
        {"Correct horse", false}, {"correct horse ", false}, {"", false},
        {"dorrect horse", false},
    };
    struct secret s;

    (void)state;
    assert_int_equal(secret_set(&s, STR("correct horse")), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(secret_matches(&s, str_of(cases[i].given)), cases[i].same);
        assert_int_equal(secret_equal(STR("correct horse"), str_of(cases[i].given)), cases[i].same);
    }
    secret_clear(&s);
}

static void a_nul_inside_counts(void **state)
{
    struct secret s;

    (void)state;
    assert_int_equal(secret_set(&s, (struct str){"key\0one", 7}), 0);
    assert_true(secret_matches(&s, (struct str){"key\0one", 7}));
    assert_false(secret_matches(&s, (struct str){"key\0two", 7}));
    assert_false(secret_matches(&s, STR("key")));
    secret_clear(&s);
}

static void an_unset_or_cleared_secret_matches_nothing(void **state)
{
    struct secret s;

    (void)state;
    memset(&s, 0, sizeof(s));
    assert_false(secret_matches(&s, STR("")));
    assert_false(secret_matches(&s, (struct str){NULL, 0}));
    assert_int_equal(secret_set(&s, STR("x")), 0);
    secret_clear(&s);
    assert_false(secret_matches(&s, STR("x")));
}

static void empty_slices_are_equal(void **state)
{
    (void)state;
    assert_true(secret_equal(STR(""), (struct str){NULL, 0}));
    assert_false(secret_equal(STR(""), STR("a")));
}

static void keeps_no_plain_text_and_no_fixed_digest(void **state)
{
    static const char value[] = "a-value-long-enough-to-be-found!";
    struct secret a, b;

    (void)state;
    assert_int_equal(secret_set(&a, STR(value)), 0);
    assert_int_equal(secret_set(&b, STR(value)), 0);
    assert_null(memmem(&a, sizeof(a), value, 8));
    assert_memory_not_equal(a.digest, b.digest, sizeof(a.digest));
    secret_clear(&a);
    secret_clear(&b);
}

static void wipes_every_byte(void **state)
{
    unsigned char buf[64];

    (void)state;
    memset(buf, 0xa5, sizeof(buf));
    secret_wipe(buf + 1, sizeof(buf) - 2);
    for (size_t i = 1; i + 1 < sizeof(buf); i++)
        assert_int_equal(buf[i], 0);
    assert_int_equal(buf[0], 0xa5);
    assert_int_equal(buf[63], 0xa5);
    secret_wipe(NULL, 0);
}

static void ids_have_the_shape_of_a_run_id_and_differ(void **state)
{
    char id[64][RANDOM_ID_LEN + 1];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(id); i++) {
        assert_int_equal(random_id(id[i]), 0);
        assert_int_equal(strlen(id[i]), 16);
        assert_int_equal(strspn(id[i], "0123456789abcdef"), 16);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(id[i], id[j]);
    }
}

static void random_bytes_fill_exactly_the_buffer(void **state)
{
    unsigned char a[66] = {0}, b[66] = {0};

    (void)state;
    assert_int_equal(random_bytes(a + 1, 64), 0);
    assert_int_equal(random_bytes(b + 1, 64), 0);
    assert_memory_not_equal(a + 1, b + 1, 64);
    assert_int_equal(a[0] | a[65] | b[0] | b[65], 0);
    assert_int_equal(random_bytes(a, 0), 0);
}

/* RFC 4648 section 10. */
static const struct {
    const char *plain, *base64, *base64url, *hex;
} vectors[] = {
    {"", "", "", ""},
    {"f", "Zg==", "Zg", "66"},
    {"fo", "Zm8=", "Zm8", "666f"},
    {"foo", "Zm9v", "Zm9v", "666f6f"},
    {"foob", "Zm9vYg==", "Zm9vYg", "666f6f62"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE", "666f6f6261"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy", "666f6f626172"},
};

static void encodes_the_vectors_of_the_rfc(void **state)
{
    char out[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        size_t n = strlen(vectors[i].plain);

        assert_int_equal(base64_encode(out, sizeof(out), vectors[i].plain, n),
                         strlen(vectors[i].base64));
        assert_string_equal(out, vectors[i].base64);
        assert_int_equal(base64url_encode(out, sizeof(out), vectors[i].plain, n),
                         strlen(vectors[i].base64url));
        assert_string_equal(out, vectors[i].base64url);
        assert_int_equal(hex_encode(out, sizeof(out), vectors[i].plain, n), 2 * n);
        assert_string_equal(out, vectors[i].hex);
    }
}

static void encodes_high_bytes(void **state)
{
    static const unsigned char raw[] = {0xfb, 0xff, 0xbf, 0x00};
    char out[16];

    (void)state;
    assert_int_equal(base64_encode(out, sizeof(out), raw, 4), 8);
    assert_string_equal(out, "+/+/AA==");
    assert_int_equal(base64url_encode(out, sizeof(out), raw, 4), 6);
    assert_string_equal(out, "-_-_AA");
    assert_int_equal(hex_encode(out, sizeof(out), raw, 4), 8);
    assert_string_equal(out, "fbffbf00");
}

/* The buffers are on the heap, so that a byte too many is seen by the sanitizer. */
static void writes_into_an_exact_buffer_and_refuses_a_smaller_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        size_t n = strlen(vectors[i].plain);
        char *b = malloc(BASE64_SIZE(n)), *h = malloc(HEX_SIZE(n)), *u = malloc(BASE64URL_SIZE(n));

        assert_non_null(b);
        assert_non_null(u);
        assert_non_null(h);
        assert_true(base64_encode(b, BASE64_SIZE(n), vectors[i].plain, n) >= 0);
        assert_string_equal(b, vectors[i].base64);
        assert_true(hex_encode(h, HEX_SIZE(n), vectors[i].plain, n) >= 0);
        assert_string_equal(h, vectors[i].hex);
        assert_true(base64url_encode(u, BASE64URL_SIZE(n), vectors[i].plain, n) >= 0);
        assert_string_equal(u, vectors[i].base64url);
        assert_true(base64_encode(b, BASE64_SIZE(n) - 1, vectors[i].plain, n) < 0);
        assert_true(base64url_encode(u, BASE64URL_SIZE(n) - 1, vectors[i].plain, n) < 0);
        assert_true(hex_encode(h, HEX_SIZE(n) - 1, vectors[i].plain, n) < 0);
        if (n > 0) {
            assert_string_equal(b, "");
            assert_string_equal(u, "");
            assert_string_equal(h, "");
        }
        free(b);
        free(u);
        free(h);
    }
}

static void refuses_lengths_that_would_wrap(void **state)
{
    char out[16];

    (void)state;
    assert_true(hex_encode(out, sizeof(out), "x", SIZE_MAX) < 0);
    assert_true(hex_encode(out, sizeof(out), "x", SIZE_MAX / 2 + 1) < 0);
    assert_true(base64_encode(out, sizeof(out), "x", SIZE_MAX) < 0);
    assert_true(base64_encode(out, sizeof(out), "x", SIZE_MAX - 1) < 0);
    assert_true(base64url_encode(out, sizeof(out), "x", SIZE_MAX) < 0);
    assert_true(base64url_encode(out, sizeof(out), "x", SIZE_MAX / 4 + 1) < 0);
}

/* RFC 4231 4.3 and 4.7: a short key, and one longer than a block. */
static void signs_as_the_rfc_does(void **state)
{
    static const char long_text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    unsigned char mac[SECRET_DIGEST_LEN];
    char key[131], hex[HEX_SIZE(SECRET_DIGEST_LEN)];

    (void)state;
    assert_int_equal(secret_mac(mac, STR("Jefe"), STR("what do ya want for nothing?")), 0);
    assert_true(hex_encode(hex, sizeof(hex), mac, sizeof(mac)) > 0);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    assert_int_equal(secret_mac(mac, (struct str){key, sizeof(key)}, STR(long_text)), 0);
    assert_true(hex_encode(hex, sizeof(hex), mac, sizeof(mac)) > 0);
    assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void does_not_sign_without_a_key(void **state)
{
    unsigned char mac[SECRET_DIGEST_LEN], zero[SECRET_DIGEST_LEN] = {0};

    (void)state;
    memset(mac, 0xa5, sizeof(mac));
    assert_true(secret_mac(mac, STR(""), STR("text")) < 0);
    assert_memory_equal(mac, zero, sizeof(mac));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_matches_only_itself),
        cmocka_unit_test(a_nul_inside_counts),
        cmocka_unit_test(an_unset_or_cleared_secret_matches_nothing),
        cmocka_unit_test(empty_slices_are_equal),
        cmocka_unit_test(keeps_no_plain_text_and_no_fixed_digest),
        cmocka_unit_test(wipes_every_byte),
        cmocka_unit_test(ids_have_the_shape_of_a_run_id_and_differ),
        cmocka_unit_test(random_bytes_fill_exactly_the_buffer),
        cmocka_unit_test(encodes_the_vectors_of_the_rfc),
        cmocka_unit_test(encodes_high_bytes),
        cmocka_unit_test(writes_into_an_exact_buffer_and_refuses_a_smaller_one),
        cmocka_unit_test(refuses_lengths_that_would_wrap),
        cmocka_unit_test(signs_as_the_rfc_does),
        cmocka_unit_test(does_not_sign_without_a_key),
    };

    return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
