/* Any bytes as a line of the record, as a time, and as an object's name in one that is written: what is taken
 * apart lies in the line; what is written is JSON, is taken apart again, and fits. */
#include "socket-filter/audit/walk.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth) {
        abort();
    }
}

static void write_one(struct audit_walk *w, struct str text)
{
    struct audit_draft d;
    struct audit_line line;
    struct audit_record record = {.object = text, .client = "c", .verdict = AUDIT_REFUSED};
    unsigned char hash[AUDIT_HASH_SIZE];
    char why[AUDIT_WHY_MAX];
    uint64_t seq;

    audit_draft_begin(&d, w->last.seq + 1, AUDIT_DECISION);
    audit_draft_decision(&d, &record);
    ssize_t n = audit_draft_end(&d, &w->hasher, w->last.hash, hash);
    must(n > 0 && n <= AUDIT_LINE_MAX && d.line[n - 1] == '\n');
    must(audit_line_split((struct str){d.line, (size_t)n - 1}, &line) == 0);
    must(memcmp(line.link.hash, hash, sizeof(hash)) == 0);
    w->any = true;
    must(audit_walk_line(w, (struct str){d.line, (size_t)n - 1}, false, &seq, why) == AUDIT_FITS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct audit_line line;
    struct audit_walk w;
    char why[AUDIT_WHY_MAX];
    uint64_t seq;
    int64_t ms;

    if (audit_line_split(text, &line) == 0) {
        must(line.body.p == text.p && line.body.n < text.n && line.link.seq > 0);
        must(line.time.p >= text.p && line.time.n == AUDIT_TIME_SIZE);
    }
    if (audit_moment(text, &ms) == 0) {
        must(size >= 20);
    }
    must(audit_walk_init(&w) == 0);
    (void)!audit_walk_line(&w, text, true, &seq, why);
    write_one(&w, text);
    audit_walk_free(&w);
    return 0;
}
