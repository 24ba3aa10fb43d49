/* verify and show: each way of spoiling a chain is found and named where it is; filters; usage. */
#include "tests/unit/audit_bench.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "socket-filter/audit/audit_command.h"
#include "socket-filter/audit/record.h"
#include "socket-filter/audit/verify.h"
#include "socket-filter/audit/walk.h"

static void expect(const char *text, const char *what)
{
    if (!strstr(text, what)) {
        fail_msg("'%s' is not in: %s", what, text);
    }
}

/* One segment of ten records: segment, start, seven decisions, stop. */
static char *one_segment(struct abench *b, size_t *n)
{
    abench_fill(b, 7);
    assert_int_equal(abench_verify(b), 0);
    return abench_read(abench_segment(b, 1), n);
}

static void put_lines(struct abench *b, char *text, const unsigned *order, size_t count)
{
    FILE *file = fopen(abench_segment(b, 1), "wb");
    for (size_t i = 0; i < count; i++) {
        size_t n;
        const char *line = abench_line(text, order[i], &n);
        assert_int_equal(fwrite(line, 1, n, file), n);
    }
    fclose(file);
}

static void lines_that_are_not_where_they_were_are_named(void **state)
{
    static const struct {
        const char *name;
        unsigned order[12]; /* of lines; ends in 0 */
        const char *told;
    } cases[] = {
        {"dropped in the middle",
         {1, 2, 3, 5, 6, 7, 8, 9, 10},
         ":4: record 5: dropped: records 4 to 4 are missing before it"},
        {"several dropped",
         {1, 2, 3, 8, 9, 10},
         ":4: record 8: dropped: records 4 to 7 are missing before it"},
        {"first dropped",
         {2, 3, 4, 5, 6, 7, 8, 9, 10},
         ":1: record 2: the file does not begin with a `segment` record"},
        {"last dropped",
         {1, 2, 3, 4, 5, 6, 7, 8, 9},
         ": truncated: its end, record 9, is before the head, record 10"},
        {"neighbours swapped",
         {1, 2, 4, 3, 5, 6, 7, 8, 9, 10},
         ":3: record 4: swapped: record 3, which belongs here, stands in line 4"},
        {"swapped far away",
         {1, 2, 9, 4, 5, 6, 7, 8, 3, 10},
         ":3: record 9: swapped: record 3, which belongs here, stands in line 9"},
        {"repeated",
         {1, 2, 3, 3, 4, 5, 6, 7, 8, 9},
         ":4: record 3: swapped or repeated: record 4 belongs here"},
        {"the first again",
         {1, 1, 2, 3, 4, 5, 6, 7, 8, 9},
         ":2: record 1: swapped or repeated: record 2 belongs here"},
    };
    struct abench *b = *state;
    size_t n;
    char *text = one_segment(b, &n);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t count = 0;
        while (cases[i].order[count]) {
            count++;
        }
        put_lines(b, text, cases[i].order, count);
        if (abench_verify(b) != 1) {
            fail_msg("%s is not found", cases[i].name);
        }
        expect(b->told, cases[i].told);
        assert_string_equal(b->out, "");
    }
    free(text);
}

/* Every byte counts: each one is changed, and each change is found in its line or right behind. */
static void any_byte_that_is_changed_is_found(void **state)
{
    struct abench *b = *state;
    size_t n;
    char *text = one_segment(b, &n);
    unsigned line = 1;
    for (size_t i = 0; i < n; i++) {
        char was = text[i];
        char here[32], next[32], record[32];
        text[i] = was == '1' ? '2' : '1';
        abench_put(abench_segment(b, 1), text, n);
        if (abench_verify(b) != 1) {
            fail_msg("the change of byte %zu is not found", i);
        }
        snprintf(here, sizeof(here), ".jsonl:%u: ", line);
        snprintf(next, sizeof(next), ".jsonl:%u: record ", line + 1);
        snprintf(record, sizeof(record), "before the head, record %d", 10);
        if (!strstr(b->told, here) && !strstr(b->told, next) && !strstr(b->told, record)) {
            fail_msg("byte %zu in line %u: %s", i, line, b->told);
        }
        text[i] = was;
        line += was == '\n';
    }
    free(text);
}

