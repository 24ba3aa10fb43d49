/* Certificates as a tar archive: read again by a reader of the test's own, member by member. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "hub/deploy/cert_archive.h"
#include "tests/unit/tar_reader.h"

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END "-----END CERTIFICATE-----"
#define CERT(text) BEGIN "\n" text "\n" END "\n"
#define DEBIAN "usr/local/share/ca-certificates/"
#define FEDORA "etc/pki/ca-trust/source/anchors/"

/* What tells which files there have to be. */
struct want {
    const char *name;
    struct str content;
};

static void next(struct tar_reader *t, struct tar_member *m, int want)
{
    const char *why = NULL;
    int rc = tar_next(t, m, &why);
    if (rc != want) {
        fail_msg("at byte %zu: %d, %s", t->at, rc, why ? why : "");
    }
}

static void check_folders(struct tar_reader *t, const char *const *folders)
{
    struct tar_member m;
    for (; *folders; folders++) {
        next(t, &m, 1);
        assert_true(m.folder);
        assert_string_equal(m.name, *folders);
        assert_int_equal(m.mode, 0755);
    }
}

static void check_file(struct tar_reader *t, const char *name, struct str content)
{
    struct tar_member m;
    next(t, &m, 1);
    assert_false(m.folder);
    assert_string_equal(m.name, name);
    assert_int_equal(m.mode, 0644);
    assert_int_equal(m.content.n, content.n);
    assert_true(str_eq(m.content, content));
    assert_true(m.mtime > 1000000000);
}

/* The archive has exactly these; frees it. */
static void check(struct cert_archive *a, const char *const *folders, const struct want *want,
                  size_t count)
{
    struct tar_reader t = {(const unsigned char *)a->p, a->n, 0};
    struct tar_member m;
    check_folders(&t, folders);
    for (size_t i = 0; i < count; i++) {
        check_file(&t, want[i].name, want[i].content);
    }
    next(&t, &m, 0);
    cert_archive_free(a);
    assert_null(a->p);
    cert_archive_free(a);
}

static const char *const none[] = {NULL};

/* ---- the tunnel's files ---- */

static void the_tunnels_files_are_where_start_scripts_look(void **state)
{
    static const char *const folders[] = {"certs/", "certs/frp/", NULL};
    static const struct want want[] = {
        {"certs/frp/ca.crt", {"CA", 2}},
        {"certs/frp/client.crt", {"CERT\n", 5}},
        {"certs/frp/client.key", {"KEY", 3}},
    };
    struct cert_archive a;
    (void)state;
    assert_string_equal(cert_archive_frp_folder, "/certs/frp");
    cert_archive_frp(&a, want[0].content, want[1].content, want[2].content, false);
    check(&a, none, want, 3);
    cert_archive_frp(&a, want[0].content, want[1].content, want[2].content, true);
    check(&a, folders, want, 3);
}

/* Around the size of a block, with bytes of all values. */
static void contents_of_all_sizes_are_padded(void **state)
{
    static const size_t sizes[] = {0, 1, 511, 512, 513, 1023, 1024, 1025, 65535};
    static char content[65536];
    struct cert_archive a;
    (void)state;
    for (size_t i = 0; i < sizeof(content); i++) {
        content[i] = (char)(i ^ i >> 8);
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        const struct str s = {content, sizes[i]};
        const struct want want[] = {{"certs/frp/ca.crt", {"x", 1}},
                                    {"certs/frp/client.crt", s},
                                    {"certs/frp/client.key", {content + 1, sizes[i]}}};
        cert_archive_frp(&a, want[0].content, want[1].content, want[2].content, false);
        assert_int_equal(a.n, 512 * (3 + 1 + 2 * ((sizes[i] + 511) / 512) + 2));
        check(&a, none, want, 3);
    }
}

/* ---- bundles ---- */

