/* States: idle (the folder is looked at when something comes into it, else now and then), busy (an upload
 * runs), waiting (after a failure; nothing else is tried meanwhile). `cursor` goes up with each segment that
 * is dealt with, and to 0 when there is none behind it. */
#include "socket-filter/ship/shipper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/log/log.h"
#include "socket-filter/audit/walk.h"
#include "socket-filter/ship/upload.h"

enum {
    ASIDE_MAX = 1024, /* segments that are remembered as not fit to be sent */
    ONCE_TRIES = 3,
    SETTLE_MS = 20, /* from a sign to looking */
    ANSWER_MAX = 64 * 1024,
    SHIPPED_SIZE = AUDIT_NAME_SIZE + 8,
    WATCHED = IN_CREATE | IN_MOVED_TO, /* made or moved in: not each record that is written */
};

enum state { IDLE, BUSY, WAITING };

struct aside {
    uint64_t first, due; /* its time of the loop's */
};

struct shipper {
    struct loop *loop;
    const struct ship_config *config;
    struct fetcher *fetcher;
    struct upload *upload; /* while busy */
    enum state state;
    int folder, inotify;
    uv_poll_t watch;
    struct timer wake;
    bool watching;
    bool once, failed; /* failed: something could not be sent */
    unsigned tries;    /* failures since the last success */
    uint64_t cursor;   /* what is before it, or it, was dealt with */
    uint64_t first;    /* the segment that is being sent */
    char name[AUDIT_NAME_SIZE];
    dev_t device; /* and its file */
    ino_t inode;
    uint64_t size;
    struct aside aside[ASIDE_MAX];
    size_t asides;
};

static void wait_for(struct shipper *s, enum state state, uint64_t ms)
{
    s->state = state;
    timer_set(s->loop, &s->wake, MAX(ms, 1));
}

static uint64_t jitter(uint64_t ms)
{
    uint32_t random = 0;

    (void)uv_random(NULL, NULL, &random, sizeof(random), 0, NULL);
    return ms / 2 + random % (ms / 2 + 1);
}

static uint64_t back_off(const struct shipper *s)
{
    uint64_t ms = s->config->retry_min;

    for (unsigned i = 1; i < s->tries && ms < s->config->retry_max; i++) {
        ms *= 2;
    }
    return jitter(MIN(ms, s->config->retry_max));
}

/* ---- what was set aside ---- */

static struct aside *find_aside(struct shipper *s, uint64_t first)
{
    for (size_t i = 0; i < s->asides; i++) {
        if (s->aside[i].first == first) {
            return &s->aside[i];
        }
    }
    return NULL;
}

static void set_aside(struct shipper *s, uint64_t first)
{
    struct aside *a = find_aside(s, first);

    s->failed = true;
    if (!a && s->asides < ASIDE_MAX) {
        a = &s->aside[s->asides++];
    }
    if (a) {
        *a = (struct aside){first, loop_now(s->loop) + s->config->retry_max};
    }
}

static void forget_aside(struct shipper *s, uint64_t first)
{
    struct aside *a = find_aside(s, first);

    if (a) {
        *a = s->aside[--s->asides];
    }
}

/* ---- the folder ---- */

static void shipped_name(uint64_t first, char *name)
{
    audit_segment_name(first, name);
    memcpy(name + AUDIT_NAME_SIZE - 1, ".shipped", sizeof(".shipped"));
}

struct search {
    struct shipper *shipper;
    uint64_t last; /* of all segments: that one is being written */
    uint64_t next; /* the lowest that waits; 0: none */
};

static int consider(void *arg, const char *name UNUSED, uint64_t first)
{
    struct search *f = arg;
    struct shipper *s = f->shipper;
    char shipped[SHIPPED_SIZE];

    f->last = MAX(f->last, first);
    if (first <= s->cursor || (f->next > 0 && first >= f->next)) {
        return 0;
    }
    const struct aside *a = find_aside(s, first);
    shipped_name(first, shipped);
    if ((!a || a->due <= loop_now(s->loop)) && faccessat(s->folder, shipped, F_OK, 0) != 0) {
        f->next = first;
    }
    return 0;
}

/* The lowest finished segment behind the cursor that waits; 0: none. */
static uint64_t next_segment(struct shipper *s)
{
    struct search f = {.shipper = s};

    if (audit_segments(s->folder, consider, &f) < 0) {
        log_error(s->loop->log, "ship", 0, "%s can't be read: %s", s->config->folder,
                  strerror(errno));
        s->failed = true;
        return 0;
    }
    return f.next == f.last ? 0 : f.next;
}

