#include "common/stream/body_pass.h"

/* The trailer section rewritten into pass->trailers; -1: malformed. */
static ssize_t read_trailers(struct body_pass *pass, struct http_body *b)
{
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    struct http_field fields[HTTP_MAX_FIELDS];
    int n = http_parse_trailers(fields, HTTP_MAX_FIELDS, b->trailers.p, b->trailers.n, &limits,
                                &b->why);
    return n < 0
               ? -1
               : (ssize_t)http_write_trailers(pass->trailers, HTTP_REPLY_MAX, fields, (unsigned)n);
}

static void flush(struct body_pass *pass)
{
    if (pass->cnt > 0) {
        stream_writev(pass->to, pass->iov, pass->cnt);
        pass->wrote = true;
        pass->cnt = 0;
    }
}

static void add(struct body_pass *pass, const void *p, size_t n)
{
    if (pass->cnt == BODY_PASS_PIECES) {
        flush(pass);
    }
    if (n > 0) {
        pass->iov[pass->cnt++] = (struct iovec){(void *)(uintptr_t)p, n};
    }
}

enum body_pass_result body_pass(struct body_pass *pass, struct http_body *b, const char *p,
                                size_t n, size_t *used)
{
    enum http_body_result r = HTTP_BODY_MORE;
    add(pass, pass->head.p, pass->head.n);
    *used = 0;
    while (r == HTTP_BODY_MORE) {
        size_t k;
        struct str run;
        r = http_body_feed(b, p + *used, n - *used, &k, &run);
        add(pass, run.p, run.n);
        *used += k;
        if (r == HTTP_BODY_MORE && (k == 0 || *used == n)) {
            break;
        }
    }
    if (r == HTTP_BODY_TRAILERS) {
        ssize_t len = read_trailers(pass, b);
        if (len < 0) {
            return BODY_PASS_BAD;
        }
        add(pass, pass->trailers, (size_t)len);
        r = HTTP_BODY_DONE;
    }
    if (r == HTTP_BODY_BAD) {
        return BODY_PASS_BAD;
    }
    flush(pass);
    return r == HTTP_BODY_DONE ? BODY_PASS_DONE : BODY_PASS_MORE;
}
