#include "hub/access/exapps.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/crypto/secret.h"
#include "common/log/log.h"
#include "hub/hub.h"
#include "hub/access/nextcloud.h"

enum { BUCKETS = 4096 };

enum state {
    NOTHING, /* there only for those who wait; or what was learned has expired */
    UNKNOWN, /* until `until` */
    LEARNED, /* until `until` */
    PUSHED,
    DISABLED,
};

struct entry {
    struct entry *next;          /* in its bucket */
    struct entry *older, *newer; /* UNKNOWN: the ring of these */
    struct exapps *list;
    enum state state;
    bool declared; /* PUSHED, by hub.cfg */
    uint64_t until;
    struct exapp *app;           /* PUSHED, LEARNED; of an expired one, to compare with */
    struct nextcloud_call *call; /* the question on its way */
    struct list_link *waits;     /* of exapps_waits */
    char id[EXAPP_ID_MAX + 1];
};

struct exapps_wait {
    struct list_link link;
    struct entry *entry;
    enum exapps_asker asker;
    exapps_done *done;
    void *owner;
};

struct exapps {
    struct hub *hub;
    struct route_matcher *matcher;
    uint64_t seed;
    unsigned n, unknown_n;
    struct entry unknown; /* ring; unknown.newer is the oldest */
    struct entry *buckets[BUCKETS];
};

struct exapps *exapps_new(struct hub *hub)
{
    struct exapps *list = xcalloc(1, sizeof(*list));
    list->hub = hub;
    list->matcher = route_matcher_new();
    list->unknown.older = list->unknown.newer = &list->unknown;
    if (!list->matcher || random_bytes(&list->seed, sizeof(list->seed)) < 0) {
        route_matcher_free(list->matcher);
        free(list);
        return NULL;
    }
    return list;
}

/* ---- entries ---- */

static struct entry **place(struct exapps *list, const char *id)
{
    uint64_t h = list->seed;
    for (const char *p = id; *p; p++) {
        h = (h ^ (unsigned char)*p) * 0x100000001B3U; /* FNV-1a, under a seed */
    }
    struct entry **at = &list->buckets[(h ^ (h >> 32)) % BUCKETS];
    while (*at && strcmp((*at)->id, id) != 0) {
        at = &(*at)->next;
    }
    return at;
}

static void drop_app(struct entry *e)
{
    if (e->app) {
        exapp_retire(e->app);
        e->app = NULL;
    }
}

/* The only place that changes a state, but for an end of time, which whoever looks sees. */
static void enter(struct entry *e, enum state state)
{
    struct exapps *list = e->list;
    if (e->state == UNKNOWN) {
        e->older->newer = e->newer;
        e->newer->older = e->older;
        list->unknown_n--;
    }
    if (state == UNKNOWN) {
        e->newer = &list->unknown;
        e->older = list->unknown.older;
        e->older->newer = e->newer->older = e;
        list->unknown_n++;
    }
    e->state = state;
    e->declared = false;
}

static void remove_entry(struct entry *e)
{
    struct entry **at = place(e->list, e->id);
    enter(e, NOTHING);
    drop_app(e);
    *at = e->next;
    e->list->n--;
    free(e);
}

/* Nothing about it is worth keeping, and nobody waits. */
static void tidy(struct entry *e)
{
    if (e->state == NOTHING && !e->app && !e->waits && !e->call) {
        remove_entry(e);
    }
}

static struct entry *add_entry(struct exapps *list, const char *id)
{
    struct entry *e = xcalloc(1, sizeof(*e));
    struct entry **at = place(list, id);
    e->list = list;
    memcpy(e->id, id, strlen(id) + 1);
    *at = e;
    list->n++;
    return e;
}

/* NULL: there are as many as there may be. */
static struct entry *get_entry(struct exapps *list, const char *id)
{
    struct entry *e = *place(list, id);
    if (e) {
        return e;
    }
    return list->n - list->unknown_n >= EXAPPS_MAX ? NULL : add_entry(list, id);
}

/* ---- waits ---- */

static struct exapps_wait *add_wait(struct entry *e, enum exapps_asker asker, exapps_done *done,
                                    void *owner)
{
    struct exapps_wait *w = xcalloc(1, sizeof(*w));
    *w = (struct exapps_wait){.entry = e, .asker = asker, .done = done, .owner = owner};
    list_add(&e->waits, &w->link);
    return w;
}

/* Answers those who wait: all of them, or (answer for a client alone) all but AppAPI. */
static void tell(struct entry *e, const struct exapps_answer *answer, bool clients_alone)
{
    struct list_link *kept = NULL, *link;
    while ((link = list_take(&e->waits))) {
        struct exapps_wait *w = CONTAINER_OF(link, struct exapps_wait, link);
        if (clients_alone && w->asker != EXAPPS_FOR_CLIENT) {
            list_add(&kept, link);
            continue;
        }
        w->done(w->owner, answer);
        free(w);
    }
    while ((link = list_take(&kept))) {
        list_add(&e->waits, link);
    }
}

