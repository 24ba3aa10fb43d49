#include "hub/deploy/instance.h"

#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/config/values.h"
#include "common/crypto/secret.h"

enum { URL_SHOWN = 120 };

int instance_make(char out[INSTANCE_LEN + 1], struct str key, struct str url)
{
    static const char what[] = "instance";
    unsigned char digest[EVP_MAX_MD_SIZE];
    char text[sizeof(what) + 1024];
    unsigned n = 0;
    out[0] = '\0';
    if (url.n > sizeof(text) - sizeof(what)) {
        return -1;
    }
    memcpy(text, what, sizeof(what)); /* with its NUL */
    if (url.n > 0) {
        memcpy(text + sizeof(what), url.p, url.n);
    }
    if (!HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)text, sizeof(what) + url.n,
              digest, &n) ||
        hex_encode(out, INSTANCE_LEN + 1, digest, INSTANCE_LEN / 2) < 0) {
        return -1;
    }
    return 0;
}

bool instance_labels_valid(const struct json_node *labels)
{
    return json_type(labels) == JSON_NULL || json_type(labels) == JSON_OBJECT;
}

static bool listed(struct str value, const char *list)
{
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ", \t");
        if (n > 0 && str_eq(value, (struct str){p, n})) {
            return true;
        }
        p += n + (p[n] != '\0');
    }
    return false;
}

bool instance_is_ours(const struct json_node *labels, const char *own, const char *aliases)
{
    const struct json_node *label = json_get(labels, INSTANCE_LABEL);
    struct str value;
    if (!label) {
        return true;
    }
    return json_str(label, &value) == 0 && (str_eq(value, str_of(own)) || listed(value, aliases));
}

static struct str shown(const struct json_node *labels, const char *key)
{
    struct str s;
    if (json_str(json_get(labels, key), &s) < 0 || s.n > URL_SHOWN || !value_is_printable(s)) {
        return STR("?");
    }
    return s;
}

const char *instance_reason(const struct json_node *labels, char *out, size_t size)
{
    snprintf(out, size,
             "it belongs to another hub, for %.*s (label " INSTANCE_LABEL
             "=%.*s); if that was this "
             "one before its URL or key changed, name the label in HP_INSTANCE_ALIASES",
             STR_ARG(shown(labels, INSTANCE_URL_LABEL)), STR_ARG(shown(labels, INSTANCE_LABEL)));
    return out;
}
