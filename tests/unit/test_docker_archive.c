/* Archives for containers: what passes, where they end, pax headers, and limits. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hub/deploy/cert_archive.h"
#include "tests/unit/archive_maker.h"

/* ---- what passes ---- */

static void what_the_hub_sends_passes_unchanged(void **state)
{
    static const char cert[] = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n";
    struct cert_archive made[4];
    (void)state;
    assert_int_equal(cert_archive_bundle(&made[0], STR(cert), OS_DEBIAN, true), 1);
    assert_int_equal(cert_archive_bundle(&made[1], STR(cert), OS_FEDORA, true), 1);
    assert_int_equal(cert_archive_bundle(&made[2], STR("none"), OS_DEBIAN, false), 0);
    cert_archive_frp(&made[3], STR("CA"), STR("CERT"), STR("KEY"), true);
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        struct buf in = {0}, out = {0};
        struct docker_verdict v;
        buf_append(&in, made[i].p, made[i].n);
        assert_int_equal(feed(&in, DOCKER_ARCHIVE_MAX, &out, &v), 0);
        assert_int_equal(out.len, made[i].n);
        assert_memory_equal(buf_head(&out), made[i].p, out.len);
        buf_free(&out);
        cert_archive_free(&made[i]);
    }
}

static void what_php_writes_passes(void **state)
{
    static const struct want want[] = {{DEBIAN "/custom_ca_cert_0.crt", 0644, "CERT\n"},
                                       {DEBIAN "/custom_ca_cert_1.crt", 0666, ""}};
    struct buf in = {0};
    (void)state;
    /* Old versions fill numbers up to the last byte, and the checksum, too. */
    put_file(&in,
             (struct header){.name = want[0].name,
                             .uid = "",
                             .gid = "",
                             .mode = "0000644",
                             .size = "000000000005",
                             .mtime = "014615611601",
                             .sum = "%08o",
                             .uname = ""},
             want[0].content);
    /* Newer ones leave one blank of the checksum. */
    put_file(&in,
             (struct header){.name = want[1].name,
                             .uid = "",
                             .gid = "",
                             .mode = "0000666",
                             .sum = "%07o ",
                             .uname = ""},
             want[1].content);
    put_zeros(&in, 1024);
    check_passes(&in, want, ARRAY_LEN(want));
}

static void what_tar_programs_write_passes(void **state)
{
    static const struct want want = {FRP "/ca.crt", 0644, "CA"};
    struct buf in = {0};
    (void)state;
    /* GNU tar, ustar: device numbers are written, and an archive is filled up to 20 blocks. */
    put_file(&in, (struct header){.name = want.name, .at = 329, .byte = '0'}, "CA");
    put_zeros(&in, 10240 - in.len);
    check_passes(&in, &want, 1);
    /* GNU tar and busybox, GNU's own format. */
    put_file(&in, (struct header){.name = want.name, .magic = MAGIC_GNU}, "CA");
    put_zeros(&in, 10240 - in.len);
    check_passes(&in, &want, 1);
    /* GNU tar, pax. */
    put_pax(&in, "30 mtime=1714885505.123456789\n"
                 "30 atime=1795646779.167954074\n30 ctime=1795646779.163954074\n");
    put_file(&in, (struct header){.name = want.name}, "CA");
    put_zeros(&in, 10240 - in.len);
    check_passes(&in, &want, 1);
    /* `docker cp`: the caller's uid, names of nobody, the mode of old versions with the file's type. */
    put_file(
        &in,
        (struct header){
            .name = want.name, .mode = "0100644", .uid = "0001750", .gid = "0001750", .uname = ""},
        "CA");
    put_zeros(&in, 1024);
    check_passes(&in, &want, 1);
}

static void numbers_may_stand_between_blanks(void **state)
{
    static const char *const modes[] = {"0000644", "00000644", "   644", "644 ",
                                        "  644  ", "   644 ",  "644"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        check_member_passes((struct header){.mode = modes[i]}, "", FRP "/ca.crt", 0644);
    }
    check_member_passes((struct header){.mode = ""}, "", FRP "/ca.crt", 0);
    check_member_passes((struct header){.mode = "        ", .mtime = ""}, "", FRP "/ca.crt", 0);
    check_member_passes((struct header){.mtime = "077777777777"}, "", FRP "/ca.crt", 0644);
    check_member_passes((struct header){.no_type = true}, "x", FRP "/ca.crt", 0644);
}

