/* The 12-byte frame header: what is refused whatever the state, and that writing is the reverse. */
#include "common/frp/yamux_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void judges_headers(void **state)
{
    static const struct {
        uint8_t p[YAMUX_HEADER];
        const char *why; /* NULL: fine */
    } cases[] = {
        {{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5}, NULL},
        {{0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0}, NULL},
        {{0, 1, 0, 1, 0, 0, 0, 1, 0, 0x5c, 0, 0}, NULL},
        {{0, 1, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0}, NULL},
        {{0, 1, 0, 4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, NULL},
        {{0, 1, 0, 15, 0, 0, 0, 1, 0, 0, 0, 0}, NULL},
        {{0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7}, NULL},
        {{0, 2, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7}, NULL},
        {{0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, NULL},
        {{1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, "yamux: unknown version"},
        {{255, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, "yamux: unknown version"},
        {{0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "yamux: unknown frame type"},
        {{0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "yamux: unknown frame type"},
        {{0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0}, "yamux: unknown flags"},
        {{0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0}, "yamux: unknown flags"},
        {{0, 1, 0x80, 1, 0, 0, 0, 1, 0, 0, 0, 0}, "yamux: unknown flags"},
        {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "yamux: stream frame without a stream id"},
        {{0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, "yamux: stream frame without a stream id"},
        {{0, 2, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0}, "yamux: session frame with a stream id"},
        {{0, 3, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, "yamux: session frame with a stream id"},
        {{0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "yamux: ping that is neither request nor reply"},
        {{0, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0}, "yamux: ping that is neither request nor reply"},
        {{0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0}, "yamux: ping that is neither request nor reply"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct yamux_header h;
        const char *why = yamux_header_parse(&h, cases[i].p);
        if (cases[i].why) {
            assert_non_null(why);
            assert_string_equal(why, cases[i].why);
        } else if (why) {
            fail_msg("case %zu: %s", i, why);
        }
    }
}

static void reads_big_endian(void **state)
{
    static const uint8_t p[YAMUX_HEADER] = {0,    1,    0,    9,    0x12, 0x34,
                                            0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0};
    struct yamux_header h;
    (void)state;
    assert_null(yamux_header_parse(&h, p));
    assert_int_equal(h.type, YAMUX_WINDOW);
    assert_int_equal(h.flags, YAMUX_SYN | YAMUX_RST);
    assert_int_equal(h.id, 0x12345678);
    assert_int_equal(h.length, 0x9abcdef0);
}

static void written_headers_read_the_same(void **state)
{
    static const uint32_t numbers[] = {0, 1, 255, 256, 65535, 65536, 6029312, UINT32_MAX};
    (void)state;
    for (uint8_t type = 0; type <= YAMUX_GO_AWAY; type++) {
        for (uint16_t flags = 0; flags < 16; flags++) {
            for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
                uint8_t p[YAMUX_HEADER + 1] = {[YAMUX_HEADER] = 0xee};
                struct yamux_header h;
                uint32_t id = type >= YAMUX_PING ? 0 : numbers[i] | 1;
                yamux_header_write(p, type, flags, id, numbers[i]);
                assert_int_equal(p[YAMUX_HEADER], 0xee);
                if (yamux_header_parse(&h, p)) {
                    assert_int_equal(type, YAMUX_PING);
                    continue;
                }
                assert_int_equal(h.type, type);
                assert_int_equal(h.flags, flags);
                assert_int_equal(h.id, id);
                assert_int_equal(h.length, numbers[i]);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_headers),
        cmocka_unit_test(reads_big_endian),
        cmocka_unit_test(written_headers_read_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
