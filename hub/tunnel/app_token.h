/* app_token.h - what one ExApp logs in with at the tunnel port, in place of the shared key.
 *
 *   nc_app_sample~sample~23000~<43 characters>     container ~ app ~ port ~ signature
 *
 * The signature is HMAC-SHA256 under the shared key over "exapp" NUL container NUL app NUL port, in
 * base64url. So the hub checks a token without having stored any, and all tokens end with the shared key.
 * Container's name and app's id stand in it both, as either may hold `_`, `.` and `-`: the one can't be
 * read out of the other. `~` separates, as it means nothing in a URL (RFC 3986 2.3), in a TOML string,
 * or inside a word of a shell. There is one way to write a token; any other text is refused.
 *
 * Pure functions; nothing is allocated, and no key is kept. A token is a secret: its owner wipes it.
 */
#ifndef HARP_HUB_APP_TOKEN_H
#define HARP_HUB_APP_TOKEN_H

#include "common/base/base.h"
#include "common/crypto/secret.h"
#include "hub/tunnel/certs_make.h"
#include "hub/access/exapp_meta.h"

#define APP_CONTAINER_PREFIX "nc_app_"

enum {
    APP_CONTAINER_MAX = sizeof(APP_CONTAINER_PREFIX) - 1 + 100,
    APP_TOKEN_MAC_LEN = BASE64URL_SIZE(SECRET_DIGEST_LEN) - 1,
    APP_TOKEN_MAX = APP_CONTAINER_MAX + 1 + EXAPP_ID_MAX + 1 + 5 + 1 + APP_TOKEN_MAC_LEN,
    APP_TOKEN_SIZE = APP_TOKEN_MAX + 1,
};

/* What a token says, once its signature was found good. */
struct app_token {
    char container[APP_CONTAINER_MAX + 1];
    char appid[EXAPP_ID_MAX + 1]; /* as it was written, in whatever case */
    uint16_t port;                /* 0: it opens none */
};

/* container: nc_app_[A-Za-z0-9_.-]{1,100}. appid: exapp_id_valid. port: one of those for ExApps, or 0 for
 * a container that may log in and open none. Negative: one of them is not, the key is empty, or there is
 * no memory; out is then "". */
int app_token_make(char out[APP_TOKEN_SIZE], struct str key, struct str container, struct str appid,
                   uint16_t port) MUST_CHECK;
/* Negative: it is no token that app_token_make gives under this key; t is then all zero. The time that it
 * takes tells nothing about the signature. t has copies. */
int app_token_read(struct app_token *t, struct str key, struct str token) MUST_CHECK;

/* The common name of the app's own certificate. A container's name of up to 63 characters is used as it
 * is; of a longer one 64 characters are made, its beginning, `-`, and 160 bits of its SHA-256 in
 * hexadecimal. So no container's name is the certificate name of another. "" when the container's name is
 * not valid, or there is no memory: that is no certificate's name. */
void app_token_certificate_name(char out[CERTS_CN_MAX + 1], struct str container);

#endif