static void contents_of_all_sizes_pass(void **state)
{
    static const size_t sizes[] = {0, 1, 511, 512, 513, 1023, 1024, 1025, 40000};
    static char content[40001];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        memset(content, 'x', sizes[i]);
        content[sizes[i]] = '\0';
        check_member_passes((struct header){0}, content, FRP "/ca.crt", 0644);
    }
}

/* The bytes between a content and the next block belong to nobody: they become zeros. */
static void padding_does_not_go_on(void **state)
{
    static const struct want want = {FRP "/ca.crt", 0644, "CA"};
    struct buf in = {0};
    (void)state;
    put_file(&in, (struct header){0}, "CA");
    memset(buf_head(&in) + 514, 'z', 510);
    put_zeros(&in, 1024);
    check_passes(&in, &want, 1);
}

static void times_and_modes_are_kept_owners_are_not(void **state)
{
    struct buf in = {0}, out = {0};
    struct docker_verdict v;
    struct tar_reader t = {NULL, 0, 0};
    struct tar_member m;
    const char *why;
    (void)state;
    put_file(&in,
             (struct header){.mode = "0000751", .uid = "0000012", .gid = "7777777", .mtime = "123"},
             "CA");
    put_zeros(&in, 1024);
    assert_int_equal(feed(&in, DOCKER_ARCHIVE_MAX, &out, &v), 0);
    t.p = (const unsigned char *)buf_head(&out);
    t.n = out.len;
    assert_int_equal(tar_next(&t, &m, &why), 1); /* refuses any owner but root, and owners' names */
    assert_int_equal(m.mtime, 0123);
    assert_int_equal(m.mode, 0751);
    buf_free(&out);
}

static void folders_that_lead_there_pass_and_can_not_be_opened_to_others(void **state)
{
    static const struct {
        const char *name, *mode, *out;
        unsigned out_mode;
    } rows[] = {
        {"usr/", "0000755", "usr/", 0755},
        {"usr", "0000755", "usr/", 0755},
        {"usr/local/", "0000777", "usr/local/", 0755},
        {"usr/local/share", "0000700", "usr/local/share/", 0700},
        {DEBIAN "/", "0000777", DEBIAN "/", 0777},
        {DEBIAN "/own/", "0000775", DEBIAN "/own/", 0775},
        {"etc/pki/ca-trust/", "0000722", "etc/pki/ca-trust/", 0700},
        {"certs/", "0000755", "certs/", 0755},
        {FRP "/", "0000755", FRP "/", 0755},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check_member_passes(
            (struct header){.name = rows[i].name, .mode = rows[i].mode, .type = '5'}, "",
            rows[i].out, rows[i].out_mode);
    }
}

static void a_name_twice_and_names_below_a_file_pass(void **state)
{
    static const struct want want[] = {{FRP "/a", 0644, "1"},
                                       {FRP "/a", 0644, "2"},
                                       {FRP "/a/b", 0644, "3"},
                                       {FRP "/A b'\"$", 0644, "4"}};
    struct buf in = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        put_file(&in, (struct header){.name = want[i].name}, want[i].content);
    }
    put_zeros(&in, 1024);
    check_passes(&in, want, ARRAY_LEN(want));
}

/* ---- pax ---- */

/* "<length> <text>\n" */
static char *record(char *buf, size_t cap, const char *text)
{
    size_t n = strlen(text) + 2;
    n += n + 1 < 10 ? 1 : n + 2 < 100 ? 2 : n + 3 < 1000 ? 3 : 4;
    snprintf(buf, cap, "%zu %s\n", n, text);
    assert_int_equal(strlen(buf), n);
    return buf;
}

