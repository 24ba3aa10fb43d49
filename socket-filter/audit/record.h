/* record.h - lines of the record: how they are written, taken apart again, and hashed.
 *
 * Pure but for the clock: text in memory of the caller's. A `struct audit_hasher` owns OpenSSL's digest;
 * it is made once and used for all lines. Nothing is allocated per record.
 *
 * A line without its newline is `BODY,"hash":"64 digits"}`, and hash = SHA3-256(BODY || previous hash).
 * README.md of this folder has the whole format.
 */
#ifndef HARP_FILTER_AUDIT_RECORD_H
#define HARP_FILTER_AUDIT_RECORD_H

#include <openssl/evp.h>

#include "common/json/json.h"
#include "socket-filter/audit/audit.h"

enum {
    AUDIT_HASH_SIZE = 32,
    AUDIT_HASH_HEX = 64,
    AUDIT_LINE_MAX = 2048, /* bytes of a line with its newline; every record fits */
    AUDIT_TEXT_MAX = 512,  /* bytes of the longest text in a record as it stands there */
    AUDIT_TIME_SIZE = 24,  /* "2026-01-31T12:00:00.123Z" */
};

enum audit_event {
    AUDIT_DECISION,
    AUDIT_START,     /* the program was started */
    AUDIT_STOP,      /* and ended */
    AUDIT_SEGMENT,   /* the first record of each segment */
    AUDIT_CLOSED,    /* the last one of a finished segment */
    AUDIT_RECOVERED, /* after a crash */
    AUDIT_LOST,      /* records could not be written */
    AUDIT_EVENTS,
};

extern const char *const audit_event_names[];   /* in the order of their numbers, ending in NULL */
extern const char *const audit_verdict_names[]; /* the same of enum audit_verdict */

struct audit_hasher {
    EVP_MD *md;
    EVP_MD_CTX *ctx;
};

/* 0; -1: this OpenSSL has no SHA3-256. Freed in both cases by audit_hasher_free. */
int audit_hasher_init(struct audit_hasher *h) MUST_CHECK;
void audit_hasher_free(struct audit_hasher *h);
/* 0, or -1 if OpenSSL failed. `hash` may be `previous`. */
int audit_hash(struct audit_hasher *h, struct str body, const unsigned char *previous,
               unsigned char *hash) MUST_CHECK;

/* A record's place in the chain. */
struct audit_link {
    uint64_t seq; /* from 1; 0: before the first */
    unsigned char hash[AUDIT_HASH_SIZE];
};

/* 64 lower-case digits; no NUL is added. */
void audit_hex(const unsigned char *hash, char *hex);
/* 0, or -1 if text is anything else than such digits. */
int audit_unhex(struct str text, unsigned char *hash) MUST_CHECK;

/* ---- writing ---- */

struct audit_draft {
    struct json_out json;
    char line[AUDIT_LINE_MAX];
};

/* Begins a record with the time of now. */
void audit_draft_begin(struct audit_draft *d, uint64_t seq, enum audit_event event);
void audit_draft_number(struct audit_draft *d, const char *key, uint64_t value);
/* An empty text is left out. One that takes more than `max` (<= AUDIT_TEXT_MAX) bytes with its escapes is
 * cut and ends in "..."; what is no UTF-8 becomes U+FFFD. */
void audit_draft_text(struct audit_draft *d, const char *key, struct str text, size_t max);
void audit_draft_hash(struct audit_draft *d, const char *key, const unsigned char *hash);
void audit_draft_decision(struct audit_draft *d, const struct audit_record *record);
/* Ends it: hash and newline. The line's length, or -1. */
ssize_t audit_draft_end(struct audit_draft *d, struct audit_hasher *h,
                        const unsigned char *previous, unsigned char *hash) MUST_CHECK;

/* ---- reading ---- */

struct audit_line {
    struct audit_link link;
    enum audit_event event;
    struct str time;
    struct str body; /* what was hashed, with the previous hash */
};

/* Takes apart a line without its newline, by its shape alone. 0, or -1 if it has another. */
int audit_line_split(struct str line, struct audit_line *out) MUST_CHECK;

/* Milliseconds since 1970 of an RFC 3339 time, with Z or an offset; digits after the third of a fraction
 * are dropped. 0, or -1 if it is none. */
int audit_moment(struct str text, int64_t *ms) MUST_CHECK;

#endif
