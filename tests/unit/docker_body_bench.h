/* docker_body_bench.h - for a test program that includes this: judges bodies of Docker calls by a policy that
 * a test may change. Bodies and what goes on are written with ' in place of ". */
#ifndef HARP_UNIT_DOCKER_BODY_BENCH_H
#define HARP_UNIT_DOCKER_BODY_BENCH_H

#include <stdio.h>
#include <stdlib.h>

#include "common/docker/body.h"

#define WORDS(...)                                                                                 \
    {                                                                                              \
        .p = (const char *const[]){__VA_ARGS__},                                                   \
        .n = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)                           \
    }

static const struct docker_command bench_commands[] = {
    {WORDS("cat", "/etc/os-release")},
    {WORDS("update-ca-certificates")},
    {WORDS("sh", "-c", "")},
};

static const struct docker_bind bench_binds[] = {
    {.path = "/srv/x"},
    {.path = "/srv/ro", .read_only = true},
    {.path = "/srv/tree", .below = true},
};

static const struct docker_grants bench_grants = {
    .containers = WORDS("nc_app_*"),
    .volumes = WORDS("nc_app_*"),
    .images = WORDS("docker.io/library/busybox", "ghcr.io/nextcloud/*"),
    .networks = WORDS("bridge", "host", "front", "fe*"),
    .publish = WORDS("127.0.0.1", "::1"),
    .devices = WORDS("gpu", "/dev/kfd", "/dev/dri"),
    .commands = bench_commands,
    .ncommands = ARRAY_LEN(bench_commands),
    .binds = bench_binds,
    .nbinds = ARRAY_LEN(bench_binds),
};

/* What the next call is judged by; bench_reset makes it bench_grants again. */
static struct docker_grants grants;
static const struct docker_host *bench_host;
static struct docker_verdict verdict;
static struct docker_body_out out;

static inline int bench_reset(void **state)
{
    (void)state;
    grants = bench_grants;
    bench_host = NULL;
    return 0;
}

static inline int bench_end(void **state)
{
    (void)state;
    docker_body_wipe(&out);
    return 0;
}

static inline void check_printable(const char *text)
{
    for (; *text; text++) {
        assert_in_range(*text, 0x20, 0x7e);
    }
}

static inline int bench_judge_once(enum docker_body kind, struct str body)
{
    const struct docker_policy policy = {.version_max = DOCKER_VERSION_MAX, .grants = &grants};
    const struct docker_rule rule = {.name = "test/call", .body = kind};
    static struct docker_call call;
    call.rule = &rule;
    memset(&verdict, 0, sizeof(verdict));
    int status = docker_judge_body(&policy, &call, body, bench_host, &out, &verdict);
    call.rule = NULL;
    assert_int_equal(status, verdict.status);
    assert_string_equal(verdict.call, "test/call");
    assert_true(!status == !verdict.why[0]);
    assert_true(!status || (!out.p && out.n == 0));
    check_printable(verdict.why);
    check_printable(verdict.what);
    return status;
}

/* As it stands; the memory ends where the body does. */
static inline int judge_bytes(enum docker_body kind, const char *p, size_t n)
{
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, p, n);
    docker_body_wipe(&out);
    int status = bench_judge_once(kind, (struct str){copy, n});
    free(copy);
    return status;
}

static inline void swap_quotes(char *p, size_t n, char from, char to)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = p[i] == from ? to : p[i];
    }
}

static inline int judge(enum docker_body kind, const char *body)
{
    size_t n = strlen(body);
    char *copy = malloc(n + 1);
    assert_non_null(copy);
    memcpy(copy, body, n);
    swap_quotes(copy, n, '\'', '"');
    int status = judge_bytes(kind, copy, n);
    free(copy);
    return status;
}

/* It passes, and `want` goes on, which passes again and stays as it is, but for the label of an owner. */
static inline void passes(enum docker_body kind, const char *body, const char *want)
{
    if (judge(kind, body) != 0) {
        fail_msg("%d %s: %s", verdict.status, verdict.why, body);
    }
    assert_non_null(out.p);
    swap_quotes(out.p, out.n, '"', '\'');
    if (out.n != strlen(want) || memcmp(out.p, want, out.n) != 0) {
        fail_msg("got:    %.*s\nwanted: %s\nof:     %s", (int)out.n, out.p, want, body);
    }
    if (!grants.owner && strcmp(body, want) != 0) {
        passes(kind, want, want);
    }
}

static inline void refused(enum docker_body kind, const char *body, enum docker_fault fault,
                           const char *what, const char *why)
{
    int status = judge(kind, body);
    if (status != 403 || verdict.fault != fault || strcmp(verdict.what, what) != 0 ||
        strcmp(verdict.why, why) != 0) {
        fail_msg("%d %d [%s] %s: %s", status, (int)verdict.fault, verdict.what, verdict.why, body);
    }
}

/* A container of a body that passes, with more keys in front, or in HostConfig. */
#define BASE "{'Image':'busybox'}"
#define TOP(more) "{" more ",'Image':'busybox'}"
#define HOST(more) "{'Image':'busybox','HostConfig':{" more "}}"

#endif