static void pax_headers_that_say_more_than_times_are_refused(void **state)
{
    static const struct {
        const char *text;
        bool passes;
    } rows[] = {
        {"mtime=0", true},
        {"atime=1714885505.123456789", true},
        {"ctime=-12", true},
        {"mtime=-12.5", true},
        {"path=a/b", false},
        {"linkpath=/etc/x", false},
        {"size=1", false},
        {"uid=1", false},
        {"gid=0", false},
        {"uname=root", false},
        {"gname=root", false},
        {"charset=BINARY", false},
        {"hdrcharset=BINARY", false},
        {"GNU.sparse.major=1", false},
        {"GNU.sparse.name=x", false},
        {"SCHILY.xattr.security.capability=x", false},
        {"comment=hello", false},
        {"MTIME=12", false},
        {"mtime =12", false},
        {"=12", false},
        {"mtime=", false}, /* means: as if none had been given */
        {"mtime=-", false},
        {"mtime=1.", false},
        {"mtime=.1", false},
        {"mtime=1.2.3", false},
        {"mtime=1e9", false},
        {"mtime= 12", false},
        {"mtime=+12", false},
        {"mtime=12\n", false},
        {"mtime=12\n9 uid=0", false},
    };
    static const struct want want = {FRP "/ca.crt", 0644, "CA"};
    char text[256], second[64];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t behind = 0; behind < 2; behind++) {
            struct buf in = {0};
            size_t n = 0;
            if (behind) {
                n = strlen(record(text, sizeof(text), "atime=1"));
            }
            record(second, sizeof(second), rows[i].text);
            memcpy(text + n, second, strlen(second) + 1);
            put_pax(&in, text);
            put_file(&in, (struct header){0}, "CA");
            put_zeros(&in, 1024);
            if (rows[i].passes) {
                check_passes(&in, &want, 1);
            } else {
                check_refused(&in, DOCKER_FAULT_NEVER, "",
                              "the archive has a pax header that says more than times");
            }
        }
    }
}

static void malformed_pax_headers_are_refused(void **state)
{
    static const char *const rows[] = {
        "12 mtime=12",   /* no newline */
        "11 mtime=12\n", /* one short */
        "13 mtime=12\n", /* and one long */
        "012 mtime=12\n",
        "0 mtime=12\n",
        "1 mtime=12\n",
        "2 mtime=12\n",
        "3 \n",
        "-12 mtime=12\n",
        "+12 mtime=12\n",
        " 12 mtime=12\n",
        "12\tmtime=12\n",
        "12mtime=123\n",
        "9 mtime\n",
        "\n",
        "12",
        "12 ",
        "mtime=12\n",
        "12 mtime=12\nx",
        "99999999999999999999 mtime=12\n",
        "18446744073709551628 mtime=12\n",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf in = {0};
        put_pax(&in, rows[i]);
        put_file(&in, (struct header){0}, "CA");
        put_zeros(&in, 1024);
        check_refused(&in, DOCKER_FAULT_NEVER, "",
                      "the archive has a pax header that is malformed");
    }
    /* None at all is none too many. */
    static const struct want want = {FRP "/ca.crt", 0644, "CA"};
    struct buf in = {0};
    put_pax(&in, "");
    put_file(&in, (struct header){0}, "CA");
    put_zeros(&in, 1024);
    check_passes(&in, &want, 1);
}

static void a_pax_header_belongs_to_one_member(void **state)
{
    struct buf in = {0};
    (void)state;
    put_pax(&in, "12 mtime=12\n");
    put_pax(&in, "12 mtime=12\n");
    check_refused(&in, DOCKER_FAULT_NEVER, "", "the archive has two pax headers for one member");
    put_pax(&in, "12 mtime=12\n");
    put_zeros(&in, 1024);
    check_refused(&in, DOCKER_FAULT_NEVER, "", "the archive has a pax header without a member");
    put_pax(&in, "12 mtime=12\n");
    check_refused(&in, DOCKER_FAULT_NEVER, "", "the archive stops before its end");
}

static void a_pax_header_has_a_limit(void **state)
{
    static char records[DOCKER_ARCHIVE_PAX_MAX + 2];
    static const struct want want = {FRP "/ca.crt", 0644, "CA"};
    struct buf in = {0};
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        size_t n = DOCKER_ARCHIVE_PAX_MAX + over;
        memset(records, '1', n);
        snprintf(records, 12, "%zu mtime", n);
        records[10] = '=';
        records[n - 1] = '\n';
        records[n] = '\0';
        put_pax(&in, records);
        put_file(&in, (struct header){0}, "CA");
        put_zeros(&in, 1024);
        if (over) {
            check_refused(&in, DOCKER_FAULT_NEVER, "",
                          "the archive has a pax header that is too long");
        } else {
            check_passes(&in, &want, 1);
        }
    }
}

