/* parts.h - what request and response heads have in common; used inside common/http only.
 *
 * A struct http_walk lives on the stack of one parser call. It fills the fields of the caller's
 * struct and remembers where the names that matter were seen.
 */
#ifndef HARP_HTTP_PARTS_H
#define HARP_HTTP_PARTS_H

#include "common/base/base.h"
#include "common/http/head.h"

struct http_walk {
    /* Judges the start line, *eol readable; < 0 with status and why set. */
    int (*start_line)(struct http_walk *w, const char *line, const char *eol);
    void *message; /* the struct http_request or http_response */
    struct http_field *fields;
    unsigned nfields;
    bool skip_blank;                 /* one empty line may come first (RFC 9112 2.2) */
    uint64_t seen;                   /* a bit for each enum http_name */
    uint64_t repeated;               /* those seen more than once */
    uint8_t at[HTTP_NAME_COUNT];     /* index of the first one, when seen */
    bool close, keep_alive, upgrade; /* options of Connection */
    int status;
    const char *why;
};

static inline bool http_seen(const struct http_walk *w, enum http_name id)
{
    return (w->seen >> id) & 1;
}

static inline bool http_repeated(const struct http_walk *w, enum http_name id)
{
    return (w->repeated >> id) & 1;
}

static inline struct http_field *http_first(const struct http_walk *w, enum http_name id)
{
    return &w->fields[w->at[id]];
}

static inline int http_refuse(struct http_walk *w, int status, const char *why)
{
    w->status = status;
    w->why = why;
    return -1;
}

/* Lines and fields, all that can be said before the head's end. As http_parse_request. */
int http_walk_lines(struct http_walk *w, const char *p, size_t n, const struct http_limits *l,
                    size_t *scanned) MUST_CHECK;

/* Reads the Connection fields into close, keep_alive, upgrade, and marks what they name. */
int http_walk_connection(struct http_walk *w) MUST_CHECK;

/* Transfer-Encoding and Content-Length: NONE when there is neither. */
int http_walk_framing(struct http_walk *w, unsigned minor, enum http_framing *framing,
                      uint64_t *length) MUST_CHECK;

/* Reads the Upgrade fields: *allowed when they name a protocol and none that may not pass. */
int http_walk_upgrade(struct http_walk *w, bool *allowed) MUST_CHECK;

/* Sets `drop` of all fields of one name. */
void http_walk_drop(struct http_walk *w, enum http_name id, bool drop);

/* HTTP/1.0 or HTTP/1.1 at p[0..n): the minor version; -1 malformed; -2 another version. */
int http_version_read(const char *p, size_t n);

#endif
