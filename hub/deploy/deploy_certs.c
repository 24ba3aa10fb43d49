/* deploy_certs.c - install_certificates:
 *
 *   inspect -> [start] -> which system? -> [folder, its certificates, refresh] -> [folder, the tunnel's
 *   files] -> [stop]
 *
 * A container that was not running is started for it, as commands only run in running ones, and is
 * stopped again whatever happened: AppAPI's next call expects that. An image without a shell or a known
 * system gets no system certificates, and is told in the log; files can be put in all the same.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/crypto/secret.h"
#include "common/log/log.h"
#include "hub/tunnel/app_token.h"
#include "hub/tunnel/certs.h"
#include "hub/deploy/deploy_impl.h"
#include "hub/hub.h"

enum { FILE_MAX = 64 * 1024 };

static void warn(const struct deploy *d, const char *what)
{
    log_warning(deploy_hub(d)->log, "deploy", d->id, "%s: %s", d->request.container, what);
}

/* ---- the end ---- */

static void stopped(struct deploy *d, const struct engine_answer *a)
{
    if (a->status != 204 && a->status != 304 && a->status != 404) {
        if (d->certs.failed) {
            warn(d, "could not be stopped again after its certificates");
        } else {
            deploy_note_failed(d, a, "Failed to stop container '%s' after its certificates",
                               d->request.container);
        }
    }
    deploy_end(d);
}

static void over(struct deploy *d)
{
    if (!d->certs.failed) {
        d->answer = (struct answer){.status = 204};
    }
    if (d->certs.started) {
        deploy_ask(d, stopped, HTTP_POST, "/containers/%s/stop", d->request.container);
    } else {
        deploy_end(d);
    }
}

static void failed(struct deploy *d)
{
    d->certs.failed = true;
    over(d);
}

static void upload(struct deploy *d, deploy_step *step, struct cert_archive *a)
{
    deploy_ask_body(d, step, HTTP_PUT, "application/x-tar", a->p, a->n, 1,
                    "/containers/%s/archive?path=/", d->request.container);
}

/* ---- the tunnel's files ---- */

static void frp_installed(struct deploy *d, const struct engine_answer *a)
{
    if (a->status != 200) {
        deploy_note_failed(d, a, "Failed to upload archive with the tunnel's certificates");
        failed(d);
        return;
    }
    over(d);
}

/* A file of the hub's certificate folder, from malloc. -1: why is written. */
static int read_file(const char *path, struct str *out, char *why, size_t size)
{
    FILE *f = fopen(path, "re");
    char *text = xmalloc(FILE_MAX);
    size_t n = f ? fread(text, 1, FILE_MAX, f) : 0;
    bool ok = f && !ferror(f) && n > 0 && n < FILE_MAX;
    if (f) {
        fclose(f);
    }
    if (!ok) {
        secret_wipe(text, FILE_MAX);
        free(text);
        snprintf(why, size, "%s can't be read", path);
        return -1;
    }
    *out = (struct str){text, n};
    return 0;
}

static void drop_file(struct str *s)
{
    if (s->p) {
        secret_wipe((char *)(uintptr_t)s->p, s->n);
        free((char *)(uintptr_t)s->p);
    }
}

/* The app's own certificate; or the one for all, where the CA's key is not at hand or exapp_tokens is false. */
static int make_frp(const struct deploy *d, struct cert_archive *out, char *why, size_t size)
{
    struct hub *hub = deploy_hub(d);
    const struct certs *certs = tunnels_certs(hub->tunnels);
    struct certs_pair pair = {0};
    struct str ca = {0}, cert = {0}, key = {0};
    char name[CERTS_CN_MAX + 1];
    int rc = -1;
    app_token_certificate_name(name, str_of(d->request.container));
    if (read_file(certs->ca_crt, &ca, why, size) < 0) {
        goto out;
    }
    if (!certs->can_issue || !hub->settings.exapp_tokens) {
        if (read_file(certs->client_crt, &cert, why, size) == 0 &&
            read_file(certs->client_key, &key, why, size) == 0) {
            cert_archive_frp(out, ca, cert, key, d->certs.folders);
            rc = 0;
        }
        goto out;
    }
    if (certs_issue_client(certs, name, (int)hub->settings.frp_cert_validity_days, &pair, why,
                           size) == 0) {
        cert_archive_frp(out, ca, (struct str){pair.cert, pair.cert_len},
                         (struct str){pair.key, pair.key_len}, d->certs.folders);
        rc = 0;
    }
out:
    certs_pair_free(&pair);
    drop_file(&ca);
    drop_file(&cert);
    drop_file(&key);
    return rc;
}

