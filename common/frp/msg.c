/* frp's messages: one table per message says which keys it has, and serves both directions. */
#include "common/frp/msg.h"

#include "common/crypto/secret.h"
#include "common/json/json.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include <openssl/evp.h>

/* Bounds of texts, in bytes. They only have to keep logs and tables small: a body has its own. */
#define WORD 64
#define NAME 256
#define TEXT 4096

enum kind {
    TEXT_FIELD,
    BOOL_FIELD,
    INT_FIELD,
    METAS_FIELD,
    SPEC_FIELD, /* client_spec: an object whose content we ignore, and which frp always sends */
};

struct field {
    const char *key;
    enum kind kind;
    size_t offset; /* in frp_msg.u */
    int64_t min;   /* of numbers */
    int64_t max;   /* of numbers, or of a text's length */
};

struct layout {
    enum frp_type type;
    bool sent; /* by one of our programs */
    const char *name;
    const struct field *fields; /* in frp's order */
    size_t n;
};

#define TEXT_IN(of, f, bound)                                                                      \
    {                                                                                              \
#f, TEXT_FIELD, offsetof(struct of, f), 0, bound                                           \
    }
#define BOOL_IN(of, f)                                                                             \
    {                                                                                              \
#f, BOOL_FIELD, offsetof(struct of, f), 0, 0                                               \
    }
#define INT_IN(of, f, low, high)                                                                   \
    {                                                                                              \
#f, INT_FIELD, offsetof(struct of, f), low, high                                           \
    }

static const struct field login[] = {
    TEXT_IN(frp_login, version, WORD),
    TEXT_IN(frp_login, hostname, NAME),
    TEXT_IN(frp_login, os, WORD),
    TEXT_IN(frp_login, arch, WORD),
    TEXT_IN(frp_login, user, NAME),
    TEXT_IN(frp_login, privilege_key, TEXT),
    INT_IN(frp_login, timestamp, INT64_MIN, INT64_MAX),
    TEXT_IN(frp_login, run_id, WORD),
    TEXT_IN(frp_login, client_id, NAME),
    {"metas", METAS_FIELD, offsetof(struct frp_login, metas), 0, TEXT},
    {"client_spec", SPEC_FIELD, 0, 0, 0},
    INT_IN(frp_login, pool_count, 0, INT32_MAX),
};

static const struct field login_resp[] = {
    TEXT_IN(frp_login_resp, version, WORD),
    TEXT_IN(frp_login_resp, run_id, WORD),
    TEXT_IN(frp_login_resp, error, TEXT),
};

static const struct field new_proxy[] = {
    TEXT_IN(frp_new_proxy, proxy_name, NAME),
    TEXT_IN(frp_new_proxy, proxy_type, WORD),
    BOOL_IN(frp_new_proxy, use_encryption),
    BOOL_IN(frp_new_proxy, use_compression),
    TEXT_IN(frp_new_proxy, bandwidth_limit, WORD),
    TEXT_IN(frp_new_proxy, bandwidth_limit_mode, WORD),
    TEXT_IN(frp_new_proxy, group, NAME),
    TEXT_IN(frp_new_proxy, group_key, NAME),
    INT_IN(frp_new_proxy, remote_port, 0, 65535),
};

static const struct field new_proxy_resp[] = {
    TEXT_IN(frp_new_proxy_resp, proxy_name, NAME),
    TEXT_IN(frp_new_proxy_resp, remote_addr, NAME),
    TEXT_IN(frp_new_proxy_resp, error, TEXT),
};

static const struct field close_proxy[] = {
    TEXT_IN(frp_close_proxy, proxy_name, NAME),
};

static const struct field new_work_conn[] = {
    TEXT_IN(frp_new_work_conn, run_id, WORD),
    TEXT_IN(frp_new_work_conn, privilege_key, TEXT),
    INT_IN(frp_new_work_conn, timestamp, INT64_MIN, INT64_MAX),
};

