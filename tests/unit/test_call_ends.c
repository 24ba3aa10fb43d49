/* Calls of our own over a stream: the request as it is written, and how calls end: early, cancelled, with
 * the stream, and with another call begun in their place. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/call_bench.h"

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define FIELDS                                                                                     \
    "Host: docker\r\nUser-Agent: test\r\nAccept: application/json\r\nConnection: close\r\n"

static const struct str nothing = {NULL, 0};

static void say(struct bench *b, const char *text)
{
    stream_write(b->server.s, text, strlen(text));
    loop_settle(&b->loop);
}

/* ---- the request ---- */

static void the_request_is_written_so(void **state)
{
    static const struct {
        enum http_method method;
        const char *body, *want;
    } rows[] = {
        {HTTP_GET, NULL, "GET /version HTTP/1.1\r\n" FIELDS "\r\n"},
        {HTTP_HEAD, NULL, "HEAD /version HTTP/1.1\r\n" FIELDS "\r\n"},
        {HTTP_DELETE, NULL, "DELETE /version HTTP/1.1\r\n" FIELDS "\r\n"},
        {HTTP_POST, NULL, "POST /version HTTP/1.1\r\n" FIELDS "Content-Length: 0\r\n\r\n"},
        {HTTP_PUT, NULL, "PUT /version HTTP/1.1\r\n" FIELDS "Content-Length: 0\r\n\r\n"},
        {HTTP_GET, "{}",
         "GET /version HTTP/1.1\r\n" FIELDS
         "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"},
        {HTTP_DELETE, "{}",
         "DELETE /version HTTP/1.1\r\n" FIELDS
         "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"},
        {HTTP_POST, "{\"a\":1}",
         "POST /version HTTP/1.1\r\n" FIELDS
         "Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}"},
        {HTTP_PUT, "",
         "PUT /version HTTP/1.1\r\n" FIELDS
         "Content-Type: application/json\r\nContent-Length: 0\r\n\r\n"},
    };
    struct bench *b = *state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bench_connect(b, MEMORY_ENDLESS);
        struct call *c = bench_call(b, rows[i].method, str_of(rows[i].body));
        loop_settle(&b->loop);
        assert_int_equal(b->server.got.len, strlen(rows[i].want));
        assert_memory_equal(buf_head(&b->server.got), rows[i].want, strlen(rows[i].want));
        assert_int_equal(b->server.eof, 0); /* it waits for the answer */
        call_cancel(c);
        bench_disconnect(b);
    }
}

/* The longest parts that the header allows fit into the head. */
static void the_longest_request_is_written_whole(void **state)
{
    static char path[CALL_PATH_MAX + 1], host[201], agent[201], type[101];
    static struct http_request r;
    const struct call_request q = {.method = HTTP_DELETE,
                                   .path = path,
                                   .host = host,
                                   .agent = agent,
                                   .type = type,
                                   .body = STR("x"),
                                   .answer_max = 1};
    struct bench *b = *state;
    size_t scanned = 0;
    memset(path, 'p', CALL_PATH_MAX);
    path[0] = '/';
    memset(host, 'h', 200);
    memset(agent, 'a', 200);
    memset(type, 't', 100);
    bench_connect(b, MEMORY_ENDLESS);
    struct call *c = call_start(b->client, &q, tell, &b->told);
    loop_settle(&b->loop);
    int n = http_parse_request(&r, buf_head(&b->server.got), b->server.got.len,
                               &HTTP_LIMITS_DEFAULT, &scanned);
    assert_int_equal(n, b->server.got.len - 1);
    assert_int_equal(r.method_id, HTTP_DELETE);
    assert_true(str_eq(r.path, str_of(path)));
    assert_true(str_eq(r.authority, str_of(host)));
    assert_int_equal(r.length, 1);
    assert_false(r.keep_alive);
    call_cancel(c);
    bench_disconnect(b);
}

/* 1 MiB through a pipe of 1000 bytes. */
static void a_long_body_arrives_whole(void **state)
{
    static char body[1024 * 1024];
    struct bench *b = *state;
    for (size_t i = 0; i < sizeof(body); i++) {
        body[i] = (char)(i * 7 + i / 251);
    }
    bench_connect(b, 1000);
    assert_non_null(bench_call(b, HTTP_PUT, (struct str){body, sizeof(body)}));
    loop_settle(&b->loop);
    assert_true(b->server.got.len > sizeof(body));
    assert_memory_equal(buf_head(&b->server.got) + b->server.got.len - sizeof(body), body,
                        sizeof(body));
    assert_int_equal(b->told.times, 0);
    say(b, ANSWER);
    assert_int_equal(b->told.status, 200);
    bench_disconnect(b);
}

