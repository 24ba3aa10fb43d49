/* How a record gets to the file:
 *
 *   audit_ready    cuts what a failed write left, goes on in a new segment, tells of lost records
 *   audit_append   one write(2) of a whole line; on any failure the file is cut back to `size`
 *   rotate         after it, when the segment is as long as it may be
 *
 * The chain's end in memory (`last`, `size`) moves only when the whole line is in the file, and the head
 * file follows: at most the record written last is missing in it if the program is killed. */
#include "socket-filter/audit/audit_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"

enum { TOLD_MAX = 5, TOLD_MS = 60 * 1000 }; /* failures that are logged */

const char *const audit_sync_names[] = {"always", "interval", "never", NULL};

static void tell(struct audit *a, const char *what)
{
    int saved = errno;

    if (log_limit_pass(&a->failures, loop_now(a->loop), a->log, LOG_LEVEL_ERROR, "audit")) {
        log_error(a->log, "audit", 0, "%s in %s: %s", what, a->path, strerror(saved));
    }
    errno = saved;
}

/* ---- to the disk ---- */

static int flush(struct audit *a)
{
    if (a->dirty && (fdatasync(a->fd) != 0 || fdatasync(a->head) != 0)) {
        return -1;
    }
    a->dirty = false;
    return 0;
}

static void on_timer(struct timer *t)
{
    struct audit *a = CONTAINER_OF(t, struct audit, timer);

    if (flush(a) < 0) {
        tell(a, "records could not be brought to the disk");
        timer_set(a->loop, &a->timer, AUDIT_SYNC_MS);
    }
}

/* ---- one record ---- */

/* Takes away what a write that failed may have left. */
static int cut(struct audit *a)
{
    if (a->torn && ftruncate(a->fd, (off_t)a->size) != 0) {
        return -1;
    }
    a->torn = false;
    return 0;
}

/* Writes n bytes in one call: who reads meanwhile must not find half of a line. */
static int write_line(const struct audit *a, size_t n)
{
    ssize_t done;

    do {
        done = write(a->fd, a->draft.line, n);
    } while (done < 0 && errno == EINTR);
    if (done != (ssize_t)n) {
        errno = done < 0 ? errno : ENOSPC;
        return -1;
    }
    return a->sync == AUDIT_SYNC_ALWAYS ? fdatasync(a->fd) : 0;
}

void audit_begin(struct audit *a, enum audit_event event)
{
    audit_draft_begin(&a->draft, a->last.seq + 1, event);
}

int audit_append(struct audit *a)
{
    struct audit_head head = {.link.seq = a->last.seq + 1};
    ssize_t n = audit_draft_end(&a->draft, &a->hasher, a->last.hash, head.link.hash);

    if (n < 0) {
        errno = EINVAL;
        return -1;
    }
    if (write_line(a, (size_t)n) < 0) {
        int saved = errno;
        a->torn = true;
        if (cut(a) < 0) {
            tell(a, "half of a record could not be cut off");
        }
        errno = saved;
        return -1;
    }
    a->size += (uint64_t)n;
    a->last = head.link;
    memcpy(head.boot, a->boot, sizeof(head.boot));
    if (audit_head_write(a->head, &head) < 0) {
        /* The record is in the chain, and the next one's head makes it good. */
        tell(a, AUDIT_HEAD_NAME " could not be written");
    }
    a->dirty = true;
    if (a->sync == AUDIT_SYNC_INTERVAL && a->timer.due == 0) {
        timer_set(a->loop, &a->timer, AUDIT_SYNC_MS);
    }
    return 0;
}

/* ---- segments ---- */

/* A folder that hands its group on is how an administrator lets another user read segments, to ship them. */
static mode_t segment_mode(const struct audit *a)
{
    struct stat st;
    return fstat(a->folder, &st) == 0 && st.st_mode & S_ISGID ? 0640 : 0600;
}

int audit_new_segment(struct audit *a)
{
    char name[AUDIT_NAME_SIZE];

    audit_segment_name(a->last.seq + 1, name);
    int fd = openat(a->folder, name, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                    segment_mode(a));
    if (fd < 0) {
        return -1;
    }
    if (fsync(a->folder) != 0) {
        int saved = errno;
        unlinkat(a->folder, name, 0);
        close(fd);
        errno = saved;
        return -1;
    }
    if (a->fd >= 0) {
        close(a->fd);
    }
    a->fd = fd;
    a->size = 0;
    a->begun = a->finished = false;
    return 0;
}

/* Ends a segment that is as long as it may be. What is not done here because of an error is done, or
 * fails, before the next record. */
static int finish(struct audit *a)
{
    audit_begin(a, AUDIT_CLOSED);
    if (audit_append(a) < 0) {
        return -1;
    }
    a->finished = true;
    return 0;
}

