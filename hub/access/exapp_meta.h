/* exapp_meta.h - what is said of an ExApp: by Nextcloud when asked (exapp-meta), by AppAPI
 * (exapp_storage), by the administrator (hub.cfg), or by the head of an AppAPI call.
 *
 * A `struct exapp_meta` owns its strings; exapp_meta_free releases them, wipes the token, and may be
 * called on a zeroed one. All counts and lengths are bounded; nothing in it is compiled or connected
 * to yet (see exapp.h).
 */
#ifndef HARP_HUB_EXAPP_META_H
#define HARP_HUB_EXAPP_META_H

#include "common/base/base.h"

enum {
    EXAPP_ID_MAX = 64,
    EXAPP_TOKEN_MAX = 4096,
    EXAPP_VERSION_MAX = 128,
    EXAPP_HOST_MAX = 253,
    EXAPP_ROUTES_MAX = 256,
    EXAPP_ROUTE_STATUS_MAX = 16,
    EXAPP_META_BYTES = 1024 * 1024, /* of its JSON */
};

enum exapp_access { EXAPP_PUBLIC = 0, EXAPP_USER = 1, EXAPP_ADMIN = 2 };

struct exapp_route {
    char *url; /* a regular expression, as text */
    enum exapp_access access;
    uint16_t status[EXAPP_ROUTE_STATUS_MAX]; /* answers that count as a failure of the client */
    unsigned nstatus;
};

struct exapp_meta {
    char *id;      /* lower case */
    char *token;   /* secret; "" for a head of AppAPI's, which brings its own credentials */
    char *version; /* can stand in a header field */
    char *host;    /* a name or an address without brackets */
    uint16_t port;
    struct exapp_route *routes; /* in order */
    size_t nroutes;
};

/* Reads {exapp_token, exapp_version, host, port, routes:[{url, access_level,
 * bruteforce_protection:[status]}]} of the app `id` (spec/appapi.md section 4). Numbers may be
 * strings of digits, routes and bruteforce_protection may be missing, other members do not count.
 * 0, or -1: err says what is wrong, m is empty. */
int exapp_meta_read(struct exapp_meta *m, struct str id, struct str json, char *err,
                    size_t errlen) MUST_CHECK;
void exapp_meta_free(struct exapp_meta *m);
bool exapp_meta_equal(const struct exapp_meta *a, const struct exapp_meta *b);

/* Whether the text can be an ExApp's id: [A-Za-z0-9_.-]+, not dots alone, not too long. */
bool exapp_id_valid(struct str id);
/* The form in which ids are compared: lower case, NUL-terminated. id has at most EXAPP_ID_MAX bytes, out
 * one more than id; they may be the same memory. */
void exapp_id_lower(char *out, struct str id);
/* Whether the text can be a version: visible ASCII and inner spaces, not empty, not too long. */
bool exapp_version_valid(struct str version);

#endif
