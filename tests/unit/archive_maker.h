/* archive_maker.h - makes tar archives by hand, field by field, and feeds them to common/docker/archive.h in
 * pieces of many sizes.
 *
 * For a test program that includes this, behind cmocka. */
#ifndef HARP_UNIT_ARCHIVE_MAKER_H
#define HARP_UNIT_ARCHIVE_MAKER_H

#include <stdio.h>
#include <stdlib.h>

#include "common/docker/archive.h"
#include "tests/unit/tar_reader.h"

#define DEBIAN "usr/local/share/ca-certificates"
#define FEDORA "etc/pki/ca-trust/source/anchors"
#define FRP "certs/frp"

static const char *const folders[] = {DEBIAN, FEDORA, FRP};
static const struct docker_grants grants = {.archive = {folders, ARRAY_LEN(folders)}};

/* ---- making archives ---- */

/* A header's fields, as text; NULL: as GNU tar would write it. */
struct header {
    const char *name, *prefix, *mode, *uid, *gid, *size, *mtime, *sum, *magic, *link, *uname;
    char type;    /* 0: '0' */
    bool no_type; /* NUL instead */
    size_t at;    /* a byte at this offset, if not 0, is set to `byte` */
    unsigned char byte;
};

#define MAGIC_GNU "ustar  "
#define PLAIN "0000644"

static inline void field(unsigned char *h, size_t at, size_t size, const char *text,
                         const char *usual)
{
    const char *s = text ? text : usual;
    memcpy(h + at, s, strnlen(s, size));
}

static inline void put_header(struct buf *b, const struct header *f)
{
    unsigned char h[512] = {0};
    char sum[16];
    unsigned n = 0;
    field(h, 0, 100, f->name, FRP "/ca.crt");
    field(h, 100, 8, f->mode, PLAIN);
    field(h, 108, 8, f->uid, "0000000");
    field(h, 116, 8, f->gid, "0000000");
    field(h, 124, 12, f->size, "00000000000");
    field(h, 136, 12, f->mtime, "14615611601");
    h[156] = f->no_type ? 0 : f->type ? (unsigned char)f->type : '0';
    field(h, 157, 100, f->link, "");
    if (f->magic) {
        field(h, 257, 8, f->magic, "");
    } else {
        memcpy(h + 257, "ustar\00000", 8);
    }
    field(h, 265, 32, f->uname, "root");
    field(h, 345, 155, f->prefix, "");
    if (f->at) {
        h[f->at] = f->byte;
    }
    memset(h + 148, ' ', 8);
    for (size_t i = 0; i < sizeof(h); i++) {
        n += h[i];
    }
    snprintf(sum, sizeof(sum), f->sum ? f->sum : "%06o", n);
    memcpy(h + 148, sum, MIN(strlen(sum) + 1, (size_t)8));
    buf_append(b, h, sizeof(h));
}

static inline void put_padded(struct buf *b, struct str content)
{
    static const char zero[512];
    buf_append(b, content.p, content.n);
    buf_append(b, zero, -content.n % 512);
}

static inline void put_zeros(struct buf *b, size_t n)
{
    memset(buf_reserve(b, n), 0, n);
    buf_added(b, n);
}

static inline void put_file(struct buf *b, struct header f, const char *content)
{
    char size[32];
    snprintf(size, sizeof(size), "%011zo", strlen(content));
    f.size = f.size ? f.size : size;
    put_header(b, &f);
    put_padded(b, str_of(content));
}

static inline void put_pax(struct buf *b, const char *records)
{
    put_file(b, (struct header){.name = FRP "/PaxHeaders/ca.crt", .type = 'x', .uname = ""},
             records);
}

/* ---- feeding ---- */

static inline int feed_in(const struct buf *in, size_t piece, uint64_t max, struct buf *out,
                          struct docker_verdict *v)
{
    struct docker_archive a;
    docker_archive_init(&a, &grants, max);
    memset(v, 0, sizeof(*v));
    for (size_t i = 0; i < in->len; i += piece) {
        size_t n = MIN(piece, in->len - i);
        char *exact = malloc(n); /* a read behind it is seen */
        memcpy(exact, buf_head(in) + i, n);
        int status = docker_archive_feed(&a, exact, n, out, v);
        free(exact);
        assert_int_equal(status, v->status);
        if (status) {
            return status;
        }
    }
    return docker_archive_end(&a, out, v);
}

/* Feeds the archive in pieces of some sizes, each of which must give the same. Consumes `in`. */
static inline int feed(struct buf *in, uint64_t max, struct buf *out, struct docker_verdict *v)
{
    static const size_t pieces[] = {1, 3, 511, 512, 513, 1024};
    int status = feed_in(in, SIZE_MAX / 2, max, out, v);
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct buf again = {0};
        struct docker_verdict w;
        assert_int_equal(feed_in(in, pieces[i], max, &again, &w), status);
        assert_int_equal(w.fault, v->fault);
        assert_string_equal(w.what, v->what);
        assert_string_equal(w.why, v->why);
        assert_int_equal(again.len, out->len);
        assert_true(again.len == 0 || memcmp(buf_head(&again), buf_head(out), out->len) == 0);
        buf_free(&again);
    }
    buf_free(in);
    return status;
}

struct want {
    const char *name;
    unsigned mode;
    const char *content; /* NULL: a folder */
};

static inline void check_members(const struct buf *out, const struct want *want, size_t count)
{
    struct tar_reader t = {(const unsigned char *)buf_head(out), out->len, 0};
    struct tar_member m;
    const char *why = "";
    for (size_t i = 0; i < count; i++) {
        if (tar_next(&t, &m, &why) != 1) {
            fail_msg("member %zu: %s", i, why);
        }
        assert_string_equal(m.name, want[i].name);
        assert_int_equal(m.mode, want[i].mode);
        assert_int_equal(m.folder, want[i].content == NULL);
        assert_true(str_eq(m.content, str_of(want[i].content ? want[i].content : "")));
    }
    if (tar_next(&t, &m, &why) != 0) {
        fail_msg("end: %s", why);
    }
}

/* It passes, and these go on. Consumes `in`. */
static inline void check_passes(struct buf *in, const struct want *want, size_t count)
{
    struct buf out = {0};
    struct docker_verdict v;
    if (feed(in, DOCKER_ARCHIVE_MAX, &out, &v) != 0) {
        fail_msg("%s", v.why);
    }
    check_members(&out, want, count);
    buf_free(&out);
}

static inline void check_refused(struct buf *in, enum docker_fault fault, const char *what,
                                 const char *why)
{
    struct buf out = {0};
    struct docker_verdict v;
    assert_int_equal(feed(in, DOCKER_ARCHIVE_MAX, &out, &v), 403);
    assert_string_equal(v.why, why);
    assert_string_equal(v.what, what);
    assert_int_equal(v.fault, fault);
    buf_free(&out);
}

/* One member, with an end behind it. */
static inline void check_member_refused(struct header f, const char *content, const char *why)
{
    struct buf in = {0};
    put_file(&in, f, content);
    put_zeros(&in, 1024);
    check_refused(&in, DOCKER_FAULT_NEVER, "", why);
}

static inline void check_member_passes(struct header f, const char *content, const char *name,
                                       unsigned mode)
{
    const struct want want = {name, mode, f.type == '5' ? NULL : content};
    struct buf in = {0};
    put_file(&in, f, content);
    put_zeros(&in, 1024);
    check_passes(&in, &want, 1);
}

#endif
