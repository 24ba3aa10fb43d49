/* A start in a folder where records are.
 *
 * What a crash can leave behind: half of a line at the end of the last segment; a last segment without
 * any record; a head that is behind. A power cut, beside that: a head that is ahead, because the two
 * files reach the disk in any order. (A segment is on the disk before the next one begins.) The head has
 * the id of the system's running time, which tells a power cut from a file that was made shorter
 * by somebody. All else is an error: the folder then needs a person's eyes. */
#include "socket-filter/audit/audit_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"

/* What the end of a segment looks like. */
struct end {
    uint64_t length;        /* up to the last newline */
    uint64_t torn;          /* bytes behind it */
    bool any;               /* there is a record */
    struct audit_line last; /* its slices are not valid any more */
    uint64_t first;         /* number of the first record that was read */
    bool met;               /* the record that the head names was among them */
    bool fits;              /* and has that hash */
};

static int fail(const struct audit *a, const char *name, const char *what, char *err, size_t errlen)
{
    snprintf(err, errlen,
             "%s/%s: %s, which no crash leaves behind; look with `audit verify %s`, then move all "
             "files of the folder away to begin anew",
             a->path, name, what, a->path);
    return -1;
}

static int fail_errno(const struct audit *a, const char *name, char *err, size_t errlen)
{
    snprintf(err, errlen, "%s/%s can't be opened or read: %s", a->path, name, strerror(errno));
    return -1;
}

/* ---- a segment's end ---- */

/* NULL, or what is wrong with a line that follows those that were read. */
static const char *take_line(struct audit *a, struct str line, uint64_t name_first, bool whole,
                             const struct audit_head *head, struct end *end)
{
    struct audit_line next;
    unsigned char hash[AUDIT_HASH_SIZE];

    if (audit_line_split(line, &next) < 0) {
        return "a line at its end is no record";
    }
    if (end->any) {
        if (next.link.seq != end->last.link.seq + 1 || next.event == AUDIT_SEGMENT ||
            end->last.event == AUDIT_CLOSED ||
            audit_hash(&a->hasher, next.body, end->last.link.hash, hash) < 0 ||
            memcmp(hash, next.link.hash, sizeof(hash)) != 0) {
            return "a record at its end does not fit the one before it";
        }
    } else {
        end->first = next.link.seq;
        if (whole && (next.event != AUDIT_SEGMENT || next.link.seq != name_first)) {
            return "its first record is not the one that its name tells";
        }
    }
    if (next.link.seq == head->link.seq) {
        end->met = true;
        end->fits = memcmp(next.link.hash, head->link.hash, sizeof(next.link.hash)) == 0;
    }
    end->last = next;
    end->any = true;
    return NULL;
}

/* Reads what stands in buf, the last n bytes of a file that are all of it (whole) or not. */
static const char *take_window(struct audit *a, struct str text, uint64_t name_first, bool whole,
                               const struct audit_head *head, struct end *end)
{
    const char *newline = text.n ? memrchr(text.p, '\n', text.n) : NULL;

    end->torn = newline ? (size_t)(text.p + text.n - newline - 1) : text.n;
    if (end->torn >= AUDIT_LINE_MAX) {
        return "what stands at its end is longer than any record";
    }
    text.n -= end->torn;
    if (!whole) { /* begins inside a line */
        const char *begin = memchr(text.p, '\n', text.n);
        size_t skipped = (size_t)(begin + 1 - text.p);
        text.p += skipped;
        text.n -= skipped;
    }
    while (text.n > 0) {
        const char *at = memchr(text.p, '\n', text.n);
        struct str line = {text.p, (size_t)(at - text.p)};
        const char *wrong = take_line(a, line, name_first, whole, head, end);
        if (wrong) {
            return wrong;
        }
        text.p += line.n + 1;
        text.n -= line.n + 1;
    }
    return NULL;
}

/* 0, or -1 with err. */
static int read_end(struct audit *a, int fd, const char *name, const struct audit_head *head,
                    struct end *end, char *err, size_t errlen)
{
    struct stat st;

    *end = (struct end){0};
    if (fstat(fd, &st) != 0) {
        return fail_errno(a, name, err, errlen);
    }
    if (!S_ISREG(st.st_mode)) {
        return fail(a, name, "it is no regular file", err, errlen);
    }
    size_t n = (size_t)MIN(st.st_size, (off_t)AUDIT_END_WINDOW);
    char *buf = xmalloc(n);
    ssize_t got = pread(fd, buf, n, st.st_size - (off_t)n);
    if (got != (ssize_t)n) {
        errno = got < 0 ? errno : EIO;
        free(buf);
        return fail_errno(a, name, err, errlen);
    }
    const char *wrong = take_window(a, (struct str){buf, n}, audit_segment_first(name),
                                    (off_t)n == st.st_size, head, end);
    free(buf);
    end->length = (uint64_t)st.st_size - end->torn;
    end->last.time = end->last.body = (struct str){NULL, 0};
    return wrong ? fail(a, name, wrong, err, errlen) : 0;
}

/* ---- which file ---- */

struct names {
    uint64_t last, before; /* first records of the last segment and the one before; 0: none */
};

static int note_name(void *arg, const char *name UNUSED, uint64_t first)
{
    struct names *n = arg;

    if (first > n->last) {
        n->before = n->last;
        n->last = first;
    } else if (first > n->before) {
        n->before = first;
    }
    return 0;
}

