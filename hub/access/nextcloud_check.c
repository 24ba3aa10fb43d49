#include "hub/access/nextcloud_check.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/list.h"
#include "hub/access/exapps.h"
#include "hub/access/nextcloud.h"
#include "hub/hub.h"

struct nextcloud_checks {
    struct hub *hub;
    struct nextcloud_call *call; /* the question on its way */
    struct timer limit;
    struct list_link *waits;        /* of checks that wait for it */
    uint64_t fresh_until;           /* of the last answer */
    char asked[EXAPP_ID_MAX + 1];   /* "" for status.php */
    char refused[EXAPP_ID_MAX + 1]; /* the last ExApp with a 401 */
};

struct nextcloud_check {
    struct list_link link; /* in waits, while `waits` */
    struct nextcloud_checks *checks;
    bool waits;
    struct loop_task over; /* nothing had to be asked */
    nextcloud_check_done *done;
    void *owner;
};

static void finish(struct nextcloud_check *c)
{
    c->done(c->owner);
    free(c);
}

static void run_over(struct loop_task *task)
{
    finish(CONTAINER_OF(task, struct nextcloud_check, over));
}

static void tell_all(struct nextcloud_checks *checks)
{
    struct list_link *link, *waits = checks->waits;
    checks->waits = NULL; /* who is told may check again */
    if (waits) {
        waits->at = &waits;
    }
    while ((link = list_take(&waits))) {
        struct nextcloud_check *c = CONTAINER_OF(link, struct nextcloud_check, link);
        c->waits = false;
        finish(c);
    }
}

static void answered(void *owner, const struct nextcloud_answer *answer)
{
    struct nextcloud_checks *checks = owner;
    uint64_t now = loop_now(&checks->hub->loop);
    bool refused = answer->result == NEXTCLOUD_NO;
    checks->call = NULL;
    timer_clear(&checks->limit);
    if (refused) {
        memcpy(checks->refused, checks->asked, sizeof(checks->refused));
    }
    if (answer->result != NEXTCLOUD_FAILED) {
        checks->fresh_until =
            now + (refused ? NEXTCLOUD_CHECK_REFUSED_MS : NEXTCLOUD_CHECK_FRESH_MS);
    }
    tell_all(checks);
}

static void on_limit(struct timer *t)
{
    struct nextcloud_checks *checks = CONTAINER_OF(t, struct nextcloud_checks, limit);
    nextcloud_cancel(checks->call);
    checks->call = NULL;
    nextcloud_fact_set(&checks->hub->facts.failed, loop_now(&checks->hub->loop),
                       "no answer within %d ms", NEXTCLOUD_CHECK_MS);
    tell_all(checks);
}

/* Nextcloud knows it, or knew it; rather not the one that it refused. */
static void consider(void *arg, const struct exapps_entry *entry)
{
    struct nextcloud_checks *checks = arg;
    if ((entry->kind == EXAPPS_KIND_PUSHED || entry->kind == EXAPPS_KIND_LEARNED) &&
        (!*checks->asked || strcmp(checks->asked, checks->refused) == 0)) {
        snprintf(checks->asked, sizeof(checks->asked), "%s", entry->id);
    }
}

static void ask(struct nextcloud_checks *checks)
{
    struct hub *hub = checks->hub;
    checks->asked[0] = '\0';
    exapps_each(hub->exapps, consider, checks);
    checks->call = *checks->asked
                       ? nextcloud_ask_key(hub->nextcloud, checks->asked, answered, checks)
                       : nextcloud_ask_status(hub->nextcloud, answered, checks);
    if (checks->call) {
        timer_set(&hub->loop, &checks->limit, NEXTCLOUD_CHECK_MS);
    } else {
        nextcloud_fact_set(&hub->facts.failed, loop_now(&hub->loop),
                           "too many requests to it wait already");
    }
}

static bool fresh(const struct nextcloud_checks *checks)
{
    const struct nextcloud_facts *f = &checks->hub->facts;
    uint64_t now = loop_now(&checks->hub->loop);
    if (f->failed.at != 0 && f->failed.at >= f->answered.at) {
        return false;
    }
    return now < checks->fresh_until ||
           (f->accepted.at != 0 && now < f->accepted.at + NEXTCLOUD_CHECK_FRESH_MS);
}

struct nextcloud_check *nextcloud_check_start(struct nextcloud_checks *checks,
                                              nextcloud_check_done *done, void *owner)
{
    struct nextcloud_check *c = xcalloc(1, sizeof(*c));
    c->checks = checks;
    c->done = done;
    c->owner = owner;
    c->over.run = run_over;
    if (!checks->call && nextcloud_configured(checks->hub->nextcloud) && !fresh(checks)) {
        ask(checks);
    }
    if (checks->call) {
        list_add(&checks->waits, &c->link);
        c->waits = true;
    } else {
        loop_defer(&checks->hub->loop, &c->over);
    }
    return c;
}

/* The question goes on: its answer is good for the next one. */
void nextcloud_check_cancel(struct nextcloud_check *c)
{
    if (c->waits) {
        list_remove(&c->link);
    }
    loop_cancel(&c->over);
    free(c);
}

struct nextcloud_checks *nextcloud_checks_new(struct hub *hub)
{
    struct nextcloud_checks *checks = xcalloc(1, sizeof(*checks));
    checks->hub = hub;
    checks->limit.fire = on_limit;
    return checks;
}

void nextcloud_checks_free(struct nextcloud_checks *checks)
{
    if (!checks) {
        return;
    }
    if (checks->call) {
        nextcloud_cancel(checks->call);
    }
    timer_remove(&checks->hub->loop, &checks->limit);
    free(checks);
}
