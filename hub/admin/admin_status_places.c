#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "hub/access/nextcloud.h"
#include "hub/admin/admin_engines.h"
#include "hub/admin/admin_status.h"
#include "hub/admin/admin_status_impl.h"
#include "hub/admin/admin_text.h"
#include "hub/client/frontend.h"
#include "hub/client/upstream.h"
#include "hub/hub.h"
#include "hub/tunnel/tunnels.h"

enum {
    ENGINES = TUNNEL_ENGINE_LAST - TUNNEL_ENGINE_FIRST + 1,
    ENGINE_ROW = ADMIN_ENGINES_ROW_MAX + 6 * TUNNEL_WHO_MAX + 6 * ADMIN_ENGINE_ERROR_MAX + 256,
    TUNNEL_ROW = 6 * 128 + 6 * TUNNEL_WHO_MAX + 6 * STATUS_REASON_MAX + 512,
    SETTLING_MS = 10000, /* a client that logged in opens its proxy within that */
};

/* ---- listening ---- */

struct place {
    const char *name, *setting;
    const struct listen_addr *at;
    bool open, tls;
    const char *why; /* it is not open, and should not be */
};

static void put_place(struct status_section *s, const struct place *p)
{
    char address[LISTEN_TEXT_MAX];
    enum status_verdict verdict = p->open || p->why ? STATUS_OK : STATUS_WRONG;
    const char *reason = verdict == STATUS_OK ? "" : "it is not open: the hub stops";
    json_out_object(s->o);
    admin_put_text(s->o, "name", p->name);
    admin_put_text(s->o, "setting", p->setting);
    admin_put_text(s->o, "address", listen_format(p->at, address));
    admin_put_bool(s->o, "open", p->open);
    admin_put_bool(s->o, "tls", p->tls);
    admin_put_text(s->o, "why_off", p->why);
    status_judge(s, verdict, "start the hub again, or wait until what starts it does", "%s: %s",
                 p->setting, reason);
    status_row_end(s, verdict, reason);
}

enum status_verdict status_listening(struct json_out *o, struct hub *hub)
{
    const struct frontend *f = hub->frontend;
    const struct hub_settings *set = &hub->settings;
    static const char off[] = "the setting is 'off'";
    bool frp = set->frp_address.kind != LISTEN_OFF;
    const struct place places[] = {
        {"http", "HP_EXAPPS_ADDRESS", &f->http_at, f->http != NULL, false,
         f->http_at.kind == LISTEN_OFF ? off : NULL},
        {"https", "HP_EXAPPS_HTTPS_ADDRESS", &f->https_at, f->https != NULL, true,
         f->https_at.kind == LISTEN_OFF ? off
         : f->tls                       ? NULL
                                        : "no cert.pem that can be used is in HP_CERTS_DIR"},
        {"tunnels", "HP_FRP_ADDRESS", &set->frp_address, frp && tunnels_listening(hub->tunnels),
         !set->frp_disable_tls, frp ? NULL : off},
        {"admin", "HP_ADMIN_ADDRESS", &set->admin_address, true, false, NULL},
    };
    struct status_section s;
    status_section_open(&s, o, "listening");
    json_out_key(o, STR("addresses"));
    json_out_array(o);
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        put_place(&s, &places[i]);
    }
    json_out_array_end(o);
    status_section_close(&s);
    return s.verdict;
}

/* ---- engines ---- */

static void put_engine(struct status_section *s, const struct admin_engine *e)
{
    bool answers = e->took != 0;
    enum status_verdict verdict = !*e->error ? STATUS_OK : answers ? STATUS_UNSURE : STATUS_WRONG;
    json_out_object(s->o);
    admin_engine_write(s->o, e);
    admin_put_text(s->o, "login", e->login);
    status_judge(
        s, verdict,
        answers    ? "if a filter refuses it, its policy lacks a call: see "
                     "socket-filter/POLICY.md"
        : e->local ? "on the hub's host: are Docker and the socket filter in front of it running, "
                     "and may the hub use the socket? (systemctl status docker harp-socket-filter)"
                   : "on that host: are Docker, the socket filter and the tunnel client running? "
                     "(harp-tunnel-client status; systemctl status docker harp-socket-filter)",
        "%u%s%s: %s", e->port, *e->name ? " " : "", e->name, e->error);
    status_row_end(s, verdict, e->error);
}

/* A port whose engine was there, and does not answer because it is gone. */
static bool lost(struct hub *hub, uint16_t port, struct admin_engine *e)
{
    const struct tunnel_gone *gone = tunnels_gone(hub->tunnels, port);
    char age[ADMIN_AGE_MAX];
    *e = (struct admin_engine){.port = port, .containers = -1, .local = true};
    if (port == TUNNEL_ENGINE_FIRST && hub->local_engine_seen) {
        snprintf(e->address, sizeof(e->address), "local");
        snprintf(e->error, sizeof(e->error), "there is no socket at HP_DOCKER_SOCKET any more");
        return true;
    }
    if (gone) {
        e->local = false;
        admin_text_visible(e->name, sizeof(e->name), str_of(gone->name));
        snprintf(e->error, sizeof(e->error), "its tunnel ended %s ago",
                 admin_text_age((loop_now(&hub->loop) - gone->at) / 1000, age));
    }
    return gone != NULL;
}

