#include "hub/access/sessions.h"

#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/crypto/secret.h"
#include "hub/hub.h"

enum { FLIGHT_BUCKETS = 256 };

struct digest {
    unsigned char b[SECRET_DIGEST_LEN];
};

/* A user that is remembered. All live equally long, so that the ring is in order of their ends. */
struct session {
    struct session *next;          /* in its bucket */
    struct session *older, *newer; /* the ring */
    struct digest digest;
    uint64_t until;
    enum exapp_access access;
    size_t n;
    char *user; /* n bytes */
};

/* A question on its way, and those who wait for its answer. */
struct flight {
    struct flight *next; /* in its bucket */
    struct sessions *sessions;
    struct digest digest;
    struct nextcloud_call *call;
    struct list_link *waits; /* of session_waits */
    bool shared;             /* in a bucket: others may join */
};

struct session_wait {
    struct list_link link;
    struct flight *flight;
    bool asked; /* the question went out with this one's fields */
    sessions_done *done;
    void *owner;
};

struct sessions {
    struct hub *hub;
    EVP_MAC_CTX *mac;
    struct session ring; /* ring.newer is the oldest */
    unsigned size;
    size_t mask; /* of buckets */
    struct session **buckets;
    struct flight *flights[FLIGHT_BUCKETS];
};

