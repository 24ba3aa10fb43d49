#include "hub/admin/admin_status.h"

#include <stdlib.h>
#include <time.h>

#include "common/base/buf.h"
#include "hub/access/nextcloud_check.h"
#include "hub/admin/admin_engines.h"
#include "hub/admin/admin_status_impl.h"
#include "hub/admin/admin_text.h"
#include "hub/client/frontend.h"
#include "hub/hub.h"
#include "hub/tunnel/tunnels.h"

struct admin_status {
    struct hub *hub;
    struct nextcloud_check *check; /* on its way */
    struct admin_engines *engines; /* also when they have answered */
    bool engines_known;
    admin_status_done *done;
    void *owner;
};

static void let_go(struct admin_status *st)
{
    if (st->check) {
        nextcloud_check_cancel(st->check);
    }
    if (st->engines) {
        admin_engines_free(st->engines);
    }
    free(st);
}

void admin_status_cancel(struct admin_status *st)
{
    let_go(st);
}

static enum status_verdict write_sections(struct json_out *o, const struct admin_status *st)
{
    struct hub *hub = st->hub;
    enum status_verdict verdicts[] = {
        status_listening(o, hub), status_nextcloud(o, hub), status_engines(o, hub, st->engines),
        status_tunnels(o, hub),   status_apps(o, hub),      status_bans(o, hub),
        status_certs(o, hub)};
    enum status_verdict worst = STATUS_OK;
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
        worst = MAX(worst, verdicts[i]);
    }
    return worst;
}

/* What came last ends the round. */
static void came(struct admin_status *st)
{
    struct hub *hub = st->hub;
    struct json_out o;
    if (st->check || !st->engines_known) {
        return;
    }
    size_t cap = (size_t)8 * STATUS_SECTION_MAX + status_engines_size(st->engines) +
                 status_tunnels_size(hub) + status_apps_size(hub);
    char *text = xmalloc(cap);
    json_out_init(&o, text, cap);
    json_out_object(&o);
    admin_put_text(&o, "version", HARP_VERSION);
    admin_put_int(&o, "time", true, (int64_t)time(NULL));
    admin_put_int(&o, "up_seconds", true, (int64_t)((loop_now(&hub->loop) - hub->since) / 1000));
    status_put_verdict(&o, write_sections(&o, st));
    json_out_object_end(&o);
    ssize_t n = json_out_end(&o);
    st->done(st->owner, text, n < 0 ? 0 : (size_t)n);
    let_go(st);
}

static void checked(void *owner)
{
    struct admin_status *st = owner;
    st->check = NULL; /* it goes when this returns */
    came(st);
}

static void asked(void *owner)
{
    struct admin_status *st = owner;
    st->engines_known = true;
    came(st);
}

struct admin_status *admin_status_start(struct hub *hub, struct nextcloud_checks *checks,
                                        admin_status_done *done, void *owner)
{
    struct admin_status *st = xcalloc(1, sizeof(*st));
    st->hub = hub;
    st->done = done;
    st->owner = owner;
    st->check = nextcloud_check_start(checks, checked, st);
    st->engines = admin_engines_start(hub, asked, st);
    return st;
}

bool admin_healthy(const struct hub *hub)
{
    const struct frontend *f = hub->frontend;
    return !hub->stopping && (f->http || f->http_at.kind == LISTEN_OFF) &&
           (f->https || !f->tls || f->https_at.kind == LISTEN_OFF) &&
           tunnels_listening(hub->tunnels);
}
