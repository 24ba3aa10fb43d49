/* The tunnel's certificate folder when it is not whole: files that are missing or do not belong
 * together, a hub that was stopped while it wrote, several that write at once. */
#include "hub/tunnel/certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/certs_bench.h"

static void missing_pairs_are_issued_anew(void **state)
{
    struct bench *b = *state;
    struct bench_six before, after;

    bench_must_open(b);
    bench_snapshot(b, &before);
    unlink(bench_path(b, "server.key"));
    unlink(bench_path(b, "server.crt"));
    bench_must_open(b);
    bench_assert_told(b, "server.key and server.crt were missing and have been issued anew");
    bench_snapshot(b, &after);
    bench_assert_same_but(&before, &after, CERTS_SERVER_KEY, CERTS_SERVER_CRT);
    bench_assert_usable(b);

    before = after;
    unlink(bench_path(b, "client.key"));
    unlink(bench_path(b, "client.crt"));
    bench_must_open(b);
    bench_assert_told(b, "client.key and client.crt were missing and have been issued anew");
    bench_snapshot(b, &after);
    bench_assert_same_but(&before, &after, CERTS_CLIENT_KEY, CERTS_CLIENT_CRT);
    bench_assert_usable(b);
    assert_true(bench_shell(b, "openssl verify -x509_strict -CAfile ca.crt server.crt client.crt"));
}