/* ---- early and late ends ---- */

static void an_answer_may_come_while_the_body_is_still_being_sent(void **state)
{
    static char body[100000];
    struct bench *b = *state;
    bench_connect(b, 4096);
    b->server.take = 1000; /* then it reads no further */
    b->server.pauses = true;
    assert_non_null(bench_call(b, HTTP_POST, (struct str){body, sizeof(body)}));
    loop_settle(&b->loop);
    assert_true(stream_pending(b->client) > 0);
    say(b, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    assert_int_equal(b->told.times, 1);
    assert_int_equal(b->told.status, 413);
    assert_string_equal(b->told.body, "no");
    bench_disconnect(b);
}

static void a_server_that_answers_and_goes_is_understood(void **state)
{
    static char body[100000];
    struct bench *b = *state;
    bench_connect(b, 4096);
    b->server.take = 0;
    b->server.pauses = true;
    assert_non_null(bench_call(b, HTTP_POST, (struct str){body, sizeof(body)}));
    loop_settle(&b->loop);
    stream_write(b->server.s, ANSWER, sizeof(ANSWER) - 1);
    stream_close(b->server.s);
    b->server.s = NULL;
    loop_settle(&b->loop);
    assert_int_equal(b->told.times, 1);
    assert_int_equal(b->told.status, 200);
    bench_disconnect(b);
}

static void a_stream_that_breaks_ends_the_call(void **state)
{
    static const char *const before[] = {"", "HTTP/1.1 200 OK\r\nConte",
                                         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
                                         "HTTP/1.1 200 OK\r\n\r\nto the end"};
    struct bench *b = *state;
    for (size_t i = 0; i < ARRAY_LEN(before); i++) {
        bench_connect(b, MEMORY_ENDLESS);
        assert_non_null(bench_call(b, HTTP_GET, nothing));
        say(b, before[i]);
        assert_int_equal(b->told.times, 0);
        stream_abort(b->server.s);
        b->server.s = NULL;
        loop_settle(&b->loop);
        assert_int_equal(b->told.times, 1);
        assert_int_equal(b->told.status, 0);
        assert_string_equal(b->told.why, "the other end of the memory broke");
        bench_disconnect(b);
    }
}

static void a_stream_that_was_over_before_is_no_answer(void **state)
{
    struct bench *b = *state;
    bench_connect(b, MEMORY_ENDLESS);
    stream_close(b->server.s);
    b->server.s = NULL;
    loop_settle(&b->loop);
    assert_non_null(bench_call(b, HTTP_GET, nothing));
    assert_int_equal(b->told.times, 0); /* never from inside call_start */
    loop_settle(&b->loop);
    assert_int_equal(b->told.times, 1);
    assert_int_equal(b->told.status, 0);
    bench_disconnect(b);
}

/* ---- cancelling ---- */

static void cancelled_at_any_stage_it_says_nothing_and_closes(void **state)
{
    static char body[100000];
    static const struct {
        const char *say;
        bool settles, long_body;
    } rows[] = {
        {NULL, false, false},
        {NULL, true, false},
        {NULL, true, true}, /* with most of the body unsent */
        {"", true, false},
        {"HTTP/1.1 200 O", true, false},
        {"HTTP/1.1 100 Continue\r\n\r\n", true, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", true, false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", true, false},
        {"HTTP/1.1 200 OK\r\n\r\nto the end", true, false},
    };
    struct bench *b = *state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bench_connect(b, 4096);
        b->server.take = rows[i].long_body ? 0 : SIZE_MAX;
        b->server.pauses = true;
        struct str s = {body, rows[i].long_body ? sizeof(body) : 10};
        struct call *c = bench_call(b, HTTP_POST, s);
        if (rows[i].settles) {
            loop_settle(&b->loop);
        }
        if (rows[i].say) {
            say(b, rows[i].say);
        }
        call_cancel(c);
        if (rows[i].long_body) {
            witness_take(&b->server, SIZE_MAX);
        }
        loop_settle(&b->loop);
        assert_int_equal(b->told.times, 0);
        assert_int_equal(b->server.eof + b->server.closed, 1);
        bench_disconnect(b);
    }
}

