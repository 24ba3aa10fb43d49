#include "socket-filter/ship/upload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "common/base/buf.h"
#include "common/config/values.h"

enum { SHA256_HEX = 64, MD5_SIZE = 16, TAG_MAX = 128, CODE_MAX = 64, READ_SIZE = 64 * 1024 };

/* SHA-256 of no bytes, for requests without a body. */
#define SHA256_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* Of the answer that is coming. */
struct told {
    char tag[TAG_MAX]; /* ETag; "": none, or one too long */
    char sha256[SHA256_HEX + 1];
    int64_t length; /* -1: none */
};

struct upload {
    struct fetcher *fetcher;
    const struct ship_config *config;
    struct fetch *request; /* NULL: none runs */
    int fd;
    uint64_t size;
    char *url;
    char sha256[SHA256_HEX + 1];
    char md5[2 * MD5_SIZE + 1];    /* as an ETag has it */
    char md5_base64[MD5_SIZE * 2]; /* as Content-MD5 has it */
    bool sent;                     /* by this very upload, which was told that it is stored */
    char tag[TAG_MAX];             /* of the answer to PUT */
    struct told told;
    upload_done *done;
    void *owner;
};

static void release(struct upload *u)
{
    close(u->fd);
    free(u->url);
    free(u);
}

static void finish(struct upload *u, enum upload_outcome outcome, const char *why)
{
    u->done(u->owner, outcome, why);
    release(u);
}

/* ---- digests ---- */

static void to_hex(const unsigned char *p, size_t n, char *hex)
{
    for (size_t i = 0; i < n; i++) {
        snprintf(hex + 2 * i, 3, "%02x", p[i]);
    }
}

/* Content-MD5 is what buckets with object lock ask for. */
static int digest(struct upload *u)
{
    EVP_MD_CTX *sha = EVP_MD_CTX_new(), *md5 = EVP_MD_CTX_new();
    unsigned char out[EVP_MAX_MD_SIZE], *buf = xmalloc(READ_SIZE);
    uint64_t at = 0;
    ssize_t n = 0;
    bool ok = sha && md5 && EVP_DigestInit_ex(sha, EVP_sha256(), NULL) == 1 &&
              EVP_DigestInit_ex(md5, EVP_md5(), NULL) == 1;

    while (ok && at < u->size) {
        n = pread(u->fd, buf, MIN((uint64_t)READ_SIZE, u->size - at), (off_t)at);
        ok = n > 0 && EVP_DigestUpdate(sha, buf, (size_t)n) == 1 &&
             EVP_DigestUpdate(md5, buf, (size_t)n) == 1;
        at += ok ? (uint64_t)n : 0;
    }
    if (ok && EVP_DigestFinal_ex(sha, out, NULL) == 1) {
        to_hex(out, SHA256_HEX / 2, u->sha256);
    }
    if (ok && EVP_DigestFinal_ex(md5, out, NULL) == 1) {
        to_hex(out, MD5_SIZE, u->md5);
        EVP_EncodeBlock((unsigned char *)u->md5_base64, out, MD5_SIZE);
    }
    EVP_MD_CTX_free(sha);
    EVP_MD_CTX_free(md5);
    free(buf);
    return ok && *u->sha256 && *u->md5 ? 0 : -1;
}

/* ---- answers ---- */

static void copy(char *to, size_t size, struct str value)
{
    if (value.n < size && value_is_printable(value)) {
        memcpy(to, value.p, value.n);
        to[value.n] = '\0';
    }
}

static void on_field(void *arg, struct str name, struct str value)
{
    struct told *t = arg;

    if (name.n == 0) {
        *t = (struct told){.length = -1};
    } else if (str_eq_nocase(name, STR("etag"))) {
        copy(t->tag, sizeof(t->tag), value);
    } else if (str_eq_nocase(name, STR("x-amz-meta-sha256"))) {
        copy(t->sha256, sizeof(t->sha256), value);
    } else if (str_eq_nocase(name, STR("content-length")) &&
               value_parse_int(value, 0, INT64_MAX, &t->length) != 0) {
        t->length = -1;
    }
}

/* The word in <Code>: letters alone come near the log. "": there is none. */
static void find_code(struct str body, char *code)
{
    static const char open[] = "<Code>";
    const char *at = body.n ? memmem(body.p, body.n, open, strlen(open)) : NULL;
    size_t n = 0;

    if (at) {
        at += strlen(open);
        while (n < CODE_MAX - 1 && at + n < body.p + body.n &&
               ((at[n] >= 'a' && at[n] <= 'z') || (at[n] >= 'A' && at[n] <= 'Z'))) {
            code[n] = at[n];
            n++;
        }
    }
    code[n] = '\0';
}