size_t status_engines_size(const struct admin_engines *engines)
{
    (void)engines; /* those that are gone have rows, too */
    return (size_t)ENGINES * ENGINE_ROW;
}

enum status_verdict status_engines(struct json_out *o, struct hub *hub,
                                   const struct admin_engines *engines)
{
    struct status_section s;
    struct admin_engine gone;
    unsigned next = 0, rows = 0;
    status_section_open(&s, o, "engines");
    json_out_key(o, STR("engines"));
    json_out_array(o);
    for (unsigned i = 0; i < ENGINES; i++) {
        uint16_t port = (uint16_t)(TUNNEL_ENGINE_FIRST + i);
        if (next < admin_engines_count(engines) && admin_engines_at(engines, next)->port == port) {
            put_engine(&s, admin_engines_at(engines, next++));
            rows++;
        } else if (lost(hub, port, &gone)) {
            put_engine(&s, &gone);
            rows++;
        }
    }
    json_out_array_end(o);
    if (rows == 0 && nextcloud_configured(hub->nextcloud)) {
        status_judge(
            &s, STATUS_UNSURE,
            "to deploy ExApps, mount or name a Docker socket (HP_DOCKER_SOCKET), or connect "
            "another host by harp-tunnel-client",
            "no Docker engine is connected: neither a socket at HP_DOCKER_SOCKET nor a "
            "tunnel");
    }
    status_section_close(&s);
    return s.verdict;
}

/* ---- tunnels ---- */

struct tunnel_row {
    const struct tunnel *t;
    struct tunnel_info info;
    enum status_verdict verdict;
};

struct tunnel_rows {
    struct tunnel_row *row;
    unsigned n;
    uint64_t now;
};

static void count_tunnel(void *arg, const struct tunnel *t UNUSED)
{
    ++*(unsigned *)arg;
}

static unsigned tunnels_count(const struct hub *hub)
{
    unsigned n = 0;
    tunnels_each(hub->tunnels, count_tunnel, &n);
    return n;
}

static void add_tunnel(void *arg, const struct tunnel *t)
{
    struct tunnel_rows *rows = arg;
    struct tunnel_row *r = &rows->row[rows->n++];
    r->t = t;
    tunnel_describe(t, &r->info);
    r->verdict =
        r->info.port == 0 && rows->now - r->info.since > SETTLING_MS ? STATUS_UNSURE : STATUS_OK;
}

static int compare_tunnels(const void *pa, const void *pb)
{
    const struct tunnel_row *a = pa, *b = pb;
    return a->verdict != b->verdict ? (int)b->verdict - (int)a->verdict
                                    : (int)a->info.port - (int)b->info.port;
}

static const char *tunnel_reason(const struct tunnel_row *r)
{
    return r->verdict == STATUS_OK ? "" : "it logged in, and offers no port";
}

static void put_tunnel(struct status_section *s, const struct tunnel_row *r, uint64_t now)
{
    static const char *const kinds[] = {[TUNNEL_KIND_SHARED] = "shared_key",
                                        [TUNNEL_KIND_APP] = "app",
                                        [TUNNEL_KIND_ENGINE] = "engine"};
    char name[128 + 1], address[IP_TEXT_MAX], who[TUNNEL_WHO_MAX];
    admin_text_visible(name, sizeof(name), str_of(r->info.name));
    json_out_object(s->o);
    admin_put_int(s->o, "port", r->info.port != 0, r->info.port);
    admin_put_text(s->o, "name", name);
    admin_put_text(s->o, "kind", kinds[r->info.kind]);
    admin_put_text(s->o, "login", tunnel_who(r->t, who));
    admin_put_text(s->o, "address", ip_format(&r->info.addr, address));
    admin_put_int(s->o, "seconds", true, (int64_t)((now - r->info.since) / 1000));
    status_row_end(s, r->verdict, tunnel_reason(r));
}

size_t status_tunnels_size(const struct hub *hub)
{
    return (size_t)MIN(tunnels_count(hub), ADMIN_STATUS_ROWS) * TUNNEL_ROW;
}

enum status_verdict status_tunnels(struct json_out *o, struct hub *hub)
{
    struct status_section s;
    struct tunnel_rows rows = {.now = loop_now(&hub->loop)};
    rows.row = xcalloc(MAX(tunnels_count(hub), 1U), sizeof(*rows.row));
    tunnels_each(hub->tunnels, add_tunnel, &rows);
    qsort(rows.row, rows.n, sizeof(*rows.row), compare_tunnels);
    status_section_open(&s, o, "tunnels");
    json_out_key(o, STR("tunnels"));
    json_out_array(o);
    for (unsigned i = 0; i < rows.n; i++) {
        const struct tunnel_row *r = &rows.row[i];
        char address[IP_TEXT_MAX];
        status_judge(&s, r->verdict,
                     "its proxy may have been refused: the hub's log and the client's say why",
                     "the client at %s: %s", ip_format(&r->info.addr, address), tunnel_reason(r));
        if (i < ADMIN_STATUS_ROWS) {
            put_tunnel(&s, r, rows.now);
        }
    }
    json_out_array_end(o);
    admin_put_int(o, "total", true, rows.n);
    admin_put_bool(o, "more", rows.n > ADMIN_STATUS_ROWS);
    status_section_close(&s);
    free(rows.row);
    return s.verdict;
}
