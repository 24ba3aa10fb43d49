/* The answer to a call of our own: cut into reads as the fuzzer says, it ends as it does in one piece, with
 * the same status, body and reason; a body is within its limit, and the call ends once.
 *
 * The first four bytes choose: method and whether the server closes, the limit, how it is cut. */
#include <stdlib.h>

#include "common/fetch/call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth) {
        abort();
    }
}

/* ---- a stream that is fed by hand ---- */

static bool destroyed;

static void on_write(struct stream *s, const struct iovec *iov, int cnt)
{
    (void)s;
    must(cnt >= 1 && iov[0].iov_len > 0); /* the request: it has left */
}

static void on_watch(struct stream *s)
{
    (void)s;
}

static void on_destroy(struct stream *s, bool abort)
{
    (void)s;
    must(!abort && !destroyed);
    destroyed = true;
}

static const struct stream_ops ops = {.write = on_write, .watch = on_watch, .destroy = on_destroy};

/* ---- one answer ---- */

struct outcome {
    unsigned times;
    int status;
    char *body;
    size_t n;
    char why[160];
};

static void on_done(void *owner, const struct call_result *r)
{
    struct outcome *o = owner;
    o->times++;
    o->status = r->status;
    o->n = r->body.n;
    o->body = malloc(r->body.n + 1);
    if (r->body.n > 0) {
        memcpy(o->body, r->body.p, r->body.n);
    }
    must(strlen(r->why) < sizeof(o->why));
    strcpy(o->why, r->why);
    must(r->status == 0 ? r->why[0] && r->body.n == 0 : !r->why[0]);
    must(r->status == 0 || (r->status >= 200 && r->status <= 599));
}

static struct outcome run(struct loop *l, const struct call_request *q, const char *p, size_t n,
                          unsigned seed, bool closes)
{
    struct outcome o = {0};
    struct stream s = {0};
    destroyed = false;
    stream_init(&s, l, &ops);
    struct call *c = call_start(&s, q, on_done, &o);
    must(!destroyed && o.times == 0);
    for (size_t at = 0; at < n && !destroyed;) {
        size_t k = n - at;
        if (seed) {
            seed = seed * 1103515245 + 12345;
            k = MIN(k, 1 + (seed >> 16) % 9);
        }
        char *read = malloc(k);
        memcpy(read, p + at, k);
        stream_deliver(&s, read, k);
        free(read);
        at += k;
    }
    if (!destroyed && closes) {
        stream_deliver_eof(&s);
        must(destroyed);
    }
    if (destroyed) {
        must(o.times == 1 && o.n <= q->answer_max);
    } else {
        must(o.times == 0);
        call_cancel(c);
        must(destroyed && o.times == 0);
    }
    stream_release(&s);
    return o;
}

static struct loop *shared_loop(void)
{
    static struct loop *l;
    if (!l) {
        l = calloc(1, sizeof(*l));
        must(loop_init(l, NULL) == 0);
    }
    return l;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum http_method methods[] = {HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT,
                                               HTTP_DELETE};
    if (size < 4) {
        return 0;
    }
    const struct call_request q = {.method = methods[data[0] % ARRAY_LEN(methods)],
                                   .path = "/",
                                   .host = "h",
                                   .agent = "a",
                                   .type = "t",
                                   .body = data[0] & 64 ? STR("{}") : (struct str){NULL, 0},
                                   .answer_max = (size_t)data[1] * data[1]};
    const char *p = (const char *)data + 4;
    bool closes = data[0] & 128;
    struct outcome whole = run(shared_loop(), &q, p, size - 4, 0, closes);
    struct outcome cut = run(shared_loop(), &q, p, size - 4, 1u + data[2] + 256u * data[3], closes);
    must(whole.times == cut.times && whole.status == cut.status && whole.n == cut.n);
    must(strcmp(whole.why, cut.why) == 0);
    must(whole.n == 0 || memcmp(whole.body, cut.body, whole.n) == 0);
    free(whole.body);
    free(cut.body);
    return 0;
}
