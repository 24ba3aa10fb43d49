/* The log: shapes, escaping, cutting, and that it never waits for its reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log/log.h"

struct pipe_log {
    int fds[2];
    struct log log;
    char text[65536 * 4];
};

static struct pipe_log *open_log(enum log_level level, enum log_format format)
{
    struct pipe_log *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    assert_int_equal(pipe(p->fds), 0);
    assert_int_equal(fcntl(p->fds[0], F_SETFL, O_NONBLOCK), 0);
    log_init(&p->log, p->fds[1], level, format);
    return p;
}

/* All that can be read now, NUL-terminated. */
static const char *drain(struct pipe_log *p)
{
    size_t n = 0;

    for (;;) {
        ssize_t got = read(p->fds[0], p->text + n, sizeof(p->text) - 1 - n);

        if (got <= 0)
            break;
        n += (size_t)got;
    }
    p->text[n] = '\0';
    return p->text;
}

static void close_log(struct pipe_log *p)
{
    close(p->fds[0]);
    close(p->fds[1]);
    free(p);
}

/* The line after its time, which is checked for its shape. */
static const char *after_time(const char *line)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ";

    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        if (shape[i] == 'd')
            assert_in_range(line[i], '0', '9');
        else
            assert_int_equal(line[i], shape[i]);
    }
    return line + sizeof(shape) - 1;
}

static void writes_text_lines(void **state)
{
    struct pipe_log *p = open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);

    (void)state;
    log_info(&p->log, "hub", 0, "listening on %s", "0.0.0.0:8780");
    assert_string_equal(after_time(drain(p)), " info hub listening on 0.0.0.0:8780\n");
    log_error(&p->log, "tunnel", 42, "gone");
    assert_string_equal(after_time(drain(p)), " error tunnel #42 gone\n");
    close_log(p);
}

static void writes_json_lines(void **state)
{
    struct pipe_log *p = open_log(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    const char *line;

    (void)state;
    log_warning(&p->log, "hub", 7, "a \"b\" \\ %c", '\n');
    line = drain(p);
    assert_memory_equal(line, "{\"time\":\"", 9);
    assert_string_equal(after_time(line + 9), "\",\"level\":\"warning\",\"area\":\"hub\","
                                              "\"conn\":7,\"msg\":\"a \\\"b\\\" \\\\ \\u000a\"}\n");
    log_info(&p->log, "hub", 0, "\xc3\xa9 \xf0\x9f\x98\x80 \xff \xc3");
    assert_string_equal(after_time(drain(p) + 9), "\",\"level\":\"info\",\"area\":\"hub\",\"msg\":"
                                                  "\"\\u00e9 \\ud83d\\ude00 \\ufffd \\ufffd\"}\n");
    close_log(p);
}

static void a_peer_cannot_forge_a_line(void **state)
{
    struct pipe_log *p = open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);

    (void)state;
    log_info(&p->log, "hub", 0, "%s",
             "a\n2026-01-01T00:00:00.000Z error hub b\r\x1b[31m\"\\\x7f\xff");
    assert_string_equal(after_time(drain(p)), " info hub a\\x0a2026-01-01T00:00:00.000Z error hub "
                                              "b\\x0d\\x1b[31m\"\\\\\\x7f\\xff\n");
    close_log(p);
}

static int evaluated;

static int count_evaluation(void)
{
    return ++evaluated;
}

static void arguments_below_the_level_are_not_evaluated(void **state)
{
    struct pipe_log *p = open_log(LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);

    (void)state;
    evaluated = 0;
    log_debug(&p->log, "hub", 0, "%d", count_evaluation());
    log_info(&p->log, "hub", 0, "%d", count_evaluation());
    log_info((struct log *)NULL, "hub", 0, "%d", count_evaluation());
    assert_int_equal(evaluated, 0);
    assert_string_equal(drain(p), "");
    log_warning(&p->log, "hub", 0, "%d", count_evaluation());
    assert_int_equal(evaluated, 1);
    assert_string_equal(after_time(drain(p)), " warning hub 1\n");
    close_log(p);
}

