#include "common/http/names.h"

#include "common/http/syntax.h"

enum {
    ALIKE = 1,  /* '_' for '-' means the same field */
    FRAMING = 2 /* '_' for '-' is an attempt to confuse */
};

struct known {
    struct str text;
    uint8_t id, flags;
};

#define NAME(lit)                                                                                  \
    {                                                                                              \
        (lit), sizeof(lit) - 1                                                                     \
    }

/* By length; within a length in any order. */
static const struct known known[] = {
    {NAME("TE"), HTTP_TE, 0},
    {NAME("Age"), HTTP_AGE, 0},
    {NAME("Host"), HTTP_HOST, 0},
    {NAME("Date"), HTTP_DATE, 0},
    {NAME("Vary"), HTTP_VARY, 0},
    {NAME("Range"), HTTP_RANGE, 0},
    {NAME("Expect"), HTTP_EXPECT, 0},
    {NAME("Cookie"), HTTP_COOKIE, 0},
    {NAME("Pragma"), HTTP_PRAGMA, 0},
    {NAME("Upgrade"), HTTP_UPGRADE, 0},
    {NAME("Trailer"), HTTP_TRAILER, 0},
    {NAME("Expires"), HTTP_EXPIRES, 0},
    {NAME("Warning"), HTTP_WARNING, 0},
    {NAME("If-Match"), HTTP_IF_MATCH, 0},
    {NAME("If-Range"), HTTP_IF_RANGE, 0},
    {NAME("Location"), HTTP_LOCATION, 0},
    {NAME("Forwarded"), HTTP_FORWARDED, 0},
    {NAME("X-Real-IP"), HTTP_X_REAL_IP, 0},
    {NAME("EX-APP-ID"), HTTP_EX_APP_ID, ALIKE},
    {NAME("Connection"), HTTP_CONNECTION, 0},
    {NAME("Keep-Alive"), HTTP_KEEP_ALIVE, 0},
    {NAME("Set-Cookie"), HTTP_SET_COOKIE, 0},
    {NAME("AA-VERSION"), HTTP_AA_VERSION, ALIKE},
    {NAME("EX-APP-HOST"), HTTP_EX_APP_HOST, ALIKE},
    {NAME("EX-APP-PORT"), HTTP_EX_APP_PORT, ALIKE},
    {NAME("Retry-After"), HTTP_RETRY_AFTER, 0},
    {NAME("Max-Forwards"), HTTP_MAX_FORWARDS, 0},
    {NAME("Content-Type"), HTTP_CONTENT_TYPE, 0},
    {NAME("Authorization"), HTTP_AUTHORIZATION, 0},
    {NAME("Cache-Control"), HTTP_CACHE_CONTROL, 0},
    {NAME("If-None-Match"), HTTP_IF_NONE_MATCH, 0},
    {NAME("Content-Range"), HTTP_CONTENT_RANGE, 0},
    {NAME("Content-Length"), HTTP_CONTENT_LENGTH, FRAMING},
    {NAME("HTTP2-Settings"), HTTP_HTTP2_SETTINGS, 0},
    {NAME("EX-APP-VERSION"), HTTP_EX_APP_VERSION, ALIKE},
    {NAME("X-Forwarded-For"), HTTP_X_FORWARDED_FOR, 0},
    {NAME("HARP-SHARED-KEY"), HTTP_HARP_SHARED_KEY, ALIKE},
    {NAME("Proxy-Connection"), HTTP_PROXY_CONNECTION, 0},
    {NAME("WWW-Authenticate"), HTTP_WWW_AUTHENTICATE, 0},
    {NAME("X-Forwarded-Host"), HTTP_X_FORWARDED_HOST, 0},
    {NAME("Content-Encoding"), HTTP_CONTENT_ENCODING, 0},
    {NAME("Transfer-Encoding"), HTTP_TRANSFER_ENCODING, FRAMING},
    {NAME("X-Forwarded-Proto"), HTTP_X_FORWARDED_PROTO, 0},
    {NAME("If-Modified-Since"), HTTP_IF_MODIFIED_SINCE, 0},
    {NAME("Proxy-Authenticate"), HTTP_PROXY_AUTHENTICATE, 0},
    {NAME("DOCKER-ENGINE-PORT"), HTTP_DOCKER_ENGINE_PORT, ALIKE},
    {NAME("Proxy-Authorization"), HTTP_PROXY_AUTHORIZATION, 0},
    {NAME("Authentication-Info"), HTTP_AUTHENTICATION_INFO, 0},
    {NAME("If-Unmodified-Since"), HTTP_IF_UNMODIFIED_SINCE, 0},
    {NAME("AUTHORIZATION-APP-API"), HTTP_AUTHORIZATION_APP_API, ALIKE},
    {NAME("Proxy-Authentication-Info"), HTTP_PROXY_AUTHENTICATION_INFO, 0},
};

/* first_of[n] is the index of the first name of n bytes; the unit test looks every name up. */
static const uint8_t first_of[] = {0,  0,  0,  1,  2,  5,  6,  9,  13, 16, 19, 23, 26, 28,
                                   32, 35, 37, 41, 44, 46, 49, 49, 50, 50, 50, 50, 51};

/* The head parser keeps the names it has seen in one 64-bit word. */
_Static_assert(HTTP_NAME_COUNT <= 64, "too many known names for a bit set");
_Static_assert(ARRAY_LEN(known) == HTTP_NAME_COUNT - 2, "a known name has no text");

static inline uint8_t fold(char c)
{
    return http_fold[(uint8_t)c];
}

static bool same(struct str a, const char *b)
{
    for (size_t i = 0; i < a.n; i++) {
        if (fold(a.p[i]) != fold(b[i]))
            return false;
    }
    return true;
}

enum http_name http_name_lookup(struct str name)
{
    if (name.n + 1 >= ARRAY_LEN(first_of))
        return HTTP_NAME_OTHER;
    for (unsigned i = first_of[name.n]; i < first_of[name.n + 1]; i++) {
        const struct known *k = &known[i];

        if (fold(k->text.p[0]) != fold(name.p[0]) || !same(k->text, name.p))
            continue;
        /* No known name has a '_' of its own. */
        if ((k->flags & ALIKE) || !memchr(name.p, '_', name.n))
            return k->id;
        return (k->flags & FRAMING) ? HTTP_FRAMING_ALIAS : HTTP_NAME_OTHER;
    }
    return HTTP_NAME_OTHER;
}

bool http_name_is_hop_by_hop(enum http_name id)
{
    switch (id) {
    case HTTP_CONNECTION:
    case HTTP_TRANSFER_ENCODING:
    case HTTP_UPGRADE:
    case HTTP_TE:
    case HTTP_KEEP_ALIVE:
    case HTTP_PROXY_CONNECTION:
    case HTTP_PROXY_AUTHENTICATE:
    case HTTP_PROXY_AUTHORIZATION:
    case HTTP_PROXY_AUTHENTICATION_INFO:
    case HTTP_HTTP2_SETTINGS:
        return true;
    default:
        return false;
    }
}

bool http_name_is_hub(enum http_name id)
{
    return id >= HTTP_EX_APP_ID && id <= HTTP_DOCKER_ENGINE_PORT;
}

bool http_name_forbidden_in_trailer(enum http_name id)
{
    /* Every name in the table has a reason to be there that forbids it in a trailer, too. */
    return id != HTTP_NAME_OTHER;
}

struct str http_name_text(enum http_name id)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (known[i].id == id)
            return known[i].text;
    }
    return (struct str){"", 0};
}