/* The hash before a last segment that has no record: from the end of the segment before, else, if that
 * has been shipped and deleted, from the head. */
static int take_previous(struct audit *a, const struct names *names, const struct audit_head *head,
                         char *err, size_t errlen)
{
    char name[AUDIT_NAME_SIZE];
    struct end end;

    a->last = (struct audit_link){.seq = names->last - 1};
    if (names->last == 1) {
        return 0;
    }
    if (head->link.seq == a->last.seq) {
        a->last = head->link;
        return 0;
    }
    audit_segment_name(names->before, name);
    int fd = names->before ? openat(a->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
                           : -1;
    if (fd < 0) {
        audit_segment_name(names->last, name);
        return fail(a, name, "it is empty, and what came before it is not there", err, errlen);
    }
    int rc = read_end(a, fd, name, head, &end, err, errlen);
    close(fd);
    if (rc == 0 && (!end.any || end.torn || end.last.event != AUDIT_CLOSED ||
                    end.last.link.seq != a->last.seq)) {
        rc = fail(a, name, "it does not end where the next segment begins", err, errlen);
    }
    a->last = end.last.link;
    return rc;
}

/* Compares the chain's end with the head; *missing: records that a power cut took. */
static int compare(struct audit *a, const char *name, const struct end *end,
                   const struct audit_head *head, uint64_t *missing, char *err, size_t errlen)
{
    char what[160];

    *missing = 0;
    if (head->link.seq > a->last.seq) {
        if (strcmp(head->boot, a->boot) != 0) {
            *missing = head->link.seq - a->last.seq;
            return 0;
        }
        snprintf(what, sizeof(what),
                 "it ends before record %" PRIu64
                 ", which was written according to " AUDIT_HEAD_NAME,
                 head->link.seq);
        return fail(a, name, what, err, errlen);
    }
    if (end->met && !end->fits) {
        snprintf(what, sizeof(what), "record %" PRIu64 " has another hash than in " AUDIT_HEAD_NAME,
                 head->link.seq);
        return fail(a, name, what, err, errlen);
    }
    if (head->link.seq < a->last.seq) {
        log_info(a->log, "audit", 0, AUDIT_HEAD_NAME " in %s was %" PRIu64 " records behind",
                 a->path, a->last.seq - head->link.seq);
    }
    return 0;
}

/* Cuts what a crash left, and writes down that it was there. */
static int mend(struct audit *a, const char *name, uint64_t torn, uint64_t missing, char *err,
                size_t errlen)
{
    a->torn = torn > 0;
    int rc = audit_ready(a);
    if (rc == 0 && (torn > 0 || missing > 0)) {
        audit_begin(a, AUDIT_RECOVERED);
        audit_draft_number(&a->draft, "cut", torn);
        audit_draft_number(&a->draft, "missing", missing);
        rc = audit_append(a);
        log_warning(a->log, "audit", 0,
                    "%s/%s: after a crash, %" PRIu64
                    " bytes of half a record were cut, and %" PRIu64 " records are missing",
                    a->path, name, torn, missing);
    }
    if (rc < 0) {
        snprintf(err, errlen, "the audit folder %s can't be written: %s", a->path, strerror(errno));
    }
    return rc;
}

static int begin(struct audit *a, const struct audit_head *head, char *err, size_t errlen)
{
    if (head->link.seq > 0) {
        return fail(a, AUDIT_HEAD_NAME, "it tells of records, but there is no segment", err,
                    errlen);
    }
    struct audit_head fresh = {0};
    memcpy(fresh.boot, a->boot, sizeof(fresh.boot));
    if (audit_head_write(a->head, &fresh) < 0 || fsync(a->head) != 0 || audit_new_segment(a) < 0) {
        snprintf(err, errlen, "the audit folder %s can't be written: %s", a->path, strerror(errno));
        return -1;
    }
    return mend(a, AUDIT_HEAD_NAME, 0, 0, err, errlen);
}

int audit_recover(struct audit *a, const struct audit_head *head, char *err, size_t errlen)
{
    struct names names = {0};
    struct end end;
    char name[AUDIT_NAME_SIZE];
    uint64_t missing;

    if (audit_segments(a->folder, note_name, &names) < 0) {
        return fail_errno(a, "", err, errlen);
    }
    if (names.last == 0) {
        return begin(a, head, err, errlen);
    }
    audit_segment_name(names.last, name);
    if (!*head->boot) {
        return fail(a, AUDIT_HEAD_NAME, "it is missing or empty, but there are segments", err,
                    errlen);
    }
    a->fd = openat(a->folder, name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (a->fd < 0) {
        return fail_errno(a, name, err, errlen);
    }
    if (read_end(a, a->fd, name, head, &end, err, errlen) < 0) {
        return -1;
    }
    a->size = end.length;
    a->dirty = true; /* whether it is on the disk nobody knows */
    if (end.any) {
        a->last = end.last.link;
        a->begun = true;
        a->finished = end.last.event == AUDIT_CLOSED;
    } else if (take_previous(a, &names, head, err, errlen) < 0) {
        return -1;
    }
    if (a->finished && end.torn > 0) {
        return fail(a, name, "bytes stand behind the end of a finished segment", err, errlen);
    }
    if (compare(a, name, &end, head, &missing, err, errlen) < 0) {
        return -1;
    }
    return mend(a, name, end.torn, missing, err, errlen);
}