static void each_certificate_becomes_a_file(void **state)
{
    static const char bundle[] = "##\n## Bundle of CA Root Certificates\n##\n\nOne\n===\n" CERT(
        "AAAA") "\n\nTwo\n===\n" CERT("BBBB\nbbbb")
        CERT("") "-----BEGIN TRUSTED CERTIFICATE-----\nx\n"
                 "-----END TRUSTED CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nx\n"
                 "-----END PRIVATE KEY-----\n" BEGIN "\r\nCCCC\r\n" END "\r\n" BEGIN "DDDD" END;
    static const struct str texts[] = {{CERT("AAAA"), sizeof(CERT("AAAA")) - 1},
                                       {CERT("BBBB\nbbbb"), sizeof(CERT("BBBB\nbbbb")) - 1},
                                       {CERT(""), sizeof(CERT("")) - 1},
                                       {BEGIN "\r\nCCCC\r\n" END "\n", 27 + 8 + 25 + 1},
                                       {BEGIN "DDDD" END "\n", 27 + 4 + 25 + 1}};
    static const struct {
        enum os_family family;
        const char *folder;
        const char *const folders[6];
    } rows[] = {
        {OS_DEBIAN,
         DEBIAN,
         {"usr/", "usr/local/", "usr/local/share/", "usr/local/share/ca-certificates/", NULL}},
        {OS_FEDORA,
         FEDORA,
         {"etc/", "etc/pki/", "etc/pki/ca-trust/", "etc/pki/ca-trust/source/",
          "etc/pki/ca-trust/source/anchors/", NULL}},
    };
    char names[ARRAY_LEN(texts)][100];
    struct want want[ARRAY_LEN(texts)];
    struct cert_archive a;
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
            snprintf(names[i], sizeof(names[i]), "%scustom_ca_cert_%zu.crt", rows[k].folder, i);
            want[i] = (struct want){names[i], texts[i]};
        }
        assert_int_equal(cert_archive_bundle(&a, STR(bundle), rows[k].family, false), 5);
        check(&a, none, want, 5);
        assert_int_equal(cert_archive_bundle(&a, STR(bundle), rows[k].family, true), 5);
        check(&a, rows[k].folders, want, 5);
        /* The folder is the one that the container is told to make. */
        assert_int_equal(os_family_folder(rows[k].family)[0], '/');
        assert_int_equal(strlen(os_family_folder(rows[k].family)), strlen(rows[k].folder));
        assert_memory_equal(os_family_folder(rows[k].family) + 1, rows[k].folder,
                            strlen(rows[k].folder) - 1);
    }
}

static void what_has_no_certificate_gives_an_archive_without_files(void **state)
{
    static const char *const rows[] = {
        "",
        "\n",
        "no certificate",
        BEGIN,
        BEGIN "\nAAAA\n",
        END,
        END "\n" BEGIN,
        "-----BEGIN CERTIFICATE----\nAAAA\n" END,
        BEGIN "\nAAAA\n-----END CERTIFICATE----",
        "-----begin certificate-----\nAAAA\n-----end certificate-----",
        /* one mark's dashes are not the other's, too */
        "-----BEGIN CERTIFICATE-----END CERTIFICATE-----",
    };
    struct cert_archive a;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *exact = malloc(strlen(rows[i]) + 1);
        memcpy(exact, rows[i], strlen(rows[i]) + 1);
        assert_int_equal(cert_archive_bundle(&a, str_of(exact), OS_DEBIAN, false), 0);
        check(&a, none, NULL, 0);
        free(exact);
    }
    assert_int_equal(cert_archive_bundle(&a, (struct str){NULL, 0}, OS_DEBIAN, false), 0);
    check(&a, none, NULL, 0);
}

