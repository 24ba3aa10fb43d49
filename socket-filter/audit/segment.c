#include "socket-filter/audit/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/config/values.h"

#define NAME_START "audit-"
#define NAME_END ".jsonl"
#define NAME_DIGITS 20
#define HEAD_START "audit-head "

void audit_segment_name(uint64_t first, char *name)
{
    snprintf(name, AUDIT_NAME_SIZE, NAME_START "%020" PRIu64 NAME_END, first);
}

/* A number of NAME_DIGITS digits with zeros before it; 0 if it is none. */
static uint64_t padded(struct str digits)
{
    int64_t value;

    while (digits.n > 1 && *digits.p == '0') {
        digits.p++;
        digits.n--;
    }
    return value_parse_int(digits, 0, INT64_MAX, &value) == 0 ? (uint64_t)value : 0;
}

uint64_t audit_segment_first(const char *name)
{
    const size_t start = strlen(NAME_START);

    if (strlen(name) != AUDIT_NAME_SIZE - 1 || strncmp(name, NAME_START, start) != 0 ||
        strcmp(name + start + NAME_DIGITS, NAME_END) != 0) {
        return 0;
    }
    return padded((struct str){name + start, NAME_DIGITS});
}

int audit_segments(int folder, int (*each)(void *arg, const char *name, uint64_t first), void *arg)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    int rc = 0;

    if (!dir) {
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    errno = 0;
    while (rc == 0 && (entry = readdir(dir))) {
        uint64_t first = audit_segment_first(entry->d_name);
        if (first > 0) {
            rc = each(arg, entry->d_name, first);
        }
        if (rc == 0) {
            errno = 0;
        }
    }
    if (rc == 0 && errno != 0) {
        rc = -1;
    }
    int saved = errno;
    closedir(dir);
    errno = saved;
    return rc;
}

/* ---- the head file ---- */

void audit_boot(char *boot)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    memset(boot, '-', AUDIT_BOOT_SIZE);
    if (fd >= 0) {
        char text[AUDIT_BOOT_SIZE];
        if (read(fd, text, sizeof(text)) == AUDIT_BOOT_SIZE &&
            value_is_printable((struct str){text, sizeof(text)})) {
            memcpy(boot, text, sizeof(text));
        }
        close(fd);
    }
    boot[AUDIT_BOOT_SIZE] = '\0';
}

int audit_head_write(int fd, const struct audit_head *head)
{
    char text[AUDIT_HEAD_SIZE + 1], hex[AUDIT_HASH_HEX];

    audit_hex(head->link.hash, hex);
    int n = snprintf(text, sizeof(text), HEAD_START "%020" PRIu64 " %.*s %.*s\n", head->link.seq,
                     AUDIT_HASH_HEX, hex, AUDIT_BOOT_SIZE, head->boot);
    if (n != AUDIT_HEAD_SIZE) {
        errno = EINVAL;
        return -1;
    }
    ssize_t done = pwrite(fd, text, AUDIT_HEAD_SIZE, 0);
    if (done >= 0 && done != AUDIT_HEAD_SIZE) {
        errno = ENOSPC;
    }
    return done == AUDIT_HEAD_SIZE ? 0 : -1;
}

int audit_head_read(int fd, struct audit_head *head)
{
    char text[AUDIT_HEAD_SIZE + 1];
    const size_t seq = sizeof(HEAD_START) - 1, hash = seq + NAME_DIGITS + 1,
                 boot = hash + AUDIT_HASH_HEX + 1;
    ssize_t n = pread(fd, text, sizeof(text), 0);

    *head = (struct audit_head){0};
    if (n <= 0) {
        return n == 0 ? 1 : -1;
    }
    errno = 0;
    if (n != AUDIT_HEAD_SIZE || memcmp(text, HEAD_START, seq) != 0 || text[hash - 1] != ' ' ||
        text[boot - 1] != ' ' || text[AUDIT_HEAD_SIZE - 1] != '\n' ||
        audit_unhex((struct str){text + hash, AUDIT_HASH_HEX}, head->link.hash) < 0) {
        return -1;
    }
    head->link.seq = padded((struct str){text + seq, NAME_DIGITS});
    memcpy(head->boot, text + boot, AUDIT_BOOT_SIZE);
    /* Its number must come out as it was written: "0000abc" is none. */
    char again[NAME_DIGITS + 1];
    snprintf(again, sizeof(again), "%020" PRIu64, head->link.seq);
    return memcmp(again, text + seq, NAME_DIGITS) == 0 ? 0 : -1;
}

/* ---- lines ---- */

void audit_reader_init(struct audit_reader *r, int fd)
{
    r->fd = fd;
    r->number = r->offset = 0;
    r->from = r->to = 0;
}

/* 1: there is more; 0: the end of the file; -1: errno. */
static int fill(struct audit_reader *r)
{
    memmove(r->buf, r->buf + r->from, r->to - r->from);
    r->to -= r->from;
    r->from = 0;
    ssize_t n;
    do {
        n = pread(r->fd, r->buf + r->to, sizeof(r->buf) - r->to, (off_t)r->offset);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return (int)n;
    }
    r->to += (size_t)n;
    r->offset += (uint64_t)n;
    return 1;
}

enum audit_read audit_reader_next(struct audit_reader *r, struct str *line)
{
    int more = 1;

    *line = (struct str){NULL, 0};
    for (;;) {
        char *p = r->buf + r->from;
        size_t n = MIN(r->to - r->from, (size_t)AUDIT_LINE_MAX);
        const char *end = n ? memchr(p, '\n', n) : NULL;
        if (end) {
            *line = (struct str){p, (size_t)(end - p)};
            r->from += line->n + 1;
            r->number++;
            return AUDIT_READ_LINE;
        }
        if (n == AUDIT_LINE_MAX) {
            r->number++;
            return AUDIT_READ_LONG;
        }
        if (more == 0) {
            if (n == 0) {
                return AUDIT_READ_END;
            }
            *line = (struct str){p, n};
            r->number++;
            return AUDIT_READ_TORN;
        }
        more = fill(r);
        if (more < 0) {
            return AUDIT_READ_FAILED;
        }
    }
}