/* ---- the end, and limits ---- */

static void an_archive_ends_in_zeros(void **state)
{
    static const size_t zeros[] = {1024, 1025, 1536, 9728, 20000};
    static const struct want want = {FRP "/ca.crt", 0644, "CA"};
    struct buf in = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(zeros); i++) {
        put_file(&in, (struct header){0}, "CA");
        put_zeros(&in, zeros[i]);
        check_passes(&in, &want, 1);
    }
    put_zeros(&in, 1024);
    check_passes(&in, NULL, 0);
    /* Another archive behind it, or a single byte. */
    for (size_t i = 0; i < 3; i++) {
        put_file(&in, (struct header){0}, "CA");
        put_zeros(&in, 512 * (i + 1));
        put_file(&in, (struct header){0}, "CA");
        put_zeros(&in, 1024);
        check_refused(&in, DOCKER_FAULT_NEVER, "", "the archive goes on behind its end");
    }
    put_zeros(&in, 1500);
    buf_append(&in, "\1", 1);
    check_refused(&in, DOCKER_FAULT_NEVER, "", "the archive goes on behind its end");
}

/* Every length but those that reach the end's second block. */
static void an_archive_that_stops_in_the_middle_is_refused(void **state)
{
    struct buf whole = {0};
    (void)state;
    put_pax(&whole, "12 mtime=12\n");
    put_file(&whole, (struct header){0}, "CA");
    put_zeros(&whole, 1024);
    for (size_t n = 0; n <= whole.len; n += n % 512 == 2 ? 508 : 1) {
        struct buf in = {0}, out = {0};
        struct docker_verdict v;
        buf_append(&in, buf_head(&whole), n);
        int status = feed_in(&in, SIZE_MAX / 2, DOCKER_ARCHIVE_MAX, &out, &v);
        assert_int_equal(status, n == whole.len ? 0 : 403);
        if (status) {
            assert_string_equal(v.why, "the archive stops before its end");
        }
        buf_free(&in);
        buf_free(&out);
    }
    buf_free(&whole);
}

static void every_cut_gives_the_same(void **state)
{
    struct buf in = {0}, whole = {0};
    struct docker_verdict v;
    (void)state;
    put_pax(&in, "12 mtime=12\n");
    put_file(&in, (struct header){0}, "CA");
    put_file(&in, (struct header){.name = "usr/", .type = '5'}, "");
    put_zeros(&in, 1025);
    assert_int_equal(feed_in(&in, SIZE_MAX / 2, DOCKER_ARCHIVE_MAX, &whole, &v), 0);
    for (size_t cut = 0; cut <= in.len; cut++) {
        struct docker_archive a;
        struct buf out = {0};
        docker_archive_init(&a, &grants, DOCKER_ARCHIVE_MAX);
        assert_int_equal(docker_archive_feed(&a, buf_head(&in), cut, &out, &v), 0);
        assert_int_equal(docker_archive_feed(&a, buf_head(&in) + cut, in.len - cut, &out, &v), 0);
        assert_int_equal(docker_archive_end(&a, &out, &v), 0);
        assert_int_equal(out.len, whole.len);
        assert_memory_equal(buf_head(&out), buf_head(&whole), out.len);
        buf_free(&out);
    }
    buf_free(&in);
    buf_free(&whole);
}

static void nothing_of_a_member_goes_on_before_it_was_judged(void **state)
{
    struct buf in = {0}, out = {0};
    struct docker_verdict v;
    (void)state;
    put_file(&in, (struct header){0}, "CA");
    put_file(&in, (struct header){.name = "etc/passwd"}, "root");
    assert_int_equal(feed(&in, DOCKER_ARCHIVE_MAX, &out, &v), 403);
    assert_int_equal(out.len, 1024);
    buf_free(&out);
}

