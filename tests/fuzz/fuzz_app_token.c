/* Tokens of ExApps: any text is refused, or is the only spelling of what it says. Of two halves of the
 * input, as container and app, a token can be made or not; with a byte changed it is none. */
#include <stdlib.h>

#include "hub/tunnel/app_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth) {
        abort();
    }
}

#define KEY STR("fuzzing-key")

static void check_text(struct str text)
{
    struct app_token t;
    char again[APP_TOKEN_SIZE], name[CERTS_CN_MAX + 1];
    if (app_token_read(&t, KEY, text) < 0) {
        must(!t.container[0] && !t.appid[0] && t.port == 0);
        return;
    }
    must(exapp_id_valid(str_of(t.appid)));
    must(t.port == 0 || (t.port >= 23000 && t.port <= 23999));
    must(app_token_make(again, KEY, str_of(t.container), str_of(t.appid), t.port) == 0);
    must(str_eq(str_of(again), text));
    app_token_certificate_name(name, str_of(t.container));
    must(strncmp(name, t.container, strlen(APP_CONTAINER_PREFIX)) == 0);
    must((strcmp(name, t.container) == 0) == (strlen(t.container) < CERTS_CN_MAX));
    must(app_token_read(&t, STR("another-key"), text) < 0);
}

/* Four bytes say port and change, the rest is cut at the first newline. */
static void check_parts(const uint8_t *data, size_t size)
{
    char token[APP_TOKEN_SIZE];
    struct app_token t;
    if (size < 4) {
        return;
    }
    uint16_t port = (uint16_t)(data[0] << 8 | data[1]);
    const char *p = (const char *)data + 4;
    size_t n = size - 4;
    const char *cut = memchr(p, '\n', n);
    struct str container = {p, cut ? (size_t)(cut - p) : n};
    struct str appid = {cut ? cut + 1 : p, cut ? n - container.n - 1 : 0};
    if (app_token_make(token, KEY, container, appid, port) < 0) {
        must(!token[0]);
        return;
    }
    struct str made = str_of(token);
    must(made.n <= APP_TOKEN_MAX && app_token_read(&t, KEY, made) == 0);
    must(str_eq(str_of(t.container), container) && str_eq(str_of(t.appid), appid));
    must(t.port == port);
    if (data[3] != 0) {
        token[data[2] % made.n] ^= (char)data[3];
        must(app_token_read(&t, KEY, made) < 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_text((struct str){(const char *)data, size});
    check_parts(data, size);
    return 0;
}