static void a_partial_folder_is_refused_with_a_remedy(void **state)
{
    static const struct {
        const char *remove, *says;
    } cases[] = {
        {"ca.crt", "ca.crt is missing; put it back"},
        {"ca.crt ca.key", "ca.crt is missing; put it back"},
        {"server.key", "server.key is missing; put it back, or remove server.crt as well"},
        {"server.crt", "server.crt is missing; put it back, or remove server.key as well"},
        {"client.key", "client.key is missing; put it back, or remove client.crt as well"},
        {"client.crt", "client.crt is missing; put it back, or remove client.key as well"},
        {"ca.key server.key server.crt", "without ca.key they cannot be issued"},
        {"ca.key client.key client.crt", "client.key and client.crt are missing, and without"},
        {"ca.crt server.crt server.key client.crt client.key", "ca.crt is missing"},
    };
    struct bench *b = *state;
    char cmd[256];

    bench_must_open(b);
    assert_true(bench_shell(b, "mkdir ../keep && cp -p * ../keep/"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(cmd, sizeof(cmd), "rm -f %s", cases[i].remove);
        assert_true(bench_shell(b, cmd));
        bench_must_refuse(b, cases[i].says);
        /* A refusal changes nothing. */
        snprintf(cmd, sizeof(cmd), "for f in %s; do [ ! -e $f ] || exit 1; done", cases[i].remove);
        assert_true(bench_shell(b, cmd));
        bench_assert_nothing_left_over(b);
        assert_true(bench_shell(b, "cp -p ../keep/* ."));
    }
    bench_must_open(b);
}

static void files_that_do_not_belong_together_are_refused(void **state)
{
    static const struct {
        const char *spoil, *says;
    } cases[] = {
        {"cp ../other/frp/ca.key ca.key", "ca.key: does not belong to the certificate in ca.crt"},
        {"cp ../other/frp/server.key server.key", "server.key: does not match the certificate"},
        {"cp client.key server.key", "server.key: does not match the certificate"},
        {"cp ../other/frp/client.* .", "client.crt: is not signed by the CA in ca.crt"},
        {"cp ../other/frp/server.* .", "server.crt: is not signed by the CA in ca.crt"},
        {"echo x > server.crt", "server.crt: is not PEM"},
        {": > ca.key", "ca.key: is empty"},
        {"rm ca.crt; mkdir ca.crt", "ca.crt: cannot be read: is not a regular file"},
    };
    struct bench *b = *state;
    char other[128];
    struct certs c;

    snprintf(other, sizeof(other), "%s/other", b->base);
    assert_int_equal(certs_open(&c, other, 10, NULL, NULL, b->err, sizeof(b->err)), 0);
    bench_must_open(b);
    assert_true(bench_shell(b, "mkdir ../keep && cp -p * ../keep/"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_true(bench_shell(b, cases[i].spoil));
        bench_must_refuse(b, cases[i].says);
        assert_true(bench_shell(b, "rm -rf *; cp -p ../keep/* ."));
    }
    bench_must_open(b);
}

/* Stopped before the commit: at every possible number of files written, the last one torn. */
static void left_overs_of_an_unfinished_first_start_are_dropped(void **state)
{
    struct bench *b = *state;
    char name[64];

    for (int n = 0; n <= CERTS_FILE_COUNT; n++) {
        assert_true(bench_shell(b, "rm -rf * .new .commit; mkdir .new"));
        for (int f = 0; f < n; f++) {
            snprintf(name, sizeof(name), ".new/%s", certs_file_name((enum certs_file)f));
            bench_spill(bench_path(b, name), "-----BEGIN");
        }
        bench_must_open(b);
        bench_assert_told(b, "made a CA");
        bench_assert_nothing_left_over(b);
        bench_assert_usable(b);
    }
}

/* Stopped after the commit: with every number of files already in place. */
static void a_committed_first_start_is_finished(void **state)
{
    struct bench *b = *state;
    struct bench_six before, after;
    char cmd[256];

    bench_must_open(b);
    bench_snapshot(b, &before);
    for (int n = 0; n <= CERTS_FILE_COUNT; n++) {
        assert_true(bench_shell(b, "mkdir .commit"));
        for (int f = n; f < CERTS_FILE_COUNT; f++) {
            snprintf(cmd, sizeof(cmd), "mv %s .commit/", certs_file_name((enum certs_file)f));
            assert_true(bench_shell(b, cmd));
        }
        bench_must_open(b);
        bench_snapshot(b, &after);
        bench_assert_same_but(&before, &after, -1, -1);
        assert_string_equal(b->told, "");
        bench_assert_nothing_left_over(b);
    }
}

/* A renewal stopped between key and certificate leaves two that do not match, for that moment. */
static void a_committed_renewal_is_finished(void **state)
{
    struct bench *b = *state;
    struct bench_six before, after;

    bench_must_open(b);
    assert_true(bench_shell(b, "mkdir ../new && cp server.* ../new/ && rm server.*"));
    bench_must_open(b);
    bench_snapshot(b, &before);
    assert_true(bench_shell(b, "mkdir .commit && mv ../new/server.crt .commit/ && "
                               "mv ../new/server.key server.key"));
    bench_must_open(b);
    bench_snapshot(b, &after);
    bench_assert_same_but(&before, &after, CERTS_SERVER_KEY, CERTS_SERVER_CRT);
    bench_assert_nothing_left_over(b);
    bench_assert_usable(b);
}

static void a_kill_at_any_moment_is_survived(void **state)
{
    struct bench *b = *state;

    for (int i = 0; i < 24; i++) {
        const struct timespec wait = {0, i * 400000L};
        pid_t child;

        assert_true(bench_shell(b, i % 2 ? "rm -rf ../frp" : "rm -rf * .new .commit"));
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct certs c;
            char err[CERTS_TEXT_SIZE];

            _exit(certs_open(&c, b->base, 100, NULL, NULL, err, sizeof(err)) < 0);
        }
        nanosleep(&wait, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        bench_must_open(b);
        bench_assert_nothing_left_over(b);
        bench_assert_usable(b);
    }
}

static void two_hubs_starting_at_once_agree(void **state)
{
    struct bench *b = *state;
    pid_t child[4];
    int status;

    for (size_t i = 0; i < ARRAY_LEN(child); i++) {
        child[i] = fork();
        assert_true(child[i] >= 0);
        if (child[i] == 0) {
            struct certs c;
            char err[CERTS_TEXT_SIZE];

            _exit(certs_open(&c, b->base, 100, NULL, NULL, err, sizeof(err)) < 0);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(child); i++) {
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    bench_must_open(b);
    assert_string_equal(b->told, "");
    bench_assert_usable(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(missing_pairs_are_issued_anew),
        TEST(a_partial_folder_is_refused_with_a_remedy),
        TEST(files_that_do_not_belong_together_are_refused),
        TEST(left_overs_of_an_unfinished_first_start_are_dropped),
        TEST(a_committed_first_start_is_finished),
        TEST(a_committed_renewal_is_finished),
        TEST(a_kill_at_any_moment_is_survived),
        TEST(two_hubs_starting_at_once_agree),
    };

    return cmocka_run_group_tests_name("certs_recovery", tests, NULL, NULL);
}
