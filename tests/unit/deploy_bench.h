/* deploy_bench.h - for a test program that includes this: a hub that has operations on containers and a
 * played engine (engine_stub.h), and what the operations answered. No loop runs: the test is the loop, and
 * time is what it says. */
#ifndef HARP_UNIT_DEPLOY_BENCH_H
#define HARP_UNIT_DEPLOY_BENCH_H

#include <sys/mman.h>
#include <unistd.h>

#include "common/log/log.h"
#include "hub/deploy/deploy_impl.h"
#include "hub/hub.h"
#include "tests/unit/engine_stub.h"

#define KEY "some_very_secure_password"
#define PORT 24001
#define GONE "it is gone" /* what a call says that has no answer */
#define NOT_UNDERSTOOD "its answer is not what it should be"

/* What `done` said of one operation, with copies. */
struct told {
    unsigned times;
    int status;
    enum hop hop;
    char words[DEPLOY_TEXT_MAX], why[DEPLOY_TEXT_MAX], json[DEPLOY_JSON_MAX];
    void (*also)(struct told *t); /* done from inside `done` */
};

struct bench {
    struct hub hub;
    struct log log;
    int log_fd;
    struct deploys *list;
    struct told told; /* of bench_start */
    struct deploy *d;
};

static struct bench *bench;

static inline void bench_done(void *owner, struct answer *a)
{
    struct told *t = owner;
    t->times++;
    t->status = a->status;
    t->hop = a->hop;
    snprintf(t->words, sizeof(t->words), "%s", a->words ? a->words : "");
    snprintf(t->why, sizeof(t->why), "%s", a->why ? a->why : "");
    snprintf(t->json, sizeof(t->json), "%s", a->json ? a->json : "");
    assert_null(a->allow);
    if (t->also) {
        t->also(t);
    }
}

static inline struct deploy *bench_begin(struct told *t, enum deploy_kind kind, int64_t port,
                                         const char *json)
{
    const struct tunnel_origin origin = {.src_port = 4711};
    struct deploy_request request;
    char words[DEPLOY_ERROR_MAX], why[DEPLOY_ERROR_MAX];
    if (deploy_request_read(&request, kind, str_of(json), words, why) < 0) {
        fail_msg("the test's own request is refused: %s", words);
    }
    struct deploy *d = deploy_start(bench->list, &request, port, &origin, bench_done, t);
    if (!d) {
        assert_non_null(request.doc); /* still the caller's */
        deploy_request_free(&request);
    } else {
        assert_null(request.doc);
    }
    return d;
}

/* Begins an operation; bench->told is its answer. */
static inline void bench_start(enum deploy_kind kind, const char *json)
{
    bench->told = (struct told){0};
    bench->d = bench_begin(&bench->told, kind, PORT, json);
    assert_non_null(bench->d);
    assert_int_equal(bench->told.times, 0);
}

/* The operation has ended with this; nothing further is asked. */
static inline void bench_ended(int status, const char *words)
{
    stub_expect_none();
    assert_int_equal(stub_open(), 0);
    assert_int_equal(bench->told.times, 1);
    if (bench->told.status != status || strcmp(bench->told.words, words) != 0) {
        fail_msg("answered: %d, %s (%s)", bench->told.status, bench->told.words, bench->told.why);
    }
}

/* The reason; what failed stands in front of what a call without an answer says. */
static inline void bench_why(const char *why)
{
    size_t n = strlen(why), all = strlen(bench->told.why);
    if (strcmp(why, GONE) == 0 && all > n + 2) {
        assert_memory_equal(bench->told.why + all - n - 2, ": ", 2);
        assert_string_equal(bench->told.why + all - n, why);
    } else {
        assert_string_equal(bench->told.why, why);
    }
}

static inline void bench_ended_json(int status, const char *json)
{
    bench_ended(status, "");
    assert_string_equal(bench->told.json, json);
}

static inline void bench_goes_on(void)
{
    assert_int_equal(bench->told.times, 0);
}

/* All that was logged; later lines replace it. */
static inline const char *bench_log(void)
{
    static char text[64 * 1024];
    ssize_t n = pread(bench->log_fd, text, sizeof(text) - 1, 0);
    assert_true(n >= 0 && n < (ssize_t)sizeof(text) - 1);
    text[n] = '\0';
    return text;
}

static inline void bench_logged(const char *words)
{
    if (!strstr(bench_log(), words)) {
        fail_msg("not logged: %s; but: %s", words, bench_log());
    }
}

/* Lets time pass without anything happening. */
static inline void bench_wait(uint64_t ms)
{
    bench->hub.loop.uv.time += ms;
}