static const struct field start_work_conn[] = {
    TEXT_IN(frp_start_work_conn, proxy_name, NAME),
    TEXT_IN(frp_start_work_conn, src_addr, NAME),
    TEXT_IN(frp_start_work_conn, dst_addr, NAME),
    INT_IN(frp_start_work_conn, src_port, 0, 65535),
    INT_IN(frp_start_work_conn, dst_port, 0, 65535),
    TEXT_IN(frp_start_work_conn, error, TEXT),
};

static const struct field new_visitor_conn[] = {
    TEXT_IN(frp_new_visitor_conn, run_id, WORD),
    TEXT_IN(frp_new_visitor_conn, proxy_name, NAME),
};

static const struct field new_visitor_conn_resp[] = {
    TEXT_IN(frp_new_visitor_conn_resp, proxy_name, NAME),
    TEXT_IN(frp_new_visitor_conn_resp, error, TEXT),
};

static const struct field ping[] = {
    TEXT_IN(frp_ping, privilege_key, TEXT),
    INT_IN(frp_ping, timestamp, INT64_MIN, INT64_MAX),
};

static const struct field pong[] = {
    TEXT_IN(frp_pong, error, TEXT),
};

#define FIELDS(f) f, ARRAY_LEN(f)

static const struct layout layouts[] = {
    {FRP_LOGIN, true, "Login", FIELDS(login)},
    {FRP_LOGIN_RESP, true, "LoginResp", FIELDS(login_resp)},
    {FRP_NEW_PROXY, true, "NewProxy", FIELDS(new_proxy)},
    {FRP_NEW_PROXY_RESP, true, "NewProxyResp", FIELDS(new_proxy_resp)},
    {FRP_CLOSE_PROXY, true, "CloseProxy", FIELDS(close_proxy)},
    {FRP_NEW_WORK_CONN, true, "NewWorkConn", FIELDS(new_work_conn)},
    {FRP_REQ_WORK_CONN, true, "ReqWorkConn", NULL, 0},
    {FRP_START_WORK_CONN, true, "StartWorkConn", FIELDS(start_work_conn)},
    {FRP_PING, true, "Ping", FIELDS(ping)},
    {FRP_PONG, true, "Pong", FIELDS(pong)},
    {FRP_NEW_VISITOR_CONN, false, "NewVisitorConn", FIELDS(new_visitor_conn)},
    {FRP_NEW_VISITOR_CONN_RESP, true, "NewVisitorConnResp", FIELDS(new_visitor_conn_resp)},
    {FRP_UDP_PACKET, false, "UDPPacket", NULL, 0},
    {FRP_NAT_HOLE_VISITOR, false, "NatHoleVisitor", NULL, 0},
    {FRP_NAT_HOLE_CLIENT, false, "NatHoleClient", NULL, 0},
    {FRP_NAT_HOLE_RESP, false, "NatHoleResp", NULL, 0},
    {FRP_NAT_HOLE_SID, false, "NatHoleSid", NULL, 0},
    {FRP_NAT_HOLE_REPORT, false, "NatHoleReport", NULL, 0},
};

static const struct layout *layout_of(int type)
{
    for (size_t i = 0; i < ARRAY_LEN(layouts); i++)
        if ((int)layouts[i].type == type)
            return &layouts[i];
    return NULL;
}

const char *frp_type_name(enum frp_type type)
{
    const struct layout *l = layout_of((int)type);

    return l ? l->name : "unknown message";
}

int frp_frame_parse(const uint8_t *p, size_t n, struct frp_frame *out, const char **why)
{
    uint64_t length = 0;

    if (n == 0)
        return 0;
    if (!layout_of(p[0])) {
        *why = "unknown message type";
        return -1;
    }
    if (n < FRP_HEADER_LEN)
        return 0;
    for (int i = 1; i < FRP_HEADER_LEN; i++)
        length = length << 8 | p[i];
    /* A negative length is a huge one here. */
    if (length > FRP_BODY_MAX) {
        *why = length > INT64_MAX ? "negative message length" : "message too long";
        return -1;
    }
    if (n - FRP_HEADER_LEN < length)
        return 0;
    out->type = (enum frp_type)p[0];
    out->body = (struct str){(const char *)p + FRP_HEADER_LEN, (size_t)length};
    out->total = FRP_HEADER_LEN + (size_t)length;
    return (int)out->total;
}

