#include <stdio.h>
#include <stdlib.h>

#include "common/access/bans.h"
#include "common/base/buf.h"
#include "hub/access/exapps.h"
#include "hub/access/nextcloud.h"
#include "hub/admin/admin_bans.h"
#include "hub/admin/admin_status.h"
#include "hub/admin/admin_status_impl.h"
#include "hub/admin/admin_text.h"
#include "hub/hub.h"
#include "hub/tunnel/tunnels.h"

enum {
    APP_ROW =
        EXAPP_ID_MAX + 6 * EXAPP_VERSION_MAX + 6 * EXAPP_HOST_MAX + 6 * STATUS_REASON_MAX + 512
};

/* ---- Nextcloud ---- */

static const char key_remedy[] = "HP_SHARED_KEY must be the HaRP shared key of this daemon in "
                                 "Nextcloud (Administration settings, "
                                 "AppAPI): change the one or the other, and start the hub again";

static void put_fact(struct json_out *o, const char *key, const struct nextcloud_fact *fact,
                     uint64_t now)
{
    json_out_key(o, str_of(key));
    if (fact->at == 0) {
        json_out_null(o);
        return;
    }
    json_out_object(o);
    admin_put_text(o, "text", fact->text);
    admin_put_int(o, "seconds", true, (int64_t)((now - MIN(fact->at, now)) / 1000));
    json_out_object_end(o);
}

static void judge_key(struct status_section *s, const struct nextcloud_facts *f, const char *key,
                      uint64_t now)
{
    char age[ADMIN_AGE_MAX];
    if (strcmp(key, "refused") == 0) {
        status_judge(
            s, STATUS_WRONG, key_remedy,
            "it refuses the shared key, or does not know the ExApp any more: it answered 401 "
            "to %s",
            f->refused.text);
    } else if (strcmp(key, "unknown") == 0 && f->other_key.at != 0) {
        status_judge(
            s, STATUS_UNSURE, key_remedy,
            "%s called as AppAPI does, with another key, %s ago: if that is Nextcloud, it has "
            "another one",
            f->other_key.text, admin_text_age((now - MIN(f->other_key.at, now)) / 1000, age));
    } else if (strcmp(key, "unknown") == 0) {
        status_judge(
            s, STATUS_UNSURE,
            "in Nextcloud, at Administration settings, AppAPI, let it check the connection of "
            "this daemon: that call shows it",
            "not known yet whether it has the same shared key: it has told of no ExApp, and "
            "AppAPI has not called");
    }
}

enum status_verdict status_nextcloud(struct json_out *o, struct hub *hub)
{
    const struct nextcloud_facts *f = &hub->facts;
    uint64_t now = loop_now(&hub->loop);
    bool configured = nextcloud_configured(hub->nextcloud);
    bool reachable = nextcloud_fact_stands(&f->answered, &f->failed);
    bool asked = f->answered.at != 0 || f->failed.at != 0;
    const char *key = nextcloud_fact_stands(&f->accepted, &f->refused) ||
                              nextcloud_fact_stands(&f->called, &f->refused)
                          ? "accepted"
                      : f->refused.at != 0 ? "refused"
                                           : "unknown";
    struct status_section s;
    status_section_open(&s, o, "nextcloud");
    admin_put_text(o, "url", configured ? hub->settings.nc_instance_url : NULL);
    json_out_key(o, STR("reachable"));
    if (configured && asked) {
        json_out_bool(o, reachable);
    } else {
        json_out_null(o);
    }
    admin_put_text(o, "key", configured ? key : NULL);
    put_fact(o, "answered", &f->answered, now);
    put_fact(o, "failed", &f->failed, now);
    put_fact(o, "key_accepted", &f->accepted, now);
    put_fact(o, "key_refused", &f->refused, now);
    put_fact(o, "appapi_called", &f->called, now);
    put_fact(o, "other_key_called", &f->other_key, now);
    if (configured && asked && !reachable) {
        status_judge(&s, STATUS_WRONG,
                     "is NC_INSTANCE_URL right, and is Nextcloud up? From the hub's host: curl -i "
                     "$NC_INSTANCE_URL/status.php",
                     "it gives no usable answer: %s", f->failed.text);
    }
    if (configured) {
        judge_key(&s, f, key, now);
    }
    status_section_close(&s);
    return s.verdict;
}

