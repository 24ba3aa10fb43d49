#include "socket-filter/audit/walk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"

static const struct json_limits limits = {.depth = 2, .nodes = 32, .bytes = AUDIT_LINE_MAX};

int audit_walk_init(struct audit_walk *w)
{
    *w = (struct audit_walk){0};
    return audit_hasher_init(&w->hasher);
}

void audit_walk_free(struct audit_walk *w)
{
    audit_hasher_free(&w->hasher);
}

static enum audit_step broken(char *why, const char *what)
{
    snprintf(why, AUDIT_WHY_MAX, "%s", what);
    return AUDIT_BROKEN;
}

static uint64_t number_of(const struct json_doc *doc, const char *key)
{
    int64_t n;

    return json_int(json_get(json_root(doc), key), &n) == 0 && n > 0 ? (uint64_t)n : 0;
}

/* A file's first record must go on where the file before it ended. */
static enum audit_step begin_file(struct audit_walk *w, const struct audit_line *line,
                                  const struct json_doc *doc, char *why)
{
    unsigned char previous[AUDIT_HASH_SIZE], none[AUDIT_HASH_SIZE] = {0};
    struct str hex;

    if (json_str(json_get(json_root(doc), "previous"), &hex) < 0 ||
        audit_unhex(hex, previous) < 0) {
        return broken(why, "a `segment` record without the hash of the one before it");
    }
    if (line->link.seq == 1 && memcmp(previous, none, sizeof(none)) != 0) {
        return broken(why, "the first record of all can't have one before it");
    }
    if (!w->any) {
        w->first = line->link.seq;
        memcpy(w->last.hash, previous, sizeof(previous));
    } else if (memcmp(w->last.hash, previous, sizeof(previous)) != 0) {
        return broken(why, "the segment does not go on where the one before it ended: it names "
                           "another hash");
    }
    return AUDIT_FITS;
}

/* Number and place. */
static enum audit_step judge_order(const struct audit_walk *w, const struct audit_line *line,
                                   bool begins, char *why)
{
    uint64_t next = w->last.seq + 1;

    if (w->any && line->link.seq > next) {
        snprintf(why, AUDIT_WHY_MAX, "%s %" PRIu64 " to %" PRIu64 " are missing before it",
                 begins ? "a segment is missing: records" : "dropped: records", next,
                 line->link.seq - 1);
        return AUDIT_AHEAD;
    }
    if (w->any && line->link.seq < next) {
        snprintf(why, AUDIT_WHY_MAX, "swapped or repeated: record %" PRIu64 " belongs here", next);
        return AUDIT_BROKEN;
    }
    if (!begins && line->event == AUDIT_SEGMENT) {
        return broken(why, "a `segment` record inside of a segment");
    }
    if (!begins && w->event == AUDIT_CLOSED) {
        return broken(why, "a record behind the `closed` one");
    }
    return AUDIT_FITS;
}

static enum audit_step judge(struct audit_walk *w, const struct audit_line *line,
                             const struct json_doc *doc, bool begins, char *why)
{
    unsigned char hash[AUDIT_HASH_SIZE];
    if (begins && line->event != AUDIT_SEGMENT) {
        return broken(why, "the file does not begin with a `segment` record: its beginning is cut");
    }
    enum audit_step step = judge_order(w, line, begins, why);
    if (step == AUDIT_FITS && begins) {
        step = begin_file(w, line, doc, why);
    }
    if (step != AUDIT_FITS) {
        return step;
    }
    if (audit_hash(&w->hasher, line->body, w->last.hash, hash) < 0) {
        return broken(why, "OpenSSL failed");
    }
    if (memcmp(hash, line->link.hash, sizeof(hash)) != 0) {
        return broken(why, "edited: its hash does not fit its text and the record before it");
    }
    w->lost += line->event == AUDIT_LOST ? number_of(doc, "count") : 0;
    w->missing += line->event == AUDIT_RECOVERED ? number_of(doc, "missing") : 0;
    return AUDIT_FITS;
}

enum audit_step audit_walk_line(struct audit_walk *w, struct str line, bool begins, uint64_t *seq,
                                char *why)
{
    struct audit_line parts;
    char err[128];

    *seq = 0;
    struct json_doc *doc = json_parse(line.p, line.n, &limits, err, sizeof(err));
    if (!doc) {
        snprintf(why, AUDIT_WHY_MAX, "not JSON: %s", err);
        return AUDIT_BROKEN;
    }
    enum audit_step step;
    if (audit_line_split(line, &parts) < 0) {
        *seq = number_of(doc, "seq");
        step = broken(why, "not a record: it has not the shape in which records are written");
    } else {
        *seq = parts.link.seq;
        step = judge(w, &parts, doc, begins, why);
    }
    json_free(doc);
    if (step == AUDIT_FITS) {
        w->last = parts.link;
        w->event = parts.event;
        w->any = true;
        w->records++;
        w->segments += begins;
    }
    return step;
}

int audit_segment_check(int fd, char *why)
{
    struct audit_walk w;
    struct audit_reader *r = xmalloc(sizeof(*r));
    char what[AUDIT_WHY_MAX] = "this OpenSSL has no SHA3-256";
    struct str line;
    enum audit_read got = AUDIT_READ_LINE;
    enum audit_step step = AUDIT_FITS;
    uint64_t seq;

    audit_reader_init(r, fd);
    if (audit_walk_init(&w) < 0) {
        step = AUDIT_BROKEN;
    }
    while (step == AUDIT_FITS && (got = audit_reader_next(r, &line)) == AUDIT_READ_LINE) {
        step = audit_walk_line(&w, line, !w.any, &seq, what);
    }
    bool good = step == AUDIT_FITS && got == AUDIT_READ_END && w.any && w.event == AUDIT_CLOSED;
    if (got == AUDIT_READ_FAILED) {
        snprintf(why, AUDIT_WHY_MAX, "can't be read: %s", strerror(errno));
    } else if (!good) {
        if (step == AUDIT_FITS) {
            snprintf(what, sizeof(what), "%s",
                     got == AUDIT_READ_TORN   ? "torn: half of a line"
                     : got == AUDIT_READ_LONG ? "longer than any record"
                                              : "its last record is not the `closed` one");
        }
        snprintf(why, AUDIT_WHY_MAX, "line %" PRIu64 ": %.*s", r->number, AUDIT_WHY_MAX - 40, what);
    }
    audit_walk_free(&w);
    free(r);
    return good ? 0 : -1;
}
