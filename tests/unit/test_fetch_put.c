/* Requests that are no GET: HEAD, a file that is sent, a signature, and the fields of answers. */
#include "tests/unit/fetch_web.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TEST(f) cmocka_unit_test_setup_teardown(f, web_set_up, web_tear_down)
#define STORED "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 0\r\n\r\n"

static int file_of(const char *text)
{
    char path[] = "/tmp/harp-fetch-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

static void a_file_is_sent_from_its_beginning(void **state)
{
    struct web *w = *state;
    struct question a = {0}, b = {0};
    int fd = file_of("the file");
    web_start(w);
    web_say(w, STORED, KEEP);
    question_new(w, &a, w->url);
    fetch_put(a.q, fd, 8);
    question_send(&a);
    question_wait(&a);
    web_assert_answer(&a, 200, "");
    assert_memory_equal(w->asked[0].head, "PUT /x HTTP/1.1\r\n", 17);
    assert_non_null(strstr(w->asked[0].head, "\r\nContent-Length: 8\r\n"));
    assert_null(strstr(w->asked[0].head, "\r\nAccept:"));
    /* The descriptor's own place does not count, and may be shared. */
    lseek(fd, 5, SEEK_SET);
    web_say(w, STORED, CLOSE);
    question_new(w, &b, w->url);
    fetch_put(b.q, fd, 3);
    question_send(&b);
    question_wait(&b);
    web_assert_answer(&b, 200, "");
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 5);
    close(fd);
}

static void a_file_that_is_shorter_than_was_said_is_a_failure(void **state)
{
    struct web *w = *state;
    struct question a = {0};
    int fd = file_of("short");
    web_start(w);
    question_new(w, &a, w->url);
    fetch_put(a.q, fd, 6);
    question_send(&a);
    question_wait(&a);
    assert_int_equal(a.status, 0);
    assert_false(a.timed_out);
    close(fd);
}

static void a_head_has_no_body_whatever_its_length_says(void **state)
{
    struct web *w = *state;
    struct question a = {0};
    web_start(w);
    web_say(w, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", KEEP);
    question_new(w, &a, w->url);
    fetch_as_head(a.q);
    question_send(&a);
    question_wait(&a);
    web_assert_answer(&a, 200, "");
    assert_memory_equal(w->asked[0].head, "HEAD /x HTTP/1.1\r\n", 18);
}

struct fields {
    char text[512];
};

static void note(void *arg, struct str name, struct str value)
{
    struct fields *f = arg;
    size_t n = strlen(f->text);
    snprintf(f->text + n, sizeof(f->text) - n, "%.*s=%.*s;", STR_ARG(name), STR_ARG(value));
}

static void fields_are_told_head_by_head(void **state)
{
    struct web *w = *state;
    struct question a = {0};
    struct fields f = {""};
    web_start(w);
    web_say(w,
            "HTTP/1.1 103 Early Hints\r\nX: 1\r\n\r\n"
            "HTTP/1.1 200 OK\r\nETag:  \"a:b\" \r\nEmpty:\r\nContent-Length: 0\r\n\r\n",
            KEEP);
    question_new(w, &a, w->url);
    fetch_on_field(a.q, note, &f);
    question_send(&a);
    question_wait(&a);
    web_assert_answer(&a, 200, "");
    assert_string_equal(f.text, "=;X=1;=;ETag=\"a:b\";Empty=;Content-Length=0;");
}

/* What is signed must be sent: libcurl puts every line of its list into the signature. The signature
 * itself is checked by tests/integration/test_audit_ship.py. */
static void all_that_is_signed_is_sent(void **state)
{
    static const char mark[] = "SignedHeaders=";
    struct web *w = *state;
    struct question a = {0};
    int fd = file_of("the file");
    web_start(w);
    web_say(w, STORED, KEEP);
    question_new(w, &a, w->url);
    fetch_put(a.q, fd, 8);
    fetch_sign_aws(a.q, "aws:amz:us-east-1:s3", "KEY", "SECRET");
    fetch_header(a.q, STR("x-amz-content-sha256"), STR("UNSIGNED-PAYLOAD"));
    fetch_header(a.q, STR("If-None-Match"), STR("*"));
    question_send(&a);
    question_wait(&a);
    web_assert_answer(&a, 200, "");
    char *head = w->asked[0].head;
    assert_null(strstr(head, "SECRET"));
    char *names = strstr(head, mark);
    assert_non_null(names);
    names += strlen(mark);
    unsigned count = 0;
    while (*names != ',') {
        char line[64];
        size_t n = strcspn(names, ";,");
        snprintf(line, sizeof(line), "\r\n%.*s:", (int)n, names);
        if (!strcasestr(head, line)) {
            fail_msg("%s is signed, but not sent", line + 2);
        }
        names += n + (names[n] == ';');
        count++;
    }
    assert_true(count >= 4); /* host, if-none-match, x-amz-content-sha256, x-amz-date */
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_sent_from_its_beginning),
        TEST(a_file_that_is_shorter_than_was_said_is_a_failure),
        TEST(a_head_has_no_body_whatever_its_length_says),
        TEST(fields_are_told_head_by_head),
        TEST(all_that_is_signed_is_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