static void a_certificate_without_end_spoils_no_other(void **state)
{
    static const struct {
        const char *bundle;
        const char *want[2];
    } rows[] = {
        {BEGIN "\nlost\n" CERT("AAAA"), {CERT("AAAA"), NULL}},
        {BEGIN "\n" BEGIN "\n" BEGIN "\nAAAA\n" END, {CERT("AAAA"), NULL}},
        {CERT("AAAA") BEGIN "\nlost", {CERT("AAAA"), NULL}},
        {CERT("AAAA") END "\n" CERT("BBBB"), {CERT("AAAA"), CERT("BBBB")}},
        {CERT("AAAA") BEGIN "\nlost\n" CERT("BBBB"), {CERT("AAAA"), CERT("BBBB")}},
        {"-----BEGIN CERTIFICATE" CERT("AAAA"), {CERT("AAAA"), NULL}},
        /* marks that would share dashes, behind one without end */
        {BEGIN "\nlost\n-----BEGIN CERTIFICATE-----END CERTIFICATE-----\n" CERT("AAAA"),
         {CERT("AAAA"), NULL}},
    };
    struct cert_archive a;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const int count = rows[i].want[1] ? 2 : 1;
        const struct want want[] = {{DEBIAN "custom_ca_cert_0.crt", str_of(rows[i].want[0])},
                                    {DEBIAN "custom_ca_cert_1.crt", str_of(rows[i].want[1])}};
        assert_int_equal(cert_archive_bundle(&a, str_of(rows[i].bundle), OS_DEBIAN, false), count);
        check(&a, none, want, (size_t)count);
    }
}

static void a_bundle_may_hold_1000_certificates(void **state)
{
    static const size_t counts[] = {1, 150, 999, 1000, 1001, 5000};
    static char name[100], text[64];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        struct buf bundle = {0};
        struct cert_archive a;
        struct tar_member m;
        for (size_t k = 0; k < counts[i]; k++) {
            int n = snprintf(text, sizeof(text), BEGIN "\n%zu\n" END "\n", k);
            buf_append(&bundle, text, (size_t)n);
        }
        int n =
            cert_archive_bundle(&a, (struct str){buf_head(&bundle), bundle.len}, OS_FEDORA, false);
        if (counts[i] > CERT_ARCHIVE_MAX) {
            assert_int_equal(n, -1);
            assert_null(a.p);
        } else {
            struct tar_reader t = {(const unsigned char *)a.p, a.n, 0};
            assert_int_equal(n, counts[i]);
            for (size_t k = 0; k < counts[i]; k++) {
                snprintf(name, sizeof(name), FEDORA "custom_ca_cert_%zu.crt", k);
                snprintf(text, sizeof(text), BEGIN "\n%zu\n" END "\n", k);
                check_file(&t, name, str_of(text));
            }
            next(&t, &m, 0);
        }
        cert_archive_free(&a);
        buf_free(&bundle);
    }
}

static void an_unknown_system_gets_none(void **state)
{
    struct cert_archive a;
    (void)state;
    assert_int_equal(cert_archive_bundle(&a, STR(CERT("AAAA")), OS_OTHER, true), 0);
    assert_null(a.p);
    assert_int_equal(a.n, 0);
    cert_archive_free(&a);
}

/* ---- the reader itself ---- */

/* A reader that takes everything would let the tests above pass. */
static void the_reader_refuses_a_byte_out_of_place(void **state)
{
    static const size_t places[] = {0,   99,  100, 107, 115, 123, 124, 135, 147, 148, 154,
                                    155, 156, 157, 257, 262, 263, 265, 345, 511, 514, 1023};
    struct cert_archive a;
    (void)state;
    cert_archive_frp(&a, STR("AB"), STR("C"), STR("D"), false);
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct tar_reader t = {(const unsigned char *)a.p, a.n, 0};
        struct tar_member m;
        const char *why = NULL;
        a.p[places[i]] ^= 1;
        assert_int_equal(tar_next(&t, &m, &why), -1);
        assert_non_null(why);
        a.p[places[i]] ^= 1;
    }
    cert_archive_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tunnels_files_are_where_start_scripts_look),
        cmocka_unit_test(contents_of_all_sizes_are_padded),
        cmocka_unit_test(each_certificate_becomes_a_file),
        cmocka_unit_test(what_has_no_certificate_gives_an_archive_without_files),
        cmocka_unit_test(a_certificate_without_end_spoils_no_other),
        cmocka_unit_test(a_bundle_may_hold_1000_certificates),
        cmocka_unit_test(an_unknown_system_gets_none),
        cmocka_unit_test(the_reader_refuses_a_byte_out_of_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
