/* The writer: the chain over restarts and segments, what a crash leaves, and what does not let it start. */
#include "tests/unit/audit_bench.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/memory_stream.h"

static char *first_segment(struct abench *b, size_t *n)
{
    return abench_read(abench_segment(b, 1), n);
}

static bool says(const char *text, const char *what)
{
    if (!strstr(text, what)) {
        print_error("'%s' is not in: %s\n", what, text);
        return false;
    }
    return true;
}

static void a_new_folder_gets_a_chain_that_verifies(void **state)
{
    struct abench *b = *state;
    abench_fill(b, 3);
    assert_int_equal(abench_verify(b), 0);
    /* segment, start, three decisions, stop */
    assert_true(says(b->out, "6 records in 1 segment, from 1 to 6, head "));
}

static void files_are_for_their_owner_alone(void **state)
{
    struct abench *b = *state;
    struct stat st;
    abench_fill(b, 1);
    assert_int_equal(stat(abench_segment(b, 1), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(abench_path(b, AUDIT_HEAD_NAME), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, AUDIT_HEAD_SIZE);
}

static void segments_are_read_by_the_group_that_their_folder_hands_on(void **state)
{
    struct abench *b = *state;
    struct stat st;
    mode_t old = umask(0027);
    assert_int_equal(chmod(b->folder, 02770), 0);
    abench_fill(b, 1);
    umask(old);
    assert_int_equal(stat(abench_segment(b, 1), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(stat(abench_path(b, AUDIT_HEAD_NAME), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_restart_goes_on_with_the_chain(void **state)
{
    struct abench *b = *state;
    abench_fill(b, 2);
    abench_fill(b, 2);
    assert_int_equal(abench_verify(b), 0);
    assert_true(says(b->out, "9 records in 1 segment, from 1 to 9, head "));
    assert_int_equal(abench_command(b, "show", b->folder, NULL), 0);
    assert_null(strstr(b->out, "recovered"));
}

static void a_segment_that_is_full_is_closed_and_another_begun(void **state)
{
    struct abench *b = *state;
    uint64_t firsts[64];
    b->settings.segment_size = 2000;
    abench_fill(b, 40);
    size_t n = abench_segments(b, firsts, ARRAY_LEN(firsts));
    assert_true(n > 4);
    assert_int_equal(abench_verify(b), 0);
    for (size_t i = 0; i + 1 < n; i++) {
        struct stat st;
        assert_int_equal(stat(abench_segment(b, firsts[i]), &st), 0);
        assert_true(st.st_size >= 2000 && st.st_size < 2000 + 2 * AUDIT_LINE_MAX);
        /* One alone is good, too. */
        assert_int_equal(abench_command(b, "verify", abench_segment(b, firsts[i]), NULL), 0);
    }
    abench_fill(b, 1);
    assert_int_equal(abench_verify(b), 0);
}

static void every_size_of_segments_makes_a_good_chain(void **state)
{
    struct abench *b = *state;
    for (uint64_t size = 0; size < 1200; size += 150) {
        b->settings.segment_size = size;
        abench_fill(b, 3);
        assert_int_equal(abench_verify(b), 0);
    }
}

static void a_second_writer_is_refused(void **state)
{
    struct abench *b = *state;
    struct audit *a = abench_open(b);
    assert_non_null(a);
    assert_null(abench_open(b));
    assert_true(says(b->err, "another process writes to the audit folder"));
    abench_write(a, 1);
    audit_close(a);
    assert_int_equal(abench_verify(b), 0);
    abench_fill(b, 1);
}

static void a_folder_that_is_not_there_is_told(void **state)
{
    struct abench *b = *state;
    b->settings.folder = "/nonexistent/audit";
    assert_null(abench_open(b));
    assert_true(says(b->err, "/nonexistent/audit can't be opened: No such file"));
}

static void a_link_in_place_of_a_file_is_not_followed(void **state)
{
    struct abench *b = *state;
    abench_put(abench_path(b, "else"), "", 0);
    assert_int_equal(symlink(abench_path(b, "else"), abench_path(b, AUDIT_HEAD_NAME)), 0);
    assert_null(abench_open(b));
    assert_true(says(b->err, "audit.head can't be opened"));
}

/* ---- what a crash leaves ---- */

static void half_of_a_line_is_cut_wherever_it_was_torn(void **state)
{
    struct abench *b = *state;
    size_t n, length;
    uint64_t more = 0;
    abench_fill(b, 1);
    char *text = first_segment(b, &n);
    char *line = abench_line(text, 3, &length);
    for (size_t torn = 1; torn < length; torn += 13) {
        char *now = first_segment(b, &n);
        FILE *file = fopen(abench_segment(b, 1), "ab");
        assert_int_equal(fwrite(line, 1, torn, file), torn);
        fclose(file);
        free(now);
        assert_int_equal(abench_verify(b), 1);
        assert_true(says(b->told, "torn: half of a line"));
        abench_fill(b, 0); /* recovered, start, stop */
        more += 3;
        assert_int_equal(abench_verify(b), 0);
        char expected[64];
        snprintf(expected, sizeof(expected), "recovered cut=%zu missing=0", torn);
        assert_int_equal(abench_command(b, "show", b->folder, NULL), 0);
        assert_true(says(b->out, expected));
    }
    free(text);
    char total[64];
    abench_verify(b);
    snprintf(total, sizeof(total), "from 1 to %u,", (unsigned)(4 + more));
    assert_true(says(b->out, total));
}

static void a_head_that_is_one_behind_is_no_harm(void **state)
{
    struct abench *b = *state;
    char head[AUDIT_HEAD_SIZE];
    struct audit *a = abench_open(b);
    abench_write(a, 1);
    int fd = open(abench_path(b, AUDIT_HEAD_NAME), O_RDWR);
    assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
    audit_close(a); /* writes `stop` */
    assert_int_equal(pwrite(fd, head, sizeof(head), 0), sizeof(head));
    close(fd);
    assert_int_equal(abench_verify(b), 0);
    abench_fill(b, 1);
    assert_int_equal(abench_verify(b), 0);
}

/* The boot's id in the head is not the one of now: the power may have been cut. */
static void other_boot(struct abench *b)
{
    size_t n;
    char *head = abench_read(abench_path(b, AUDIT_HEAD_NAME), &n);
    head[n - 2] = head[n - 2] == '0' ? '1' : '0';
    abench_put(abench_path(b, AUDIT_HEAD_NAME), head, n);
    free(head);
}

static void drop_last_lines(struct abench *b, unsigned keep)
{
    size_t n, length;
    char *text = first_segment(b, &n);
    const char *end = abench_line(text, keep, &length) + length;
    assert_int_equal(truncate(abench_segment(b, 1), end - text), 0);
    free(text);
}

static void records_that_went_with_a_power_cut_are_counted(void **state)
{
    struct abench *b = *state;
    abench_fill(b, 5); /* 8 records */
    other_boot(b);
    drop_last_lines(b, 5);
    abench_fill(b, 1);
    assert_int_equal(abench_verify(b), 0);
    assert_true(says(b->out, "3 more went with a power cut"));
    assert_int_equal(abench_command(b, "show", b->folder, NULL), 0);
    assert_true(says(b->out, "#6 recovered cut=0 missing=3"));
}

static void a_shorter_file_without_a_power_cut_is_an_error(void **state)
{
    struct abench *b = *state;
    abench_fill(b, 5);
    drop_last_lines(b, 5);
    assert_null(abench_open(b));
    assert_true(says(b->err, "it ends before record 8, which was written according to audit.head"));
    assert_true(says(b->err, "audit verify"));
}

static void crashes_between_two_segments_are_mended(void **state)
{
    struct abench *b = *state;
    uint64_t firsts[64];
    size_t length, size;
    b->settings.segment_size = 2000;
    abench_fill(b, 24);
    size_t n = abench_segments(b, firsts, ARRAY_LEN(firsts));
    assert_true(n >= 3);
    char *head = abench_read(abench_path(b, AUDIT_HEAD_NAME), &size);
    char *before = abench_read(abench_segment(b, firsts[n - 2]), &length);
    /* The head as it was when the last segment but one was closed. */
    char text[AUDIT_HEAD_SIZE + 1];
    snprintf(text, sizeof(text), "audit-head %020llu %.64s %.36s\n",
             (unsigned long long)firsts[n - 1] - 1, before + length - 67, head + 97);
    /* 0: the next one's file was not there yet; 1: it was empty; 2: it had half of its first line */
    for (int kind = 0; kind < 3; kind++) {
        struct audit *a;
        abench_put(abench_path(b, AUDIT_HEAD_NAME), text, AUDIT_HEAD_SIZE);
        if (kind == 0) {
            unlink(abench_segment(b, firsts[n - 1]));
        } else {
            abench_put(abench_segment(b, firsts[n - 1]), "{\"seq\":", kind == 1 ? 0 : 7);
        }
        a = abench_open(b);
        if (!a) {
            fail_msg("%s", b->err);
        }
        audit_close(a);
        assert_int_equal(abench_verify(b), 0);
    }
    /* The same, where the segment before has been shipped and deleted. */
    abench_put(abench_path(b, AUDIT_HEAD_NAME), text, AUDIT_HEAD_SIZE);
    abench_put(abench_segment(b, firsts[n - 1]), "", 0);
    for (size_t i = 0; i + 1 < n; i++) {
        unlink(abench_segment(b, firsts[i]));
    }
    abench_fill(b, 1);
    assert_int_equal(abench_verify(b), 0);
    free(head);
    free(before);
}

static void an_empty_segment_is_filled_after_a_power_cut_that_left_the_head_ahead(void **state)
{
    struct abench *b = *state;
    uint64_t firsts[64];
    b->settings.segment_size = 2000;
    abench_fill(b, 24);
    size_t n = abench_segments(b, firsts, ARRAY_LEN(firsts));
    abench_put(abench_segment(b, firsts[n - 1]), "", 0);
    other_boot(b);
    abench_fill(b, 1);
    assert_int_equal(abench_verify(b), 0);
    assert_true(says(b->out, "more went with a power cut"));
}

/* ---- what no crash leaves ---- */

static void an_end_that_was_changed_is_an_error(void **state)
{
    static const struct {
        const char *find, *put, *err;
    } cases[] = {
        {"\"object\":\"x3\"", "\"object\":\"x4\"", "does not fit the one before it"},
        {"{\"seq\":5,", "{\"seq\":6,", "does not fit the one before it"},
        {"\"event\":\"stop\"", "\"event\":\"stap\"", "is no record"},
        {"\"event\":\"segment\"", "\"event\":\"started\"", "is no record"},
        {"\"event\":\"segment\"", "\"event\":\"stop\"   ", "its first record is not the one"},
    };
    struct abench *b = *state;
    size_t n;
    abench_fill(b, 4);
    char *good = first_segment(b, &n);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *text = strdup(good);
        char *at = strstr(text, cases[i].find);
        assert_non_null(at);
        memcpy(at, cases[i].put, strlen(cases[i].put));
        abench_put(abench_segment(b, 1), text, n);
        assert_null(abench_open(b));
        assert_true(says(b->err, cases[i].err));
        assert_true(says(b->err, "move all files of the folder away"));
        free(text);
    }
    abench_put(abench_segment(b, 1), good, n);
    abench_fill(b, 1);
    free(good);
}

static void a_head_that_was_changed_is_an_error(void **state)
{
    struct abench *b = *state;
    size_t n;
    abench_fill(b, 2);
    char *head = abench_read(abench_path(b, AUDIT_HEAD_NAME), &n);
    struct {
        size_t at;
        char to;
        const char *err, *verify;
    } cases[] = {
        {0, 'X', "this program did not write what is in it", "it is not as it was written"},
        {20, 'x', "this program did not write what is in it", "it is not as it was written"},
        {60, head[60] == 'a' ? 'b' : 'a', "has another hash than in",
         "is not the one in audit.head"},
        {30, '9', "it ends before record 9", "is before the head, record 9"},
        {133, ' ', "this program did not write what is in it", "it is not as it was written"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *text = strdup(head);
        text[cases[i].at] = cases[i].to;
        abench_put(abench_path(b, AUDIT_HEAD_NAME), text, n);
        free(text);
        assert_int_equal(abench_verify(b), 1);
        assert_true(says(b->told, cases[i].verify));
        assert_null(abench_open(b));
        assert_true(says(b->err, cases[i].err));
    }
    free(head);
    unlink(abench_path(b, AUDIT_HEAD_NAME));
    assert_int_equal(abench_verify(b), 1);
    assert_true(says(b->told, "audit.head: it is missing"));
    assert_null(abench_open(b));
    assert_true(says(b->err, "missing or empty, but there are segments"));
}

static void a_head_without_segments_is_an_error(void **state)
{
    struct abench *b = *state;
    abench_fill(b, 2);
    unlink(abench_segment(b, 1));
    assert_null(abench_open(b));
    assert_true(says(b->err, "it tells of records, but there is no segment"));
    assert_int_equal(abench_verify(b), 1);
    assert_true(says(b->told, "before the head"));
}

static void a_long_segment_is_looked_at_from_its_end(void **state)
{
    struct abench *b = *state;
    size_t n, length;
    abench_fill(b, 2000);
    char *text = first_segment(b, &n);
    assert_true(n > 300000);
    abench_fill(b, 1);
    assert_int_equal(abench_verify(b), 0);
    /* A change far from the end is for verify to find. */
    free(text);
    text = first_segment(b, &n);
    char *line = abench_line(text, 10, &length);
    line[length - 10] = line[length - 10] == '0' ? '1' : '0';
    abench_put(abench_segment(b, 1), text, n);
    free(text);
    abench_fill(b, 1);
    assert_int_equal(abench_verify(b), 1);
    assert_true(says(b->told, ":10: record 10: edited"));
}

/* ---- a disk that is full ---- */

static void limit_files(uint64_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void what_can_not_be_written_is_counted_and_told_later(void **state)
{
    struct abench *b = *state;
    struct audit_record record = {.call = "images/create", .verdict = AUDIT_REFUSED};
    struct stat st;
    signal(SIGXFSZ, SIG_IGN);
    struct audit *a = abench_open(b);
    abench_write(a, 2);
    assert_int_equal(stat(abench_segment(b, 1), &st), 0);
    /* Half of the next line goes in, then all of none. */
    limit_files((uint64_t)st.st_size + 50);
    off_t good = st.st_size;
    for (int i = 0; i < 7; i++) {
        assert_int_equal(audit_write(a, &record), -1);
        assert_int_equal(stat(abench_segment(b, 1), &st), 0);
        assert_int_equal(st.st_size, good);
    }
    limit_files(RLIM_INFINITY);
    assert_int_equal(audit_write(a, &record), 0);
    audit_close(a);
    assert_int_equal(abench_verify(b), 0);
    assert_true(says(b->out, "7 more could not be written"));
    assert_int_equal(abench_command(b, "show", b->folder, NULL), 0);
    assert_true(says(b->out, "lost count=7"));
    abench_fill(b, 1);
}

static void a_disk_that_is_full_when_a_segment_ends_loses_no_link(void **state)
{
    struct abench *b = *state;
    struct audit_record record = {.call = "images/create", .verdict = AUDIT_REFUSED};
    struct stat st;
    uint64_t firsts[8];
    signal(SIGXFSZ, SIG_IGN);
    b->settings.segment_size = 1500;
    struct audit *a = abench_open(b);
    do {
        abench_write(a, 1);
        assert_int_equal(stat(abench_segment(b, 1), &st), 0);
    } while (st.st_size < 1300);
    assert_true(st.st_size < 1500);
    /* Room for the record, not for `closed`. */
    limit_files((uint64_t)st.st_size + 300);
    assert_int_equal(audit_write(a, &record), 0);
    assert_int_equal(audit_write(a, &record), -1);
    assert_int_equal(abench_segments(b, firsts, ARRAY_LEN(firsts)), 1);
    limit_files(RLIM_INFINITY);
    assert_int_equal(audit_write(a, &record), 0);
    assert_int_equal(abench_segments(b, firsts, ARRAY_LEN(firsts)), 2);
    audit_close(a);
    assert_int_equal(abench_verify(b), 0);
    assert_true(says(b->out, "1 more could not be written"));
}

/* ---- the disk ---- */

static void the_interval_brings_records_to_the_disk_by_a_timer(void **state)
{
    struct abench *b = *state;
    b->settings.sync = AUDIT_SYNC_INTERVAL;
    struct audit *a = abench_open(b);
    assert_int_equal(b->loop.timers.len, 1);
    loop_for(&b->loop, 1100);
    assert_int_equal(b->loop.timers.len, 0); /* nothing to do, so nothing wakes the loop */
    abench_write(a, 2);
    assert_int_equal(b->loop.timers.len, 1);
    audit_close(a);
    assert_int_equal(b->loop.timers.len, 0);
    b->settings.sync = AUDIT_SYNC_ALWAYS;
    abench_fill(b, 2);
    assert_int_equal(b->loop.timers.len, 0);
    assert_int_equal(abench_verify(b), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, abench_setup, abench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_folder_gets_a_chain_that_verifies),
        TEST(files_are_for_their_owner_alone),
        TEST(segments_are_read_by_the_group_that_their_folder_hands_on),
        TEST(a_restart_goes_on_with_the_chain),
        TEST(a_segment_that_is_full_is_closed_and_another_begun),
        TEST(every_size_of_segments_makes_a_good_chain),
        TEST(a_second_writer_is_refused),
        TEST(a_folder_that_is_not_there_is_told),
        TEST(a_link_in_place_of_a_file_is_not_followed),
        TEST(half_of_a_line_is_cut_wherever_it_was_torn),
        TEST(a_head_that_is_one_behind_is_no_harm),
        TEST(records_that_went_with_a_power_cut_are_counted),
        TEST(a_shorter_file_without_a_power_cut_is_an_error),
        TEST(crashes_between_two_segments_are_mended),
        TEST(an_empty_segment_is_filled_after_a_power_cut_that_left_the_head_ahead),
        TEST(an_end_that_was_changed_is_an_error),
        TEST(a_head_that_was_changed_is_an_error),
        TEST(a_head_without_segments_is_an_error),
        TEST(a_long_segment_is_looked_at_from_its_end),
        TEST(what_can_not_be_written_is_counted_and_told_later),
        TEST(a_disk_that_is_full_when_a_segment_ends_loses_no_link),
        TEST(the_interval_brings_records_to_the_disk_by_a_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