static void frp_folder_made(struct deploy *d, const struct deploy_result *r)
{
    struct cert_archive archive;
    char why[DEPLOY_TEXT_MAX];
    if (r->failed) {
        failed(d);
        return;
    }
    d->certs.folders = r->exit_code != 0;
    if (make_frp(d, &archive, why, sizeof(why)) < 0) {
        snprintf(d->words, sizeof(d->words), "The tunnel's certificates could not be made");
        snprintf(d->why, sizeof(d->why), "%s", why);
        d->answer =
            (struct answer){.status = 503, .hop = HOP_HUB, .words = d->words, .why = d->why};
        failed(d);
        return;
    }
    upload(d, frp_installed, &archive);
}

static void install_frp(struct deploy *d)
{
    const char *const mkdir[] = {"mkdir", "-p", cert_archive_frp_folder, NULL};
    if (!d->request.frp_certs) {
        over(d);
    } else if (!tunnels_certs(deploy_hub(d)->tunnels)) {
        warn(d, "gets no certificate for its tunnel, as HP_FRP_DISABLE_TLS is set");
        over(d);
    } else {
        deploy_run(d, mkdir, frp_folder_made);
    }
}

/* ---- the system's certificates ---- */

static void refreshed(struct deploy *d, const struct deploy_result *r)
{
    if (r->failed) {
        failed(d);
        return;
    }
    if (r->exit_code != 0) {
        warn(d, "has the certificates, but the command that takes them in failed");
    }
    install_frp(d);
}

static void bundle_installed(struct deploy *d, const struct engine_answer *a)
{
    if (a->status != 200) {
        deploy_note_failed(d, a, "Failed to upload archive with CA certificates");
        failed(d);
        return;
    }
    deploy_run(d, os_family_refresh(d->certs.family), refreshed);
}

static void system_folder_made(struct deploy *d, const struct deploy_result *r)
{
    struct cert_archive archive;
    if (r->failed) {
        failed(d);
        return;
    }
    int n = cert_archive_bundle(&archive, d->request.bundle, d->certs.family, r->exit_code != 0);
    if (n <= 0) {
        cert_archive_free(&archive);
        warn(d, n < 0 ? "gets no CA certificates: there are more than 1000 in the bundle"
                      : "gets no CA certificates: there is none in the bundle");
        install_frp(d);
        return;
    }
    upload(d, bundle_installed, &archive);
}

static void system_known(struct deploy *d, const struct deploy_result *r)
{
    if (r->failed) {
        failed(d);
        return;
    }
    d->certs.family = r->exit_code == 0 ? os_family_of(r->text) : OS_OTHER;
    const char *folder = os_family_folder(d->certs.family);
    const char *const mkdir[] = {"mkdir", "-p", folder, NULL};
    if (!folder) {
        warn(d, r->exit_code == 0
                    ? "gets no CA certificates: its system is not known (/etc/os-release)"
                    : "gets no CA certificates: its /etc/os-release can't be read");
        install_frp(d);
    } else {
        deploy_run(d, mkdir, system_folder_made);
    }
}

/* ---- the beginning ---- */

static void work(struct deploy *d)
{
    static const char *const os_release[] = {"cat", "/etc/os-release", NULL};
    if (d->request.bundle.n > 0) {
        deploy_run(d, os_release, system_known);
    } else {
        install_frp(d);
    }
}

static void started(struct deploy *d, const struct engine_answer *a)
{
    /* Without an answer it may have been started all the same. */
    d->certs.started = a->status == 204 || a->status == 0;
    if (a->status != 204 && a->status != 304) {
        deploy_note_failed(d, a, "Failed to start container '%s' for its certificates",
                           d->request.container);
        failed(d);
        return;
    }
    work(d);
}

static void inspected(struct deploy *d, const struct engine_answer *a)
{
    bool running = false;
    if (a->status == 404) {
        deploy_answer_missing(d);
        return;
    }
    struct json_doc *doc = deploy_json(a);
    int known = json_bool(json_get(json_get(json_root(doc), "State"), "Running"), &running);
    json_free(doc);
    if (known < 0) {
        deploy_answer_failed(d, a, "Error inspecting container '%s'", d->request.container);
    } else if (running) {
        work(d);
    } else {
        deploy_ask(d, started, HTTP_POST, "/containers/%s/start", d->request.container);
    }
}

void deploy_certificates(struct deploy *d)
{
    deploy_inspect_ours(d, inspected);
}