/* ---- what Nextcloud says ---- */

static void answered(void *owner, const struct nextcloud_answer *from);

static bool ask(struct entry *e)
{
    if (!e->call) {
        e->call = nextcloud_ask_app(e->list->hub->nextcloud, e->id, answered, e);
    }
    return e->call != NULL;
}

/* What was learned before is kept when it says the same, with its open connections. */
static void learn(struct entry *e, struct exapp_meta *meta)
{
    const struct hub *hub = e->list->hub;
    if (!e->app || !exapp_meta_equal(&e->app->meta, meta)) {
        drop_app(e);
        e->app = exapp_new(meta, e->list->matcher, hub->log);
    }
    enter(e, LEARNED);
    e->until = loop_now(&hub->loop) + hub->settings.exapp_lifetime;
}

/* The one who asked for a disabled app is AppAPI; the clients got their answer when it was disabled. */
static void tell_disabled(struct entry *e, struct exapp_meta *meta)
{
    struct exapp *app = exapp_new(meta, e->list->matcher, NULL);
    tell(e, &(struct exapps_answer){.result = EXAPPS_HERE, .app = app}, false);
    exapp_retire(app);
}

static void forget_unknown(struct exapps *list, uint64_t now)
{
    /* NOLINTBEGIN(clang-analyzer-unix.Malloc): enter() takes it out of the ring */
    while (list->unknown_n > 0 &&
           (list->unknown_n > EXAPPS_UNKNOWN_MAX || list->unknown.newer->until <= now)) {
        struct entry *e = list->unknown.newer;
        enter(e, NOTHING);
        tidy(e);
    }
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
}

static void learn_unknown(struct entry *e)
{
    const struct hub *hub = e->list->hub;
    drop_app(e);
    enter(e, NOTHING); /* and from there to the end of the ring, if it stood in it */
    if (hub->settings.exapp_unknown_lifetime > 0) {
        e->until = loop_now(&hub->loop) + hub->settings.exapp_unknown_lifetime;
        enter(e, UNKNOWN);
    }
}

static void answered(void *owner, const struct nextcloud_answer *from)
{
    struct entry *e = owner;
    struct exapps *list = e->list;
    e->call = NULL;
    switch (from->result) {
    case NEXTCLOUD_YES:
        if (e->state == DISABLED) {
            tell_disabled(e, from->meta);
            break;
        }
        learn(e, from->meta);
        tell(e, &(struct exapps_answer){.result = EXAPPS_HERE, .app = e->app}, false);
        break;
    case NEXTCLOUD_NO:
        if (e->state != DISABLED) {
            learn_unknown(e);
        }
        tell(e, &(struct exapps_answer){.result = EXAPPS_UNKNOWN}, false);
        break;
    case NEXTCLOUD_FAILED:
        tell(e, &(struct exapps_answer){.result = EXAPPS_FAILED, .why = from->why}, false);
        break;
    }
    tidy(e);
    forget_unknown(list, loop_now(&list->hub->loop));
}

/* ---- requests ---- */

/* What can be said of it at once, if anything. */
static bool known(struct entry *e, enum exapps_asker asker, struct exapps_answer *answer)
{
    uint64_t now = loop_now(&e->list->hub->loop);
    switch (e->state) {
    case PUSHED:
        break;
    case LEARNED:
        if (e->until <= now) {
            return false;
        }
        break;
    case UNKNOWN:
        *answer = (struct exapps_answer){.result = EXAPPS_UNKNOWN, .remembered = true};
        return e->until > now && asker != EXAPPS_FOR_APPAPI_AFRESH;
    case DISABLED:
        *answer = (struct exapps_answer){.result = EXAPPS_DISABLED};
        return asker == EXAPPS_FOR_CLIENT;
    case NOTHING:
        return false;
    }
    *answer = (struct exapps_answer){.result = EXAPPS_HERE, .app = e->app};
    return true;
}

bool exapps_find(struct exapps *list, struct str id, enum exapps_asker asker,
                 struct exapps_answer *answer, exapps_done *done, void *owner,
                 struct exapps_wait **wait)
{
    char lower[EXAPP_ID_MAX + 1];
    *wait = NULL;
    exapp_id_lower(lower, id);
    struct entry *e = *place(list, lower);
    if (e && known(e, asker, answer)) {
        return true;
    }
    if (!nextcloud_configured(list->hub->nextcloud)) {
        *answer = (struct exapps_answer){.result = EXAPPS_UNKNOWN};
        return true;
    }
    if (!e) {
        e = get_entry(list, lower);
    }
    if (!e || !ask(e)) {
        *answer = (struct exapps_answer){.result = EXAPPS_FAILED,
                                         .why = "too many requests to it wait already"};
        if (e) {
            tidy(e);
        }
        return true;
    }
    *wait = add_wait(e, asker, done, owner);
    return false;
}

