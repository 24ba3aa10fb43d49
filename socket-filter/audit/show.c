#include "socket-filter/audit/show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/docker/grants.h"
#include "socket-filter/audit/files.h"
#include "socket-filter/audit/verify.h"

static const struct json_limits limits = {.depth = 2, .nodes = 32, .bytes = AUDIT_LINE_MAX};

/* {NULL, 0} if there is none. */
static struct str text_of(const struct json_doc *doc, const char *key)
{
    struct str s = {NULL, 0};

    return json_str(json_get(json_root(doc), key), &s) == 0 ? s : (struct str){NULL, 0};
}

static bool fits(const struct json_doc *doc, const char *key, const char *pattern)
{
    return !pattern || docker_words_match((struct docker_words){&pattern, 1}, text_of(doc, key));
}

static bool wanted(const struct audit_filter *f, const struct audit_line *line,
                   const struct json_doc *doc)
{
    int64_t when = 0;

    if (line->event != AUDIT_DECISION && (f->verdict || f->call || f->object || f->client)) {
        return false;
    }
    if ((f->since_given || f->until_given) &&
        (audit_moment(line->time, &when) < 0 || (f->since_given && when < f->since) ||
         (f->until_given && when >= f->until))) {
        return false;
    }
    return (!f->verdict || str_eq(text_of(doc, "verdict"), str_of(f->verdict))) &&
           fits(doc, "call", f->call) && fits(doc, "object", f->object) &&
           fits(doc, "client", f->client);
}

/* A terminal must not do what a client wrote. */
static void put_escaped(struct str s, FILE *out)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\\') {
            fputs("\\\\", out);
        } else if (c < 0x20 || c >= 0x7F) {
            fprintf(out, "\\x%02x", c);
        } else {
            fputc(c, out);
        }
    }
}

static void put_member(const struct json_node *member, FILE *out)
{
    struct str s;
    int64_t n;

    if (json_str(member, &s) == 0) {
        put_escaped(s, out);
    } else if (json_int(member, &n) == 0) {
        fprintf(out, "%" PRId64, n);
    } else {
        fprintf(out, "(%s)", json_type_name(member));
    }
}

static bool stands_in_front(struct str key)
{
    static const char *const keys[] = {"seq",    "time", "event",  "hash", "verdict",
                                       "method", "call", "object", "why",  NULL};

    for (size_t i = 0; keys[i]; i++) {
        if (str_eq(key, str_of(keys[i]))) {
            return true;
        }
    }
    return false;
}

/* TIME #SEQ VERDICT METHOD CALL OBJECT key=value...: WHY */
static void put_line(const struct audit_line *line, const struct json_doc *doc, FILE *out)
{
    static const char *const words[] = {"method", "call", "object", NULL};
    struct str why = text_of(doc, "why"), method = text_of(doc, "method");

    put_escaped(line->time, out);
    fprintf(out, " #%" PRIu64 " ", line->link.seq);
    put_escaped(line->event == AUDIT_DECISION ? text_of(doc, "verdict")
                                              : str_of(audit_event_names[line->event]),
                out);
    for (size_t i = 0; words[i]; i++) {
        struct str word = text_of(doc, words[i]);
        /* A call that has no name is called by its method and kind of path. */
        if (i == 1 && method.n > 0 && word.n > method.n && word.p[method.n] == ' ' &&
            memcmp(word.p, method.p, method.n) == 0) {
            word = (struct str){word.p + method.n + 1, word.n - method.n - 1};
        }
        if (word.n > 0) {
            fputc(' ', out);
            put_escaped(word, out);
        }
    }
    for (const struct json_node *m = json_first(json_root(doc)); m; m = json_next(m)) {
        if (!stands_in_front(json_key(m))) {
            fputc(' ', out);
            put_escaped(json_key(m), out);
            fputc('=', out);
            put_member(m, out);
        }
    }
    if (why.n > 0) {
        fputs(": ", out);
        put_escaped(why, out);
    }
    fputc('\n', out);
}

/* Whether it is a record. */
static bool one_line(const struct audit_filter *f, struct str text, FILE *out)
{
    struct audit_line line;
    struct json_doc *doc = json_parse(text.p, text.n, &limits, NULL, 0);
    bool ok = doc && audit_line_split(text, &line) == 0;

    if (ok && wanted(f, &line, doc)) {
        if (f->json) {
            fwrite(text.p, 1, text.n, out);
            fputc('\n', out);
        } else {
            put_line(&line, doc, out);
        }
    }
    json_free(doc);
    return ok;
}

static int one_file(const struct audit_filter *f, const char *name, bool live,
                    struct audit_reader *r, FILE *out, FILE *err)
{
    struct str line;
    enum audit_read got;
    int rc = AUDIT_GOOD, fd = audit_file_open(name, err);

    if (fd < 0) {
        return AUDIT_UNUSABLE;
    }
    audit_reader_init(r, fd);
    while ((got = audit_reader_next(r, &line)) == AUDIT_READ_LINE) {
        if (!one_line(f, line, out)) {
            fprintf(err, "%s:%" PRIu64 ": not a record\n", name, r->number);
            rc = AUDIT_BAD;
        }
    }
    if (got == AUDIT_READ_FAILED) {
        fprintf(err, "%s: %s\n", name, strerror(errno));
        rc = AUDIT_UNUSABLE;
    } else if (got == AUDIT_READ_LONG || (got == AUDIT_READ_TORN && !live)) {
        fprintf(err, "%s:%" PRIu64 ": not a record, and nothing after it is shown\n", name,
                r->number);
        rc = AUDIT_BAD;
    }
    close(fd);
    return rc;
}

int audit_show(const struct audit_filter *filter, const char *const *files, size_t n, FILE *out,
               FILE *err)
{
    struct audit_files list;
    int rc = AUDIT_UNUSABLE;

    if (n == 0) {
        fprintf(err, "name the files, or the folder, to show\n");
        return AUDIT_UNUSABLE;
    }
    if (audit_files_open(&list, files, n, err) == 0) {
        struct audit_reader *r = xmalloc(sizeof(*r));
        rc = AUDIT_GOOD;
        for (size_t i = 0; i < list.n && rc != AUDIT_UNUSABLE && !ferror(out); i++) {
            bool live = list.live && i + 1 == list.n;
            int one = one_file(filter, list.p[i].name, live, r, out, err);
            rc = MAX(rc, one);
        }
        free(r);
    }
    audit_files_free(&list);
    if (fflush(out) != 0 || ferror(out)) {
        rc = AUDIT_UNUSABLE;
    }
    return rc;
}
