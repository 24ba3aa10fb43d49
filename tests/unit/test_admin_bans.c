/* The list of bans as JSON: its order, its bounds, and that it is JSON. The table is a fake: any number
 * of addresses with any number of failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/json/json.h"
#include "hub/admin/admin_bans.h"

struct bans {
    struct ban *row;
    unsigned n;
};

void bans_each(struct bans *b, uint64_t now, void (*fn)(void *arg, const struct ban *ban),
               void *arg)
{
    (void)now;
    for (unsigned i = 0; i < b->n; i++) {
        fn(arg, &b->row[i]);
    }
}

static struct ban ban_of(const char *address, unsigned failures, uint64_t left)
{
    struct ban ban = {.failures = failures, .banned = left > 0, .left = left};
    assert_int_equal(ip_parse(str_of(address), &ban.ip), 0);
    return ban;
}

static char *list(struct ban *row, unsigned n)
{
    struct bans b = {row, n};
    size_t len;
    char *json = admin_bans_json(&b, 0, &len), *text = xmalloc(len + 1);
    memcpy(text, json, len);
    text[len] = '\0';
    free(json);
    return text;
}

static void lists_the_banned_first_then_by_failures(void **state)
{
    struct ban rows[] = {
        ban_of("192.0.2.1", 1, 0),       ban_of("192.0.2.2", 10, 1),    ban_of("2001:db8::", 9, 0),
        ban_of("192.0.2.9", 12, 272001), ban_of("192.0.2.3", 10, 1000),
    };
    (void)state;
    char *text = list(rows, ARRAY_LEN(rows));
    assert_string_equal(
        text, "{\"bans\":["
              "{\"address\":\"192.0.2.9\",\"failures\":12,\"banned\":true,\"seconds_left\":273},"
              "{\"address\":\"192.0.2.2\",\"failures\":10,\"banned\":true,\"seconds_left\":1},"
              "{\"address\":\"192.0.2.3\",\"failures\":10,\"banned\":true,\"seconds_left\":1},"
              "{\"address\":\"2001:db8::/64\",\"failures\":9,\"banned\":false,\"seconds_left\":0},"
              "{\"address\":\"192.0.2.1\",\"failures\":1,\"banned\":false,\"seconds_left\":0}"
              "],\"total\":5,\"more\":false}");
    free(text);
}

static void an_empty_list_is_a_list(void **state)
{
    (void)state;
    char *text = list(NULL, 0);
    assert_string_equal(text, "{\"bans\":[],\"total\":0,\"more\":false}");
    free(text);
}

/* Of `total` addresses with failures 1..total in an order far from sorted, the 1000 largest come. */
static void of_many_it_lists_those_with_most_failures(void **state)
{
    static const unsigned totals[] = {999, 1000, 1001, BANS_FAILURES};
    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(totals); t++) {
        unsigned total = totals[t], shown = MIN(total, (unsigned)ADMIN_BANS_ROWS);
        struct ban *rows = xcalloc(total, sizeof(*rows));
        for (unsigned i = 0; i < total; i++) {
            unsigned k =
                (unsigned)(((uint64_t)i * 32749 + 7) % total); /* a permutation: 32749 is prime */
            rows[i] = (struct ban){.failures = k + 1, .banned = true, .left = UINT32_MAX};
            /* As long as an address's text can be. */
            memset(rows[i].ip.b, 0xAB, 8);
            memcpy(rows[i].ip.b + 4, &k, sizeof(k));
        }
        char *text = list(rows, total);
        struct json_limits limits = {.nodes = 8 * ADMIN_BANS_ROWS};
        struct json_doc *doc = json_parse(text, strlen(text), &limits, NULL, 0);
        assert_non_null(doc);
        const struct json_node *root = json_root(doc), *bans = json_get(root, "bans");
        int64_t failures, expected = total;
        bool more;
        assert_int_equal(json_count(bans), shown);
        for (const struct json_node *n = json_first(bans); n; n = json_next(n)) {
            assert_int_equal(json_int(json_get(n, "failures"), &failures), 0);
            assert_int_equal(failures, expected--);
        }
        assert_int_equal(json_int(json_get(root, "total"), &failures), 0);
        assert_int_equal(failures, total);
        assert_int_equal(json_bool(json_get(root, "more"), &more), 0);
        assert_int_equal(more, total > shown);
        json_free(doc);
        free(text);
        free(rows);
    }
}

static void a_row_never_needs_more_than_was_set_aside(void **state)
{
    struct ban rows[ADMIN_BANS_ROWS];
    (void)state;
    for (unsigned i = 0; i < ADMIN_BANS_ROWS; i++) {
        rows[i] = (struct ban){.failures = UINT32_MAX, .banned = false, .left = UINT64_MAX / 2};
        memset(rows[i].ip.b, 0xAB, sizeof(rows[i].ip.b));
    }
    char *text = list(rows, ADMIN_BANS_ROWS);
    assert_true(strlen(text) > (size_t)100 * ADMIN_BANS_ROWS);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_the_banned_first_then_by_failures),
        cmocka_unit_test(an_empty_list_is_a_list),
        cmocka_unit_test(of_many_it_lists_those_with_most_failures),
        cmocka_unit_test(a_row_never_needs_more_than_was_set_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