/* ---- from inside `done` ---- */

enum { CHAIN = 5 };

struct chain {
    struct bench *b;
    struct stream *ends[CHAIN][2];
    struct witness servers[CHAIN];
    struct call *others[CHAIN]; /* cancelled from inside done */
    unsigned ended;
    int statuses[CHAIN];
};

static struct call *chain_call(struct chain *ch, unsigned i, call_done *done)
{
    const struct call_request q = {
        .method = HTTP_GET, .path = "/", .host = "h", .agent = "a", .answer_max = 100};
    return call_start(ch->ends[i][0], &q, done, ch);
}

static void chain_open(struct chain *ch, struct bench *b)
{
    *ch = (struct chain){.b = b};
    for (unsigned i = 0; i < CHAIN; i++) {
        memory_pair(&b->loop, MEMORY_ENDLESS, ch->ends[i]);
        witness_own(&ch->servers[i], ch->ends[i][1]);
    }
}

static void chain_close(struct chain *ch)
{
    for (unsigned i = 0; i < CHAIN; i++) {
        witness_end(&ch->servers[i]);
    }
    loop_settle(&ch->b->loop);
}

static void next_in_chain(void *owner, const struct call_result *r)
{
    struct chain *ch = owner;
    ch->statuses[ch->ended++] = r->status;
    if (ch->ended < CHAIN) {
        assert_non_null(chain_call(ch, ch->ended, next_in_chain));
    }
}

static void a_call_may_begin_where_another_ends(void **state)
{
    struct chain ch;
    chain_open(&ch, *state);
    assert_non_null(chain_call(&ch, 0, next_in_chain));
    for (unsigned i = 0; i < CHAIN; i++) {
        loop_settle(&ch.b->loop);
        assert_int_equal(ch.ended, i);
        assert_true(ch.servers[i].got.len > 0);
        if (i == 1) { /* with a failure, too */
            stream_abort(ch.servers[i].s);
            ch.servers[i].s = NULL;
        } else if (i == 2) {
            stream_shutdown(ch.servers[i].s);
        } else {
            stream_write(ch.servers[i].s, ANSWER, sizeof(ANSWER) - 1);
        }
    }
    loop_settle(&ch.b->loop);
    assert_int_equal(ch.ended, CHAIN);
    for (unsigned i = 0; i < CHAIN; i++) {
        assert_int_equal(ch.statuses[i], i == 1 || i == 2 ? 0 : 200);
    }
    chain_close(&ch);
}

static void cancel_others(void *owner, const struct call_result *r)
{
    struct chain *ch = owner;
    ch->statuses[0] = r->status;
    ch->ended++;
    for (unsigned i = 1; i < CHAIN; i++) {
        call_cancel(ch->others[i]);
    }
}

static void never(void *owner UNUSED, const struct call_result *r UNUSED)
{
    fail_msg("a call that was cancelled has told");
}

/* All get their answers in one turn; the first cancels the rest. */
static void others_may_be_cancelled_where_a_call_ends(void **state)
{
    struct chain ch;
    chain_open(&ch, *state);
    assert_non_null(chain_call(&ch, 0, cancel_others));
    for (unsigned i = 1; i < CHAIN; i++) {
        ch.others[i] = chain_call(&ch, i, never);
    }
    loop_settle(&ch.b->loop);
    for (unsigned i = 0; i < CHAIN; i++) {
        stream_write(ch.servers[i].s, ANSWER, i == 0 ? sizeof(ANSWER) - 1 : sizeof(ANSWER) - 2);
    }
    loop_settle(&ch.b->loop);
    assert_int_equal(ch.ended, 1);
    assert_int_equal(ch.statuses[0], 200);
    for (unsigned i = 0; i < CHAIN; i++) {
        assert_int_equal(ch.servers[i].eof + ch.servers[i].closed, 1);
    }
    chain_close(&ch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
        TEST(the_request_is_written_so),
        TEST(the_longest_request_is_written_whole),
        TEST(a_long_body_arrives_whole),
        TEST(an_answer_may_come_while_the_body_is_still_being_sent),
        TEST(a_server_that_answers_and_goes_is_understood),
        TEST(a_stream_that_breaks_ends_the_call),
        TEST(a_stream_that_was_over_before_is_no_answer),
        TEST(cancelled_at_any_stage_it_says_nothing_and_closes),
        TEST(a_call_may_begin_where_another_ends),
        TEST(others_may_be_cancelled_where_a_call_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
