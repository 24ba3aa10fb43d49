/* Any bytes as an archive: what goes on is read again by a reader of this file's own, as Go's archive/tar
 * reads (and with it the engines), and holds nothing but allowed members, which are those that the same reader
 * finds in what came in. However the bytes are cut, verdict and output are the same; fed again, the output
 * comes out as it is.
 *
 * The first byte chooses the cuts; if it is odd, checksums are put right first, so that mutations get
 * beyond them. */
#include <stdio.h>
#include <stdlib.h>

#include "common/docker/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE_LIMIT 65536u

static const char *const folders[] = {"usr/local/share/ca-certificates", "certs/frp"};
static const struct docker_grants grants = {.archive = {folders, ARRAY_LEN(folders)}};

static void must(bool truth)
{
    if (!truth) {
        abort();
    }
}

/* ---- a reader as Go's ---- */

struct member {
    char name[257];
    bool folder;
    uint64_t mode, size, mtime;
    const char *content;
};

static bool all_zero(const char *p, size_t n)
{
    while (n > 0 && *p == 0) {
        p++;
        n--;
    }
    return n == 0;
}

/* Trims spaces and NULs on both sides, then reads octal digits up to a NUL. */
static bool octal(const char *p, size_t n, uint64_t *value)
{
    while (n > 0 && (p[0] == ' ' || p[0] == 0)) {
        p++;
        n--;
    }
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == 0)) {
        n--;
    }
    *value = 0;
    for (size_t i = 0; i < n && p[i] != 0; i++) {
        if (p[i] < '0' || p[i] > '7') {
            return false;
        }
        *value = *value * 8 + (uint64_t)(p[i] - '0');
    }
    return true;
}

static unsigned sum_of(const char *h)
{
    unsigned sum = 0;
    for (size_t i = 0; i < 512; i++) {
        sum += i >= 148 && i < 156 ? ' ' : (unsigned char)h[i];
    }
    return sum;
}

/* 1: a member; 0: the end; -1: Go gives up. Headers of pax are stepped over: that they say nothing that
 * counts is for the caller to know. */
static int next(struct str a, size_t *at, struct member *m)
{
    uint64_t sum, skipped;
    for (;;) {
        if (a.n - *at < 512) {
            return -1;
        }
        const char *h = a.p + *at;
        if (all_zero(h, 512)) {
            return a.n - *at >= 1024 && all_zero(h, 1024) ? 0 : -1;
        }
        *at += 512;
        if (!octal(h + 148, 8, &sum) || sum != sum_of(h) || !octal(h + 124, 12, &m->size) ||
            !octal(h + 100, 8, &m->mode) || !octal(h + 136, 12, &m->mtime)) {
            return -1;
        }
        skipped = (m->size + 511) / 512 * 512;
        if (skipped > a.n - *at) {
            return -1;
        }
        m->content = a.p + *at;
        *at += skipped;
        if (h[156] == 'x') {
            continue;
        }
        if (h[156] != '0' && h[156] != 0 && h[156] != '5') {
            return -1;
        }
        m->folder = h[156] == '5';
        bool prefix = memcmp(h + 257, "ustar\0", 6) == 0 && h[345];
        snprintf(m->name, sizeof(m->name), "%.*s%s%.100s", prefix ? 155 : 0, h + 345,
                 prefix ? "/" : "", h);
        return 1;
    }
}

/* ---- what may go on ---- */

/* Resolved as a path, "" if it leaves the root. */
static void clean(const char *name, char *out)
{
    size_t n = 0;
    while (*name) {
        size_t part = strcspn(name, "/");
        if (part == 2 && memcmp(name, "..", 2) == 0) {
            while (n > 0 && out[--n] != '/') {
            }
        } else if (part > 0 && !(part == 1 && *name == '.')) {
            out[n++] = '/';
            memcpy(out + n, name, part);
            n += part;
        }
        name += part + (name[part] == '/');
    }
    out[n] = '\0';
}

