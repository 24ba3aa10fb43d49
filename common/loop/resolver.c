#include "common/loop/resolver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/list.h"

struct question;

struct name {
    struct name *next;
    char *host;
    uint64_t until;
    struct resolved answer;
};

struct resolver {
    struct loop *loop;
    uint64_t limit;
    struct name *names;
    unsigned n;
    struct question *questions;
};

/* A question on its way to the system; one for all who ask for that name meanwhile, as each takes one
 * of libuv's few threads for as long as the system's resolver likes. */
struct question {
    uv_getaddrinfo_t req;
    struct question *next;
    struct resolver *resolver; /* NULL: nobody waits, and the resolver may be gone */
    struct list_link *waits;   /* of lookups */
    struct timer limit;
    char *host;
};

struct lookup {
    struct list_link link;
    struct question *question;
    resolver_done *done;
    void *owner;
};

struct resolver *resolver_new(struct loop *l, uint64_t limit)
{
    struct resolver *r = xcalloc(1, sizeof(*r));
    r->loop = l;
    r->limit = limit;
    return r;
}

static void drop(struct resolver *r, struct name **at)
{
    struct name *n = *at;
    *at = n->next;
    free(n->host);
    free(n);
    r->n--;
}

void resolver_free(struct resolver *r)
{
    if (r) {
        while (r->names) {
            drop(r, &r->names);
        }
        free(r);
    }
}

static const struct resolved *remembered(struct resolver *r, const char *host)
{
    uint64_t now = loop_now(r->loop);
    for (struct name **at = &r->names; *at;) {
        if ((*at)->until <= now) {
            drop(r, at);
            continue;
        }
        if (strcasecmp((*at)->host, host) == 0) {
            return &(*at)->answer;
        }
        at = &(*at)->next;
    }
    return NULL;
}

static void remember(struct resolver *r, const char *host, const struct resolved *answer)
{
    if (r->n >= RESOLVER_MAX_NAMES) {
        drop(r, &r->names);
    }
    struct name *n = xcalloc(1, sizeof(*n));
    n->host = xstrndup(host, strlen(host));
    n->until = loop_now(r->loop) + RESOLVER_KEEP_MS;
    n->answer = *answer;
    n->next = r->names;
    r->names = n;
    r->n++;
}

/* Nobody joins it from here on. */
static void forget(struct question *q)
{
    struct question **at = &q->resolver->questions;
    while (*at != q) {
        at = &(*at)->next;
    }
    *at = q->next;
    timer_remove(q->resolver->loop, &q->limit);
    q->resolver = NULL;
}

/* Tells all who wait; the question is answered. */
static void tell(struct question *q, const struct resolved *answer)
{
    struct list_link *link;
    forget(q);
    while ((link = list_take(&q->waits))) {
        struct lookup *wait = CONTAINER_OF(link, struct lookup, link);
        wait->done(wait->owner, answer);
        free(wait);
    }
}

/* The system's resolver goes on in its thread, and on_result comes when it ends. A question that still waits
 * for a thread is taken back: else, with name servers away, they would pile up. */
static void limit_fire(struct timer *t)
{
    static const struct resolved late = {.timed_out = true,
                                         .why = "looking the name up took too long"};
    struct question *q = CONTAINER_OF(t, struct question, limit);
    tell(q, &late);
    uv_cancel((uv_req_t *)&q->req);
}

static void on_result(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct question *q = CONTAINER_OF(req, struct question, req);
    struct resolved answer = {.n = 0};
    if (q->resolver) {
        for (struct addrinfo *a = list; status == 0 && a && answer.n < RESOLVER_MAX_ADDRS;
             a = a->ai_next) {
            memcpy(&answer.sa[answer.n], a->ai_addr, a->ai_addrlen);
            answer.len[answer.n++] = a->ai_addrlen;
        }
        if (answer.n > 0) {
            remember(q->resolver, q->host, &answer);
        } else {
            answer.why = status < 0 ? uv_strerror(status) : "the name has no address";
        }
        tell(q, &answer);
    }
    uv_freeaddrinfo(list);
    free(q->host);
    free(q);
}

static bool literal(const char *host, struct resolved *r)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&r->sa[0];
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&r->sa[0];
    memset(r, 0, sizeof(*r));
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        r->len[0] = sizeof(*v4);
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        r->len[0] = sizeof(*v6);
    } else {
        return false;
    }
    r->n = 1;
    return true;
}

static struct question *ask(struct resolver *r, const char *host, int *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct question *q = xcalloc(1, sizeof(*q));
    q->host = xstrndup(host, strlen(host));
    *err = uv_getaddrinfo(&r->loop->uv, &q->req, on_result, host, NULL, &hints);
    if (*err != 0) {
        free(q->host);
        free(q);
        return NULL;
    }
    q->resolver = r;
    q->next = r->questions;
    r->questions = q;
    q->limit.fire = limit_fire;
    timer_set(r->loop, &q->limit, r->limit);
    return q;
}

struct lookup *resolver_ask(struct resolver *r, const char *host, struct resolved *now,
                            resolver_done *done, void *owner)
{
    if (literal(host, now)) {
        return NULL;
    }
    const struct resolved *known = remembered(r, host);
    if (known) {
        *now = *known;
        return NULL;
    }
    struct question *q = r->questions;
    while (q && strcasecmp(q->host, host) != 0) {
        q = q->next;
    }
    if (!q) {
        int err = 0;
        q = ask(r, host, &err);
        if (!q) {
            memset(now, 0, sizeof(*now));
            now->why = uv_strerror(err);
            return NULL;
        }
    }
    struct lookup *wait = xcalloc(1, sizeof(*wait));
    *wait = (struct lookup){.question = q, .done = done, .owner = owner};
    list_add(&q->waits, &wait->link);
    return wait;
}

void resolver_cancel(struct lookup *wait)
{
    struct question *q = wait->question;
    list_remove(&wait->link);
    free(wait);
    if (!q->waits && q->resolver) {
        forget(q);
        uv_cancel((uv_req_t *)&q->req); /* on_result still comes, and frees it */
    }
}
