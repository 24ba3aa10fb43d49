/* audit.h - the record of decisions: one line each, chained by hashes, in segments.
 *
 * A `struct audit` owns the folder's current segment (a descriptor), its head file and the chain's last
 * hash. Made by main before the sandbox is entered, ended by audit_close. Lines are written at once, by
 * write(2); when they reach the disk is the setting's choice. No secrets come near it: callers hand in
 * names and verdicts, no bodies.
 *
 * The format stands in README.md of this folder.
 */
#ifndef HARP_FILTER_AUDIT_H
#define HARP_FILTER_AUDIT_H

#include "common/base/base.h"

struct audit;
struct log;
struct loop;

enum audit_sync {
    AUDIT_SYNC_ALWAYS,   /* each record is on the disk before its call goes on */
    AUDIT_SYNC_INTERVAL, /* within a second */
    AUDIT_SYNC_NEVER,    /* when the system does it */
};

extern const char *const audit_sync_names[]; /* in the order of their numbers, ending in NULL */

struct audit_settings {
    const char *folder;    /* must be there; borrowed */
    uint64_t segment_size; /* bytes; a segment that reaches it is finished, and another begun */
    enum audit_sync sync;
};

enum audit_verdict {
    AUDIT_PASSED,
    AUDIT_REFUSED,      /* by the policy */
    AUDIT_MALFORMED,    /* not a request that can be judged */
    AUDIT_WOULD_REFUSE, /* report mode: it passed */
    AUDIT_UNAUTHORIZED, /* wrong or no credentials */
};

/* All borrowed; NULL and empty are left out. */
struct audit_record {
    uint64_t connection;  /* as in the log */
    const char *listener; /* its address */
    const char *client;   /* an address, a certificate's name, or a uid */
    const char *policy;   /* its name */
    const char *method;
    const char *call;  /* as in a verdict */
    struct str object; /* the container, image, ... */
    enum audit_verdict verdict;
    const char *rule; /* the catalogue's text of the rule, once the head fits it */
    const char *why;  /* of what did not pass */
};

/* Goes on with the chain that is in the folder, or begins one. NULL: err says what is wrong and what to do:
 * it can't be written, another process has it, or its end is broken in a way that no crash leaves behind. */
struct audit *audit_open(struct loop *loop, struct log *log, const struct audit_settings *settings,
                         char *err, size_t errlen) MUST_CHECK;

/* 0; -1: it could not be written (errno says why): what is not written down was not lost from the chain,
 * which tells how many records are missing as soon as writing works again. */
int audit_write(struct audit *a, const struct audit_record *record) MUST_CHECK;

/* Writes down that the program ended, and closes. NULL is allowed. */
void audit_close(struct audit *a);

#endif
