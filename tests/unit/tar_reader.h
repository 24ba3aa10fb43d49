/* tar_reader.h - reads tar archives as strictly as can be: POSIX ustar (IEEE Std 1003.1, pax), of which
 * regular files and folders that belong to root, and no byte that the format does not ask for.
 *
 * For a test program or a fuzz target that includes this. It knows nothing of hub/deploy/cert_archive.c. */
#ifndef HARP_UNIT_TAR_READER_H
#define HARP_UNIT_TAR_READER_H

#include "common/base/base.h"

struct tar_reader {
    const unsigned char *p;
    size_t n, at;
};

struct tar_member {
    char name[101]; /* a folder's ends with a slash */
    bool folder;
    unsigned mode;
    uint64_t mtime;
    struct str content; /* in the archive */
};

static inline bool tar_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

/* A field of octal digits and a NUL. */
static inline bool tar_octal(const unsigned char *p, size_t n, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < n - 1; i++) {
        if (p[i] < '0' || p[i] > '7') {
            return false;
        }
        *value = *value * 8 + (p[i] - '0');
    }
    return p[n - 1] == 0;
}

static inline bool tar_sum_good(const unsigned char *h)
{
    uint64_t sum = 0, told;
    for (size_t i = 0; i < 512; i++) {
        sum += i >= 148 && i < 156 ? ' ' : h[i];
    }
    return tar_octal(h + 148, 7, &told) && h[155] == ' ' && told == sum;
}

static inline const char *tar_header(const unsigned char *h, struct tar_member *m, uint64_t *size)
{
    uint64_t mode, uid, gid;
    size_t n = 0;
    while (n < 100 && h[n] != 0) {
        n++;
    }
    memcpy(m->name, h, n);
    m->name[n] = '\0';
    if (n == 0 || !tar_zero(h + n, 100 - n)) {
        return "the name is empty, or something stands behind it";
    }
    if (!tar_octal(h + 100, 8, &mode) || !tar_octal(h + 108, 8, &uid) ||
        !tar_octal(h + 116, 8, &gid) || !tar_octal(h + 124, 12, size) ||
        !tar_octal(h + 136, 12, &m->mtime)) {
        return "a field is not octal digits and a NUL";
    }
    if (uid != 0 || gid != 0) {
        return "it does not belong to root";
    }
    if (!tar_sum_good(h)) {
        return "the checksum is wrong";
    }
    if (h[156] != '0' && h[156] != '5') {
        return "neither a regular file nor a folder";
    }
    if (memcmp(h + 257, "ustar\0", 6) != 0 || memcmp(h + 263, "00", 2) != 0) {
        return "not ustar, version 00";
    }
    if (!tar_zero(h + 157, 100) || !tar_zero(h + 265, 247)) {
        return "something stands in fields that should be empty";
    }
    m->folder = h[156] == '5';
    m->mode = (unsigned)mode;
    if (m->folder != (m->name[n - 1] == '/') || (m->folder && *size != 0)) {
        return "a folder without a slash at its end or with content, or a file with a slash";
    }
    return NULL;
}

/* 1: *m is the next member. 0: the archive ended as it should. -1: *why. */
static inline int tar_next(struct tar_reader *t, struct tar_member *m, const char **why)
{
    uint64_t size;
    if (t->n % 512 != 0 || t->n - t->at < 1024) {
        *why = "it is not made of blocks, or has no end";
        return -1;
    }
    if (tar_zero(t->p + t->at, 512)) {
        *why = "the end is not two blocks of zeros, the last ones";
        return t->n - t->at == 1024 && tar_zero(t->p + t->at, 1024) ? 0 : -1;
    }
    *why = tar_header(t->p + t->at, m, &size);
    if (*why) {
        return -1;
    }
    t->at += 512;
    if (size > t->n - t->at) {
        *why = "a member is longer than the archive";
        return -1;
    }
    m->content = (struct str){(const char *)t->p + t->at, (size_t)size};
    size_t padded = ((size_t)size + 511) / 512 * 512;
    if (!tar_zero(t->p + t->at + size, padded - (size_t)size)) {
        *why = "the padding is not zero";
        return -1;
    }
    t->at += padded;
    return 1;
}

#endif
