#include "common/loop/resolver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "common/base/buf.h"

struct name {
    struct name *next;
    char *host;
    uint64_t until;
    struct resolved answer;
};

struct resolver {
    struct loop *loop;
    struct name *names;
    unsigned n;
};

struct lookup {
    uv_getaddrinfo_t req;
    struct resolver *resolver; /* NULL: cancelled, and the resolver may be gone */
    char *host;
    resolver_done *done;
    void *owner;
};

struct resolver *resolver_new(struct loop *l)
{
    struct resolver *r = xcalloc(1, sizeof(*r));
    r->loop = l;
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

static void on_result(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct lookup *q = CONTAINER_OF(req, struct lookup, req);
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
        q->done(q->owner, &answer);
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
    struct lookup *q = xcalloc(1, sizeof(*q));
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    q->resolver = r;
    q->host = xstrndup(host, strlen(host));
    q->done = done;
    q->owner = owner;
    int err = uv_getaddrinfo(&r->loop->uv, &q->req, on_result, host, NULL, &hints);
    if (err != 0) {
        free(q->host);
        free(q);
        memset(now, 0, sizeof(*now));
        now->why = uv_strerror(err);
        return NULL;
    }
    return q;
}

void resolver_cancel(struct lookup *q)
{
    q->resolver = NULL; /* on_result still comes, and frees it */
    uv_cancel((uv_req_t *)&q->req);
}
