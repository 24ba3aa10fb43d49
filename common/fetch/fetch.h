/* fetch.h - HTTP requests that the program makes itself, over libcurl on the loop.
 *
 * A `struct fetcher` owns libcurl's multi handle, the pool of connections, and all requests given
 * to it. It is made by whoever asks one kind of server with one set of limits (Nextcloud; later
 * Docker engines and object storage), and freed by it before the loop.
 *
 * Limits: `at_once` requests run, `waiting` more wait for a place in the order they came; what is
 * over that is refused at once. The total time counts from fetch_send, waiting included. An answer
 * over `body_max` bytes, or with more than FETCH_HEAD_MAX bytes of header lines, is a failure (of one
 * line libcurl takes at most 100 KiB). Redirects are not followed, cookies are neither kept nor sent by
 * themselves, the environment's proxy variables do not count, and only http and https are spoken.
 * Nothing is asked twice, with the one exception of RFC 9112 9.3.1: if a kept connection ends before
 * a byte of an answer, libcurl asks again on another one.
 *
 * A `struct fetch` is one request: fetch_new, fetch_header for each field, fetch_send. It counts, and
 * is the fetcher's memory, from fetch_new on; it ends by `done`, by fetch_cancel or by fetcher_free.
 * `done` comes from the loop's end of turn, never from inside a call of this header, and may call
 * everything here, fetcher_free included. What starts because another one failed at once starts 1 ms
 * later, so that owners who ask again after each failure don't stop the loop.
 *
 * Header values and bodies are secrets: our copies are wiped when the request ends. libcurl's own
 * (the request as it was sent, what it read) are freed unwiped.
 */
#ifndef HARP_FETCH_FETCH_H
#define HARP_FETCH_FETCH_H

#include "common/loop/loop.h"

enum { FETCH_HEAD_MAX = 64 * 1024 };

struct fetch;
struct fetcher;

/* Times in ms, sizes in bytes. Strings are copied. */
struct fetcher_settings {
    unsigned at_once;         /* also how many connections are kept; 0 counts as 1 */
    unsigned waiting;         /* may be 0 */
    uint64_t connect_timeout; /* names, TCP, TLS and a proxy's CONNECT; 0: libcurl's 5 minutes */
    uint64_t timeout;         /* all of it; 0: no limit */
    size_t body_max;
    const char *ca_file; /* PEM; alone trusted, read again once changed; NULL or "": the system's */
    const char *proxy;   /* http://[user:password@]host:port; NULL or "": none */
};

struct fetch_result {
    int status;      /* 0: there was no whole answer; why says what happened */
    struct str body; /* as sent; of any status but 0; valid during the call */
    bool timed_out;
    const char *why; /* English, without secrets; names host and port; "" if all went well */
};

typedef void fetch_done(void *owner, const struct fetch_result *result);

/* NULL: err says why. */
struct fetcher *fetcher_new(struct loop *l, const struct fetcher_settings *settings, char *err,
                            size_t errlen) MUST_CHECK;
/* Ends all requests, sent or not, without a call of `done`. NULL is nothing. */
void fetcher_free(struct fetcher *f);
/* Requests that run, and that were sent and wait for a place. */
unsigned fetcher_running(const struct fetcher *f);
unsigned fetcher_waiting(const struct fetcher *f);

/* A GET, not sent yet. NULL: as many run, wait or are being made as may. */
struct fetch *fetch_new(struct fetcher *f, const char *url) MUST_CHECK;
/* Adds a field, repeated ones included. name and value are valid by HTTP's rules, without blanks
 * around the value; with a CR, LF or NUL in them the request fails, at the end of this turn. Framing and Host are libcurl's, all
 * others are the caller's: not even Accept is sent by itself, and no Accept-Encoding, so that bodies
 * come as they are. */
void fetch_header(struct fetch *q, struct str name, struct str value);

/* Before fetch_send, instead of GET. fetch_put sends the first `size` bytes of a file, by pread; the
 * descriptor stays the caller's, and open until the request ends. */
void fetch_as_head(struct fetch *q);
void fetch_put(struct fetch *q, int fd, uint64_t size);
/* Signs it by AWS's Signature Version 4, as libcurl does: scope is "aws:amz:REGION:SERVICE". Strings are
 * copied. The caller's fields are signed, too; Host and x-amz-content-sha256 should be among them. Such a
 * request has libcurl's own Accept, and with a body over 1 MiB, Expect: 100-continue. */
void fetch_sign_aws(struct fetch *q, const char *scope, const char *key, const char *secret);

/* Sees each field of the answer as it comes, from inside libcurl: it may only note. A head begins with
 * an empty name; interim answers have heads of their own. */
typedef void fetch_field(void *arg, struct str name, struct str value);
void fetch_on_field(struct fetch *q, fetch_field *field, void *arg);

void fetch_send(struct fetch *q, fetch_done *done, void *owner);
/* Sent or not; no `done` follows. Inside its own `done` it does nothing: q goes when that returns. */
void fetch_cancel(struct fetch *q);

#endif