static EVP_MAC_CTX *make_mac(void)
{
    unsigned char key[SECRET_DIGEST_LEN];
    char name[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_utf8_string("digest", name, sizeof(name) - 1),
                           OSSL_PARAM_END};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    if (!ctx || random_bytes(key, sizeof(key)) < 0 ||
        EVP_MAC_init(ctx, key, sizeof(key), params) != 1) {
        EVP_MAC_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_MAC_free(mac);
    secret_wipe(key, sizeof(key));
    return ctx;
}

struct sessions *sessions_new(struct hub *hub)
{
    size_t buckets = 64;
    EVP_MAC_CTX *mac = make_mac();
    if (!mac) {
        return NULL;
    }
    while (buckets < (size_t)hub->settings.max_sessions) {
        buckets *= 2;
    }
    struct sessions *s = xcalloc(1, sizeof(*s));
    s->hub = hub;
    s->mac = mac;
    s->ring.older = s->ring.newer = &s->ring;
    s->mask = buckets - 1;
    s->buckets = xcalloc(buckets, sizeof(*s->buckets));
    return s;
}

/* ---- what is remembered ---- */

/* A digest is as good as random already, and nobody can choose it. */
static size_t number(const struct digest *d)
{
    uint64_t n;
    memcpy(&n, d->b, sizeof(n));
    return (size_t)n;
}

static bool same(const struct digest *a, const struct digest *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static struct session **place(struct sessions *s, const struct digest *d)
{
    struct session **at = &s->buckets[number(d) & s->mask];
    while (*at && !same(&(*at)->digest, d)) {
        at = &(*at)->next;
    }
    return at;
}

static void forget(struct sessions *s, struct session **at)
{
    struct session *session = *at;
    if (!session) {
        return; /* not in the table: nothing that is in the ring is */
    }
    *at = session->next;
    session->older->newer = session->newer;
    session->newer->older = session->older;
    s->size--;
    free(session->user);
    free(session);
}

static void expire(struct sessions *s, uint64_t now, unsigned max)
{
    while (s->size > 0 && (s->ring.newer->until <= now || s->size > max)) {
        forget(s, place(s, &s->ring.newer->digest));
    }
}

static void remember(struct sessions *s, const struct digest *d,
                     const struct nextcloud_answer *answer)
{
    const struct hub_settings *set = &s->hub->settings;
    uint64_t now = loop_now(&s->hub->loop);
    if (set->session_lifetime == 0) {
        return;
    }
    struct session **at = place(s, d);
    if (*at) {
        forget(s, at);
    }
    expire(s, now, (unsigned)set->max_sessions - 1);
    at = place(s, d);
    struct session *session = xcalloc(1, sizeof(*session));
    session->digest = *d;
    session->until = now + set->session_lifetime;
    session->access = answer->access;
    session->n = answer->user.n;
    session->user = xstrndup(answer->user.p, answer->user.n);
    session->next = *at;
    *at = session;
    session->newer = &s->ring;
    session->older = s->ring.older;
    session->older->newer = session->newer->older = session;
    s->size++;
}

unsigned sessions_size(const struct sessions *s)
{
    return s->size;
}

/* ---- credentials ---- */

/* What Nextcloud gets of the request (nextcloud.c) is what counts: a field that Connection names
 * reaches neither it nor the ExApp. */
static bool is_credential(const struct http_field *f)
{
    return (f->id == HTTP_COOKIE || f->id == HTTP_AUTHORIZATION) && !f->drop;
}

static bool has_session_cookie(struct str cookies)
{
    static const struct str name = {"oc_sessionPassphrase", sizeof("oc_sessionPassphrase") - 1};
    const char *end = cookies.p + cookies.n;
    for (const char *p = cookies.p; p < end;) {
        const char *semicolon = memchr(p, ';', (size_t)(end - p));
        const char *stop = semicolon ? semicolon : end;
        while (p < stop && (*p == ' ' || *p == '\t')) {
            p++;
        }
        size_t n = (size_t)(stop - p);
        if (n > name.n && memcmp(p, name.p, name.n) == 0 && p[name.n] == '=') {
            return true;
        }
        p = stop + 1;
    }
    return false;
}

bool sessions_credentials(const struct http_request *r)
{
    for (unsigned i = 0; i < r->nfields; i++) {
        const struct http_field *f = &r->fields[i];
        if (is_credential(f) && (f->id == HTTP_AUTHORIZATION || has_session_cookie(f->value))) {
            return true;
        }
    }
    return false;
}

/* Kind and length go in front of each value, so that no two lists of fields read the same. */
static bool digest_of(struct sessions *s, const struct http_request *r, struct digest *out)
{
    size_t n = 0;
    bool good = EVP_MAC_init(s->mac, NULL, 0, NULL) == 1;
    for (unsigned i = 0; i < r->nfields && good; i++) {
        const struct http_field *f = &r->fields[i];
        if (is_credential(f)) {
            uint32_t head[2] = {f->id, (uint32_t)f->value.n};
            good = EVP_MAC_update(s->mac, (const unsigned char *)head, sizeof(head)) == 1 &&
                   EVP_MAC_update(s->mac, (const unsigned char *)f->value.p, f->value.n) == 1;
        }
    }
    return good && EVP_MAC_final(s->mac, out->b, &n, sizeof(out->b)) == 1 && n == sizeof(out->b);
}

/* ---- asking ---- */

static struct flight **flight_place(struct sessions *s, const struct digest *d)
{
    struct flight **at = &s->flights[number(d) % FLIGHT_BUCKETS];
    while (*at && !same(&(*at)->digest, d)) {
        at = &(*at)->next;
    }
    return at;
}

/* From here on nobody joins it. */
static void close_to_others(struct flight *f)
{
    if (f->shared) {
        *flight_place(f->sessions, &f->digest) = f->next;
        f->shared = false;
    }
}

static void answered(void *owner, const struct nextcloud_answer *from)
{
    static const enum session_result results[] = {
        [NEXTCLOUD_YES] = SESSION_USER,
        [NEXTCLOUD_NO] = SESSION_NOBODY,
        [NEXTCLOUD_FAILED] = SESSION_FAILED,
    };
    struct flight *f = owner;
    struct session_answer answer = {.result = results[from->result],
                                    .user = from->user,
                                    .access = from->access,
                                    .why = from->why};
    f->call = NULL;
    close_to_others(f);
    if (answer.result == SESSION_USER) {
        remember(f->sessions, &f->digest, from);
    }
    struct list_link *link;
    while ((link = list_take(&f->waits))) {
        struct session_wait *w = CONTAINER_OF(link, struct session_wait, link);
        struct session_answer own = answer;
        if (answer.result == SESSION_NOBODY && !w->asked) {
            own.result = SESSION_ALONE;
        }
        w->done(w->owner, &own);
        free(w);
    }
    free(f);
}

static struct session_wait *add_wait(struct flight *f, bool asked, sessions_done *done, void *owner)
{
    struct session_wait *w = xcalloc(1, sizeof(*w));
    *w = (struct session_wait){.flight = f, .asked = asked, .done = done, .owner = owner};
    list_add(&f->waits, &w->link);
    return w;
}

static bool failed(struct session_answer *answer, const char *why)
{
    *answer = (struct session_answer){.result = SESSION_FAILED, .why = why};
    return true;
}

bool sessions_ask(struct sessions *s, const char *id, const struct http_request *request,
                  const struct ip_addr *client, bool alone, struct session_answer *answer,
                  sessions_done *done, void *owner, struct session_wait **wait)
{
    struct nextcloud *nc = s->hub->nextcloud;
    struct digest digest;
    *wait = NULL;
    if (!nextcloud_configured(nc)) {
        *answer = (struct session_answer){.result = SESSION_NOBODY};
        return true;
    }
    if (!digest_of(s, request, &digest)) {
        return failed(answer, "the credentials could not be hashed");
    }
    expire(s, loop_now(&s->hub->loop), (unsigned)s->hub->settings.max_sessions);
    struct session *known = *place(s, &digest);
    if (known) {
        *answer = (struct session_answer){
            .result = SESSION_USER, .user = {known->user, known->n}, .access = known->access};
        return true;
    }
    struct flight **at = flight_place(s, &digest), *f = *at;
    if (f && !alone) {
        *wait = add_wait(f, false, done, owner);
        return false;
    }
    f = xcalloc(1, sizeof(*f));
    f->sessions = s;
    f->digest = digest;
    f->call = nextcloud_ask_user(nc, id, request, client, answered, f);
    if (!f->call) {
        free(f);
        return failed(answer, "too many requests to it wait already");
    }
    if (!alone && s->hub->settings.session_lifetime > 0) {
        f->shared = true;
        *at = f;
    }
    *wait = add_wait(f, true, done, owner);
    return false;
}

void sessions_cancel(struct session_wait *w)
{
    struct flight *f = w->flight;
    list_remove(&w->link);
    free(w);
    if (!f->waits && f->call) {
        nextcloud_cancel(f->call);
        close_to_others(f);
        free(f);
    }
}

void sessions_free(struct sessions *s)
{
    if (s) {
        expire(s, UINT64_MAX, 0);
        EVP_MAC_CTX_free(s->mac);
        free(s->buckets);
        free(s);
    }
}
