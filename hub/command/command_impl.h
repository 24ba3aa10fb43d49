/* command_impl.h - what the files of the commands share (command.h); for them alone.
 *
 * A `struct asked` is one question to the hub and its answer; its body is the caller's to free by
 * buf_free.
 */
#ifndef HARP_HUB_COMMAND_IMPL_H
#define HARP_HUB_COMMAND_IMPL_H

#include "common/base/buf.h"
#include "hub/admin/admin_bans.h"
#include "hub/command/command.h"

enum {
    COMMAND_ASK_MS = 15000, /* for a whole answer of the administration interface */
    COMMAND_ANSWER_BYTES = 4 * 1024 * 1024,
    COMMAND_WHY_MAX = 256,
};

struct asked {
    char at[LISTEN_TEXT_MAX]; /* for messages: the address that was asked */
    long status;
    struct buf body;
};

struct command_question {
    const struct listen_addr *at;
    const char *method;
    const char *path;
    const char *const *headers; /* "Name: value"; ends with NULL; secrets may be in it */
    const char *body;           /* JSON; NULL: none */
    long timeout;               /* ms */
};

/* 0: there is an answer, whatever it says. -1: why. */
int command_http(const struct command_question *q, struct asked *asked,
                 char why[COMMAND_WHY_MAX]) MUST_CHECK;
/* Asks the administration interface. -1: told to err. */
int command_ask(const struct hub_settings *set, const char *method, const char *path,
                struct asked *asked, FILE *err) MUST_CHECK;
int command_ask_within(const struct hub_settings *set, const char *method, const char *path,
                       long timeout, struct asked *asked, FILE *err) MUST_CHECK;
/* An answer that is none of those expected: told to err. Returns the exit code. */
int command_unexpected(const struct asked *asked, FILE *err);
static inline struct str asked_body(const struct asked *asked)
{
    return (struct str){asked->body.len > 0 ? buf_head(&asked->body) : "", asked->body.len};
}

typedef int command_fn(const struct hub_settings *set, const struct program *program,
                       const struct options *o, FILE *out, FILE *err);
command_fn command_bans, command_engines, command_health, command_status;
/* What command_engines does beside the list. */
int command_engines_certificate(const struct hub_settings *set, const char *name,
                                const char *folder, FILE *out, FILE *err);
int command_engines_test(const struct hub_settings *set, uint16_t port, const char *image,
                         FILE *out, FILE *err);

#endif
