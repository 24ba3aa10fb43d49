#include "socket-filter/audit/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "socket-filter/audit/files.h"
#include "socket-filter/audit/walk.h"

struct verify {
    FILE *out, *err;
    struct audit_files files;
    struct audit_walk walk;
    struct audit_reader *reader;
    bool anchored; /* `anchor` is looked for */
    unsigned char anchor[AUDIT_HASH_SIZE];
    uint64_t anchor_seq; /* the record that has it */
    bool head_met;       /* the record that the head file names was there */
};

static int bad(const struct verify *v, const char *file, uint64_t line, uint64_t seq,
               const char *what)
{
    fprintf(v->err, "%s:%" PRIu64 ": ", file, line);
    if (seq > 0) {
        fprintf(v->err, "record %" PRIu64 ": ", seq);
    }
    fprintf(v->err, "%s\n", what);
    return AUDIT_BAD;
}

/* A record is missing before one that is there: looks for it in what is left of the file. */
static int bad_order(const struct verify *v, const char *file, uint64_t line, uint64_t seq,
                     const char *what)
{
    uint64_t wanted = v->walk.last.seq + 1;
    struct str text;
    struct audit_line parts;
    char swapped[AUDIT_WHY_MAX];

    while (audit_reader_next(v->reader, &text) == AUDIT_READ_LINE) {
        if (audit_line_split(text, &parts) == 0 && parts.link.seq == wanted) {
            snprintf(swapped, sizeof(swapped),
                     "swapped: record %" PRIu64 ", which belongs here, stands in line %" PRIu64,
                     wanted, v->reader->number);
            what = swapped;
            break;
        }
    }
    return bad(v, file, line, seq, what);
}

/* Compares a record that fits with what is known of the chain from elsewhere. */
static int judge_known(struct verify *v, const char *file)
{
    const struct audit_link *last = &v->walk.last;
    const struct audit_link *head = &v->files.head.link;

    if (v->anchored && v->anchor_seq == 0 &&
        memcmp(v->anchor, last->hash, sizeof(v->anchor)) == 0) {
        v->anchor_seq = last->seq;
    }
    if (v->files.folder && head->seq == last->seq) {
        v->head_met = true;
        if (memcmp(head->hash, last->hash, sizeof(last->hash)) != 0) {
            return bad(v, file, v->reader->number, last->seq,
                       "its hash is not the one in " AUDIT_HEAD_NAME
                       ": one of them was changed, or the chain was written anew");
        }
    }
    return AUDIT_GOOD;
}

static int one_line(struct verify *v, const struct audit_file *file, struct str line, bool begins)
{
    char why[AUDIT_WHY_MAX];
    uint64_t seq;

    switch (audit_walk_line(&v->walk, line, begins, &seq, why)) {
    case AUDIT_AHEAD:
        if (!begins) {
            return bad_order(v, file->name, v->reader->number, seq, why);
        }
        break;
    case AUDIT_BROKEN:
        break;
    case AUDIT_FITS:
        if (begins && file->by_name > 0 && file->by_name != seq) {
            return bad(v, file->name, v->reader->number, seq,
                       "the file's name tells another number: files were renamed");
        }
        return judge_known(v, file->name);
    }
    return bad(v, file->name, v->reader->number, seq, why);
}

/* How a file may end. */
static int judge_end(const struct verify *v, const struct audit_file *file, enum audit_read got,
                     bool empty, bool last)
{
    if (got == AUDIT_READ_LONG) {
        return bad(v, file->name, v->reader->number, 0, "not JSON: longer than any record");
    }
    if (got == AUDIT_READ_TORN && !(last && v->files.live)) {
        return bad(v, file->name, v->reader->number, 0,
                   "torn: half of a line; the file was cut inside of a record, or its writer "
                   "crashed and was not started again");
    }
    if (!last && empty) {
        return bad(v, file->name, 0, 0, "truncated: a segment without records before another one");
    }
    if (!last && v->walk.event != AUDIT_CLOSED) {
        return bad(v, file->name, v->reader->number, v->walk.last.seq,
                   "truncated: it is the file's last record, but does not close the segment");
    }
    return AUDIT_GOOD;
}

static int one_file(struct verify *v, const struct audit_file *file, bool last)
{
    struct str line;
    enum audit_read got = AUDIT_READ_END;
    bool begins = true;
    int rc = AUDIT_GOOD, fd = audit_file_open(file->name, v->err);

    if (fd < 0) {
        return AUDIT_UNUSABLE;
    }
    audit_reader_init(v->reader, fd);
    while (rc == AUDIT_GOOD && (got = audit_reader_next(v->reader, &line)) == AUDIT_READ_LINE) {
        rc = one_line(v, file, line, begins);
        begins = false;
    }
    if (rc == AUDIT_GOOD && got == AUDIT_READ_FAILED) {
        fprintf(v->err, "%s: %s\n", file->name, strerror(errno));
        rc = AUDIT_UNUSABLE;
    } else if (rc == AUDIT_GOOD) {
        rc = judge_end(v, file, got, begins, last);
    }
    close(fd);
    return rc;
}

