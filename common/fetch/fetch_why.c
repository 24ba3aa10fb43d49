/* Why a request failed, in words for a log line. libcurl's own texts are used only for the kinds of
 * failure whose texts are known to name no more than hosts, ports and TLS: others hold, for
 * instance, the proxy with its password. */
#include "common/fetch/fetch_impl.h"

#include <stdio.h>

/* CURLE_TOO_LARGE of libcurl 8.6; the program may run with a newer one than it was built with. */
enum { TOO_LARGE = 100 };

/* "cloud.example.com:443", out of a URL that may hold more than that. */
static void peer_of(const char *url, char *out, size_t n)
{
    CURLU *u = curl_url();
    char *host = NULL, *port = NULL;
    snprintf(out, n, "the server");
    if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
        snprintf(out, n, "%s:%s", host, port);
    }
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(u);
}

static const char *span_text(uint64_t ms, char *out, size_t n)
{
    bool whole = ms % 1000 == 0;
    snprintf(out, n, "%llu %s", (unsigned long long)(whole ? ms / 1000 : ms), whole ? "s" : "ms");
    return out;
}

static const char *size_text(size_t size, char *out, size_t n)
{
    static const char *const units[] = {"bytes", "KiB", "MiB"};
    unsigned u = 0;
    while (size >= 1024 && size % 1024 == 0 && u + 1 < ARRAY_LEN(units)) {
        size /= 1024;
        u++;
    }
    snprintf(out, n, "%zu %s", size, units[u]);
    return out;
}

static bool reached(const struct fetch *q, CURLINFO info)
{
    curl_off_t us = 0;
    return curl_easy_getinfo(q->easy, info, &us) == CURLE_OK && us > 0;
}

/* A kept connection has no time of a look-up, hence the order. libcurl does not tell TCP from TLS. */
static void explain_timeout(struct fetch *q, const char *peer, const char *hop)
{
    char span[32];
    span_text(q->fetcher->timeout, span, sizeof(span));
    q->timed_out = true;
    if (reached(q, CURLINFO_STARTTRANSFER_TIME_T)) {
        snprintf(q->why, sizeof(q->why), "%s: no whole answer within %s", peer, span);
    } else if (reached(q, CURLINFO_PRETRANSFER_TIME_T)) {
        snprintf(q->why, sizeof(q->why), "%s: no answer within %s", peer, span);
    } else if (reached(q, CURLINFO_NAMELOOKUP_TIME_T)) {
        snprintf(q->why, sizeof(q->why), "%s: connecting%s took too long", hop,
                 strncasecmp(q->url, "https:", 6) == 0 ? ", by TCP and TLS," : "");
    } else {
        snprintf(q->why, sizeof(q->why), "%s: looking the name up took too long", hop);
    }
}

static void explain_excess(struct fetch *q, const char *peer, bool body)
{
    char size[32];
    size_text(body ? q->fetcher->body_max : FETCH_HEAD_MAX, size, sizeof(size));
    snprintf(q->why, sizeof(q->why), "%s: the %s is larger than %s", peer,
             body ? "answer" : "answer's header", size);
}

static void explain_connect(struct fetch *q, const char *hop)
{
    long err = 0;
    curl_easy_getinfo(q->easy, CURLINFO_OS_ERRNO, &err);
    snprintf(q->why, sizeof(q->why), "%s: %s", hop,
             err != 0 ? strerror((int)err) : "connecting failed");
}

/* The proxy's refusal of a CONNECT, or libcurl's text made safe to log. */
static void explain_detail(struct fetch *q, const char *peer, CURLcode code)
{
    long refused = 0;
    curl_easy_getinfo(q->easy, CURLINFO_HTTP_CONNECTCODE, &refused);
    if (q->fetcher->proxy && refused != 0 && refused / 100 != 2) {
        snprintf(q->why, sizeof(q->why), "%s answered %ld", q->fetcher->proxy_peer, refused);
        return;
    }
    for (char *c = q->error; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~') {
            *c = '?';
        }
    }
    snprintf(q->why, sizeof(q->why), "%s: %s", peer,
             q->error[0] ? q->error : curl_easy_strerror(code));
}

void fetch_explain(struct fetch *q, CURLcode code)
{
    char peer[160];
    const char *what = NULL;
    peer_of(q->url, peer, sizeof(peer));
    const char *hop = q->fetcher->proxy ? q->fetcher->proxy_peer : peer;
    switch ((int)code) {
    case CURLE_OK:
        what = "a status that was not asked for";
        break;
    case CURLE_OPERATION_TIMEDOUT:
        explain_timeout(q, peer, hop);
        return;
    case CURLE_COULDNT_CONNECT:
        explain_connect(q, hop);
        return;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        snprintf(q->why, sizeof(q->why), "%s: looking the name up failed", hop);
        return;
    case CURLE_WRITE_ERROR:
        if (q->excess != FETCH_FITS) {
            explain_excess(q, peer, q->excess == FETCH_BODY_TOO_LARGE);
            return;
        }
        what = "the answer is not HTTP";
        break;
    case CURLE_URL_MALFORMAT:
        snprintf(q->why, sizeof(q->why), "the address of the request is not a valid URL");
        return;
    case CURLE_UNSUPPORTED_PROTOCOL:
        /* The same code for "ftp:" and for an answer without a status line. */
        if (!reached(q, CURLINFO_PRETRANSFER_TIME_T)) {
            snprintf(q->why, sizeof(q->why), "only http and https are spoken");
            return;
        }
        what = "the answer is not HTTP";
        break;
    case CURLE_WEIRD_SERVER_REPLY:
        what = "the answer is not HTTP";
        break;
    case CURLE_OUT_OF_MEMORY:
    case TOO_LARGE:
        /* How libcurl's versions say that one header line is longer than 100 KiB. */
        if (reached(q, CURLINFO_PRETRANSFER_TIME_T)) {
            explain_excess(q, peer, false);
            return;
        }
        what = "out of memory";
        break;
    case CURLE_PARTIAL_FILE:
        what = "the answer was cut short";
        break;
    case CURLE_GOT_NOTHING:
        what = "the connection was closed without an answer";
        break;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_SHUTDOWN_FAILED:
        explain_detail(q, peer, code);
        return;
    default:
        what = curl_easy_strerror(code);
        break;
    }
    snprintf(q->why, sizeof(q->why), "%s: %s", peer, what);
}

void fetch_explain_line(struct fetch *q)
{
    char peer[160], span[32];
    peer_of(q->url, peer, sizeof(peer));
    q->timed_out = true;
    snprintf(q->why, sizeof(q->why), "%s: not asked within %s, as %u other requests ran", peer,
             span_text(q->fetcher->timeout, span, sizeof(span)), q->fetcher->at_once);
}
