#include <stdio.h>
#include <stdlib.h>

#include "common/log/log.h"
#include "tunnel-client/session.h"

static void open_proxy(struct proxy *p)
{
    struct frp_msg m = {.type = FRP_NEW_PROXY};
    struct frp_new_proxy *np = &m.u.new_proxy;
    np->proxy_name = str_of(p->set->name);
    np->proxy_type = STR("tcp");
    np->remote_port = p->set->remote_port;
    p->state = PROXY_OPENING;
    session_send(p->session, &m);
}

static void close_proxy(struct proxy *p)
{
    struct frp_msg m = {.type = FRP_CLOSE_PROXY};
    if (p->session->state == SESSION_RUNNING &&
        (p->state == PROXY_OPEN || p->state == PROXY_OPENING)) {
        m.u.close_proxy.proxy_name = str_of(p->set->name);
        session_send(p->session, &m);
    }
    timer_remove(p->session->loop, &p->retry);
}

static void retry_fire(struct timer *t)
{
    open_proxy(CONTAINER_OF(t, struct proxy, retry));
}

/* Whether the list has one that is the same in all that matters. */
static const struct tunnel_proxy *find_equal(const struct tunnel_config *set,
                                             const struct tunnel_proxy *p)
{
    for (size_t i = 0; i < set->proxies_n; i++) {
        if (tunnel_proxy_equal(&set->proxies[i], p)) {
            return &set->proxies[i];
        }
    }
    return NULL;
}

void proxies_open_closed(struct session *s)
{
    for (size_t i = 0; i < s->proxies_n && s->state == SESSION_RUNNING; i++) {
        if (s->proxies[i].state == PROXY_CLOSED || s->proxies[i].state == PROXY_REFUSED) {
            open_proxy(&s->proxies[i]);
        }
    }
}

/* Those that are in both lists stay as they are, open ones open; the others are closed or opened. */
void proxies_set(struct session *s, const struct tunnel_config *set)
{
    struct proxy *list = xcalloc(set->proxies_n, sizeof(*list));
    for (size_t i = 0; i < s->proxies_n; i++) {
        if (!find_equal(set, s->proxies[i].set)) {
            close_proxy(&s->proxies[i]); /* before another takes its name or port */
        }
    }
    for (size_t i = 0; i < set->proxies_n; i++) {
        list[i] = (struct proxy){.session = s, .set = &set->proxies[i]};
        list[i].retry.fire = retry_fire;
        list[i].seen.id = loop_next_id(s->loop);
        for (size_t k = 0; k < s->proxies_n; k++) {
            if (tunnel_proxy_equal(s->proxies[k].set, list[i].set)) {
                list[i].state = s->proxies[k].state;
                list[i].seen = s->proxies[k].seen;
            }
        }
    }
    for (size_t i = 0; i < s->proxies_n; i++) {
        timer_remove(s->loop, &s->proxies[i].retry);
    }
    free(s->proxies);
    s->proxies = list;
    s->proxies_n = set->proxies_n;
    if (s->state == SESSION_RUNNING) {
        proxies_open_closed(s);
    }
}

void proxies_free(struct session *s)
{
    for (size_t i = 0; i < s->proxies_n; i++) {
        timer_remove(s->loop, &s->proxies[i].retry);
    }
    free(s->proxies);
    s->proxies = NULL;
    s->proxies_n = 0;
}

void proxies_lost(struct session *s)
{
    for (size_t i = 0; i < s->proxies_n; i++) {
        s->proxies[i].state = PROXY_CLOSED;
        timer_clear(&s->proxies[i].retry);
    }
}

void proxies_on_resp(struct session *s, const struct frp_new_proxy_resp *m)
{
    for (size_t i = 0; i < s->proxies_n; i++) {
        struct proxy *p = &s->proxies[i];
        if (p->state != PROXY_OPENING || !str_eq(str_of(p->set->name), m->proxy_name)) {
            continue;
        }
        if (m->error.n > 0) {
            p->state = PROXY_REFUSED;
            snprintf(p->seen.last_error, sizeof(p->seen.last_error), "refused: %.*s",
                     (int)MIN(m->error.n, 200), m->error.p);
            session_tame(p->seen.last_error);
            uint64_t pause = session_pause(s, &p->backoff);
            log_warning(s->log, "session", 0, "proxy %s refused: %.*s; next try in %llu ms",
                        p->set->name, (int)MIN(m->error.n, 200), m->error.p,
                        (unsigned long long)pause);
            timer_set(s->loop, &p->retry, pause);
        } else {
            p->state = PROXY_OPEN;
            backoff_reset(&p->backoff);
            p->seen.last_error[0] = '\0';
            log_info(s->log, "session", 0, "proxy %s ready at port %u", p->set->name,
                     p->set->remote_port);
        }
        return;
    }
}

struct proxy *proxies_find(const struct session *s, struct str name)
{
    for (size_t i = 0; i < s->proxies_n; i++) {
        if (str_eq(str_of(s->proxies[i].set->name), name)) {
            return &s->proxies[i];
        }
    }
    return NULL;
}

struct proxy *proxies_find_id(const struct session *s, uint64_t id)
{
    for (size_t i = 0; i < s->proxies_n; i++) {
        if (s->proxies[i].seen.id == id) {
            return &s->proxies[i];
        }
    }
    return NULL;
}