static inline int bench_set_up(void **state)
{
    (void)state;
    bench = calloc(1, sizeof(*bench));
    struct hub_settings *set = &bench->hub.settings;
    char err[256];
    bench->log_fd = memfd_create("log", MFD_CLOEXEC);
    log_init(&bench->log, bench->log_fd, LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
    bench->hub.log = &bench->log;
    set->shared_key = strdup(KEY);
    set->nc_instance_url = strdup("https://cloud.example.com");
    set->instance_aliases = strdup("old-label, older");
    set->engine_timeout = 30000;
    set->engine_start_timeout = 90000;
    set->frp_cert_validity_days = 3650;
    set->exapp_tokens = true;
    if (loop_init(&bench->hub.loop, NULL) < 0) {
        return -1;
    }
    bench->list = bench->hub.deploys = deploys_new(&bench->hub, err, sizeof(err));
    return !bench->list;
}

static inline int bench_tear_down(void **state)
{
    (void)state;
    deploys_free(bench->list);
    stub_reset();
    loop_free(&bench->hub.loop);
    free(bench->hub.settings.shared_key);
    free(bench->hub.settings.nc_instance_url);
    free(bench->hub.settings.instance_aliases);
    close(bench->log_fd);
    free(bench);
    return 0;
}

/* ---- what an engine says ---- */

#define OWN "f36387c633353b47cd2ad3dd85898aab" /* of KEY and the URL above */
#define OURS "{\"Config\":{\"Labels\":{\"harp.instance\":\"" OWN "\"}}}"
#define NOBODYS "{\"Config\":{\"Labels\":{}}}"
#define FOREIGN                                                                                    \
    "{\"Config\":{\"Labels\":{\"harp.instance\":\""                                                \
    "ffffffffffffffffffffffffffffffff\","                                                          \
    "\"harp.nextcloud\":\"https://b.example\"}}}"
#define MESSAGE(text) "{\"message\":\"" text "\"}"

/* A call and its answer; the last of a script has no call. */
struct step {
    const char *what; /* as of stub_expect */
    int status;       /* NO_ANSWER: the tunnel is gone. TIMED_OUT: it was too late. */
    const char *body;
};

enum { NO_ANSWER = 0, TIMED_OUT = -1, STEPS_MAX = 24 };

static inline void bench_run(const struct step *steps)
{
    for (; steps->what; steps++) {
        bench_goes_on();
        struct engine_call *c = stub_expect(steps->what);
        assert_int_equal(c->port, PORT);
        assert_int_equal(c->origin.src_port, 4711);
        stub_expect_none();
        if (steps->status > 0) {
            stub_answer(c, steps->status, steps->body ? steps->body : "");
        } else {
            stub_fail(c, HOP_TUNNEL, steps->status == TIMED_OUT, GONE);
        }
    }
}

#define STEPS(...)                                                                                 \
    (const struct step[])                                                                          \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, 0, NULL                                                                          \
        }                                                                                          \
    }

/* The operation makes exactly these calls, then answers so: with words and a reason; or, with 200, JSON. */
static inline void bench_says(enum deploy_kind kind, const char *json, const struct step *steps,
                              int status, const char *words, const char *why)
{
    bench_start(kind, json);
    bench_run(steps);
    bench_ended(status, words);
    bench_why(why);
    assert_string_equal(bench->told.json, "");
}

static inline void bench_gives(enum deploy_kind kind, const char *json, const struct step *steps,
                               const char *body)
{
    bench_start(kind, json);
    bench_run(steps);
    bench_ended(200, "");
    assert_string_equal(bench->told.why, "");
    assert_string_equal(bench->told.json, body);
}

#define NO_CONNECTION "Could not connect to Docker Engine on port 24001"
#define NO_TIME "Timeout communicating with Docker Engine on port 24001"

/* Repeats the script of an operation once for each step of it and each way an engine fails at one, which
 * must then be the last. */
static inline void bench_fail_each(enum deploy_kind kind, const char *json,
                                   const struct step *steps)
{
    for (unsigned fails = 0; steps[fails].what; fails++) {
        for (int way = 0; way < 4; way++) {
            struct step cut[STEPS_MAX] = {0};
            memcpy(cut, steps, (fails + 1) * sizeof(*steps));
            cut[fails].status = way == 0 ? NO_ANSWER : way == 1 ? TIMED_OUT : way == 2 ? 500 : 302;
            cut[fails].body = MESSAGE("all is\\nbroken");
            bench_start(kind, json);
            bench_run(cut);
            stub_expect_none();
            assert_int_equal(bench->told.times, 1);
            assert_int_equal(bench->told.status, way == 1 ? 504 : 503);
            if (way < 2) {
                assert_string_equal(bench->told.words, way == 0 ? NO_CONNECTION : NO_TIME);
                bench_why(GONE);
                assert_int_equal(bench->told.hop, HOP_TUNNEL);
            } else {
                assert_string_equal(bench->told.why, "all is broken");
                assert_int_equal(bench->told.hop, HOP_ENGINE);
                assert_non_null(
                    strstr(bench->told.words, way == 2 ? ": Status 500" : ": Status 302"));
            }
        }
    }
}

#endif
