#include "socket-filter/client/identity.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>

/* ---- certificates ---- */

static bool printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x20 || s.p[i] > 0x7e) {
            return false;
        }
    }
    return s.n > 0;
}

/* Of several common names the last is the most specific (RFC 4514 has them the other way round). One with a NUL
 * or other bytes that are no text counts as none. */
static void common_name(X509 *cert, char *out, size_t cap)
{
    const X509_NAME *subject = X509_get_subject_name(cert);
    int last = -1;
    for (int i; (i = X509_NAME_get_index_by_NID(subject, NID_commonName, last)) >= 0;) {
        last = i;
    }
    const ASN1_STRING *s =
        last < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last));
    struct str text = {s ? (const char *)ASN1_STRING_get0_data(s) : "",
                       s ? (size_t)ASN1_STRING_length(s) : 0};
    out[0] = '\0';
    if (text.n < cap && printable(text)) {
        snprintf(out, cap, "%.*s", STR_ARG(text));
    }
}

static bool has_dns_name(X509 *cert, struct str name)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        if (g->type == GEN_DNS) {
            struct str s = {(const char *)ASN1_STRING_get0_data(g->d.dNSName),
                            (size_t)ASN1_STRING_length(g->d.dNSName)};
            found = str_eq_nocase(s, name);
        }
    }
    GENERAL_NAMES_free(names);
    return found;
}

static void fingerprint(X509 *cert, char *out, size_t cap)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char hex[HEX_SIZE(SECRET_DIGEST_LEN)] = "";
    if (X509_digest(cert, EVP_sha256(), digest, &n) != 1 || n != SECRET_DIGEST_LEN ||
        hex_encode(hex, sizeof(hex), digest, n) < 0) {
        hex[0] = '\0';
    }
    snprintf(out, cap, "sha256:%s", hex);
}

const char *identity_find(const struct filter_listener *set, X509 *cert, char *name, size_t cap)
{
    char common[128], print[96];
    common_name(cert, common, sizeof(common));
    fingerprint(cert, print, sizeof(print));
    snprintf(name, cap, "%s", *common ? common : print);
    for (size_t i = 0; i < set->ncertificates; i++) {
        const struct filter_certificate *c = &set->certificates[i];
        bool by_print = strncasecmp(c->name, "sha256:", 7) == 0;
        if (by_print ? strcasecmp(c->name, print) == 0
                     : (*common && strcmp(c->name, common) == 0) ||
                           has_dns_name(cert, str_of(c->name))) {
            return c->policy;
        }
    }
    return NULL;
}

/* ---- passwords ---- */

enum { TOKEN_MAX = BASE64_SIZE(FILTER_USER_MAX + 1 + FILTER_PASSWORD_MAX) };

bool identity_basic(const struct http_request *r, const struct secret *credentials)
{
    unsigned char text[TOKEN_MAX];
    char again[TOKEN_MAX];
    const struct http_field *field = NULL;
    for (unsigned i = 0; i < r->nfields; i++) {
        if (r->fields[i].id == HTTP_AUTHORIZATION) {
            if (field) {
                return false;
            }
            field = &r->fields[i];
        }
    }
    if (!field || field->value.n < 6 || strncasecmp(field->value.p, "Basic ", 6) != 0) {
        return false;
    }
    struct str token = {field->value.p + 6, field->value.n - 6};
    if (token.n == 0 || token.n % 4 != 0 || token.n >= TOKEN_MAX) {
        return false;
    }
    int n = EVP_DecodeBlock(text, (const unsigned char *)token.p, (int)token.n);
    for (size_t pad = 0; n > 0 && pad < 2 && token.p[token.n - 1 - pad] == '='; pad++) {
        n--; /* it counts what stands for padding */
    }
    /* It passes over what is no base64 at the ends and in the padding: only one spelling is the right one. */
    bool good = n > 0 && base64_encode(again, sizeof(again), text, (size_t)n) == (ssize_t)token.n &&
                memcmp(again, token.p, token.n) == 0 &&
                secret_matches(credentials, (struct str){(const char *)text, (size_t)n});
    secret_wipe(text, sizeof(text));
    secret_wipe(again, sizeof(again));
    return good;
}
