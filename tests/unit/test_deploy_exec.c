/* Commands in a container: how an engine's stream of a command's output is taken apart, and what is made of
 * odd answers about it. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/deploy_certs_bench.h"

/* ---- the stream ---- */

/* From memory of exactly its size, to memory of exactly the limit. */
static size_t take_apart(const char *p, size_t n, char **out)
{
    char *copy = malloc(n ? n : 1);
    *out = malloc(DEPLOY_OUTPUT_MAX);
    memcpy(copy, p, n);
    size_t len = deploy_output((struct str){copy, n}, *out);
    free(copy);
    assert_true(len <= DEPLOY_OUTPUT_MAX);
    return len;
}

static void check(const char *p, size_t n, const char *want, size_t want_n)
{
    char *out;
    size_t len = take_apart(p, n, &out);
    assert_int_equal(len, want_n);
    assert_memory_equal(out, want, want_n);
    free(out);
}

#define CHECK(text, want) check(text, sizeof(text) - 1, want, sizeof(want) - 1)

static void the_standard_output_alone_is_kept(void **state)
{
    (void)state;
    CHECK("", "");
    CHECK("\1\0\0\0\0\0\0\3abc", "abc");
    CHECK("\1\0\0\0\0\0\0\3abc\1\0\0\0\0\0\0\2de", "abcde");
    CHECK("\2\0\0\0\0\0\0\3err\1\0\0\0\0\0\0\2de", "de");
    CHECK("\1\0\0\0\0\0\0\2ab\2\0\0\0\0\0\0\4oops\1\0\0\0\0\0\0\1c", "abc");
    CHECK("\0\0\0\0\0\0\0\1x\1\0\0\0\0\0\0\1y", "y"); /* standard input */
    CHECK("\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1y", "y");
    CHECK("\2\0\0\0\0\0\0\3err", "");
    CHECK("\1\0\0\0\0\0\0\4a\0\r\n", "a\0\r\n");
}

static void what_is_cut_ends_it(void **state)
{
    static const char whole[] = "\1\0\0\0\0\0\0\3abc\2\0\0\0\0\0\0\1x\1\0\0\0\0\0\0\2de";
    (void)state;
    for (size_t n = 0; n < sizeof(whole); n++) {
        size_t want = n <= 8 ? 0 : n <= 11 ? n - 8 : n <= 28 ? 3 : n - 25;
        check(whole, n, "abcde", want);
    }
    CHECK("\1\0\0\0\xff\xff\xff\xff"
          "abc",
          "abc");
    CHECK("\1\0\0\0\x80\0\0\0abc\1\0\0\0\0\0\0\1x", "abc\1\0\0\0\0\0\0\1x");
    CHECK("\2\0\0\0\xff\xff\xff\xff"
          "abc\1\0\0\0\0\0\0\1x",
          "");
}

static void what_is_no_such_stream_ends_it(void **state)
{
    (void)state;
    CHECK("ID=debian\nNAME=x\n", ""); /* a terminal's output has no frames */
    CHECK("\3\0\0\0\0\0\0\1x\1\0\0\0\0\0\0\1y", "");
    CHECK("\1\1\0\0\0\0\0\1x", "");
    CHECK("\1\0\1\0\0\0\0\1x", "");
    CHECK("\1\0\0\1\0\0\0\1x", "");
    CHECK("\1\0\0\0\0\0\0\1x\1\0\0\7\0\0\0\1y\1\0\0\0\0\0\0\1z", "x");
    CHECK("\xff\0\0\0\0\0\0\1x", "");
}

static void the_rest_of_a_long_one_is_left_out(void **state)
{
    static const size_t sizes[] = {
        1, 1000, DEPLOY_OUTPUT_MAX - 1, DEPLOY_OUTPUT_MAX, DEPLOY_OUTPUT_MAX + 1, 100000};
    static char text[100000], stream[4 * (sizeof(text) + 8)];
    char *out;
    (void)state;
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (char)(i % 251);
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        size_t n = frame(stream, 1, text, sizes[i]);
        n += frame(stream + n, 2, text, 50000);
        n += frame(stream + n, 1, "tail", 4);
        size_t len = take_apart(stream, n, &out), first = MIN(sizes[i], (size_t)DEPLOY_OUTPUT_MAX);
        assert_int_equal(len, MIN(sizes[i] + 4, (size_t)DEPLOY_OUTPUT_MAX));
        assert_memory_equal(out, text, first);
        assert_memory_equal(out + first, "tail", len - first);
        free(out);
    }
}

/* ---- the calls ---- */

/* The first command is made, with this id. */
static void begin(const char *id)
{
    char made[512];
    bench_start(DEPLOY_CERTIFICATES, SYSTEM);
    stub_step(INSPECT, 200, RUNNING);
    snprintf(made, sizeof(made), "{\"Id\":\"%s\"}", id);
    stub_step(EXEC, 201, made);
}