/* ---- ExApps ---- */

struct app_row {
    struct exapps_entry entry;
    enum status_verdict verdict;
    bool tunnel; /* one that serves it is there */
    char reason[96];
};

struct app_rows {
    struct hub *hub;
    struct app_row *row;
    unsigned n;
};

static void count_app(void *arg, const struct exapps_entry *entry UNUSED)
{
    ++*(unsigned *)arg;
}

static unsigned apps_count(const struct hub *hub)
{
    unsigned n = 0;
    exapps_each(hub->exapps, count_app, &n);
    return n;
}

/* Direct ways are not tried. */
static void judge_app(const struct hub *hub, struct app_row *r)
{
    const struct exapp *app = r->entry.app;
    const struct tunnel_gone *gone;
    char age[ADMIN_AGE_MAX];
    if (!app || !app->loopback || app->meta.port < TUNNEL_APP_FIRST ||
        app->meta.port > TUNNEL_APP_LAST) {
        return;
    }
    const struct tunnel *t = tunnels_find(hub->tunnels, app->meta.port);
    r->tunnel = t && tunnel_serves(t, r->entry.id);
    if (t && !r->tunnel) {
        r->verdict = STATUS_WRONG;
        snprintf(r->reason, sizeof(r->reason), "the tunnel at port %u is another ExApp's",
                 app->meta.port);
    } else if (!t && (gone = tunnels_gone(hub->tunnels, app->meta.port))) {
        r->verdict = STATUS_WRONG;
        snprintf(r->reason, sizeof(r->reason), "its tunnel at port %u ended %s ago", app->meta.port,
                 admin_text_age((loop_now(&hub->loop) - gone->at) / 1000, age));
    } else if (!t) {
        r->verdict = STATUS_UNSURE;
        snprintf(r->reason, sizeof(r->reason),
                 "no tunnel offers port %u; requests go to that port of this host", app->meta.port);
    }
}

static void add_app(void *arg, const struct exapps_entry *entry)
{
    struct app_rows *rows = arg;
    struct app_row *r = &rows->row[rows->n++];
    r->entry = *entry;
    judge_app(rows->hub, r);
}

static int compare_apps(const void *pa, const void *pb)
{
    const struct app_row *a = pa, *b = pb;
    return a->verdict != b->verdict ? (int)b->verdict - (int)a->verdict
                                    : strcmp(a->entry.id, b->entry.id);
}

static void put_app(struct status_section *s, const struct app_row *r)
{
    static const char *const states[] = {[EXAPPS_KIND_DECLARED] = "declared",
                                         [EXAPPS_KIND_PUSHED] = "enabled",
                                         [EXAPPS_KIND_LEARNED] = "asked",
                                         [EXAPPS_KIND_DISABLED] = "disabled"};
    const struct exapp *app = r->entry.app;
    json_out_object(s->o);
    admin_put_text(s->o, "id", r->entry.id);
    admin_put_text(s->o, "state", states[r->entry.kind]);
    admin_put_text(s->o, "version", app ? app->meta.version : NULL);
    admin_put_text(s->o, "host", app ? app->meta.host : NULL);
    admin_put_int(s->o, "port", app != NULL, app ? app->meta.port : 0);
    admin_put_text(s->o, "way", !app ? NULL : r->tunnel ? "tunnel" : "direct");
    status_row_end(s, r->verdict, r->reason);
}

size_t status_apps_size(const struct hub *hub)
{
    return (size_t)MIN(apps_count(hub), (unsigned)ADMIN_STATUS_ROWS) * APP_ROW;
}