/* Opens and verifies it. A descriptor, or -1. */
static int open_segment(struct shipper *s)
{
    char why[AUDIT_WHY_MAX];
    struct stat st;
    int fd = openat(s->folder, s->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) != 0) {
        snprintf(why, sizeof(why), "can't be opened: %s", strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        snprintf(why, sizeof(why), "is no regular file");
    } else if (audit_segment_check(fd, why) == 0) {
        s->device = st.st_dev;
        s->inode = st.st_ino;
        s->size = (uint64_t)st.st_size;
        return fd;
    }
    log_error(s->loop->log, "ship", 0, "%s/%s is not sent: it does not verify: %s",
              s->config->folder, s->name, why);
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

/* 0, or -1 with errno. */
static int mark(const struct shipper *s)
{
    char shipped[SHIPPED_SIZE];
    struct stat st;

    if (s->config->keep == SHIP_DELETE) {
        if (fstatat(s->folder, s->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            return errno == ENOENT ? 0 : -1;
        }
        if (st.st_dev != s->device || st.st_ino != s->inode || (uint64_t)st.st_size != s->size) {
            errno = ESTALE; /* not the file that was sent */
            return -1;
        }
        return unlinkat(s->folder, s->name, 0) == 0 ? fsync(s->folder) : -1;
    }
    shipped_name(s->first, shipped);
    int fd = openat(s->folder, shipped, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return -1;
    }
    close(fd);
    return fsync(s->folder);
}

/* ---- one after the other ---- */

static void on_safe(struct shipper *s)
{
    s->tries = 0;
    s->cursor = s->first;
    if (mark(s) < 0) {
        log_error(s->loop->log, "ship", 0, "%s is in the bucket, but can't be %s: %s", s->name,
                  s->config->keep == SHIP_DELETE ? "deleted" : "marked as shipped",
                  strerror(errno));
        set_aside(s, s->first);
        return;
    }
    forget_aside(s, s->first);
    log_info(s->loop->log, "ship", 0, "%s is safe in the bucket %s, %" PRIu64 " bytes", s->name,
             s->config->bucket, s->size);
}

static void give_up(struct shipper *s)
{
    s->failed = true;
    loop_stop(s->loop);
}

static void on_done(void *owner, enum upload_outcome outcome, const char *why)
{
    struct shipper *s = owner;
    struct log *log = s->loop->log;

    s->upload = NULL;
    switch (outcome) {
    case UPLOAD_SAFE:
        on_safe(s);
        wait_for(s, IDLE, 1);
        return;
    case UPLOAD_UNFIT:
        log_error(log, "ship", 0, "%s can't be sent: %s", s->name, why);
        s->cursor = s->first;
        set_aside(s, s->first);
        wait_for(s, IDLE, 1);
        return;
    case UPLOAD_AGAIN:
        s->tries++;
        log_warning(log, "ship", 0, "%s was not sent: %s", s->name, why);
        break;
    case UPLOAD_REFUSED:
        s->tries = MAX(s->tries + 1, (unsigned)ONCE_TRIES);
        log_error(log, "ship", 0,
                  "%s was refused: %s; look at endpoint, bucket, region and keys, and at what the "
                  "key may do",
                  s->name, why);
        break;
    }
    if (s->once && s->tries >= ONCE_TRIES) {
        give_up(s);
    } else {
        wait_for(s, WAITING,
                 outcome == UPLOAD_REFUSED ? jitter(s->config->retry_max) : back_off(s));
    }
}

static void send_segment(struct shipper *s, uint64_t first)
{
    s->first = first;
    audit_segment_name(first, s->name);
    int fd = open_segment(s);
    if (fd < 0) {
        s->cursor = first;
        set_aside(s, first);
        wait_for(s, IDLE, 1);
        return;
    }
    log_debug(s->loop->log, "ship", 0, "%s is being sent", s->name);
    s->upload = upload_start(s->fetcher, s->config, s->name, fd, s->size, on_done, s);
    if (s->upload) {
        s->state = BUSY;
        timer_clear(&s->wake);
    } else {
        on_done(s, UPLOAD_AGAIN, "it can't be read, or no request could be made");
    }
}

/* A folder that was made anew, or a volume that was mounted over it after the start. */
static void go_to_folder(struct shipper *s)
{
    struct stat now, then;
    int folder = open(s->config->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (folder < 0 || fstat(folder, &now) != 0 || fstat(s->folder, &then) != 0 ||
        (now.st_dev == then.st_dev && now.st_ino == then.st_ino)) {
        if (folder >= 0) {
            close(folder);
        }
        return;
    }
    log_info(s->loop->log, "ship", 0, "%s is another folder than before", s->config->folder);
    close(s->folder);
    s->folder = folder;
    s->cursor = 0;
    s->asides = 0;
    if (s->watching && inotify_add_watch(s->inotify, s->config->folder, WATCHED) < 0) {
        log_warning(s->loop->log, "ship", 0,
                    "%s can't be watched (%s); it is looked at every poll_interval",
                    s->config->folder, strerror(errno));
    }
}

static void look(struct shipper *s)
{
    go_to_folder(s);
    uint64_t first = next_segment(s);

    if (first > 0) {
        send_segment(s, first);
        return;
    }
    s->cursor = 0;
    if (s->once) {
        loop_stop(s->loop);
        return;
    }
    wait_for(s, IDLE,
             s->asides ? MIN(s->config->poll_interval, s->config->retry_max)
                       : s->config->poll_interval);
}

static void on_wake(struct timer *t)
{
    look(CONTAINER_OF(t, struct shipper, wake));
}

/* ---- the folder tells ---- */

static void on_inotify(uv_poll_t *handle, int status UNUSED, int events UNUSED)
{
    struct shipper *s = CONTAINER_OF(handle, struct shipper, watch);
    char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

    /* Only that there was something counts. */
    while (read(s->inotify, buf, sizeof(buf)) > 0) {
    }
    if (s->state == IDLE) {
        timer_set(s->loop, &s->wake, SETTLE_MS);
    }
}

static void watch_folder(struct shipper *s)
{
    s->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (s->inotify < 0 || inotify_add_watch(s->inotify, s->config->folder, WATCHED) < 0 ||
        uv_poll_init(&s->loop->uv, &s->watch, s->inotify) != 0) {
        log_warning(s->loop->log, "ship", 0,
                    "%s can't be watched (%s); it is looked at every poll_interval",
                    s->config->folder, strerror(errno));
        return;
    }
    s->watching = true;
    uv_poll_start(&s->watch, UV_READABLE, on_inotify);
}

/* ---- for main ---- */

struct shipper *shipper_new(struct loop *loop, const struct ship_config *config, bool once,
                            char *err, size_t errlen)
{
    struct shipper *s = xcalloc(1, sizeof(*s));
    struct fetcher_settings set = {
        .at_once = 1,
        .connect_timeout = config->connect_timeout,
        .timeout = config->timeout,
        .body_max = ANSWER_MAX,
        .ca_file = config->ca_file,
    };

    s->loop = loop;
    s->config = config;
    s->once = once;
    s->inotify = -1;
    s->wake.fire = on_wake;
    s->folder = open(config->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->folder < 0) {
        snprintf(err, errlen, "folder: %s can't be opened: %s", config->folder, strerror(errno));
    } else {
        s->fetcher = fetcher_new(loop, &set, err, errlen);
    }
    if (!s->fetcher) {
        shipper_free(s);
        return NULL;
    }
    if (!once) {
        watch_folder(s);
    }
    wait_for(s, IDLE, 1);
    return s;
}

void shipper_hurry(struct shipper *s)
{
    for (size_t i = 0; i < s->asides; i++) {
        s->aside[i].due = 0;
    }
    if (s->state != BUSY) {
        s->cursor = 0;
        wait_for(s, IDLE, 1);
    }
}

bool shipper_failed(const struct shipper *s)
{
    return s->failed;
}

static void release(struct shipper *s)
{
    if (s->inotify >= 0) {
        close(s->inotify);
    }
    if (s->folder >= 0) {
        close(s->folder);
    }
    free(s);
}

static void on_closed(uv_handle_t *handle)
{
    release(CONTAINER_OF(handle, struct shipper, watch));
}

void shipper_free(struct shipper *s)
{
    if (!s) {
        return;
    }
    upload_cancel(s->upload);
    fetcher_free(s->fetcher);
    timer_remove(s->loop, &s->wake);
    if (s->watching) {
        uv_close((uv_handle_t *)&s->watch, on_closed);
    } else {
        release(s);
    }
}