/* ---- reading ---- */

static const char *read_metas(const struct json_node *node, struct frp_metas *out)
{
    if (json_type(node) != JSON_OBJECT)
        return "has the wrong type";
    if (json_count(node) > FRP_METAS_MAX)
        return "has too many entries";
    for (const struct json_node *m = json_first(node); m; m = json_next(m)) {
        struct frp_meta *to = &out->at[out->n++];

        to->key = json_key(m);
        if (json_str(m, &to->value) < 0)
            return "has an entry of the wrong type";
        if (to->key.n > NAME || to->value.n > TEXT)
            return "has an entry that is too long";
    }
    return NULL;
}

static const char *read_field(const struct field *f, const struct json_node *node, char *base)
{
    static const char wrong_type[] = "has the wrong type";
    void *to = base + f->offset;

    switch (f->kind) {
    case TEXT_FIELD:
        if (json_str(node, to) < 0)
            return wrong_type;
        return ((struct str *)to)->n > (size_t)f->max ? "is too long" : NULL;
    case BOOL_FIELD:
        return json_bool(node, to) < 0 ? wrong_type : NULL;
    case INT_FIELD:
        if (json_int(node, to) < 0)
            return wrong_type;
        return *(int64_t *)to < f->min || *(int64_t *)to > f->max ? "is out of range" : NULL;
    case METAS_FIELD:
        return read_metas(node, to);
    case SPEC_FIELD:
        return json_type(node) == JSON_OBJECT ? NULL : wrong_type;
    }
    return wrong_type;
}

int frp_msg_decode(struct frp_msg *msg, const struct frp_frame *frame, char *err, size_t errlen)
{
    /* Metas, headers and lists that are ignored count too. */
    static const struct json_limits limits = {8, 1024, FRP_BODY_MAX};
    const struct layout *l = layout_of((int)frame->type);
    const struct json_node *root;
    char why[96] = "";

    memset(msg, 0, sizeof(*msg));
    if (!l) {
        snprintf(err, errlen, "unknown message type");
        return -1;
    }
    msg->type = frame->type;
    msg->doc = json_parse(frame->body.p, frame->body.n, &limits, why, sizeof(why));
    if (!msg->doc)
        goto refused;
    root = json_root(msg->doc);
    if (json_type(root) != JSON_OBJECT) {
        snprintf(why, sizeof(why), "%s instead of an object", json_type_name(root));
        goto refused;
    }
    for (size_t i = 0; i < l->n; i++) {
        const struct json_node *node = json_get(root, l->fields[i].key);
        const char *bad = node ? read_field(&l->fields[i], node, (char *)&msg->u) : NULL;

        if (bad) {
            snprintf(why, sizeof(why), "%s %s", l->fields[i].key, bad);
            goto refused;
        }
    }
    return 0;

refused:
    snprintf(err, errlen, "%s: %s", l->name, why);
    frp_msg_clear(msg);
    return -1;
}

void frp_msg_clear(struct frp_msg *msg)
{
    json_free(msg->doc);
    secret_wipe(msg, sizeof(*msg));
}

struct str frp_meta_get(const struct frp_metas *metas, const char *key)
{
    for (size_t i = 0; i < metas->n; i++)
        if (str_eq(metas->at[i].key, str_of(key)))
            return metas->at[i].value;
    return (struct str){NULL, 0};
}

/* ---- writing ---- */

/* The order of Go's sorted map keys: by bytes, the shorter one first. */
static int key_order(struct str a, struct str b)
{
    size_t n = MIN(a.n, b.n);
    int order = n ? memcmp(a.p, b.p, n) : 0;

    if (order)
        return order;
    return a.n < b.n ? -1 : a.n > b.n;
}