static void a_hash_that_does_not_fit_is_called_edited(void **state)
{
    struct abench *b = *state;
    size_t n;
    char *text = one_segment(b, &n);
    memcpy(strstr(text, "\"verdict\":\"refused\"") + 11, "granted", 7);
    abench_put(abench_segment(b, 1), text, n);
    assert_int_equal(abench_verify(b), 1);
    expect(b->told, ":4: record 4: edited: its hash does not fit its text and the record before");
    free(text);
}

static void what_is_no_record_is_named(void **state)
{
    static const struct {
        const char *put, *told;
    } cases[] = {
        {"hello\n", ":1: not JSON"},
        {"{}\n", ":1: not a record"},
        {"{\"seq\":3}\n", ":1: record 3: not a record"},
        {"\n", ":1: not JSON"},
        {"{\"seq\":1,\"seq\":1}\n", ":1: not JSON"},
        {"\0\0\0\0", ":1: torn"},
    };
    struct abench *b = *state;
    char *lengthy = malloc(AUDIT_LINE_MAX + 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        abench_put(abench_path(b, "x"), cases[i].put, *cases[i].put ? strlen(cases[i].put) : 4);
        assert_int_equal(abench_command(b, "verify", abench_path(b, "x"), NULL), 1);
        expect(b->told, cases[i].told);
    }
    memset(lengthy, 'a', AUDIT_LINE_MAX + 1);
    lengthy[AUDIT_LINE_MAX - 1] = '\n'; /* the longest line that is read */
    abench_put(abench_path(b, "x"), lengthy, AUDIT_LINE_MAX);
    assert_int_equal(abench_command(b, "verify", abench_path(b, "x"), NULL), 1);
    expect(b->told, ":1: not JSON: ");
    assert_null(strstr(b->told, "longer than any record"));
    lengthy[AUDIT_LINE_MAX - 1] = 'a';
    lengthy[AUDIT_LINE_MAX] = '\n';
    abench_put(abench_path(b, "x"), lengthy, AUDIT_LINE_MAX + 1);
    assert_int_equal(abench_command(b, "verify", abench_path(b, "x"), NULL), 1);
    expect(b->told, ":1: not JSON: longer than any record");
    free(lengthy);
}

/* A file that is cut at any byte. */
static void any_cut_of_the_last_segment_is_found(void **state)
{
    struct abench *b = *state;
    size_t n;
    char *text = one_segment(b, &n);
    for (size_t keep = 0; keep < n; keep += 7) {
        abench_put(abench_segment(b, 1), text, keep);
        assert_int_equal(abench_verify(b), 1);
        expect(b->told, keep == 0 || text[keep - 1] == '\n' ? "is before the head" : ": torn: ");
    }
    free(text);
}

/* ---- several segments ---- */

static size_t segments(struct abench *b, uint64_t *firsts, size_t max)
{
    b->settings.segment_size = 1500;
    abench_fill(b, 30);
    size_t n = abench_segments(b, firsts, max);
    assert_true(n >= 5);
    assert_int_equal(abench_verify(b), 0);
    return n;
}

static void files_may_be_named_in_any_order(void **state)
{
    struct abench *b = *state;
    uint64_t f[32];
    segments(b, f, ARRAY_LEN(f));
    assert_int_equal(abench_command(b, "verify", abench_segment(b, f[2]), abench_segment(b, f[0]),
                                    abench_segment(b, f[1]), NULL),
                     0);
    char expected[64];
    snprintf(expected, sizeof(expected), "in 3 segments, from 1 to %d, head ", (int)f[3] - 1);
    expect(b->out, expected);
}

static void a_chain_may_begin_later(void **state)
{
    struct abench *b = *state;
    uint64_t f[32];
    char expected[64];
    segments(b, f, ARRAY_LEN(f));
    unlink(abench_segment(b, f[0]));
    assert_int_equal(abench_verify(b), 0);
    snprintf(expected, sizeof(expected), "from %d to ", (int)f[1]);
    expect(b->out, expected);
}

static void a_segment_that_is_missing_is_named(void **state)
{
    struct abench *b = *state;
    uint64_t f[32];
    char expected[128];
    segments(b, f, ARRAY_LEN(f));
    unlink(abench_segment(b, f[2]));
    assert_int_equal(abench_verify(b), 1);
    snprintf(expected, sizeof(expected),
             ":1: record %d: a segment is missing: records %d to %d are missing before it",
             (int)f[3], (int)f[2], (int)f[3] - 1);
    expect(b->told, expected);
}

