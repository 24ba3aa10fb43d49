/* What of a certificate folder is given to the user that the hub becomes: what they could not use, and
 * nothing that somebody put there to be given. Root alone can give files away: others skip this. */
#include "hub/tunnel/certs_owner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SOMEBODY = 54321 };

struct folder {
    char path[64], base[80];
    char told[1024];
    unsigned warnings;
};

static void log_line(void *arg, enum certs_level level, const char *text)
{
    struct folder *f = arg;
    size_t n = strlen(f->told);
    f->warnings += level == CERTS_WARNING;
    snprintf(f->told + n, sizeof(f->told) - n, "%s\n", text);
}

static void run(const struct folder *f, const char *command)
{
    char text[512];
    snprintf(text, sizeof(text), "cd %s && %s", f->path, command);
    assert_int_equal(system(text), 0); /* NOLINT(cert-env33-c): words of this file */
}

static int setup(void **state)
{
    struct folder *f = calloc(1, sizeof(*f));
    snprintf(f->path, sizeof(f->path), "/tmp/harp-owner-XXXXXX");
    if (!mkdtemp(f->path)) {
        return -1;
    }
    snprintf(f->base, sizeof(f->base), "%s/certs", f->path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct folder *f = *state;
    run(f, "rm -rf -- \"$PWD\"");
    free(f);
    return 0;
}

static void hand_over(struct folder *f)
{
    if (geteuid() != 0) {
        skip();
    }
    certs_hand_over(f->base, SOMEBODY, SOMEBODY, log_line, f);
}

static void assert_owner(const struct folder *f, const char *name, uid_t owner)
{
    char path[160];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", f->path, name);
    assert_int_equal(lstat(path, &st), 0);
    if (st.st_uid != owner) {
        fail_msg("%s belongs to %u, not to %u", name, (unsigned)st.st_uid, (unsigned)owner);
    }
}

/* Names, owner and modes of HaRP's start script. */
static void harps_keys_and_folder_are_given_and_what_can_be_read_stays(void **state)
{
    struct folder *f = *state;
    run(f, "umask 022 && mkdir -p certs/frp && cd certs/frp && touch server-openssl.cnf ca.crt "
           "server.csr"
           " server.crt client.crt ca.key server.key client.key && chmod 600 *.key && "
           "touch ../cert.pem && chmod 644 ../cert.pem");
    hand_over(f);
    assert_owner(f, "certs/frp", SOMEBODY);
    assert_owner(f, "certs/frp/ca.key", SOMEBODY);
    assert_owner(f, "certs/frp/server.key", SOMEBODY);
    assert_owner(f, "certs/frp/client.key", SOMEBODY);
    assert_owner(f, "certs", 0);
    assert_owner(f, "certs/cert.pem", 0);
    assert_owner(f, "certs/frp/ca.crt", 0);
    assert_owner(f, "certs/frp/server-openssl.cnf", 0);
    assert_int_equal(f->warnings, 0);
    assert_non_null(strstr(f->told, "could not use: 4\n"));
    f->told[0] = '\0';
    hand_over(f);
    assert_string_equal(f->told, "");
}

static void a_folder_that_is_not_there_is_made_and_given(void **state)
{
    struct folder *f = *state;
    hand_over(f);
    assert_owner(f, "certs", 0);
    assert_owner(f, "certs/frp", SOMEBODY);
}

static void a_folder_that_nobody_else_may_enter_and_a_key_for_https_are_given(void **state)
{
    struct folder *f = *state;
    run(f, "mkdir -m 700 certs && touch certs/cert.pem && chmod 600 certs/cert.pem");
    hand_over(f);
    assert_owner(f, "certs", SOMEBODY);
    assert_owner(f, "certs/cert.pem", SOMEBODY);
}

static void links_and_second_names_are_left_alone(void **state)
{
    struct folder *f = *state;
    run(f, "mkdir -p certs/frp && touch secret other && chmod 600 secret other && "
           "ln -s ../../secret certs/frp/ca.key && ln other certs/frp/server.key && "
           "mkfifo -m 600 certs/frp/client.key && ln -s ../secret certs/cert.pem");
    hand_over(f);
    assert_owner(f, "secret", 0);
    assert_owner(f, "other", 0);
    assert_owner(f, "certs/frp/ca.key", 0);
    assert_owner(f, "certs/frp/client.key", 0);
    assert_int_equal(f->warnings, 1);
    assert_non_null(strstr(f->told, "/frp/server.key has a second name"));
}

static void a_folder_that_is_a_link_is_left_alone(void **state)
{
    struct folder *f = *state;
    run(f, "mkdir -m 700 outside && mkdir certs && ln -s ../outside certs/frp");
    hand_over(f);
    assert_owner(f, "outside", 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(harps_keys_and_folder_are_given_and_what_can_be_read_stays),
        T(a_folder_that_is_not_there_is_made_and_given),
        T(a_folder_that_nobody_else_may_enter_and_a_key_for_https_are_given),
        T(links_and_second_names_are_left_alone),
        T(a_folder_that_is_a_link_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
