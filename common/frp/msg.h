/* msg.h - frp's messages, wire v1, as frpc and frps 0.61.1 and 0.70.1 speak them.
 *
 * A frame is type(1) | length(8, signed, big endian) | a JSON object; the length is at most 10240.
 * frp_frame_parse is a pure function: its result points into the caller's bytes.
 *
 * A decoded `struct frp_msg` owns a JSON document; every slice in it points into that document, so
 * the received bytes may go. Whoever decoded it calls frp_msg_clear, which wipes it (it may hold
 * the shared key). A message that is built for sending owns nothing: fill in type and fields, leave
 * the rest zero, encode it; do not clear it (clearing is harmless, though).
 *
 * Reading: keys that are not known are ignored; a known key with a wrong type (null too), an empty
 * frame, a number out of its range or text over its bound is refused. Keys must be spelled as frp
 * spells them. A key that is absent reads as "", 0 or false, as with frp itself: an empty
 * proxy_type means "tcp". Text may hold any character, controls and NUL included: check names
 * before using them.
 *
 * Writing: the order of keys and the leaving out of empty values are frp's, so the bytes are the
 * same as frp's for the same values.
 */
#ifndef HARP_FRP_MSG_H
#define HARP_FRP_MSG_H

#include "common/base/base.h"

#define FRP_HEADER_LEN 9
#define FRP_BODY_MAX 10240
#define FRP_FRAME_MAX (FRP_HEADER_LEN + FRP_BODY_MAX)

/* The byte on the wire. */
enum frp_type {
    FRP_LOGIN = 'o',
    FRP_LOGIN_RESP = '1',
    FRP_NEW_PROXY = 'p',
    FRP_NEW_PROXY_RESP = '2',
    FRP_CLOSE_PROXY = 'c',
    FRP_NEW_WORK_CONN = 'w',
    FRP_REQ_WORK_CONN = 'r',
    FRP_START_WORK_CONN = 's',
    FRP_PING = 'h',
    FRP_PONG = '4',
    FRP_NEW_VISITOR_CONN = 'v',
    FRP_NEW_VISITOR_CONN_RESP = '3',
    /* Known to be frp's, but read no further than that the body is an object; never encoded. */
    FRP_UDP_PACKET = 'u',
    FRP_NAT_HOLE_VISITOR = 'i',
    FRP_NAT_HOLE_CLIENT = 'n',
    FRP_NAT_HOLE_RESP = 'm',
    FRP_NAT_HOLE_SID = '5',
    FRP_NAT_HOLE_REPORT = '6',
};

struct frp_frame {
    enum frp_type type;
    struct str body;
    size_t total; /* bytes of the whole frame */
};

/* > 0: a frame is there, this long. 0: more bytes are needed. < 0: refused, *why says why (static
 * text); an unknown type is refused by its first byte. */
int frp_frame_parse(const uint8_t *p, size_t n, struct frp_frame *out, const char **why) MUST_CHECK;

#define FRP_METAS_MAX 16

struct frp_meta {
    struct str key, value;
};

/* Metas are encoded sorted by key, whatever their order here. */
struct frp_metas {
    struct frp_meta at[FRP_METAS_MAX];
    size_t n;
};

struct frp_login {
    struct str version, hostname, os, arch, user, privilege_key;
    int64_t timestamp; /* seconds since 1970, by the client's clock */
    struct str run_id, client_id;
    struct frp_metas metas; /* "token" is HaRP's secret */
    int64_t pool_count;     /* as asked for, >= 0; the server sets the limit */
};

struct frp_login_resp {
    struct str version, run_id, error;
};

struct frp_new_proxy {
    struct str proxy_name, proxy_type;
    bool use_encryption, use_compression;
    struct str bandwidth_limit, bandwidth_limit_mode, group, group_key;
    int64_t remote_port; /* 0..65535 */
};

struct frp_new_proxy_resp {
    struct str proxy_name, remote_addr, error;
};

struct frp_close_proxy {
    struct str proxy_name;
};

/* privilege_key and timestamp are empty in frp's default configuration. */
struct frp_new_work_conn {
    struct str run_id, privilege_key;
    int64_t timestamp;
};

struct frp_start_work_conn {
    struct str proxy_name, src_addr, dst_addr;
    int64_t src_port, dst_port; /* 0..65535 */
    struct str error;
};

struct frp_new_visitor_conn {
    struct str run_id, proxy_name;
};

struct frp_new_visitor_conn_resp {
    struct str proxy_name, error;
};

struct frp_ping {
    struct str privilege_key;
    int64_t timestamp;
};

struct frp_pong {
    struct str error;
};

struct json_doc;

struct frp_msg {
    enum frp_type type;
    union {
        struct frp_login login;
        struct frp_login_resp login_resp;
        struct frp_new_proxy new_proxy;
        struct frp_new_proxy_resp new_proxy_resp;
        struct frp_close_proxy close_proxy;
        struct frp_new_work_conn new_work_conn;
        struct frp_start_work_conn start_work_conn;
        struct frp_new_visitor_conn new_visitor_conn;
        struct frp_new_visitor_conn_resp new_visitor_conn_resp;
        struct frp_ping ping;
        struct frp_pong pong;
    } u;
    struct json_doc *doc; /* what a decoded message owns */
};

/* "Login", "NewProxy", ...; "unknown message" for a byte that is none. */
const char *frp_type_name(enum frp_type type);

/* Reads a frame's body. 0, or -1 with the reason in err; msg then owns nothing. The reason names
 * the message and the key, never a value. */
int frp_msg_decode(struct frp_msg *msg, const struct frp_frame *frame, char *err,
                   size_t errlen) MUST_CHECK;
/* Wipes and frees what a decoded message owns, and zeroes it. */
void frp_msg_clear(struct frp_msg *msg);

/* Writes a whole frame. Its length, or -1: no room, body over 10240, a value that decoding would
 * refuse (too long, out of range, invalid UTF-8), a meta key twice, or a type that is never sent.
 * FRP_FRAME_MAX bytes are always enough room. */
ssize_t frp_msg_encode(const struct frp_msg *msg, uint8_t *buf, size_t cap) MUST_CHECK;

/* The meta of that name; the empty slice with p == NULL if there is none. */
struct str frp_meta_get(const struct frp_metas *metas, const char *key);

#define FRP_PRIVILEGE_KEY_LEN 32

/* frp's own login check: hex MD5 of the auth token and the decimal timestamp. HaRP leaves frp's
 * token empty, and the key is sent all the same. out is NUL-terminated. */
int frp_privilege_key(struct str token, int64_t timestamp,
                      char out[FRP_PRIVILEGE_KEY_LEN + 1]) MUST_CHECK;
/* Compares in constant time. */
bool frp_privilege_key_matches(struct str token, int64_t timestamp, struct str given) MUST_CHECK;

#endif
