#include "hub/tunnel/app_token.h"

#include <stdio.h>

#include <openssl/sha.h>

#include "common/config/values.h"
#include "hub/tunnel/tunnels.h"

enum {
    PARTS = 4,
    /* Of a hashed certificate name. */
    DIGEST_BYTES = 20,
    DIGEST_CHARS = 2 * DIGEST_BYTES,
    BEGINNING = CERTS_CN_MAX - 1 - DIGEST_CHARS,
};

static bool container_valid(struct str name)
{
    static const struct str prefix = {APP_CONTAINER_PREFIX, sizeof(APP_CONTAINER_PREFIX) - 1};
    if (name.n <= prefix.n || name.n > APP_CONTAINER_MAX ||
        memcmp(name.p, prefix.p, prefix.n) != 0) {
        return false;
    }
    for (size_t i = prefix.n; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '.' || c == '-')) {
            return false;
        }
    }
    return true;
}

int app_token_make(char out[APP_TOKEN_SIZE], struct str key, struct str container, struct str appid,
                   uint16_t port)
{
    /* No part can hold a NUL, so no two tokens are signed over the same bytes. */
    char text[sizeof("exapp") + APP_TOKEN_SIZE];
    unsigned char mac[SECRET_DIGEST_LEN];
    out[0] = '\0';
    if (!container_valid(container) || !exapp_id_valid(appid) ||
        (port != 0 && (port < TUNNEL_APP_FIRST || port > TUNNEL_APP_LAST))) {
        return -1;
    }
    int n = snprintf(text, sizeof(text), "exapp%c%.*s%c%.*s%c%u", 0, STR_ARG(container), 0,
                     STR_ARG(appid), 0, port);
    if (secret_mac(mac, key, (struct str){text, (size_t)n}) < 0) {
        return -1;
    }
    n = snprintf(out, APP_TOKEN_SIZE, "%.*s~%.*s~%u~", STR_ARG(container), STR_ARG(appid), port);
    ssize_t m = base64url_encode(out + n, APP_TOKEN_SIZE - (size_t)n, mac, sizeof(mac));
    secret_wipe(mac, sizeof(mac));
    if (m != APP_TOKEN_MAC_LEN) {
        out[0] = '\0';
        return -1;
    }
    return 0;
}

/* Exactly PARTS of them, with a `~` between each two. */
static bool split(struct str token, struct str part[PARTS])
{
    for (size_t i = 0; i + 1 < PARTS; i++) {
        const char *end = memchr(token.p, '~', token.n);
        if (!end) {
            return false;
        }
        part[i] = (struct str){token.p, (size_t)(end - token.p)};
        token.p += part[i].n + 1;
        token.n -= part[i].n + 1;
    }
    part[PARTS - 1] = token;
    return !memchr(token.p, '~', token.n);
}

int app_token_read(struct app_token *t, struct str key, struct str token)
{
    struct str part[PARTS];
    char right[APP_TOKEN_SIZE];
    int64_t port;
    *t = (struct app_token){0};
    if (token.n == 0 || token.n > APP_TOKEN_MAX || !split(token, part) ||
        value_parse_int(part[2], 0, TUNNEL_APP_LAST, &port) < 0 ||
        app_token_make(right, key, part[0], part[1], (uint16_t)port) < 0) {
        return -1;
    }
    /* The whole of it: another spelling of the same parts is no token. */
    bool good = secret_equal(str_of(right), token);
    secret_wipe(right, sizeof(right));
    if (!good) {
        return -1;
    }
    memcpy(t->container, part[0].p, part[0].n);
    memcpy(t->appid, part[1].p, part[1].n);
    t->port = (uint16_t)port;
    return 0;
}

void app_token_certificate_name(char out[CERTS_CN_MAX + 1], struct str container)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    out[0] = '\0';
    if (!container_valid(container)) {
        return;
    }
    /* 64 characters are always a hashed name, so a container's name that looks like one is hashed, too. */
    if (container.n < CERTS_CN_MAX) {
        memcpy(out, container.p, container.n);
        out[container.n] = '\0';
        return;
    }
    if (!SHA256((const unsigned char *)container.p, container.n, digest)) {
        return;
    }
    memcpy(out, container.p, BEGINNING);
    out[BEGINNING] = '-';
    if (hex_encode(out + BEGINNING + 1, DIGEST_CHARS + 1, digest, DIGEST_BYTES) != DIGEST_CHARS) {
        out[0] = '\0';
    }
}
