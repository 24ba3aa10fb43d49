/* How the parts belong together:
 *
 *   fetcher -> every fetch, in the list of its state; freed by release()
 *   fetcher -> multi handle -> easy handles of the fetches that run, pool of connections
 *   fetcher -> watches, one for each socket that libcurl waits for; freed by libuv's close callback
 *
 * libcurl must not be entered from inside its callbacks (on_head and on_body here, those of
 * fetch_loop.c), so these call no owner and end nothing: they note. What ended is collected after
 * libcurl returned, and owners are told by the task `turn` alone. */
#include "common/fetch/fetch_impl.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "common/base/buf.h"
#include "common/crypto/secret.h"
#include "common/loop/resolver.h"

enum {
    USEFUL_MS = 2,         /* with less time left, asking is no use */
    CA_KEEP_S = 24 * 3600, /* libcurl's own choice */
};

/* ---- requests and their states ---- */

static void move(struct fetch *q, enum fetch_state to)
{
    struct fetcher *f = q->fetcher;
    if (q->state != FETCH_GONE) {
        TAILQ_REMOVE(&f->lists[q->state], q, link);
        f->count[q->state]--;
    }
    q->state = to;
    if (to != FETCH_GONE) {
        TAILQ_INSERT_TAIL(&f->lists[to], q, link);
        f->count[to]++;
    }
}

static void wipe_free(char *p, size_t n)
{
    if (p) {
        secret_wipe(p, n);
        free(p);
    }
}

static void wipe_free_text(char *z)
{
    wipe_free(z, z ? strlen(z) : 0);
}

static void drop_body(struct fetch *q)
{
    wipe_free(q->body, q->body_cap);
    q->body = NULL;
    q->body_len = q->body_cap = 0;
}

static void detach(struct fetch *q)
{
    if (q->easy) {
        curl_multi_remove_handle(q->fetcher->multi, q->easy);
        curl_easy_cleanup(q->easy);
        q->easy = NULL;
    }
}

static void release(struct fetch *q)
{
    move(q, FETCH_GONE);
    detach(q);
    drop_body(q);
    for (struct curl_slist *s = q->fields; s; s = s->next) {
        secret_wipe(s->data, strlen(s->data));
    }
    curl_slist_free_all(q->fields);
    wipe_free_text(q->scope);
    wipe_free_text(q->key);
    wipe_free_text(q->secret);
    wipe_free_text(q->url);
    free(q);
}

/* The one way to `done`; why is there already, unless all went well. */
static void end(struct fetch *q)
{
    if (q->status == 0) {
        drop_body(q);
    }
    detach(q);
    move(q, FETCH_ENDED);
    loop_defer(q->fetcher->loop, &q->fetcher->turn);
}

/* ---- what libcurl gives ---- */

/* Sees interim answers, trailers and what a proxy says to CONNECT as well. */
static size_t on_head(char *line, size_t size, size_t n, void *arg)
{
    struct fetch *q = arg;
    q->head_len += size * n;
    if (q->head_len > FETCH_HEAD_MAX) {
        q->excess = FETCH_HEAD_TOO_LARGE;
        return 0;
    }
    if (q->field) {
        fetch_tell_field(q, (struct str){line, size * n});
    }
    return size * n;
}

/* Not a struct buf: what it leaves behind when it grows would not be wiped. */
static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct fetch *q = arg;
    size_t max = q->fetcher->body_max;
    n *= size;
    if (n > max - q->body_len) {
        q->excess = FETCH_BODY_TOO_LARGE;
        return 0;
    }
    if (n > q->body_cap - q->body_len) {
        size_t cap = MAX(q->body_len + n, MIN(max, q->body_cap * 2));
        char *grown = xmalloc(cap);
        if (q->body_len > 0) {
            memcpy(grown, q->body, q->body_len);
        }
        wipe_free(q->body, q->body_cap);
        q->body = grown;
        q->body_cap = cap;
    }
    if (n > 0) {
        memcpy(q->body + q->body_len, p, n);
        q->body_len += n;
    }
    return n;
}

/* libcurl keeps what it read of the CA file for a day, and does not look whether the file is still the same. What
 * it keeps since before the change is made too old; later, what it read afterwards is not. Nor are TLS sessions
 * resumed, which would be believed as they were when they were made. */