void exapps_cancel(struct exapps_wait *w)
{
    struct entry *e = w->entry;
    list_remove(&w->link);
    free(w);
    if (!e->waits && e->call) {
        nextcloud_cancel(e->call);
        e->call = NULL;
        tidy(e);
    }
}

struct exapp *exapps_stranger(struct exapps *list, struct exapp_meta *meta)
{
    struct exapp *app = exapp_new(meta, list->matcher, NULL);
    app->retired = true;
    return app;
}

/* ---- AppAPI and the administrator ---- */

static void stop_asking(struct entry *e)
{
    if (e->call) {
        nextcloud_cancel(e->call);
        e->call = NULL;
    }
}

int exapps_push(struct exapps *list, struct exapp_meta *meta)
{
    struct entry *e = get_entry(list, meta->id);
    if (!e) {
        return -1;
    }
    stop_asking(e);
    if (!e->app || !exapp_meta_equal(&e->app->meta, meta)) {
        drop_app(e);
        e->app = exapp_new(meta, list->matcher, list->hub->log);
    }
    enter(e, PUSHED);
    tell(e, &(struct exapps_answer){.result = EXAPPS_HERE, .app = e->app}, false);
    return 0;
}

enum exapps_deleted exapps_delete(struct exapps *list, struct str id)
{
    char lower[EXAPP_ID_MAX + 1];
    exapp_id_lower(lower, id);
    struct entry *e = get_entry(list, lower);
    if (!e) {
        return EXAPPS_TOO_MANY;
    }
    bool there = e->state == PUSHED || e->state == LEARNED;
    stop_asking(e);
    drop_app(e);
    enter(e, DISABLED);
    tell(e, &(struct exapps_answer){.result = EXAPPS_DISABLED}, true);
    /* What was on its way was asked before. */
    if (e->waits && !ask(e)) {
        tell(e,
             &(struct exapps_answer){.result = EXAPPS_FAILED,
                                     .why = "too many requests to it wait already"},
             false);
    }
    return there ? EXAPPS_DELETED : EXAPPS_NOT_THERE;
}

static struct exapp_meta copy_meta(const struct exapp_meta *from)
{
    struct exapp_meta m = *from;
    m.id = xstrndup(from->id, strlen(from->id));
    m.token = xstrndup(from->token, strlen(from->token));
    m.version = xstrndup(from->version, strlen(from->version));
    m.host = xstrndup(from->host, strlen(from->host));
    m.routes = xcalloc(MAX(from->nroutes, 1), sizeof(*m.routes));
    for (size_t i = 0; i < from->nroutes; i++) {
        m.routes[i] = from->routes[i];
        m.routes[i].url = xstrndup(from->routes[i].url, strlen(from->routes[i].url));
    }
    return m;
}

int exapps_declare(struct exapps *list, const struct exapp_meta *from, char *err, size_t errlen)
{
    struct entry *e = *place(list, from->id);
    if (e) {
        snprintf(err, errlen, "ExApp %s is declared twice", from->id);
        return -1;
    }
    struct exapp_meta meta = copy_meta(from);
    struct exapp *app = exapp_new(&meta, list->matcher, list->hub->log);
    if (routes_count(app->routes) == 0) {
        snprintf(err, errlen, "ExApp %s has no usable route", from->id);
        exapp_unref(app);
        return -1;
    }
    e = add_entry(list, from->id);
    e->app = app;
    enter(e, PUSHED);
    e->declared = true;
    return 0;
}

void exapps_each(const struct exapps *list, void (*fn)(void *arg, const struct exapps_entry *entry),
                 void *arg)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (const struct entry *e = list->buckets[i]; e; e = e->next) {
            struct exapps_entry told = {.id = e->id, .app = e->app};
            if (e->state == NOTHING || e->state == UNKNOWN) {
                continue;
            }
            told.kind = e->state == DISABLED  ? EXAPPS_KIND_DISABLED
                        : e->state == LEARNED ? EXAPPS_KIND_LEARNED
                        : e->declared         ? EXAPPS_KIND_DECLARED
                                              : EXAPPS_KIND_PUSHED;
            fn(arg, &told);
        }
    }
}

void exapps_free(struct exapps *list)
{
    if (!list) {
        return;
    }
    /* NOLINTBEGIN(clang-analyzer-unix.Malloc): remove_entry() takes it out of its bucket */
    for (size_t i = 0; i < BUCKETS; i++) {
        while (list->buckets[i]) {
            stop_asking(list->buckets[i]);
            remove_entry(list->buckets[i]);
        }
    }
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
    route_matcher_free(list->matcher);
    free(list);
}
