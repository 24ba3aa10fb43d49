/* Requests that are no plain GET: HEAD, a file that is sent, a signature; and the fields of answers. */
#include "common/fetch/fetch_impl.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/buf.h"

void fetch_as_head(struct fetch *q)
{
    q->only_head = true;
}

void fetch_put(struct fetch *q, int fd, uint64_t size)
{
    q->upload = fd;
    q->upload_size = size;
}

void fetch_sign_aws(struct fetch *q, const char *scope, const char *key, const char *secret)
{
    q->scope = xstrndup(scope, strlen(scope));
    q->key = xstrndup(key, strlen(key));
    q->secret = xstrndup(secret, strlen(secret));
}

void fetch_on_field(struct fetch *q, fetch_field *field, void *arg)
{
    q->field = field;
    q->field_arg = arg;
}

/* ---- for libcurl ---- */

static size_t on_read(char *p, size_t size, size_t n, void *arg)
{
    struct fetch *q = arg;
    ssize_t got;

    n = (size_t)MIN((uint64_t)(size * n), q->upload_size - q->upload_at);
    if (n == 0) {
        return 0;
    }
    do {
        got = pread(q->upload, p, n, (off_t)q->upload_at);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) { /* shorter than it was: what was announced can't be sent */
        return CURL_READFUNC_ABORT;
    }
    q->upload_at += (uint64_t)got;
    return (size_t)got;
}

/* Libcurl asks again on a new connection if a kept one was closed meanwhile. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct fetch *q = arg;

    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > q->upload_size) {
        return CURL_SEEKFUNC_FAIL;
    }
    q->upload_at = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

bool fetch_configure_kind(struct fetch *q)
{
    CURL *easy = q->easy;

#define SET(option, value) (curl_easy_setopt(easy, option, value) == CURLE_OK)
    return (!q->only_head || SET(CURLOPT_NOBODY, 1L)) &&
           (q->upload < 0 ||
            (SET(CURLOPT_UPLOAD, 1L) && SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->upload_size) &&
             SET(CURLOPT_READFUNCTION, on_read) && SET(CURLOPT_READDATA, (void *)q) &&
             SET(CURLOPT_SEEKFUNCTION, on_seek) && SET(CURLOPT_SEEKDATA, (void *)q))) &&
           (!q->scope || (SET(CURLOPT_AWS_SIGV4, q->scope) && SET(CURLOPT_USERNAME, q->key) &&
                          SET(CURLOPT_PASSWORD, q->secret)));
#undef SET
}

static struct str trim(struct str s)
{
    while (s.n > 0 && strchr(" \t\r\n", s.p[s.n - 1])) {
        s.n--;
    }
    while (s.n > 0 && strchr(" \t", *s.p)) {
        s.p++;
        s.n--;
    }
    return s;
}

void fetch_tell_field(struct fetch *q, struct str line)
{
    const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;

    if (line.n >= 5 && memcmp(line.p, "HTTP/", 5) == 0) {
        q->field(q->field_arg, STR(""), STR(""));
    } else if (colon && colon > line.p) {
        size_t n = (size_t)(colon - line.p);
        q->field(q->field_arg, (struct str){line.p, n},
                 trim((struct str){colon + 1, line.n - n - 1}));
    }
}