static bool configure_ca_file(struct fetch *q)
{
    struct fetcher *f = q->fetcher;
    uint64_t now = loop_now(f->loop);
    if (!f->ca_file) {
        return true;
    }
    if (file_stamp_look(&f->ca_stamp, f->ca_file)) {
        f->ca_changed = now;
    }
    long age = (long)MIN((now - f->ca_changed) / 1000, (uint64_t)CA_KEEP_S);
    return curl_easy_setopt(q->easy, CURLOPT_CAINFO, f->ca_file) == CURLE_OK &&
           curl_easy_setopt(q->easy, CURLOPT_SSL_SESSIONID_CACHE, 0L) == CURLE_OK &&
           (f->ca_changed == 0 ||
            curl_easy_setopt(q->easy, CURLOPT_CA_CACHE_TIMEOUT, age) == CURLE_OK);
}

static bool configure(struct fetch *q, long timeout)
{
    const struct fetcher *f = q->fetcher;
    CURL *easy = q->easy;
    long connecting = (long)MIN(f->connect_timeout, (uint64_t)INT_MAX);
#define SET(option, value) (curl_easy_setopt(easy, option, value) == CURLE_OK)
    return SET(CURLOPT_PRIVATE, (void *)q) && SET(CURLOPT_ERRORBUFFER, q->error) &&
           SET(CURLOPT_URL, q->url) && SET(CURLOPT_HTTPHEADER, q->fields) &&
           SET(CURLOPT_HEADERFUNCTION, on_head) && SET(CURLOPT_HEADERDATA, (void *)q) &&
           SET(CURLOPT_WRITEFUNCTION, on_body) && SET(CURLOPT_WRITEDATA, (void *)q) &&
           SET(CURLOPT_NOSIGNAL, 1L) &&
           /* Or ending a request would wait for the thread that looks its name up. */
           SET(CURLOPT_QUICK_EXIT, 1L) &&
           /* As long as the hub's own look-ups; libcurl's default is a minute. */
           SET(CURLOPT_DNS_CACHE_TIMEOUT, (long)(RESOLVER_KEEP_MS / 1000)) &&
           SET(CURLOPT_CONNECTTIMEOUT_MS, connecting) && SET(CURLOPT_TIMEOUT_MS, timeout) &&
           SET(CURLOPT_PROTOCOLS_STR, "http,https") &&
           SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
           SET(CURLOPT_HTTP09_ALLOWED, 0L) && SET(CURLOPT_FOLLOWLOCATION, 0L) &&
           SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) &&
           /* "" is no proxy, and no exception from one; NULL would be the environment's. */
           SET(CURLOPT_PROXY, f->proxy ? f->proxy : "") && SET(CURLOPT_NOPROXY, "") &&
           SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE) && SET(CURLOPT_SSL_VERIFYPEER, 1L) &&
           SET(CURLOPT_SSL_VERIFYHOST, 2L) && configure_ca_file(q) &&
           (!f->no_ca_dir || SET(CURLOPT_CAPATH, NULL)) && fetch_configure_kind(q);
#undef SET
}

/* Gives q its place, or ends it if there is no time left. Nobody has to watch the time of those in
 * line: all have the same, and those that run began before, so at the latest they make room by then. */
static void start(struct fetch *q)
{
    struct fetcher *f = q->fetcher;
    uint64_t now = loop_now(f->loop), left = 0;
    if (q->deadline != 0) {
        if (q->deadline < now + USEFUL_MS) {
            fetch_explain_line(q);
            end(q);
            return;
        }
        left = MIN(q->deadline - now, (uint64_t)INT_MAX);
    }
    q->easy = curl_easy_init();
    if (!q->easy || !configure(q, (long)left) ||
        curl_multi_add_handle(f->multi, q->easy) != CURLM_OK) {
        snprintf(q->why, sizeof(q->why), "libcurl could not start the request");
        end(q);
        return;
    }
    move(q, FETCH_RUNNING);
}

static void fill_places(struct fetcher *f)
{
    struct fetch *q;
    while (f->count[FETCH_RUNNING] < f->at_once && (q = TAILQ_FIRST(&f->lists[FETCH_LINE]))) {
        start(q);
    }
}