static int write_metas(struct json_out *o, struct str key, const struct frp_metas *metas)
{
    const struct frp_meta *sorted[FRP_METAS_MAX];

    if (metas->n == 0)
        return 0;
    if (metas->n > FRP_METAS_MAX)
        return -1;
    for (size_t i = 0; i < metas->n; i++) {
        const struct frp_meta *m = &metas->at[i];
        size_t at = i;

        if (m->key.n > NAME || m->value.n > TEXT)
            return -1;
        for (; at > 0 && key_order(sorted[at - 1]->key, m->key) > 0; at--)
            sorted[at] = sorted[at - 1];
        if (at > 0 && str_eq(sorted[at - 1]->key, m->key))
            return -1;
        sorted[at] = m;
    }
    json_out_key(o, key);
    json_out_object(o);
    for (size_t i = 0; i < metas->n; i++) {
        json_out_key(o, sorted[i]->key);
        json_out_str(o, sorted[i]->value);
    }
    json_out_object_end(o);
    return 0;
}

static int write_field(struct json_out *o, const struct field *f, const char *base)
{
    const void *from = base + f->offset;
    struct str key = str_of(f->key);

    switch (f->kind) {
    case TEXT_FIELD: {
        struct str s = *(const struct str *)from;

        if (s.n > (size_t)f->max)
            return -1;
        if (s.n) {
            json_out_key(o, key);
            json_out_str(o, s);
        }
        return 0;
    }
    case BOOL_FIELD:
        if (*(const bool *)from) {
            json_out_key(o, key);
            json_out_bool(o, true);
        }
        return 0;
    case INT_FIELD: {
        int64_t v = *(const int64_t *)from;

        if (v < f->min || v > f->max)
            return -1;
        if (v) {
            json_out_key(o, key);
            json_out_int(o, v);
        }
        return 0;
    }
    case METAS_FIELD:
        return write_metas(o, key, from);
    case SPEC_FIELD:
        json_out_key(o, key);
        json_out_object(o);
        json_out_object_end(o);
        return 0;
    }
    return -1;
}

ssize_t frp_msg_encode(const struct frp_msg *msg, uint8_t *buf, size_t cap)
{
    const struct layout *l = layout_of((int)msg->type);
    struct json_out o;
    ssize_t n;

    if (!l || !l->sent || cap < FRP_HEADER_LEN)
        return -1;
    json_out_init(&o, (char *)buf + FRP_HEADER_LEN, MIN(cap - FRP_HEADER_LEN, FRP_BODY_MAX));
    json_out_object(&o);
    for (size_t i = 0; i < l->n; i++)
        if (write_field(&o, &l->fields[i], (const char *)&msg->u) < 0)
            return -1;
    json_out_object_end(&o);
    n = json_out_end(&o);
    if (n < 0)
        return -1;
    buf[0] = (uint8_t)msg->type;
    for (int i = 0; i < 8; i++)
        buf[1 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
    return FRP_HEADER_LEN + n;
}

/* ---- the login key ---- */

int frp_privilege_key(struct str token, int64_t timestamp, char out[FRP_PRIVILEGE_KEY_LEN + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned n = 0;
    char text[24];
    int ok = md != NULL;
    int len = snprintf(text, sizeof(text), "%" PRId64, timestamp);

    out[0] = '\0';
    ok = ok && EVP_DigestInit_ex(md, EVP_md5(), NULL) == 1;
    ok = ok && (token.n == 0 || EVP_DigestUpdate(md, token.p, token.n) == 1);
    ok = ok && EVP_DigestUpdate(md, text, (size_t)len) == 1;
    ok = ok && EVP_DigestFinal_ex(md, digest, &n) == 1;
    ok = ok && hex_encode(out, FRP_PRIVILEGE_KEY_LEN + 1, digest, n) == FRP_PRIVILEGE_KEY_LEN;
    EVP_MD_CTX_free(md);
    secret_wipe(digest, sizeof(digest));
    return ok ? 0 : -1;
}

bool frp_privilege_key_matches(struct str token, int64_t timestamp, struct str given)
{
    char wanted[FRP_PRIVILEGE_KEY_LEN + 1];
    bool same = frp_privilege_key(token, timestamp, wanted) == 0 &&
                secret_equal((struct str){wanted, FRP_PRIVILEGE_KEY_LEN}, given);

    secret_wipe(wanted, sizeof(wanted));
    return same;
}
