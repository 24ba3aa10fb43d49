#include <stdio.h>
#include <time.h>

#include "common/crypto/pemfile.h"
#include "hub/admin/admin_status.h"
#include "hub/admin/admin_status_impl.h"
#include "hub/admin/admin_text.h"
#include "hub/client/frontend.h"
#include "hub/hub.h"
#include "hub/tunnel/certs.h"
#include "hub/tunnel/tunnels.h"

enum { DAY = 24 * 3600 };

struct cert_row {
    const char *name, *path;
    int64_t from, until; /* seconds since 1970; until 0: not known */
    const char *remedy;
    char reason[STATUS_REASON_MAX]; /* why it is not known, or not in use */
    enum status_verdict verdict;
};

/* What is left of a short validity is short, too: of that a third is soon enough. */
static bool ends_soon(const struct cert_row *r, int64_t now)
{
    int64_t soon = MIN((int64_t)ADMIN_STATUS_CERT_DAYS * DAY, (r->until - r->from) / 3);
    return r->until - now < soon;
}

static void put_cert(struct status_section *s, struct cert_row *r)
{
    char date[PEM_DATE_SIZE] = "";
    int64_t now = (int64_t)time(NULL);
    if (r->until != 0) {
        pem_date(r->until, date);
        if (ends_soon(r, now)) {
            r->verdict = STATUS_WRONG;
            snprintf(r->reason, sizeof(r->reason), "it %s on %s", r->until < now ? "ended" : "ends",
                     date);
        }
    }
    admin_text_words(r->reason);
    json_out_object(s->o);
    admin_put_text(s->o, "name", r->name);
    admin_put_text(s->o, "path", r->path);
    admin_put_text(s->o, "until", date);
    /* A day that has begun to miss is one. */
    admin_put_int(s->o, "days_left", r->until != 0,
                  (r->until - now) / DAY - ((r->until - now) % DAY < 0));
    status_judge(s, r->verdict, r->remedy, "%s: %s", r->path, r->reason);
    status_row_end(s, r->verdict, r->reason);
}

/* The last to end of all in the file (a CA's: until then somebody is let in), or the first in it. */
static void read_file(struct cert_row *r, bool last)
{
    struct pem_file f = {0};
    int64_t from, until;
    r->verdict = STATUS_WRONG;
    if (pem_file_read_certs(&f, r->path, r->reason, sizeof(r->reason)) == 0) {
        r->verdict = STATUS_OK;
        for (int i = 0; i < (last ? sk_X509_num(f.certs) : 1); i++) {
            if (pem_cert_times(sk_X509_value(f.certs, i), &from, &until) == 0 && until > r->until) {
                r->from = from;
                r->until = until;
            }
        }
    }
    pem_file_free(&f);
}

static void put_tunnels(struct status_section *s, const struct certs *certs)
{
    const struct {
        const char *name, *path, *remedy;
    } files[] = {
        {"ca", certs->ca_crt,
         "move the folder of the tunnel's certificates away and start the hub again: all is made "
         "anew; then every tunnel client needs the new files, and every ExApp a new deploy"},
        {"server", certs->server_crt,
         "start the hub again: it renews this one if ca.key is in the folder and the CA lasts "
         "longer"},
        {"client", certs->client_crt,
         "remove it with client.key, start the hub again, and copy the new pair to the Docker "
         "hosts that use it"},
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct cert_row r = {
            .name = files[i].name, .path = files[i].path, .remedy = files[i].remedy};
        read_file(&r, i == 0);
        put_cert(s, &r);
    }
}

/* What is in use is what was read last; the file may be newer, or broken meanwhile. */
static void put_https(struct status_section *s, struct hub *hub)
{
    char path[4096], why[256];
    const X509 *used = SSL_CTX_get0_certificate(hub->frontend->tls);
    struct pem_file f = {0};
    struct cert_row r = {.name = "https",
                         .path = path,
                         .remedy = "renew it; the hub takes a changed file within "
                                   "HP_CERTS_CHECK_INTERVAL, or at once by kill -HUP"};
    snprintf(path, sizeof(path), "%s/cert.pem", hub->settings.certs_dir);
    if (!used || pem_cert_times(used, &r.from, &r.until) < 0) {
        r.verdict = STATUS_WRONG;
        snprintf(r.reason, sizeof(r.reason), "its dates can't be read");
    } else if (pem_file_read(&f, path, why, sizeof(why)) < 0 || !f.key ||
               !pem_find_cert(f.certs, f.key)) {
        r.verdict = STATUS_UNSURE;
        snprintf(r.reason, sizeof(r.reason),
                 "the file can't be used any more; the one read before is in use");
    } else if (X509_cmp(pem_find_cert(f.certs, f.key), used) != 0) {
        r.verdict = STATUS_UNSURE;
        snprintf(r.reason, sizeof(r.reason), "the file has another one than is in use yet");
    }
    pem_file_free(&f);
    put_cert(s, &r);
}

enum status_verdict status_certs(struct json_out *o, struct hub *hub)
{
    struct status_section s;
    const struct certs *certs = tunnels_certs(hub->tunnels);
    status_section_open(&s, o, "certificates");
    json_out_key(o, STR("certificates"));
    json_out_array(o);
    if (certs) {
        put_tunnels(&s, certs);
    }
    if (hub->frontend->https) {
        put_https(&s, hub);
    }
    json_out_array_end(o);
    status_section_close(&s);
    return s.verdict;
}