/* Ends what libcurl is done with. */
void fetch_collect(struct fetcher *f)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(f->multi, &left))) {
        char *private = NULL;
        CURLcode code = m->data.result; /* m is libcurl's and goes with the handle */
        if (m->msg != CURLMSG_DONE ||
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private) != CURLE_OK) {
            continue;
        }
        struct fetch *q = (struct fetch *)(void *)private;
        long status = 0;
        if (code == CURLE_OK) {
            curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &status);
        }
        if (status >= 200) {
            q->status = (int)status;
        } else {
            fetch_explain(q, code);
        }
        end(q);
    }
}

/* ---- the end of the turn ---- */

static void tell(struct fetch *q)
{
    struct fetch_result r = {.status = q->status,
                             .body = {q->body, q->body_len},
                             .timed_out = q->timed_out,
                             .why = q->why};
    move(q, FETCH_GONE);
    q->done(q->owner, &r);
    release(q);
}

static void run_turn(struct loop_task *task)
{
    struct fetcher *f = CONTAINER_OF(task, struct fetcher, turn);
    struct fetch *q;
    bool kicked = f->kick;
    if (kicked) {
        f->kick = false;
        fetch_act_on_time(f);
    }
    f->hushed = kicked; /* what starts now may fail at once, and so the next, and so on */
    fill_places(f);
    while ((q = TAILQ_FIRST(&f->lists[FETCH_ENDED]))) {
        tell(q);
    }
    f->hushed = false;
}

static void run_free(struct loop_task *task)
{
    free(CONTAINER_OF(task, struct fetcher, turn));
}

/* ---- for users ---- */

/* 0, or -1 with err. libcurl would only tell with the first request. */
static int take_ca_file(struct fetcher *f, const char *path, char *err, size_t errlen)
{
    const char *built_in = curl_version_info(CURLVERSION_NOW)->cainfo;
    if (path && *path) {
        X509_STORE *store = X509_STORE_new();
        (void)file_stamp_look(&f->ca_stamp, path); /* before it is read */
        errno = 0;
        bool ok = store && X509_STORE_load_file(store, path) == 1;
        const char *why = errno != 0 ? strerror(errno) : "there is no certificate in it";
        X509_STORE_free(store);
        ERR_clear_error();
        if (!ok) {
            snprintf(err, errlen, "the CA file %s can't be used: %s", path, why);
            return -1;
        }
        f->ca_file = xstrndup(path, strlen(path));
    }
    /* With a file of our own, the system's folder must not count besides it. With the system's
     * file, the folder holds the same once more, and libcurl would read the file anew for each
     * connection: it keeps what it read (for a day) only if there is no folder. */
    f->no_ca_dir = f->ca_file || (built_in && access(built_in, R_OK) == 0);
    return 0;
}

static int take_proxy(struct fetcher *f, const char *proxy, char *err, size_t errlen)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL, text[160];
    bool ok = u && curl_url_set(u, CURLUPART_URL, proxy, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_PORT, &port, 0) == CURLUE_OK && strcmp(scheme, "http") == 0;
    if (ok) {
        snprintf(text, sizeof(text), "the proxy %s:%s", host, port);
        f->proxy = xstrndup(proxy, strlen(proxy));
        f->proxy_peer = xstrndup(text, strlen(text));
    } else {
        snprintf(err, errlen, "a proxy is written http://[user:password@]host:port");
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(u);
    return ok ? 0 : -1;
}

struct fetcher *fetcher_new(struct loop *l, const struct fetcher_settings *settings, char *err,
                            size_t errlen)
{
    struct fetcher *f = xcalloc(1, sizeof(*f));
    f->loop = l;
    f->at_once = MAX(settings->at_once, 1U);
    f->waiting = settings->waiting;
    f->timeout = settings->timeout;
    f->connect_timeout = settings->connect_timeout;
    f->body_max = settings->body_max;
    f->turn.run = run_turn;
    for (unsigned i = 0; i < FETCH_LISTS; i++) {
        TAILQ_INIT(&f->lists[i]);
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        snprintf(err, errlen, "libcurl could not be started");
        free(f);
        return NULL;
    }
    f->multi = curl_multi_init();
    if (!f->multi) {
        snprintf(err, errlen, "libcurl could not be started");
    }
    if (!f->multi || take_ca_file(f, settings->ca_file, err, errlen) < 0 ||
        (settings->proxy && *settings->proxy && take_proxy(f, settings->proxy, err, errlen) < 0)) {
        fetcher_free(f);
        return NULL;
    }
    fetch_loop_start(f);
    curl_multi_setopt(f->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS, (long)f->at_once);
    return f;
}