static void must_be_allowed(const struct member *m)
{
    char path[300], folder[300];
    clean(m->name, path);
    must(path[0] == '/' && m->mode <= 0777);
    for (const char *c = m->name; *c; c++) {
        must(*c >= 0x20 && *c <= 0x7e);
    }
    bool within = false, leads = false;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        int n = snprintf(folder, sizeof(folder), "/%s/", folders[i]);
        size_t len = strlen(path);
        within |= strncmp(path, folder, (size_t)n) == 0;
        within |= m->folder && len == (size_t)n - 1 && strncmp(path, folder, len) == 0;
        leads |=
            m->folder && len < (size_t)n && strncmp(path, folder, len) == 0 && folder[len] == '/';
    }
    must(within || (leads && (m->mode & 022) == 0));
}

/* The output's headers have no bytes but those that are known. */
static void must_be_plain(const char *h)
{
    must(memcmp(h + 108, "0000000\0000000000", 16) == 0 && h[156] >= '0');
    must(all_zero(h + 157, 100) && memcmp(h + 257, "ustar\00000", 8) == 0);
    must(all_zero(h + 265, 80) && all_zero(h + 500, 12));
}

static void compare(struct str in, struct str out)
{
    size_t i = 0, o = 0;
    struct member a, b;
    int more;
    do {
        const char *h = out.p + o;
        more = next(out, &o, &b);
        must(more >= 0 && next(in, &i, &a) == more);
        if (more) {
            char before[300], after[300];
            must_be_plain(h);
            must_be_allowed(&b);
            clean(a.name, before);
            clean(b.name, after);
            must(strcmp(before, after) == 0);
            must(a.folder == b.folder && a.size == b.size && a.mtime == b.mtime);
            must((b.mode & ~a.mode) == 0);
            must(memcmp(a.content, b.content, a.size) == 0);
        }
    } while (more);
    must(out.n - o == 1024);
}

/* ---- feeding ---- */

static int feed(struct str in, size_t first, size_t piece, struct buf *out,
                struct docker_verdict *v)
{
    struct docker_archive a;
    memset(v, 0, sizeof(*v));
    docker_archive_init(&a, &grants, SIZE_LIMIT);
    for (size_t n = MIN(first, in.n); in.n > 0; n = MIN(piece, in.n)) {
        int status = docker_archive_feed(&a, in.p, n, out, v);
        must(status == v->status);
        if (status) {
            return status;
        }
        in.p += n;
        in.n -= n;
    }
    return docker_archive_end(&a, out, v);
}

static void must_be_fit_to_print(const char *s, size_t cap)
{
    must(memchr(s, '\0', cap) != NULL);
    for (; *s; s++) {
        must(*s >= 0x20 && *s <= 0x7e);
    }
}

/* Puts the checksum of each header right, as far as sizes can be followed. */
static void repair(char *p, size_t n)
{
    uint64_t size;
    for (size_t at = 0; n - at >= 512; at += 512) {
        char *h = p + at;
        if (all_zero(h, 512) || !octal(h + 124, 12, &size)) {
            continue;
        }
        snprintf(h + 148, 8, "%06o", sum_of(h) & 0777777);
        h[155] = ' ';
        if ((size + 511) / 512 * 512 > n - at - 512) {
            break;
        }
        at += (size + 511) / 512 * 512;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 2 * SIZE_LIMIT) {
        return 0;
    }
    char *copy = malloc(size);
    struct str in = {copy, size - 1};
    struct buf whole = {0}, cut = {0}, again = {0};
    struct docker_verdict v, w;
    memcpy(copy, data + 1, size - 1);
    if (data[0] & 1) {
        repair(copy, in.n);
    }
    int status = feed(in, in.n, 1, &whole, &v);
    must(status == 0 || status == 403 || status == 413);
    must_be_fit_to_print(v.why, sizeof(v.why));
    must_be_fit_to_print(v.what, sizeof(v.what));
    must((status == 0) == (v.why[0] == '\0'));
    must(feed(in, data[0] * 5u + 1, data[0] / 2 * 3u + 1, &cut, &w) == status);
    must(memcmp(&v, &w, sizeof(v)) == 0);
    struct str out = {whole.p ? buf_head(&whole) : NULL, whole.len};
    must(cut.len == out.n && (out.n == 0 || memcmp(buf_head(&cut), out.p, out.n) == 0));
    if (status == 0) {
        must(out.n <= in.n);
        compare(in, out);
        must(feed(out, out.n, 1, &again, &w) == 0);
        must(again.len == out.n && memcmp(buf_head(&again), out.p, out.n) == 0);
    }
    buf_free(&whole);
    buf_free(&cut);
    buf_free(&again);
    free(copy);
    return 0;
}
