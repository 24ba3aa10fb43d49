#include "hub/tunnel/tunnel_identity.h"

#include <stdio.h>

#include "common/crypto/pemfile.h"
#include "hub/tunnel/certs.h"

enum { DAY = 24 * 3600, SOON_DAYS = 30 };

static const struct tunnel_refusal none = {0};

static struct tunnel_refusal refuse(const char *error, const char *failure)
{
    return (struct tunnel_refusal){error, failure};
}

/* ---- certificates ---- */

/* A name that only looks like another, by control characters or as the second of two, is none. */
static void read_name(char out[CERTS_CN_MAX + 1], const X509 *cert)
{
    const X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    out[0] = '\0';
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) != -1) {
        return;
    }
    const ASN1_STRING *cn = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    const unsigned char *p = ASN1_STRING_get0_data(cn);
    int n = ASN1_STRING_length(cn);
    if (n < 1 || n > CERTS_CN_MAX) {
        return;
    }
    for (int i = 0; i < n; i++) {
        if (p[i] < 0x20 || p[i] > 0x7E) {
            return;
        }
    }
    memcpy(out, p, (size_t)n);
    out[n] = '\0';
}

void tunnel_cert_read(struct tunnel_cert *cert, const X509 *x)
{
    int64_t from;
    *cert = (struct tunnel_cert){.there = true};
    if (x) {
        read_name(cert->name, x);
        if (pem_cert_times(x, &from, &cert->until) < 0) {
            cert->until = 0;
        }
    }
}

bool tunnel_cert_ends_soon(int64_t until, int64_t days, int64_t now)
{
    return until != 0 && until - now < MIN((int64_t)SOON_DAYS * DAY, days * DAY / 3);
}

static bool begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* ---- the login ---- */

static bool is_of(const struct tunnel_cert *cert, const struct app_token *app, bool can_issue)
{
    char own[CERTS_CN_MAX + 1];
    app_token_certificate_name(own, str_of(app->container));
    return (own[0] && strcmp(cert->name, own) == 0) ||
           (!can_issue && strcmp(cert->name, CERTS_CLIENT_NAME) == 0);
}

static struct tunnel_refusal identify_app(const struct tunnel_rules *rules,
                                          const struct tunnel_cert *cert,
                                          const struct app_token *app)
{
    if (!cert->there || is_of(cert, app, rules->can_issue)) {
        return none;
    }
    return refuse("the client certificate is not the one of this token's ExApp",
                  "a tunnel's login with an ExApp's token and another's certificate");
}

static struct tunnel_refusal identify_key(const struct tunnel_rules *rules,
                                          const struct tunnel_cert *cert)
{
    if (cert->there && !cert->name[0]) {
        return refuse("the client certificate has no common name, several, or one that is not "
                      "printable ASCII",
                      NULL);
    }
    if (begins(cert->name, APP_CONTAINER_PREFIX)) {
        return refuse(
            "the client certificate is an ExApp's own, which has a token and does not log "
            "in with the shared key",
            "a tunnel's login with the shared key and an ExApp's certificate");
    }
    if (rules->accept == FRP_ACCEPT_NONE) {
        return refuse("Invalid token: the shared key is not accepted here "
                      "(HP_FRP_ACCEPT_SHARED_KEY=none)",
                      NULL);
    }
    return none;
}

struct tunnel_refusal tunnel_identify(struct tunnel_identity *who, const struct tunnel_rules *rules,
                                      const struct tunnel_cert *cert, struct str token)
{
    struct tunnel_refusal refusal = none;
    bool engine = begins(cert->name, TUNNEL_ENGINE_CERTIFICATE);
    *who = (struct tunnel_identity){.kind = TUNNEL_KIND_SHARED};
    memcpy(who->certificate, cert->name, sizeof(who->certificate));
    if (app_token_read(&who->app, rules->shared_key, token) == 0) {
        who->kind = TUNNEL_KIND_APP;
        refusal = identify_app(rules, cert, &who->app);
    } else if (engine) {
        who->kind = TUNNEL_KIND_ENGINE; /* the CA's signature vouches for it, whatever the token */
    } else if (secret_matches(rules->key, token)) {
        refusal = identify_key(rules, cert);
    } else {
        /* What HaRP's login check says. */
        refusal = refuse("Invalid token", "a tunnel's login with a wrong key");
    }
    if (refusal.error) {
        *who = (struct tunnel_identity){0};
    }
    return refusal;
}

/* ---- after it ---- */

static bool for_engines(int64_t port)
{
    return port >= TUNNEL_ENGINE_FIRST && port <= TUNNEL_ENGINE_LAST;
}

static struct tunnel_refusal app_may_open(const struct app_token *app, struct str name,
                                          int64_t port, char text[TUNNEL_REFUSAL_MAX])
{
    if (app->port == 0) {
        return refuse("port not allowed: this token opens none",
                      "an ExApp's tunnel asked for a port without having one");
    }
    if (port != app->port) {
        snprintf(text, TUNNEL_REFUSAL_MAX, "port not allowed: this token is for port %u",
                 app->port);
        return refuse(text, "an ExApp's tunnel asked for another port than its own");
    }
    if (!str_eq(name, str_of(app->appid))) {
        snprintf(text, TUNNEL_REFUSAL_MAX, "proxy not allowed: this token is for [%s]", app->appid);
        return refuse(text, "an ExApp's tunnel asked for another name than its own");
    }
    return none;
}

struct tunnel_refusal tunnel_may_open(const struct tunnel_identity *who, enum frp_accept accept,
                                      struct str name, int64_t port, char text[TUNNEL_REFUSAL_MAX])
{
    switch (who->kind) {
    case TUNNEL_KIND_APP:
        return app_may_open(&who->app, name, port, text);
    case TUNNEL_KIND_ENGINE:
        return for_engines(port) ? none
                                 : refuse("port not allowed: this certificate is a Docker engine's",
                                          "a Docker engine's tunnel asked for an ExApp's port");
    case TUNNEL_KIND_SHARED:
        break;
    }
    if (accept != FRP_ACCEPT_ALL && !for_engines(port)) {
        return refuse("port not allowed: the shared key opens those of Docker engines only "
                      "(HP_FRP_ACCEPT_SHARED_KEY)",
                      NULL);
    }
    return none;
}

bool tunnel_identity_equal(const struct tunnel_identity *a, const struct tunnel_identity *b)
{
    return a->kind == b->kind && strcmp(a->certificate, b->certificate) == 0 &&
           strcmp(a->app.container, b->app.container) == 0 &&
           strcmp(a->app.appid, b->app.appid) == 0;
}

const char *tunnel_identity_text(const struct tunnel_identity *who,
                                 char buf[TUNNEL_IDENTITY_TEXT_MAX])
{
    switch (who->kind) {
    case TUNNEL_KIND_APP:
        snprintf(buf, TUNNEL_IDENTITY_TEXT_MAX, "the token of ExApp %s (container %s)",
                 who->app.appid, who->app.container);
        return buf;
    case TUNNEL_KIND_ENGINE:
        snprintf(buf, TUNNEL_IDENTITY_TEXT_MAX, "the certificate %s", who->certificate);
        return buf;
    case TUNNEL_KIND_SHARED:
        break;
    }
    return "the shared key";
}
