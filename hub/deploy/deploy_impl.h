/* deploy_impl.h - what the deploy_*.c files share; for them alone.
 *
 * An operation is a chain of calls to the engine: deploy_ask sends one and names the step that gets the
 * answer, until a step answers AppAPI by one of the deploy_answer functions, which end the operation: d
 * must not be touched after them.
 */
#ifndef HARP_HUB_DEPLOY_IMPL_H
#define HARP_HUB_DEPLOY_IMPL_H

#include <sys/queue.h>

#include "common/loop/timer.h"
#include "hub/deploy/cert_archive.h"
#include "hub/deploy/deploy.h"
#include "hub/deploy/engine.h"
#include "hub/deploy/instance.h"

typedef void deploy_step(struct deploy *d, const struct engine_answer *a);

/* What a command in the container did. */
struct deploy_result {
    int exit_code;   /* -1: it could not be run, or nobody knows */
    bool failed;     /* the engine did: d->answer says how */
    struct str text; /* what it wrote, at most DEPLOY_OUTPUT_MAX bytes */
};
typedef void deploy_ran(struct deploy *d, const struct deploy_result *result);

enum {
    DEPLOY_TEXT_MAX = 512,
    DEPLOY_JSON_MAX = 1536,
    DEPLOY_OUTPUT_MAX = 16 * 1024,
    DEPLOY_ID_MAX = 128,
    DEPLOY_SLOW = 2, /* so many times engine_timeout for what takes long */
};

struct deploy {
    TAILQ_ENTRY(deploy) link;
    struct deploys *list;
    struct deploy_request request;
    int64_t port;
    struct tunnel_origin origin;
    uint64_t id;
    bool running;
    deploy_done *done; /* NULL: nobody waits for the answer */
    void *owner;
    struct engine_call *call;
    deploy_step *step, *then; /* of the call; of deploy_inspect_ours */
    char *body;               /* of the call; secrets may be in it */
    size_t body_len;
    struct timer timer; /* deploy_wait.c */
    struct answer answer;
    char words[DEPLOY_TEXT_MAX], why[DEPLOY_TEXT_MAX], json[DEPLOY_JSON_MAX];

    int64_t bytes; /* deploy_container.c: the image's size */
    struct {       /* deploy_wait.c */
        uint64_t until, since;
        int64_t restarts;
        bool seen, restarted;
        char started_at[64], status[32], health[32];
    } wait;
    struct { /* deploy_exec.c */
        deploy_ran *ran;
        char id[DEPLOY_ID_MAX + 1];
        char command[96]; /* for messages */
        char *output;
        size_t len;
    } exec;
    struct {          /* deploy_certs.c */
        bool started; /* by this operation: it is stopped again */
        bool failed;  /* d->answer says how */
        bool folders; /* no mkdir in the image: archives bring them */
        enum os_family family;
    } certs;
};

/* The beginnings, by kind. */
void deploy_exists(struct deploy *d);
void deploy_create(struct deploy *d);
void deploy_change(struct deploy *d); /* start, stop */
void deploy_wait(struct deploy *d);
void deploy_remove(struct deploy *d);
void deploy_image_remove(struct deploy *d);
void deploy_certificates(struct deploy *d);

struct hub *deploy_hub(const struct deploy *d);
uint64_t deploy_time(const struct deploy *d, unsigned times);

/* Sends a call without a body; step gets the answer. */
void deploy_ask(struct deploy *d, deploy_step *step, enum http_method method, const char *path, ...)
    PRINTF_LIKE(4, 5);
/* body: from malloc, taken over and wiped. times: of engine_timeout. */
void deploy_ask_body(struct deploy *d, deploy_step *step, enum http_method method, const char *type,
                     char *body, size_t n, unsigned times, const char *path, ...) PRINTF_LIKE(8, 9);
/* GET of the container. */
void deploy_inspect(struct deploy *d, deploy_step *step);
/* The same, but step comes only with 404 or with a container that is not another hub's. */
void deploy_inspect_ours(struct deploy *d, deploy_step *step);
void deploy_inspect_volume(struct deploy *d, deploy_step *step);
/* Runs a command in the container; argv ends with NULL. */
void deploy_run(struct deploy *d, const char *const *argv, deploy_ran *ran);
void deploy_run_clear(struct deploy *d);
/* What a command wrote to its standard output, of the stream that Docker makes of a command without a
 * terminal: frames of a head (number of the output, three zeros, length in big endian) and bytes. What is
 * cut or odd ends it; the rest of a long one is left out. Pure. */
size_t deploy_output(struct str frames, char out[DEPLOY_OUTPUT_MAX]) MUST_CHECK;

/* The engine's answer as a document, for json_free; NULL: it is none. */
struct json_doc *deploy_json(const struct engine_answer *a) MUST_CHECK;

/* ---- the end ---- */

void deploy_answer(struct deploy *d, int status);
/* A first line of its own. */
void deploy_answer_words(struct deploy *d, int status, const char *why, const char *words, ...)
    PRINTF_LIKE(4, 5);
/* o wrote to d->json. */
void deploy_answer_json(struct deploy *d, int status, const struct json_out *o);
/* No answer of the engine's, or one that is of no use: 504 or 503 with what it said. words is the first
 * line if it said something; ": Status N" follows. */
void deploy_answer_failed(struct deploy *d, const struct engine_answer *a, const char *words, ...)
    PRINTF_LIKE(3, 4);
/* What the engine refused, with its reason. */
void deploy_answer_engine(struct deploy *d, int status, const struct engine_answer *a,
                          const char *words, ...) PRINTF_LIKE(4, 5);
/* As deploy_answer_failed, without ending the operation: d->answer is filled. */
void deploy_note_failed(struct deploy *d, const struct engine_answer *a, const char *words, ...)
    PRINTF_LIKE(3, 4);
void deploy_end(struct deploy *d);
/* 404: there is no such container. */
void deploy_answer_missing(struct deploy *d);

#endif