static void long_lines_are_cut_and_marked(void **state)
{
    struct pipe_log *p = open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    char big[3 * LOG_LINE_MAX];

    (void)state;
    for (int json = 0; json < 2; json++) {
        const char *end = json ? "...\"}\n" : "...\n";

        p->log.format = json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
        for (int kind = 0; kind < 3; kind++) {
            /* Plain bytes, bytes that grow by escaping, and one that fits before escaping only. */
            size_t n = kind == 2 ? LOG_LINE_MAX / 2 : sizeof(big) - 1;
            const char *line;

            memset(big, kind ? '\n' : 'x', n);
            big[n] = '\0';
            log_info(&p->log, "hub", 0, "%s", big);
            line = drain(p);
            assert_true(strlen(line) <= LOG_LINE_MAX);
            assert_true(strlen(line) > LOG_LINE_MAX - 20);
            assert_string_equal(line + strlen(line) - strlen(end), end);
            assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
        }
    }
    close_log(p);
}

static void a_full_pipe_loses_lines_and_tells_later(void **state)
{
    struct pipe_log *p = open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    char big[1024];
    const char *text;
    char expected[128];
    uint64_t lost;

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    alarm(10); /* a write that waits would never come back */
    for (int i = 0; i < 500; i++)
        log_info(&p->log, "hub", 0, "%s", big);
    alarm(0);
    lost = p->log.lost;
    assert_true(lost > 0 && lost < 500);
    drain(p);
    log_info(&p->log, "hub", 0, "back");
    text = drain(p);
    snprintf(expected, sizeof(expected),
             " warning log %llu lines left out: the log could not be written\n",
             (unsigned long long)lost);
    assert_memory_equal(after_time(text), expected, strlen(expected));
    assert_string_equal(after_time(strchr(text, '\n') + 1), " info hub back\n");
    assert_int_equal(p->log.lost, 0);
    close_log(p);
}

static void a_full_socket_does_not_wait(void **state)
{
    struct pipe_log *p = open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    log_init(&p->log, fds[0], LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    alarm(10);
    for (int i = 0; i < 10000; i++)
        log_info(&p->log, "hub", 0, "%1000d", i);
    alarm(0);
    assert_true(p->log.lost > 0);
    close(fds[1]);
    log_info(&p->log, "hub", 0, "to nobody"); /* no SIGPIPE either */
    close(fds[0]);
    close_log(p);
}

static void a_closed_reader_is_no_harm_and_errno_stays(void **state)
{
    struct pipe_log *p = open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);

    (void)state;
    close(p->fds[0]);
    errno = ENOTTY;
    log_info(&p->log, "hub", 0, "to nobody");
    assert_int_equal(errno, ENOTTY);
    assert_int_equal(p->log.lost, 1);
    p->fds[0] = -1;
    close_log(p);
}

static void writes_to_files(void **state)
{
    char name[] = "/tmp/test_log.XXXXXX";
    char text[256];
    int fd = mkstemp(name);
    struct log log;
    ssize_t n;

    (void)state;
    assert_true(fd >= 0);
    log_init(&log, fd, LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
    log_debug(&log, "hub", 1, "one");
    n = pread(fd, text, sizeof(text) - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    assert_string_equal(after_time(text), " debug hub #1 one\n");
    close(fd);
    unlink(name);
}

static void similar_messages_are_limited(void **state)
{
    struct pipe_log *p = open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    struct log_limit limit;
    int passed = 0;

    (void)state;
    log_limit_init(&limit, 3, 1000);
    for (uint64_t now = 5000; now < 5010; now++)
        passed += log_limit_pass(&limit, now, &p->log, LOG_LEVEL_WARNING, "hub");
    assert_int_equal(passed, 3);
    assert_string_equal(drain(p), "");
    assert_false(log_limit_pass(&limit, 5999, &p->log, LOG_LEVEL_WARNING, "hub"));
    assert_true(log_limit_pass(&limit, 6000, &p->log, LOG_LEVEL_WARNING, "hub"));
    assert_string_equal(after_time(drain(p)), " warning hub 8 similar messages left out\n");
    log_limit_flush(&limit, &p->log, LOG_LEVEL_WARNING, "hub");
    assert_string_equal(drain(p), "");
    close_log(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_text_lines),
        cmocka_unit_test(writes_json_lines),
        cmocka_unit_test(a_peer_cannot_forge_a_line),
        cmocka_unit_test(arguments_below_the_level_are_not_evaluated),
        cmocka_unit_test(long_lines_are_cut_and_marked),
        cmocka_unit_test(a_full_pipe_loses_lines_and_tells_later),
        cmocka_unit_test(a_full_socket_does_not_wait),
        cmocka_unit_test(a_closed_reader_is_no_harm_and_errno_stays),
        cmocka_unit_test(writes_to_files),
        cmocka_unit_test(similar_messages_are_limited),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