static void fail(struct upload *u, const char *method, const struct fetch_result *r)
{
    enum upload_outcome outcome = UPLOAD_AGAIN;
    char code[CODE_MAX], why[512];

    find_code(r->body, code);
    if (r->status == 0) {
        snprintf(why, sizeof(why), "%s: %s", method, r->why);
    } else {
        snprintf(why, sizeof(why), "%s: the server answered %d%s%s", method, r->status,
                 *code ? " " : "", code);
    }
    if (r->status == 400 || r->status == 413) {
        /* A body that ended too slowly, or was spoilt on its way, may get through next time. */
        bool passing = strcmp(code, "RequestTimeout") == 0 || strcmp(code, "BadDigest") == 0;
        bool setting = strncmp(code, "Authorization", 13) == 0;
        outcome = passing ? UPLOAD_AGAIN : setting ? UPLOAD_REFUSED : UPLOAD_UNFIT;
    } else if (r->status == 404 && u->sent) {
        outcome = UPLOAD_AGAIN; /* it was taken, but is not to be seen */
    } else if (r->status >= 300 && r->status < 500 && r->status != 408 && r->status != 409 &&
               r->status != 429) {
        outcome = UPLOAD_REFUSED;
    }
    finish(u, outcome, why);
}

/* ---- requests ---- */

static struct fetch *prepare(struct upload *u)
{
    struct fetch *q = fetch_new(u->fetcher, u->url);
    char scope[96];

    if (q) {
        snprintf(scope, sizeof(scope), "aws:amz:%s:s3", u->config->region);
        fetch_sign_aws(q, scope, u->config->access_key, u->config->secret_key);
        /* Given, so that what is sent is what is signed, whatever libcurl makes of a port. */
        fetch_header(q, STR("Host"), str_of(u->config->host));
        u->told = (struct told){.length = -1};
        fetch_on_field(q, on_field, &u->told);
    }
    return q;
}

/* NULL, or why the object is not the file. */
static const char *compare(const struct upload *u)
{
    const struct told *t = &u->told;
    char md5_tag[sizeof(u->md5) + 2];

    snprintf(md5_tag, sizeof(md5_tag), "\"%s\"", u->md5);
    if (t->length != (int64_t)u->size) {
        return "the object has another size";
    }
    if (*t->sha256 && strcmp(t->sha256, u->sha256) != 0) {
        return "the object has another x-amz-meta-sha256";
    }
    if (u->sent) {
        return *u->tag && strcmp(u->tag, t->tag) != 0 ? "the object has another ETag" : NULL;
    }
    return *t->sha256 || strcmp(t->tag, md5_tag) == 0
               ? NULL
               : "nothing tells that the object is this segment";
}

static void on_head(void *owner, const struct fetch_result *r)
{
    struct upload *u = owner;
    char why[160];

    u->request = NULL;
    if (r->status != 200) {
        fail(u, "HEAD", r);
        return;
    }
    const char *wrong = compare(u);
    if (!wrong) {
        finish(u, UPLOAD_SAFE, "");
    } else if (u->sent) {
        snprintf(why, sizeof(why), "HEAD after PUT: %s", wrong);
        finish(u, UPLOAD_AGAIN, why);
    } else {
        snprintf(why, sizeof(why),
                 "an object of that name was there before, and is not replaced: %s", wrong);
        finish(u, UPLOAD_UNFIT, why);
    }
}

static void ask_head(struct upload *u)
{
    struct fetch *q = prepare(u);

    if (!q) {
        finish(u, UPLOAD_AGAIN, "HEAD: no request could be made");
        return;
    }
    fetch_as_head(q);
    fetch_header(q, STR("x-amz-content-sha256"), STR(SHA256_EMPTY));
    u->request = q;
    fetch_send(q, on_head, u);
}

static void on_put(void *owner, const struct fetch_result *r)
{
    struct upload *u = owner;

    u->request = NULL;
    if (r->status == 200 || r->status == 412) {
        u->sent = r->status == 200;
        memcpy(u->tag, u->told.tag, sizeof(u->tag));
        ask_head(u);
    } else {
        fail(u, "PUT", r);
    }
}

struct upload *upload_start(struct fetcher *fetcher, const struct ship_config *config,
                            const char *name, int fd, uint64_t size, upload_done *done, void *owner)
{
    struct upload *u = xcalloc(1, sizeof(*u));
    size_t n = strlen(config->endpoint) + strlen(config->bucket) + strlen(config->prefix) +
               strlen(name) + 3;

    u->fetcher = fetcher;
    u->config = config;
    u->fd = fd;
    u->size = size;
    u->done = done;
    u->owner = owner;
    u->url = xmalloc(n);
    snprintf(u->url, n, "%s/%s/%s%s", config->endpoint, config->bucket, config->prefix, name);
    struct fetch *q = digest(u) == 0 ? prepare(u) : NULL;
    if (!q) {
        release(u);
        return NULL;
    }
    fetch_put(q, fd, size);
    fetch_header(q, STR("Content-Type"), STR("application/x-ndjson"));
    fetch_header(q, STR("Content-MD5"), str_of(u->md5_base64));
    fetch_header(q, STR("If-None-Match"), STR("*"));
    fetch_header(q, STR("x-amz-content-sha256"), str_of(u->sha256));
    fetch_header(q, STR("x-amz-meta-sha256"), str_of(u->sha256));
    u->request = q;
    fetch_send(q, on_put, u);
    return u;
}

void upload_cancel(struct upload *u)
{
    if (u) {
        if (u->request) {
            fetch_cancel(u->request);
        }
        release(u);
    }
}
