#include "tests/unit/certs_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/crypto/tls.h"

int bench_set_up(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));

    strcpy(b->base, "/tmp/test_certs.XXXXXX");
    *state = b;
    umask(022);
    return mkdtemp(b->base) ? 0 : -1;
}

int bench_tear_down(void **state)
{
    struct bench *b = *state;
    char cmd[128];

    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", b->base);
    free(b);
    return system(cmd);
}

static void listen_to(void *arg, enum certs_level level, const char *text)
{
    struct bench *b = arg;
    size_t n = strlen(b->told);

    snprintf(b->told + n, sizeof(b->told) - n, "%s\n", text);
    b->warnings += level == CERTS_WARNING;
}

int bench_open_days(struct bench *b, int days)
{
    b->told[0] = b->err[0] = '\0';
    b->warnings = 0;
    return certs_open(&b->c, b->base, days, listen_to, b, b->err, sizeof(b->err));
}

void bench_must_open(struct bench *b)
{
    if (bench_open_days(b, 5000) < 0)
        fail_msg("%s", b->err);
}

void bench_must_refuse(struct bench *b, const char *says)
{
    assert_true(bench_open_days(b, 5000) < 0);
    if (!strstr(b->err, says))
        fail_msg("expected \"%s\" in: %s", says, b->err);
    assert_non_null(strstr(b->err, b->base));
    assert_false(b->c.can_issue);
}

void bench_assert_told(const struct bench *b, const char *words)
{
    if (!strstr(b->told, words))
        fail_msg("expected \"%s\" in: %s", words, b->told);
}

const char *bench_path(const struct bench *b, const char *name)
{
    static char ring[4][256];
    static unsigned int next;
    char *p = ring[next++ % ARRAY_LEN(ring)];

    snprintf(p, sizeof(ring[0]), "%s/frp/%s", b->base, name);
    return p;
}

void bench_slurp(const char *path, char out[BENCH_FILE_MAX])
{
    FILE *f = fopen(path, "r");
    size_t n;

    assert_non_null(f);
    n = fread(out, 1, BENCH_FILE_MAX - 1, f);
    out[n] = '\0';
    fclose(f);
    assert_true(n > 0);
}

void bench_spill(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

void bench_snapshot(const struct bench *b, struct bench_six *s)
{
    for (int f = 0; f < CERTS_FILE_COUNT; f++)
        bench_slurp(bench_path(b, certs_file_name((enum certs_file)f)), s->text[f]);
}

void bench_assert_same_but(const struct bench_six *a, const struct bench_six *b, int but1, int but2)
{
    for (int f = 0; f < CERTS_FILE_COUNT; f++) {
        if (f == but1 || f == but2)
            assert_string_not_equal(a->text[f], b->text[f]);
        else
            assert_string_equal(a->text[f], b->text[f]);
    }
}

void bench_assert_nothing_left_over(const struct bench *b)
{
    assert_int_equal(access(bench_path(b, ".new"), F_OK), -1);
    assert_int_equal(access(bench_path(b, ".commit"), F_OK), -1);
}

void bench_assert_usable(const struct bench *b)
{
    struct tls_report r;
    SSL_CTX *hub = tls_server_tunnel(b->c.server_crt, b->c.server_key, b->c.ca_crt, &r);
    SSL_CTX *client;

    if (!hub)
        fail_msg("%s", r.error);
    client = tls_client_tunnel(b->c.client_crt, b->c.client_key, b->c.ca_crt, "harp.nc", &r);
    if (!client)
        fail_msg("%s", r.error);
    SSL_CTX_free(hub);
    SSL_CTX_free(client);
}

bool bench_shell(const struct bench *b, const char *script)
{
    char cmd[4096];

    snprintf(cmd, sizeof(cmd), "mkdir -p '%s/frp' && cd '%s/frp' && { %s\n} >/dev/null 2>&1",
             b->base, b->base, script);
    return system(cmd) == 0;
}