static void the_last_segment_missing_is_found_by_the_head(void **state)
{
    struct abench *b = *state;
    uint64_t f[32];
    size_t n = segments(b, f, ARRAY_LEN(f));
    unlink(abench_segment(b, f[n - 1]));
    assert_int_equal(abench_verify(b), 1);
    expect(b->told, "is before the head");
}

static void segments_that_took_each_others_names_are_found(void **state)
{
    struct abench *b = *state;
    uint64_t f[32];
    segments(b, f, ARRAY_LEN(f));
    rename(abench_segment(b, f[1]), abench_path(b, "x"));
    rename(abench_segment(b, f[2]), abench_segment(b, f[1]));
    rename(abench_path(b, "x"), abench_segment(b, f[2]));
    assert_int_equal(abench_verify(b), 1);
    expect(b->told, "the file's name tells another number");
}

static void a_segment_of_another_chain_does_not_fit(void **state)
{
    struct abench *b = *state;
    uint64_t f[32], g[32];
    size_t length;
    size_t n = segments(b, f, ARRAY_LEN(f));
    char *other = abench_read(abench_segment(b, f[2]), &length);
    for (size_t i = 0; i < n; i++) {
        unlink(abench_segment(b, f[i]));
    }
    unlink(abench_path(b, AUDIT_HEAD_NAME));
    segments(b, g, ARRAY_LEN(g));
    assert_int_equal(g[2], f[2]);
    abench_put(abench_segment(b, g[2]), other, length);
    assert_int_equal(abench_verify(b), 1);
    expect(b->told, ":1: record ");
    expect(b->told, "does not go on where the one before it ended");
    free(other);
}

static void a_segment_that_was_cut_at_a_line_is_named(void **state)
{
    struct abench *b = *state;
    uint64_t f[32];
    size_t n, length;
    char expected[96];
    segments(b, f, ARRAY_LEN(f));
    char *text = abench_read(abench_segment(b, f[1]), &n);
    unsigned lines = (unsigned)(f[2] - f[1]);
    const char *last = abench_line(text, lines, &length);
    abench_put(abench_segment(b, f[1]), text, (size_t)(last - text));
    assert_int_equal(abench_verify(b), 1);
    snprintf(expected, sizeof(expected), ":%u: record %d: truncated: it is the file's last record",
             lines - 1, (int)f[2] - 2);
    expect(b->told, expected);
    abench_put(abench_segment(b, f[1]), text, 0);
    assert_int_equal(abench_verify(b), 1);
    expect(b->told, "truncated: a segment without records");
    abench_put(abench_segment(b, f[1]), text, n - 5);
    assert_int_equal(abench_verify(b), 1);
    expect(b->told, "torn");
    free(text);
}

static void the_shippers_check_takes_finished_segments_alone(void **state)
{
    struct abench *b = *state;
    uint64_t f[32];
    char why[AUDIT_WHY_MAX];
    size_t n = segments(b, f, ARRAY_LEN(f)), length;
    for (size_t i = 0; i < n; i++) {
        int fd = open(abench_segment(b, f[i]), O_RDONLY);
        assert_int_equal(audit_segment_check(fd, why), i + 1 < n ? 0 : -1);
        close(fd);
    }
    expect(why, "its last record is not the `closed` one");
    char *text = abench_read(abench_segment(b, f[1]), &length);
    text[length / 2] ^= 1;
    abench_put(abench_segment(b, f[1]), text, length);
    int fd = open(abench_segment(b, f[1]), O_RDONLY);
    assert_int_equal(audit_segment_check(fd, why), -1);
    expect(why, "line ");
    close(fd);
    abench_put(abench_segment(b, f[2]), "", 0);
    fd = open(abench_segment(b, f[2]), O_RDONLY);
    assert_int_equal(audit_segment_check(fd, why), -1);
    close(fd);
    free(text);
}

/* ---- what was noted elsewhere ---- */