int audit_ready(struct audit *a)
{
    /* The disk has all of a finished segment and its head before another one begins: a power cut then
     * never leaves a gap between two files. */
    if (cut(a) < 0 || (a->finished && (flush(a) < 0 || audit_new_segment(a) < 0))) {
        return -1;
    }
    if (!a->begun) {
        audit_begin(a, AUDIT_SEGMENT);
        audit_draft_hash(&a->draft, "previous", a->last.hash);
        if (audit_append(a) < 0) {
            return -1;
        }
        a->begun = true;
    }
    if (a->lost > 0) {
        audit_begin(a, AUDIT_LOST);
        audit_draft_number(&a->draft, "count", a->lost);
        if (audit_append(a) < 0) {
            return -1;
        }
        log_warning(a->log, "audit", 0, "writing works again; %" PRIu64 " records were lost",
                    a->lost);
        a->lost = 0;
    }
    return 0;
}

int audit_write(struct audit *a, const struct audit_record *record)
{
    int rc = audit_ready(a);

    if (rc == 0) {
        audit_begin(a, AUDIT_DECISION);
        audit_draft_decision(&a->draft, record);
        rc = audit_append(a);
    }
    if (rc < 0) {
        int saved = errno;
        a->lost++;
        tell(a, "a record could not be written");
        errno = saved;
        return -1;
    }
    if (a->size >= a->segment_size && (finish(a) < 0 || audit_ready(a) < 0)) {
        tell(a, "another segment could not be begun");
    }
    return 0;
}

/* ---- start and end ---- */

static int open_folder(struct audit *a, char *err, size_t errlen)
{
    a->folder = open(a->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (a->folder < 0) {
        snprintf(
            err, errlen,
            "the audit folder %s can't be opened: %s; make it, with this program's user as its "
            "owner and mode 0700",
            a->path, strerror(errno));
        return -1;
    }
    a->head = openat(a->folder, AUDIT_HEAD_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (a->head < 0) {
        snprintf(err, errlen,
                 "%s/" AUDIT_HEAD_NAME " can't be opened: %s; this program's user must "
                 "own the folder and all in it",
                 a->path, strerror(errno));
        return -1;
    }
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(a->head, F_OFD_SETLK, &lock) != 0) {
        if (errno == EAGAIN || errno == EACCES) {
            snprintf(err, errlen,
                     "another process writes to the audit folder %s; end it, or set another folder",
                     a->path);
        } else {
            snprintf(err, errlen, "%s/" AUDIT_HEAD_NAME " can't be locked: %s", a->path,
                     strerror(errno));
        }
        return -1;
    }
    return 0;
}

static int open_chain(struct audit *a, char *err, size_t errlen)
{
    struct audit_head head;
    int rc = audit_head_read(a->head, &head);

    if (rc < 0) {
        snprintf(err, errlen,
                 "%s/" AUDIT_HEAD_NAME " can't be used: %s; look with `audit verify %s`, then move "
                 "all files of the folder away to begin anew",
                 a->path, errno ? strerror(errno) : "this program did not write what is in it",
                 a->path);
        return -1;
    }
    return audit_recover(a, &head, err, errlen);
}

static void release(struct audit *a)
{
    if (a->fd >= 0) {
        close(a->fd);
    }
    if (a->head >= 0) {
        close(a->head); /* and with it goes the lock */
    }
    if (a->folder >= 0) {
        close(a->folder);
    }
    timer_remove(a->loop, &a->timer);
    audit_hasher_free(&a->hasher);
    free(a->path);
    free(a);
}

struct audit *audit_open(struct loop *loop, struct log *log, const struct audit_settings *settings,
                         char *err, size_t errlen)
{
    struct audit *a = xcalloc(1, sizeof(*a));

    a->loop = loop;
    a->log = log;
    a->path = xstrndup(settings->folder, strlen(settings->folder));
    a->segment_size = settings->segment_size;
    a->sync = settings->sync;
    a->folder = a->head = a->fd = -1;
    a->timer.fire = on_timer;
    log_limit_init(&a->failures, TOLD_MAX, TOLD_MS);
    audit_boot(a->boot);
    if (audit_hasher_init(&a->hasher) < 0) {
        snprintf(err, errlen, "this OpenSSL has no SHA3-256, which the audit record needs");
    } else if (open_folder(a, err, errlen) == 0 && open_chain(a, err, errlen) == 0) {
        audit_begin(a, AUDIT_START);
        audit_draft_text(&a->draft, "version", STR(HARP_VERSION), AUDIT_TEXT_MAX);
        if (audit_append(a) == 0) {
            return a;
        }
        snprintf(err, errlen, "the audit folder %s can't be written: %s", a->path, strerror(errno));
    }
    release(a);
    return NULL;
}

void audit_close(struct audit *a)
{
    if (!a) {
        return;
    }
    int rc = audit_ready(a);
    if (rc == 0) {
        audit_begin(a, AUDIT_STOP);
        rc = audit_append(a);
    }
    if (rc < 0) {
        tell(a, "the end of the program could not be written down");
    }
    if (flush(a) < 0) {
        tell(a, "records could not be brought to the disk");
    }
    log_limit_flush(&a->failures, a->log, LOG_LEVEL_ERROR, "audit");
    release(a);
}
