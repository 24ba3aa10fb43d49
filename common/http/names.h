/* names.h - the field names the programs know, told apart once while a head is parsed.
 *
 * Owns nothing, allocates nothing; all functions are pure.
 * Names compare without regard to case (RFC 9110 5.1). The fields between the hub and an ExApp
 * (EX-APP-*, AUTHORIZATION-APP-API, AA-VERSION, HARP-SHARED-KEY, DOCKER-ENGINE-PORT) are also
 * recognised with '_' in place of any '-': CGI-like servers fold both into one variable, so a
 * client could otherwise place its own value next to the hub's. For the same reason
 * `Content_Length` and `Transfer_Encoding` get an id of their own, and the parsers refuse them.
 * X-Forwarded-For and X-Real-IP are known in their true spelling only: a trusted proxy in front
 * appends to that spelling and passes others as they came, so others must never be believed.
 */
#ifndef HARP_HTTP_NAMES_H
#define HARP_HTTP_NAMES_H

#include "common/base/base.h"

enum http_name {
    HTTP_NAME_OTHER = 0,
    /* how messages are routed and framed */
    HTTP_HOST,
    HTTP_CONNECTION,
    HTTP_CONTENT_LENGTH,
    HTTP_TRANSFER_ENCODING,
    HTTP_FRAMING_ALIAS, /* Content_Length, Transfer_Encoding */
    HTTP_UPGRADE,
    HTTP_EXPECT,
    HTTP_TE,
    HTTP_TRAILER,
    HTTP_KEEP_ALIVE,
    HTTP_PROXY_CONNECTION,
    HTTP_PROXY_AUTHENTICATE,
    HTTP_PROXY_AUTHORIZATION,
    HTTP_PROXY_AUTHENTICATION_INFO,
    HTTP_HTTP2_SETTINGS,
    /* who asks */
    HTTP_COOKIE,
    HTTP_SET_COOKIE,
    HTTP_AUTHORIZATION,
    HTTP_WWW_AUTHENTICATE,
    HTTP_AUTHENTICATION_INFO,
    HTTP_FORWARDED,
    HTTP_X_FORWARDED_FOR,
    HTTP_X_FORWARDED_HOST,
    HTTP_X_FORWARDED_PROTO,
    HTTP_X_REAL_IP,
    /* between AppAPI, hub and ExApp */
    HTTP_EX_APP_ID,
    HTTP_EX_APP_VERSION,
    HTTP_EX_APP_HOST,
    HTTP_EX_APP_PORT,
    HTTP_AUTHORIZATION_APP_API,
    HTTP_AA_VERSION,
    HTTP_HARP_SHARED_KEY,
    HTTP_DOCKER_ENGINE_PORT,
    /* the rest of what RFC 9110 6.5.1 keeps out of trailers: controls, conditionals, format */
    HTTP_CACHE_CONTROL,
    HTTP_MAX_FORWARDS,
    HTTP_PRAGMA,
    HTTP_RANGE,
    HTTP_IF_MATCH,
    HTTP_IF_NONE_MATCH,
    HTTP_IF_MODIFIED_SINCE,
    HTTP_IF_UNMODIFIED_SINCE,
    HTTP_IF_RANGE,
    HTTP_AGE,
    HTTP_DATE,
    HTTP_EXPIRES,
    HTTP_LOCATION,
    HTTP_RETRY_AFTER,
    HTTP_VARY,
    HTTP_WARNING,
    HTTP_CONTENT_ENCODING,
    HTTP_CONTENT_RANGE,
    HTTP_CONTENT_TYPE,
    HTTP_NAME_COUNT
};

/* HTTP_NAME_OTHER when it is none of the above. */
enum http_name http_name_lookup(struct str name);

/* Connection, Keep-Alive, Proxy-Connection, TE, Transfer-Encoding, Upgrade (RFC 9110 7.6.1),
 * HTTP2-Settings (RFC 7540 3.2.1), and the Proxy-* authentication fields, which are meant for
 * the nearest proxy alone. Trailer is not one of them: trailers are passed on. */
bool http_name_is_hop_by_hop(enum http_name id);

/* The fields between AppAPI, hub and ExApp. */
bool http_name_is_hub(enum http_name id);

/* RFC 9110 6.5.1, all hop-by-hop fields, and the fields that tell who asks. */
bool http_name_forbidden_in_trailer(enum http_name id);

/* The usual spelling; empty for HTTP_NAME_OTHER and HTTP_FRAMING_ALIAS. */
struct str http_name_text(enum http_name id);

#endif