static void a_noted_hash_must_be_in_the_chain(void **state)
{
    struct abench *b = *state;
    char head[65] = "";
    abench_fill(b, 3);
    assert_int_equal(abench_verify(b), 0);
    memcpy(head, strstr(b->out, "head ") + 5, 64);
    abench_fill(b, 3);
    assert_int_equal(abench_command(b, "verify", "--head", head, b->folder, NULL), 0);
    expect(b->out, "the hash of --head is that of record 6");
    head[5] = head[5] == '0' ? '1' : '0';
    assert_int_equal(abench_command(b, "verify", "--head", head, b->folder, NULL), 1);
    expect(b->told, "no record has the hash of --head");
    head[63] = '\0';
    assert_int_equal(abench_command(b, "verify", "--head", head, b->folder, NULL), 2);
}

/* What README.md says that verify alone can't see: a chain that was made anew from its start. */
static void a_chain_made_anew_is_found_by_a_noted_hash_alone(void **state)
{
    struct abench *b = *state;
    char head[65] = "";
    abench_fill(b, 3);
    abench_verify(b);
    memcpy(head, strstr(b->out, "head ") + 5, 64);
    unlink(abench_segment(b, 1));
    unlink(abench_path(b, AUDIT_HEAD_NAME));
    abench_fill(b, 3);
    assert_int_equal(abench_verify(b), 0);
    assert_int_equal(abench_command(b, "verify", "--head", head, b->folder, NULL), 1);
}

static void a_folder_in_use_verifies(void **state)
{
    struct abench *b = *state;
    struct audit *a = abench_open(b);
    abench_write(a, 3);
    assert_int_equal(abench_verify(b), 0);
    /* As if a line were being written right now. */
    int fd = open(abench_segment(b, 1), O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "{\"seq\":", 7), 7);
    assert_int_equal(abench_verify(b), 0);
    assert_int_equal(abench_command(b, "show", b->folder, NULL), 0);
    assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) - 7), 0);
    close(fd);
    audit_close(a);
    assert_int_equal(abench_verify(b), 0);
}

/* ---- show ---- */

static unsigned shown(struct abench *b)
{
    unsigned n = 0;
    for (const char *p = b->out; (p = strchr(p, '\n')); p++) {
        n++;
    }
    return n;
}

