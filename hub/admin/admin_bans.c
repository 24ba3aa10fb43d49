#include "hub/admin/admin_bans.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/json/json.h"

int admin_ban_parse(struct str text, struct ip_addr *ip)
{
    static const struct str net = {"/64", 3};
    bool is_net = text.n > net.n && memcmp(text.p + text.n - net.n, net.p, net.n) == 0;
    if (is_net) {
        text.n -= net.n;
    }
    if (ip_parse(text, ip) != 0 || (is_net && ip_is_v4(ip))) {
        return -1;
    }
    if (!ip_is_v4(ip)) {
        ip_mask(ip, 64);
    }
    return 0;
}

const char *admin_ban_text(const struct ip_addr *ip, char *buf)
{
    char plain[IP_TEXT_MAX];
    snprintf(buf, ADMIN_BAN_TEXT_MAX, "%s%s", ip_format(ip, plain), ip_is_v4(ip) ? "" : "/64");
    return buf;
}

/* ---- the rows that matter most ---- */

/* A heap with the least row on top: what comes and is less than that is left out. So the list costs
 * the same memory however many addresses there are. */
struct rows {
    struct ban *row;
    unsigned n, total;
};

/* < 0: a stands before b in the list. */
static int compare(const void *pa, const void *pb)
{
    const struct ban *a = pa, *b = pb;
    if (a->banned != b->banned) {
        return a->banned ? -1 : 1;
    }
    if (a->failures != b->failures) {
        return a->failures > b->failures ? -1 : 1;
    }
    return memcmp(a->ip.b, b->ip.b, sizeof(a->ip.b));
}

static void swap(struct ban *a, struct ban *b)
{
    struct ban t = *a;
    *a = *b;
    *b = t;
}

static void sift_up(struct rows *r)
{
    for (unsigned i = r->n - 1; i > 0 && compare(&r->row[i], &r->row[(i - 1) / 2]) > 0;
         i = (i - 1) / 2) {
        swap(&r->row[i], &r->row[(i - 1) / 2]);
    }
}

static void sift_down(struct rows *r)
{
    unsigned i = 0;
    for (;;) {
        unsigned child = 2 * i + 1;
        if (child >= r->n) {
            return;
        }
        if (child + 1 < r->n && compare(&r->row[child + 1], &r->row[child]) > 0) {
            child++;
        }
        if (compare(&r->row[child], &r->row[i]) <= 0) {
            return;
        }
        swap(&r->row[i], &r->row[child]);
        i = child;
    }
}

static void add_row(void *arg, const struct ban *ban)
{
    struct rows *r = arg;
    r->total++;
    if (r->n < ADMIN_BANS_ROWS) {
        r->row[r->n++] = *ban;
        sift_up(r);
    } else if (compare(ban, &r->row[0]) < 0) {
        r->row[0] = *ban;
        sift_down(r);
    }
}

static void write_row(struct json_out *o, const struct ban *ban)
{
    char text[ADMIN_BAN_TEXT_MAX];
    json_out_object(o);
    json_out_key(o, STR("address"));
    json_out_str(o, str_of(admin_ban_text(&ban->ip, text)));
    json_out_key(o, STR("failures"));
    json_out_int(o, ban->failures);
    json_out_key(o, STR("banned"));
    json_out_bool(o, ban->banned);
    json_out_key(o, STR("seconds_left"));
    json_out_int(o, (int64_t)((ban->left + 999) / 1000));
    json_out_object_end(o);
}

char *admin_bans_json(struct bans *b, uint64_t now, size_t *n)
{
    struct rows r = {.row = xcalloc(ADMIN_BANS_ROWS, sizeof(*r.row))};
    bans_each(b, now, add_row, &r);
    qsort(r.row, r.n, sizeof(*r.row), compare);

    size_t cap = 64 + (size_t)r.n * ADMIN_BANS_ROW_MAX;
    char *text = xmalloc(cap);
    struct json_out o;
    json_out_init(&o, text, cap);
    json_out_object(&o);
    json_out_key(&o, STR("bans"));
    json_out_array(&o);
    for (unsigned i = 0; i < r.n; i++) {
        write_row(&o, &r.row[i]);
    }
    json_out_array_end(&o);
    json_out_key(&o, STR("total"));
    json_out_int(&o, r.total);
    json_out_key(&o, STR("more"));
    json_out_bool(&o, r.total > r.n);
    json_out_object_end(&o);
    ssize_t written = json_out_end(&o);
    *n = written < 0 ? 0 : (size_t)written;
    free(r.row);
    return text;
}