void fetcher_free(struct fetcher *f)
{
    if (!f) {
        return;
    }
    for (unsigned i = 0; i < FETCH_LISTS; i++) {
        while (!TAILQ_EMPTY(&f->lists[i])) {
            release(TAILQ_FIRST(&f->lists[i]));
        }
    }
    if (f->multi) {
        fetch_loop_stop(f); /* closing kept connections must not reach what goes now */
        curl_multi_cleanup(f->multi);
    }
    curl_global_cleanup();
    wipe_free_text(f->proxy);
    free(f->proxy_peer);
    free(f->ca_file);
    /* If an owner that is being told called this, run_turn still needs f. */
    loop_cancel(&f->turn);
    f->turn.run = run_free;
    loop_defer(f->loop, &f->turn);
}

unsigned fetcher_running(const struct fetcher *f)
{
    return f->count[FETCH_RUNNING];
}

unsigned fetcher_waiting(const struct fetcher *f)
{
    return f->count[FETCH_LINE];
}

struct fetch *fetch_new(struct fetcher *f, const char *url)
{
    unsigned taken = f->count[FETCH_NEW] + f->count[FETCH_LINE] + f->count[FETCH_RUNNING];
    if (taken >= f->at_once && taken - f->at_once >= f->waiting) {
        return NULL;
    }
    struct fetch *q = xcalloc(1, sizeof(*q));
    q->fetcher = f;
    q->state = FETCH_GONE;
    q->upload = -1;
    q->url = xstrndup(url, strlen(url));
    move(q, FETCH_NEW);
    return q;
}

static void add_line(struct fetch *q, const char *line)
{
    struct curl_slist *more = curl_slist_append(q->fields, line);
    if (more) {
        q->fields = more;
    } else {
        q->bad = true;
    }
}

static bool one_line(struct str s)
{
    return s.n == 0 ||
           (!memchr(s.p, '\r', s.n) && !memchr(s.p, '\n', s.n) && !memchr(s.p, '\0', s.n));
}

void fetch_header(struct fetch *q, struct str name, struct str value)
{
    if (name.n == 0 || !one_line(name) || !one_line(value)) {
        q->bad = true;
        return;
    }
    /* libcurl's notation: "Name:" alone takes a field away, "Name;" sends it empty. */
    size_t size = name.n + 2 + value.n + 1;
    char *line = xmalloc(size);
    if (value.n == 0) {
        snprintf(line, size, "%.*s;", STR_ARG(name));
    } else {
        snprintf(line, size, "%.*s: %.*s", STR_ARG(name), STR_ARG(value));
    }
    add_line(q, line);
    wipe_free(line, size);
}

void fetch_send(struct fetch *q, fetch_done *done, void *owner)
{
    struct fetcher *f = q->fetcher;
    if (!q->scope) {            /* libcurl would sign these lines, too, as fields without a value */
        add_line(q, "Accept:"); /* none but the caller's */
        if (f->proxy) {
            add_line(q, "Proxy-Connection:");
        }
    }
    q->done = done;
    q->owner = owner;
    q->deadline = f->timeout != 0 ? loop_now(f->loop) + f->timeout : 0;
    if (q->bad) {
        snprintf(q->why, sizeof(q->why), "a header field of the request can't be sent");
        end(q);
        return;
    }
    move(q, FETCH_LINE);
    fill_places(f);
}

void fetch_cancel(struct fetch *q)
{
    struct fetcher *f = q->fetcher;
    if (q->state == FETCH_GONE) { /* by its own `done` */
        return;
    }
    release(q);
    loop_defer(f->loop, &f->turn); /* for the next in line */
}