/* The end of a folder's chain. */
static int judge_head(const struct verify *v)
{
    const struct audit_files *f = &v->files;
    const char *last = f->n > 0 ? f->p[f->n - 1].name : f->folder;

    if (!f->folder) {
        return AUDIT_GOOD;
    }
    if (f->headless && f->n == 0) {
        fprintf(v->err, "%s: there is no record in this folder\n", f->folder);
        return AUDIT_UNUSABLE;
    }
    if (f->headless || f->head_rc != 0) {
        fprintf(v->err, "%s/" AUDIT_HEAD_NAME ": %s\n", f->folder,
                f->headless ? "it is missing, so that a cut at the end can't be seen; look at the "
                              "files alone, with --head and a hash that was noted"
                            : "it is not as it was written");
        return AUDIT_BAD;
    }
    if (f->head.link.seq > v->walk.last.seq) {
        fprintf(v->err,
                "%s: truncated: its end, record %" PRIu64 ", is before the head, record %" PRIu64
                " by " AUDIT_HEAD_NAME "\n",
                last, v->walk.last.seq, f->head.link.seq);
        return AUDIT_BAD;
    }
    if (!v->head_met && f->head.link.seq > 0) {
        fprintf(v->err,
                "%s/" AUDIT_HEAD_NAME ": it names record %" PRIu64
                ", which is older than all that is here\n",
                f->folder, f->head.link.seq);
        return AUDIT_BAD;
    }
    return AUDIT_GOOD;
}

static void tell_good(const struct verify *v)
{
    const struct audit_walk *w = &v->walk;
    char hex[AUDIT_HASH_HEX];

    audit_hex(w->last.hash, hex);
    fprintf(v->out,
            "%" PRIu64 " records in %zu segment%s, from %" PRIu64 " to %" PRIu64 ", head %.*s\n",
            w->records, v->files.n, v->files.n == 1 ? "" : "s", w->first, w->last.seq,
            AUDIT_HASH_HEX, hex);
    if (w->lost > 0) {
        fprintf(v->out, "%" PRIu64 " more could not be written, as `lost` records tell\n", w->lost);
    }
    if (w->missing > 0) {
        fprintf(v->out, "%" PRIu64 " more went with a power cut, as `recovered` records tell\n",
                w->missing);
    }
    if (v->anchored) {
        fprintf(v->out, "the hash of --head is that of record %" PRIu64 "\n", v->anchor_seq);
    }
}

static int run(struct verify *v)
{
    int rc = AUDIT_GOOD;

    for (size_t i = 0; i < v->files.n && rc == AUDIT_GOOD; i++) {
        rc = one_file(v, &v->files.p[i], i + 1 == v->files.n);
    }
    if (rc == AUDIT_GOOD) {
        rc = judge_head(v);
    }
    if (rc == AUDIT_GOOD && v->anchored && v->anchor_seq == 0) {
        fprintf(v->err, "no record has the hash of --head: the chain was cut before it, or written "
                        "anew\n");
        rc = AUDIT_BAD;
    }
    if (rc == AUDIT_GOOD) {
        tell_good(v);
        if (fflush(v->out) != 0 || ferror(v->out)) {
            rc = AUDIT_UNUSABLE;
        }
    }
    return rc;
}

int audit_verify(const char *const *files, size_t n, const char *head_hex, FILE *out, FILE *err)
{
    struct verify v = {.out = out, .err = err, .anchored = head_hex};
    int rc = AUDIT_UNUSABLE;

    if (n == 0) {
        fprintf(err, "name the files, or the folder, to verify\n");
        return AUDIT_UNUSABLE;
    }
    if (head_hex && audit_unhex(str_of(head_hex), v.anchor) < 0) {
        fprintf(err, "--head: a hash is %d lower-case hexadecimal digits\n", AUDIT_HASH_HEX);
        return AUDIT_UNUSABLE;
    }
    if (audit_walk_init(&v.walk) < 0) {
        fprintf(err, "this OpenSSL has no SHA3-256\n");
    } else if (audit_files_open(&v.files, files, n, err) == 0) {
        v.reader = xmalloc(sizeof(*v.reader));
        rc = run(&v);
        free(v.reader);
    }
    audit_files_free(&v.files);
    audit_walk_free(&v.walk);
    return rc;
}