static void a_refused_archive_stays_refused(void **state)
{
    struct docker_archive a;
    struct docker_verdict v;
    struct buf in = {0}, out = {0};
    (void)state;
    docker_archive_init(&a, &grants, DOCKER_ARCHIVE_MAX);
    put_file(&in, (struct header){.name = "etc/passwd"}, "");
    put_zeros(&in, 1024);
    assert_int_equal(docker_archive_feed(&a, buf_head(&in), 512, &out, &v), 403);
    assert_int_equal(docker_archive_feed(&a, buf_head(&in) + 512, 1024, &out, &v), 403);
    assert_int_equal(docker_archive_end(&a, &out, &v), 403);
    assert_null(out.p);
    buf_free(&in);
}

static void the_number_of_members_has_a_limit(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        struct buf in = {0}, out = {0};
        struct docker_verdict v;
        for (size_t i = 0; i < DOCKER_ARCHIVE_MEMBERS + over; i++) {
            put_header(&in, &(struct header){0});
        }
        put_zeros(&in, 1024);
        int status = feed_in(&in, 65536, DOCKER_ARCHIVE_MAX, &out, &v);
        assert_int_equal(status, over ? 403 : 0);
        assert_int_equal(out.len, DOCKER_ARCHIVE_MEMBERS * 512 + (over ? 0 : 1024));
        if (over) {
            assert_string_equal(v.why, "the archive has too many members");
        }
        buf_free(&in);
        buf_free(&out);
    }
}

static void a_larger_archive_is_refused_as_too_large(void **state)
{
    /* A header, a block of content, and the end; and what can be told from the header alone. */
    static const struct {
        uint64_t max;
        size_t zeros;
        int status;
        size_t out;
    } rows[] = {
        {2048, 1024, 0, 2048},   {2047, 1024, 413, 1024}, {2048, 1025, 413, 1024},
        {1024, 1024, 413, 1024}, {1023, 1024, 413, 0},    {512, 1024, 413, 0},
        {511, 1024, 413, 0},     {0, 1024, 413, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf in = {0}, out = {0};
        struct docker_verdict v;
        put_file(&in, (struct header){0}, "CA");
        put_zeros(&in, rows[i].zeros);
        assert_int_equal(feed(&in, rows[i].max, &out, &v), rows[i].status);
        assert_int_equal(out.len, rows[i].out);
        if (rows[i].status) {
            assert_string_equal(v.why, "the archive is too large");
            assert_int_equal(v.fault, DOCKER_FAULT_NEVER);
        }
        buf_free(&out);
    }
    struct buf in = {0}, out = {0};
    struct docker_verdict v;
    put_file(&in, (struct header){.size = "77777777777"}, "");
    assert_int_equal(feed(&in, DOCKER_ARCHIVE_MAX, &out, &v), 413);
    assert_null(out.p);
    /* What is over the limit is not looked at. */
    put_file(&in, (struct header){.name = "etc/passwd"}, "");
    assert_int_equal(feed(&in, 511, &out, &v), 413);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_hub_sends_passes_unchanged),
        cmocka_unit_test(what_php_writes_passes),
        cmocka_unit_test(what_tar_programs_write_passes),
        cmocka_unit_test(numbers_may_stand_between_blanks),
        cmocka_unit_test(contents_of_all_sizes_pass),
        cmocka_unit_test(padding_does_not_go_on),
        cmocka_unit_test(times_and_modes_are_kept_owners_are_not),
        cmocka_unit_test(folders_that_lead_there_pass_and_can_not_be_opened_to_others),
        cmocka_unit_test(a_name_twice_and_names_below_a_file_pass),
        cmocka_unit_test(pax_headers_that_say_more_than_times_are_refused),
        cmocka_unit_test(malformed_pax_headers_are_refused),
        cmocka_unit_test(a_pax_header_belongs_to_one_member),
        cmocka_unit_test(a_pax_header_has_a_limit),
        cmocka_unit_test(an_archive_ends_in_zeros),
        cmocka_unit_test(an_archive_that_stops_in_the_middle_is_refused),
        cmocka_unit_test(every_cut_gives_the_same),
        cmocka_unit_test(nothing_of_a_member_goes_on_before_it_was_judged),
        cmocka_unit_test(a_refused_archive_stays_refused),
        cmocka_unit_test(the_number_of_members_has_a_limit),
        cmocka_unit_test(a_larger_archive_is_refused_as_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
