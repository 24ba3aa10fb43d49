/* Members of archives for containers: names and headers that pass, and those that do not. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/archive_maker.h"

/* ---- names ---- */

/* Splits a path of n bytes, "certs/frp/" and letters with slashes at `slash` and `second`, into prefix and name
 * at the former. */
static int feed_long(size_t n, size_t slash, size_t second, char type, struct buf *out,
                     struct docker_verdict *v)
{
    char path[512], prefix[512] = "";
    struct buf in = {0};
    memset(path, 'a', n);
    memcpy(path, FRP "/", sizeof(FRP));
    path[n] = '\0';
    path[slash] = path[second] = '/';
    memcpy(prefix, path, slash);
    put_file(&in, (struct header){.prefix = prefix, .name = path + slash + 1, .type = type}, "");
    put_zeros(&in, 1024);
    return feed(&in, DOCKER_ARCHIVE_MAX, out, v);
}

static void names_are_joined_and_divided_again(void **state)
{
    static const struct {
        size_t n, slash;
        bool whole; /* it fits the name */
        char type;
    } rows[] = {
        {99, 9, true, '0'},    {100, 9, true, '0'},    {101, 9, false, '0'},
        {101, 50, false, '0'}, {200, 100, false, '0'}, {256, 155, false, '0'},
        {99, 20, true, '5'},   {100, 20, false, '5'},  {255, 155, false, '5'},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = {0}, again = {0}, copy = {0};
        struct docker_verdict v;
        assert_int_equal(feed_long(rows[i].n, rows[i].slash, rows[i].slash, rows[i].type, &out, &v),
                         0);
        const char *h = buf_head(&out);
        assert_int_equal(h[345] == 0, rows[i].whole);
        char joined[300];
        snprintf(joined, sizeof(joined), "%.155s%s%.100s", h + 345, h[345] ? "/" : "", h);
        assert_int_equal(strlen(joined), rows[i].n + (rows[i].type == '5'));
        assert_memory_equal(joined, FRP "/", sizeof(FRP));
        assert_int_equal(joined[rows[i].slash], '/');
        buf_append(&copy, h, out.len);
        assert_int_equal(feed(&copy, DOCKER_ARCHIVE_MAX, &again, &v), 0);
        assert_int_equal(again.len, out.len);
        assert_memory_equal(buf_head(&again), h, out.len);
        buf_free(&out);
        buf_free(&again);
    }
    /* Both fields are full: there is no room for the slash at a folder's end, wherever it might be divided. */
    for (size_t second = 155; second < 255; second += 20) {
        struct buf out = {0};
        struct docker_verdict v;
        assert_int_equal(feed_long(256, 155, second, '5', &out, &v), 403);
        assert_string_equal(v.why, "a member of the archive has too long a name");
        assert_null(out.p);
    }
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
#define PARTS "has a name with an empty part, or a slash at its end"
#define DOTS "has a name with a part of dots"
#define BYTES "a member of the archive has a name with a character that is not taken"
    static const struct {
        const char *prefix, *name;
        char type;
        const char *why;
    } rows[] = {
        {"", "", '0', "a member of the archive has no name"},
        {"", "/", '5', "a member of the archive has no name"},
        {"", "/certs/frp/a", '0',
         "archive member /certs/frp/a has a name that begins with a slash"},
        {"/certs", "frp/a", '0', "archive member /certs/frp/a has a name that begins with a slash"},
        {"", FRP "/../a", '0', "archive member certs/frp/../a " DOTS},
        {"", FRP "/..", '0', "archive member certs/frp/.. " DOTS},
        {"", FRP "/../", '5', "archive member certs/frp/.. " DOTS},
        {"", "../" FRP "/a", '0', "archive member ../certs/frp/a " DOTS},
        {FRP "/..", "x", '0', "archive member certs/frp/../x " DOTS},
        {"..", FRP "/x", '0', "archive member ../certs/frp/x " DOTS},
        {"", "./" FRP "/a", '0', "archive member ./certs/frp/a " DOTS},
        {"", FRP "/.", '0', "archive member certs/frp/. " DOTS},
        {"", "./", '5', "archive member . " DOTS},
        {"", FRP "//a", '0', "archive member certs/frp//a " PARTS},
        {FRP "/", "a", '0', "archive member certs/frp//a " PARTS},
        {FRP, "/a", '0', "archive member certs/frp//a " PARTS},
        {FRP, "", '0', "archive member certs/frp/ " PARTS},
        {"", FRP "/a/", '0', "archive member certs/frp/a/ " PARTS},
        {"", FRP "//", '5', "archive member certs/frp/ " PARTS},
        {"", FRP "/a\nb", '0', BYTES},
        {"", FRP "/a\x7f", '0', BYTES},
        {"", FRP "/a\x01", '0', BYTES},
        {"", FRP "/\xc3\xa4", '0', BYTES},
        {"", FRP "/..\\..\\a", '0',
         "archive member certs/frp/..\\..\\a has a name with a character that is not taken"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check_member_refused(
            (struct header){.prefix = rows[i].prefix, .name = rows[i].name, .type = rows[i].type},
            "", rows[i].why);
    }
    /* Programs that read on behind the NUL would see another name. */
    check_member_refused((struct header){.at = 50, .byte = 'x'}, "",
                         "archive member certs/frp/ca.crt has bytes behind the end of its name");
    check_member_refused((struct header){.at = 400, .byte = 'x'}, "",
                         "archive member certs/frp/ca.crt has bytes behind the end of its name");
}

static void members_outside_of_the_folders_tell_which_would_be_needed(void **state)
{
    static const struct {
        const char *name;
        char type;
        const char *what;
    } rows[] = {
        {"etc/passwd", '0', "etc"},
        {"etc/ssl/certs/x", '0', "etc/ssl/certs"},
        {"etc/ssl/", '5', "etc/ssl"},
        {"opt", '5', "opt"},
        {"usr/local/bin/x", '0', "usr/local/bin"},
        {"usr/local/share/x", '0', "usr/local/share"},
        {DEBIAN, '0', "usr/local/share"},
        {DEBIAN "2/x", '0', DEBIAN "2"},
        {DEBIAN "2/", '5', DEBIAN "2"},
        {"usr/local/share/ca-certificate/x", '0', "usr/local/share/ca-certificate"},
        {"certs/FRP/x", '0', "certs/FRP"},
        {"Certs/", '5', "Certs"},
        {"certs", '0', ""},
        {"x", '0', ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char why[192];
        struct buf in = {0};
        snprintf(why, sizeof(why),
                 "archive member %.*s is not below a folder that the policy lists",
                 (int)(strlen(rows[i].name) - (rows[i].name[strlen(rows[i].name) - 1] == '/')),
                 rows[i].name);
        put_file(&in, (struct header){.name = rows[i].name, .type = rows[i].type}, "");
        check_refused(&in, *rows[i].what ? DOCKER_FAULT_ARCHIVE : DOCKER_FAULT_NEVER, rows[i].what,
                      why);
    }
    /* Nothing is granted: nothing passes. */
    static const struct docker_grants none;
    struct docker_archive a;
    struct docker_verdict v;
    struct buf in = {0}, out = {0};
    docker_archive_init(&a, &none, DOCKER_ARCHIVE_MAX);
    put_file(&in, (struct header){0}, "");
    assert_int_equal(docker_archive_feed(&a, buf_head(&in), in.len, &out, &v), 403);
    assert_null(out.p);
    buf_free(&in);
}

/* ---- headers ---- */

static void kinds_of_members_other_than_files_and_folders_are_refused(void **state)
{
    static const struct {
        char type;
        const char *why;
    } rows[] = {
        {'1', "is a link"},
        {'2', "is a link"},
        {'3', "is a device or a pipe"},
        {'4', "is a device or a pipe"},
        {'6', "is a device or a pipe"},
        {'L', "has a name of GNU's long kind"},
        {'K', "has a name of GNU's long kind"},
        {'S', "is a sparse file"},
        {'g', "is a pax header for all members"},
        {'7', "is neither a file nor a folder"},
        {'D', "is neither a file nor a folder"},
        {'M', "is neither a file nor a folder"},
        {'V', "is neither a file nor a folder"},
        {'X', "is neither a file nor a folder"},
        {'A', "is neither a file nor a folder"},
        {(char)0xff, "is neither a file nor a folder"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char why[192];
        snprintf(why, sizeof(why), "archive member certs/frp/ca.crt %s", rows[i].why);
        check_member_refused((struct header){.type = rows[i].type}, "", why);
        check_member_refused((struct header){.type = rows[i].type, .magic = MAGIC_GNU}, "", why);
    }
}

#define MEMBER "archive member certs/frp/ca.crt "

static void modes_with_more_than_permissions_are_refused(void **state)
{
    static const char *const modes[] = {"0004755", "0002755", "0001777", "0007777", "0104755"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        check_member_refused((struct header){.mode = modes[i]}, "",
                             MEMBER "has a set-id or sticky bit");
        check_member_refused((struct header){.mode = modes[i], .name = FRP "/", .type = '5'}, "",
                             "archive member certs/frp has a set-id or sticky bit");
    }
}

static void numbers_that_can_be_read_in_two_ways_are_refused(void **state)
{
    static const struct header rows[] = {
        {.mode = "0000648"},
        {.mode = "644x"},
        {.mode = "-644"},
        {.mode = "+644"},
        {.mode = "0x644"},
        {.mode = "6 4 4"},
        {.mode = "\t644"},
        {.mode = "\x80"},
        {.uid = "\x80"},
        {.uid = "\xff\xff\xff\xff\xff\xff\xff\xff"},
        {.gid = "abc"},
        {.gid = "09"},
        {.size = ""},
        {.size = "            "},
        {.size = "\x80"},
        {.size = "-1"},
        {.size = "1e3"},
        {.size = "0000000000 1"},
        {.mtime = "-1"},
        {.mtime = "\x80"},
        {.mtime = "100000000000"}, /* over 33 bits */
        {.mtime = "777777777777"},
        {.mode = "644", .at = 106, .byte = '7'}, /* a digit behind a NUL */
        {.mode = "", .at = 101, .byte = '7'},    /* and NULs before one */
        {.size = "", .at = 134, .byte = '7'},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check_member_refused(rows[i], "", MEMBER "has a number that is not plain octal");
    }
}

static void other_headers_are_refused(void **state)
{
    static const char *const sums[] = {"%06o1", "0", "        ", "-%o", "\x80%o"};
    static const char *const magics[] = {"",        "ustar",   "ustar 00", "USTAR",
                                         "ustar\t", "ustar00", "custar  "};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
        check_member_refused((struct header){.sum = sums[i]}, "",
                             "the archive has a header with a wrong checksum");
    }
    for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
        check_member_refused((struct header){.magic = magics[i]}, "",
                             "the archive is neither ustar, pax nor GNU tar");
    }
    check_member_refused((struct header){.link = "x"}, "", MEMBER "has the target of a link");
    check_member_refused((struct header){.at = 256, .byte = 1}, "",
                         MEMBER "has the target of a link");
    check_member_refused((struct header){.at = 508, .byte = 't'}, "",
                         MEMBER "has fields of a kind that is not taken");
    check_member_refused((struct header){.magic = MAGIC_GNU, .prefix = "certs"}, "",
                         MEMBER "has fields of a kind that is not taken");
    check_member_refused((struct header){.magic = MAGIC_GNU, .at = 482, .byte = 1}, "",
                         MEMBER "has fields of a kind that is not taken");
    check_member_refused((struct header){.name = FRP "/", .type = '5'}, "x",
                         "archive member certs/frp is a folder with content");
    /* A name of bytes over 127: the sum of signed bytes is another. */
    struct buf in = {0};
    put_file(&in, (struct header){.uname = "\xe4\xe4"}, "");
    put_zeros(&in, 1024);
    static const struct want want = {FRP "/ca.crt", 0644, ""};
    check_passes(&in, &want, 1);
    put_file(&in, (struct header){.uname = "\xe4\xe4"}, "");
    unsigned sum = (unsigned)strtoul(buf_head(&in) + 148, NULL, 8);
    snprintf(buf_head(&in) + 148, 7, "%06o", sum - 512);
    check_refused(&in, DOCKER_FAULT_NEVER, "", "the archive has a header with a wrong checksum");
}

static void a_refusal_names_a_member_only_where_that_can_be_printed(void **state)
{
    char name[101];
    (void)state;
    check_member_refused((struct header){.name = FRP "/\x1b[2J", .type = '2'}, "",
                         "a member of the archive is a link");
    memset(name, 'a', 100);
    name[100] = '\0';
    struct buf in = {0}, out = {0};
    struct docker_verdict v;
    put_file(&in, (struct header){.name = name, .type = '2'}, "");
    assert_int_equal(feed(&in, DOCKER_ARCHIVE_MAX, &out, &v), 403);
    assert_memory_equal(v.why, "archive member aaaa", 19);
    assert_int_equal(strlen(v.why), strlen("archive member  is a link") + 100);
    check_member_refused((struct header){.prefix = "b", .name = name, .type = '2'}, "",
                         "a member of the archive is a link");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_joined_and_divided_again),
        cmocka_unit_test(names_that_lead_elsewhere_are_refused),
        cmocka_unit_test(members_outside_of_the_folders_tell_which_would_be_needed),
        cmocka_unit_test(kinds_of_members_other_than_files_and_folders_are_refused),
        cmocka_unit_test(modes_with_more_than_permissions_are_refused),
        cmocka_unit_test(numbers_that_can_be_read_in_two_ways_are_refused),
        cmocka_unit_test(other_headers_are_refused),
        cmocka_unit_test(a_refusal_names_a_member_only_where_that_can_be_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