enum status_verdict status_apps(struct json_out *o, struct hub *hub)
{
    struct status_section s;
    struct app_rows rows = {.hub = hub};
    rows.row = xcalloc(MAX(apps_count(hub), 1U), sizeof(*rows.row));
    exapps_each(hub->exapps, add_app, &rows);
    qsort(rows.row, rows.n, sizeof(*rows.row), compare_apps);
    status_section_open(&s, o, "apps");
    json_out_key(o, STR("apps"));
    json_out_array(o);
    for (unsigned i = 0; i < rows.n; i++) {
        status_judge(&s, rows.row[i].verdict,
                     rows.row[i].verdict == STATUS_WRONG
                         ? "does its container run? Its log, with the tunnel client's lines in it, "
                           "says why it ended (docker logs nc_app_ID)"
                         : "right for an ExApp that runs by hand on this host; else start its "
                           "container (docker logs nc_app_ID)",
                     "%s: %s", rows.row[i].entry.id, rows.row[i].reason);
        if (i < ADMIN_STATUS_ROWS) {
            put_app(&s, &rows.row[i]);
        }
    }
    json_out_array_end(o);
    admin_put_int(o, "total", true, rows.n);
    admin_put_bool(o, "more", rows.n > ADMIN_STATUS_ROWS);
    status_section_close(&s);
    free(rows.row);
    return s.verdict;
}

/* ---- bans ---- */

struct ban_rows {
    struct status_section *s;
    const struct ip_addr *appapi; /* where it called from; NULL: not known */
    unsigned clients, banned;
};

static void add_ban(void *arg, const struct ban *ban)
{
    struct ban_rows *rows = arg;
    struct status_section *s = rows->s;
    char text[ADMIN_BAN_TEXT_MAX];
    rows->clients++;
    if (!ban->banned) {
        return;
    }
    bool own = ip_is_loopback(&ban->ip) || (rows->appapi && ip_equal(&ban->ip, rows->appapi));
    const char *reason =
        own ? "this is Nextcloud's own address, or that of a proxy in front" : "it is shut out";
    status_judge(s, own ? STATUS_WRONG : STATUS_UNSURE,
                 own ? "all who come through it are shut out: name the reverse proxy in "
                       "HP_TRUSTED_PROXY_IPS and start the hub again; harp-hub bans lift ADDRESS "
                       "ends the ban"
                     : "right for an attacker; else: harp-hub bans lift ADDRESS, and the log says "
                       "what failed",
                 "%s is banned: %s", admin_ban_text(&ban->ip, text), reason);
    if (rows->banned++ < ADMIN_STATUS_BANNED) {
        json_out_object(s->o);
        admin_put_text(s->o, "address", text);
        admin_put_int(s->o, "failures", true, ban->failures);
        admin_put_int(s->o, "seconds_left", true, (int64_t)((ban->left + 999) / 1000));
        status_row_end(s, own ? STATUS_WRONG : STATUS_UNSURE, reason);
    }
}

enum status_verdict status_bans(struct json_out *o, struct hub *hub)
{
    struct status_section s;
    struct ip_addr appapi;
    struct ban_rows rows = {.s = &s};
    if (hub->facts.called.at != 0 && ip_parse(str_of(hub->facts.called.text), &appapi) == 0) {
        appapi = ip_client(&appapi);
        rows.appapi = &appapi;
    }
    status_section_open(&s, o, "bans");
    json_out_key(o, STR("banned"));
    json_out_array(o);
    bans_each(hub->bans, loop_now(&hub->loop), add_ban, &rows);
    json_out_array_end(o);
    admin_put_int(o, "total", true, rows.banned);
    admin_put_bool(o, "more", rows.banned > ADMIN_STATUS_BANNED);
    admin_put_int(o, "clients_with_failures", true, rows.clients);
    status_section_close(&s);
    return s.verdict;
}