static void filters_choose_records(void **state)
{
    struct abench *b = *state;
    abench_fill(b, 12);
    const char *f = b->folder;
    static const struct {
        const char *option, *value;
        unsigned n;
    } cases[] = {
        {"--verdict", "refused", 6},
        {"--verdict", "unauthorized", 0},
        {"--call", "containers/json", 12},
        {"--call", "containers/*", 12},
        {"--call", "containers", 0},
        {"--object", "x1", 1},
        {"--object", "x1*", 3},
        {"--client", "127.0.0.1", 12},
        {"--client", "10.*", 0},
        {"--since", "2020-01-01T00:00:00Z", 15},
        {"--since", "2999-01-01T00:00:00Z", 0},
        {"--until", "2999-01-01T00:00:00+01:00", 15},
        {"--until", "2020-01-01T00:00:00Z", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(abench_command(b, "show", cases[i].option, cases[i].value, f, NULL), 0);
        if (shown(b) != cases[i].n) {
            fail_msg("%s %s: %u", cases[i].option, cases[i].value, shown(b));
        }
    }
    assert_int_equal(abench_command(b, "show", "--object=x1*", "--verdict=refused", f, NULL), 0);
    assert_int_equal(shown(b), 2); /* x10 and x12 */
}

static void the_times_bounds_are_from_and_before(void **state)
{
    struct abench *b = *state;
    size_t n, length;
    char *text = one_segment(b, &n);
    char time[25] = "";
    memcpy(time, strstr(abench_line(text, 5, &length), "\"time\":\"") + 8, 24);
    assert_int_equal(abench_command(b, "show", "--since", time, "--json", b->folder, NULL), 0);
    expect(b->out, "{\"seq\":5,");
    assert_int_equal(abench_command(b, "show", "--until", time, "--json", b->folder, NULL), 0);
    assert_null(strstr(b->out, "{\"seq\":5,"));
    free(text);
}

static void json_is_the_file_as_it_is(void **state)
{
    struct abench *b = *state;
    size_t n;
    char *text = one_segment(b, &n);
    assert_int_equal(abench_command(b, "show", "--json", b->folder, NULL), 0);
    assert_string_equal(b->out, text);
    free(text);
}

static void lines_for_people_hold_no_control_bytes(void **state)
{
    struct abench *b = *state;
    struct audit *a = abench_open(b);
    struct audit_record record = {.connection = 9,
                                  .method = "POST",
                                  .call = "containers/create",
                                  .object = STR("a\x1b[2J\n\xC3\xA4\\"),
                                  .verdict = AUDIT_REFUSED,
                                  .why = "it is not granted"};
    assert_int_equal(audit_write(a, &record), 0);
    audit_close(a);
    assert_int_equal(abench_command(b, "show", "--verdict", "refused", b->folder, NULL), 0);
    expect(b->out, " #3 refused POST containers/create a\\x1b[2J\\x0a\\xc3\\xa4\\\\ connection=9: "
                   "it is not granted\n");
}

static void show_says_what_is_no_record_and_goes_on(void **state)
{
    struct abench *b = *state;
    size_t n, length;
    char *text = one_segment(b, &n);
    *abench_line(text, 4, &length) = 'x';
    abench_put(abench_segment(b, 1), text, n);
    assert_int_equal(abench_command(b, "show", b->folder, NULL), 1);
    assert_int_equal(shown(b), 9);
    expect(b->told, ".jsonl:4: not a record");
    free(text);
}

/* ---- usage ---- */

static void wrong_words_are_told(void **state)
{
    struct abench *b = *state;
    const char *f = b->folder;
    abench_fill(b, 1);
    assert_int_equal(abench_command(b, "verify", NULL), 2);
    expect(b->told, "no file is named");
    assert_int_equal(abench_command(b, "look", f, NULL), 2);
    expect(b->told, "unknown word 'look'");
    assert_int_equal(abench_command(b, "verify", "--heads", "x", f, NULL), 2);
    expect(b->told, "unknown option '--heads'");
    assert_int_equal(abench_command(b, "verify", "--json", f, NULL), 2);
    assert_int_equal(abench_command(b, "verify", f, "--head", NULL), 2);
    expect(b->told, "a value is missing");
    assert_int_equal(abench_command(b, "show", "--call", "a", "--call", "b", f, NULL), 2);
    expect(b->told, "given twice");
    assert_int_equal(abench_command(b, "show", "--verdict", "no", f, NULL), 2);
    expect(b->told, "--verdict is one of passed refused malformed would-refuse unauthorized\n");
    assert_int_equal(abench_command(b, "show", "--since", "yesterday", f, NULL), 2);
    expect(b->told, "a time is written");
    assert_int_equal(abench_command(b, "verify", "--", "--json", NULL), 2);
    expect(b->told, "--json: No such file");
    assert_int_equal(abench_command(b, "verify", f, f, NULL), 2);
    expect(b->told, "only one folder");
    assert_int_equal(abench_command(b, "verify", "/dev/null", NULL), 2);
    expect(b->told, "no regular file");
}

static void an_empty_folder_has_nothing_to_verify(void **state)
{
    struct abench *b = *state;
    assert_int_equal(abench_verify(b), 2);
    expect(b->told, "there is no record in this folder");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, abench_setup, abench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_that_are_not_where_they_were_are_named),
        TEST(any_byte_that_is_changed_is_found),
        TEST(a_hash_that_does_not_fit_is_called_edited),
        TEST(what_is_no_record_is_named),
        TEST(any_cut_of_the_last_segment_is_found),
        TEST(files_may_be_named_in_any_order),
        TEST(a_chain_may_begin_later),
        TEST(a_segment_that_is_missing_is_named),
        TEST(the_last_segment_missing_is_found_by_the_head),
        TEST(segments_that_took_each_others_names_are_found),
        TEST(a_segment_of_another_chain_does_not_fit),
        TEST(a_segment_that_was_cut_at_a_line_is_named),
        TEST(the_shippers_check_takes_finished_segments_alone),
        TEST(a_noted_hash_must_be_in_the_chain),
        TEST(a_chain_made_anew_is_found_by_a_noted_hash_alone),
        TEST(a_folder_in_use_verifies),
        TEST(filters_choose_records),
        TEST(the_times_bounds_are_from_and_before),
        TEST(json_is_the_file_as_it_is),
        TEST(lines_for_people_hold_no_control_bytes),
        TEST(show_says_what_is_no_record_and_goes_on),
        TEST(wrong_words_are_told),
        TEST(an_empty_folder_has_nothing_to_verify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