/* Debian's os-release, cut into frames of each size, with errors between them. */
static void output_is_read_in_whatever_pieces_it_comes(void **state)
{
    static char stream[64 * 1024];
    (void)state;
    for (size_t piece = 1; piece <= strlen(DEBIAN); piece++) {
        size_t n = 0;
        for (size_t at = 0; at < strlen(DEBIAN); at += piece) {
            n += frame(stream + n, 2, "noise\n", 6);
            n += frame(stream + n, 1, &DEBIAN[at], MIN(piece, strlen(DEBIAN) - at));
        }
        bench_start(DEPLOY_CERTIFICATES, SYSTEM);
        stub_step(INSPECT, 200, RUNNING);
        command_made(CAT);
        command_output(stream, n, "{\"ExitCode\":0}");
        command_made(MKDIR_DEBIAN); /* so it was understood */
        deploys_free(bench->list);
        char err[64];
        bench->list = deploys_new(&bench->hub, err, sizeof(err));
        stub_seen = stub_asked;
    }
}

static void an_id_must_be_hexadecimal(void **state)
{
    static const char *const bad[] = {
        "",    "g",    "A", "0 ",      "../x",     "0/../../info",
        "0?x", "0%2f", "-", "\\u0000", "0\\u0000", "\\u00e9",
    };
    char id[DEPLOY_ID_MAX + 2], start[256];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        begin(bad[i]);
        bench_ended(503, "Failed to run 'cat /etc/os-release' in container 'nc_app_a' (exec "
                         "create): Status 201");
    }
    memset(id, 'f', DEPLOY_ID_MAX + 1);
    id[DEPLOY_ID_MAX + 1] = '\0';
    begin(id);
    bench_ended(
        503,
        "Failed to run 'cat /etc/os-release' in container 'nc_app_a' (exec create): Status 201");
    id[DEPLOY_ID_MAX] = '\0';
    begin(id);
    snprintf(start, sizeof(start), "POST /exec/%s/start", id);
    stub_step(start, 404, "");
    bench_ended(204, "");
}

static void an_answer_without_an_id_is_a_failure(void **state)
{
    static const char *const rows[] = {"", "x", "{}", "{\"Id\":5}", "{\"id\":\"0e1\"}", "[]"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bench_start(DEPLOY_CERTIFICATES, SYSTEM);
        stub_step(INSPECT, 200, RUNNING);
        stub_step(EXEC, 201, rows[i]);
        bench_ended(503, "Failed to run 'cat /etc/os-release' in container 'nc_app_a' (exec "
                         "create): Status 201");
    }
    bench_start(DEPLOY_CERTIFICATES, SYSTEM);
    stub_step(INSPECT, 200, RUNNING);
    stub_step(EXEC, 200, "{\"Id\":\"0e1\"}"); /* not 201: nothing was made */
    bench_ended(
        503,
        "Failed to run 'cat /etc/os-release' in container 'nc_app_a' (exec create): Status 200");
}

/* A command of which nobody knows how it ended did not do what it should. */
static void only_an_exit_code_of_0_is_good(void **state)
{
    static const struct {
        const char *ended;
        bool good;
    } rows[] = {
        {"{\"ExitCode\":0}", true},
        {"{\"Running\":false,\"ExitCode\":0,\"ID\":\"0e1\"}", true},
        {"{\"ExitCode\":1}", false},
        {"{\"ExitCode\":127}", false},
        {"{\"ExitCode\":255}", false},
        {"{\"ExitCode\":-1}", false},
        {"{\"ExitCode\":4294967296}", false}, /* its lower half is 0 */
        {"{\"ExitCode\":9223372036854775807}", false},
        {"{\"ExitCode\":null}", false},
        {"{\"ExitCode\":\"0\"}", false},
        {"{\"ExitCode\":0.0}", false},
        {"{\"ExitCode\":false}", false},
        {"{}", false},
        {"0", false},
        {"no JSON", false},
        {"", false},
    };
    char output[256];
    (void)state;
    size_t n = frame(output, 1, DEBIAN, strlen(DEBIAN));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bench_start(DEPLOY_CERTIFICATES, SYSTEM);
        stub_step(INSPECT, 200, RUNNING);
        command_made(CAT);
        command_output(output, n, rows[i].ended);
        if (rows[i].good) {
            command(MKDIR_DEBIAN, "", 0);
            upload_bundle("usr/local/share/ca-certificates/", false);
            command(REFRESH_DEBIAN, "", 0);
        }
        bench_ended(204, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, certs_set_up, bench_tear_down)
        cmocka_unit_test(the_standard_output_alone_is_kept),
        cmocka_unit_test(what_is_cut_ends_it),
        cmocka_unit_test(what_is_no_such_stream_ends_it),
        cmocka_unit_test(the_rest_of_a_long_one_is_left_out),
        TEST(output_is_read_in_whatever_pieces_it_comes),
        TEST(an_id_must_be_hexadecimal),
        TEST(an_answer_without_an_id_is_a_failure),
        TEST(only_an_exit_code_of_0_is_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
