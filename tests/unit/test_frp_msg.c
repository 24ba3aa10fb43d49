/* frp messages: frames, what is taken and refused in bodies, and the bytes we send. */
#include "common/frp/msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int decode(struct frp_msg *msg, enum frp_type type, const char *body, char *err, size_t n)
{
    struct frp_frame f = {type, str_of(body), 0};

    return frp_msg_decode(msg, &f, err, n);
}

static void frames_are_cut_by_their_length(void **state)
{
    static const uint8_t two[] = "h\0\0\0\0\0\0\0\2{}r\0\0\0\0\0\0\0\2{}";
    const char *why = NULL;
    struct frp_frame f;

    (void)state;
    for (size_t n = 0; n < 11; n++)
        assert_int_equal(frp_frame_parse(two, n, &f, &why), 0);
    for (size_t n = 11; n < sizeof(two); n++) {
        assert_int_equal(frp_frame_parse(two, n, &f, &why), 11);
        assert_int_equal(f.type, FRP_PING);
        assert_true(str_eq(f.body, STR("{}")));
        assert_int_equal(f.total, 11);
    }
    assert_null(why);
}

static void refuses_wrong_lengths(void **state)
{
    static const struct {
        uint8_t length[8];
        int verdict;
    } cases[] = {
        {{0, 0, 0, 0, 0, 0, 0x28, 0x00}, 0},
        {{0, 0, 0, 0, 0, 0, 0x28, 0x01}, -1},
        {{0, 0, 0, 0, 0, 1, 0, 0}, -1},
        {{0, 0, 0, 1, 0, 0, 0, 2}, -1},
        {{1, 0, 0, 0, 0, 0, 0, 2}, -1},
        {{0x80, 0, 0, 0, 0, 0, 0, 2}, -1},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t head[FRP_HEADER_LEN] = {'o'};
        const char *why = NULL;
        struct frp_frame f;

        memcpy(head + 1, cases[i].length, 8);
        assert_int_equal(frp_frame_parse(head, 8, &f, &why), 0);
        assert_int_equal(frp_frame_parse(head, 9, &f, &why), cases[i].verdict);
        assert_int_equal(why != NULL, cases[i].verdict < 0);
    }
}

static void only_frps_types_are_known(void **state)
{
    static const char known[] = "o1p2cwrsv3h4uinm56";

    (void)state;
    for (int c = 0; c < 256; c++) {
        uint8_t byte = (uint8_t)c;
        const char *why = NULL;
        struct frp_frame f;
        bool good = c && strchr(known, c);

        assert_int_equal(frp_frame_parse(&byte, 1, &f, &why), good ? 0 : -1);
        assert_int_equal(strcmp(frp_type_name((enum frp_type)c), "unknown message") != 0, good);
    }
}

static void reads_a_login(void **state)
{
    struct frp_msg m;
    char err[128];

    (void)state;
    assert_int_equal(
        decode(&m, FRP_LOGIN,
               "{\"version\":\"0.70.1\",\"hostname\":\"vm\",\"os\":\"linux\",\"arch\":\"amd64\","
               "\"user\":\"u\",\"privilege_key\":\"k\",\"timestamp\":1795414484,\"run_id\":\"r\","
               "\"client_id\":\"c\",\"metas\":{\"other\":\"x\",\"token\":\"sh\\u0061red\"},"
               "\"client_spec\":{\"type\":\"ssh-tunnel\",\"always_auth_pass\":true},"
               "\"pool_count\":5,\"later\":[1,{\"a\":null}]}",
               err, sizeof(err)),
        0);
    assert_true(str_eq(m.u.login.version, STR("0.70.1")));
    assert_true(str_eq(m.u.login.hostname, STR("vm")));
    assert_true(str_eq(m.u.login.os, STR("linux")));
    assert_true(str_eq(m.u.login.arch, STR("amd64")));
    assert_true(str_eq(m.u.login.user, STR("u")));
    assert_true(str_eq(m.u.login.privilege_key, STR("k")));
    assert_true(m.u.login.timestamp == 1795414484);
    assert_true(str_eq(m.u.login.run_id, STR("r")));
    assert_true(str_eq(m.u.login.client_id, STR("c")));
    assert_true(str_eq(frp_meta_get(&m.u.login.metas, "token"), STR("shared")));
    assert_null(frp_meta_get(&m.u.login.metas, "toke").p);
    assert_true(m.u.login.pool_count == 5);
    frp_msg_clear(&m);
    assert_null(m.doc);
    assert_int_equal(m.u.login.version.n, 0);
}

static void absent_keys_read_as_empty(void **state)
{
    struct frp_msg m;
    char err[128];

    (void)state;
    assert_int_equal(decode(&m, FRP_NEW_PROXY, " {} ", err, sizeof(err)), 0);
    assert_int_equal(m.u.new_proxy.proxy_name.n, 0);
    assert_false(m.u.new_proxy.use_encryption);
    assert_true(m.u.new_proxy.remote_port == 0);
    frp_msg_clear(&m);
    assert_int_equal(decode(&m, FRP_NEW_VISITOR_CONN,
                            "{\"run_id\":\"r\",\"proxy_name\":\"p\",\"sign_key\":1}", err,
                            sizeof(err)),
                     0);
    assert_true(str_eq(m.u.new_visitor_conn.proxy_name, STR("p")));
    frp_msg_clear(&m);
    assert_int_equal(decode(&m, FRP_UDP_PACKET, "{\"c\":\"x\"}", err, sizeof(err)), 0);
    frp_msg_clear(&m);
}

static void refuses_bad_bodies(void **state)
{
    static const struct {
        enum frp_type type;
        const char *body;
        const char *why;
    } cases[] = {
        {FRP_PING, "", "Ping: empty"},
        {FRP_PING, "[]", "array instead of an object"},
        {FRP_PING, "null", "null instead of an object"},
        {FRP_PING, "{}x", "Ping: "},
        {FRP_UDP_PACKET, "1", "instead of an object"},
        {FRP_REQ_WORK_CONN, "\"\"", "instead of an object"},
        {FRP_PING, "{\"timestamp\":\"1\"}", "timestamp has the wrong type"},
        {FRP_PING, "{\"timestamp\":1.0}", "timestamp has the wrong type"},
        {FRP_PING, "{\"timestamp\":99999999999999999999}", "out of range"},
        {FRP_PING, "{\"timestamp\":null}", "timestamp has the wrong type"},
        {FRP_PING, "{\"timestamp\":1,\"timestamp\":1}", "twice"},
        {FRP_PONG, "{\"error\":1}", "error has the wrong type"},
        {FRP_LOGIN, "{\"version\":1}", "version has the wrong type"},
        {FRP_LOGIN, "{\"hostname\":{}}", "hostname has the wrong type"},
        {FRP_LOGIN, "{\"os\":[]}", "os has the wrong type"},
        {FRP_LOGIN, "{\"arch\":true}", "arch has the wrong type"},
        {FRP_LOGIN, "{\"user\":1}", "user has the wrong type"},
        {FRP_LOGIN, "{\"privilege_key\":1}", "privilege_key has the wrong type"},
        {FRP_LOGIN, "{\"run_id\":1}", "run_id has the wrong type"},
        {FRP_LOGIN, "{\"client_id\":1}", "client_id has the wrong type"},
        {FRP_LOGIN, "{\"metas\":[]}", "metas has the wrong type"},
        {FRP_LOGIN, "{\"metas\":null}", "metas has the wrong type"},
        {FRP_LOGIN, "{\"metas\":{\"token\":1}}", "metas has an entry of the wrong type"},
        {FRP_LOGIN, "{\"metas\":{\"token\":\"a\",\"token\":\"b\"}}", "twice"},
        {FRP_LOGIN, "{\"client_spec\":1}", "client_spec has the wrong type"},
        {FRP_LOGIN, "{\"pool_count\":-1}", "pool_count is out of range"},
        {FRP_LOGIN, "{\"pool_count\":2147483648}", "pool_count is out of range"},
        {FRP_LOGIN_RESP, "{\"run_id\":1}", "run_id has the wrong type"},
        {FRP_NEW_PROXY, "{\"proxy_name\":1}", "proxy_name has the wrong type"},
        {FRP_NEW_PROXY, "{\"proxy_type\":1}", "proxy_type has the wrong type"},
        {FRP_NEW_PROXY, "{\"use_encryption\":1}", "use_encryption has the wrong type"},
        {FRP_NEW_PROXY, "{\"use_compression\":\"\"}", "use_compression has the wrong type"},
        {FRP_NEW_PROXY, "{\"remote_port\":65536}", "remote_port is out of range"},
        {FRP_NEW_PROXY, "{\"remote_port\":-1}", "remote_port is out of range"},
        {FRP_NEW_PROXY, "{\"remote_port\":\"1\"}", "remote_port has the wrong type"},
        {FRP_NEW_PROXY, "{\"group\":1}", "group has the wrong type"},
        {FRP_NEW_PROXY, "{\"bandwidth_limit\":1}", "bandwidth_limit has the wrong type"},
        {FRP_CLOSE_PROXY, "{\"proxy_name\":[]}", "proxy_name has the wrong type"},
        {FRP_NEW_WORK_CONN, "{\"run_id\":{}}", "run_id has the wrong type"},
        {FRP_START_WORK_CONN, "{\"src_port\":65536}", "src_port is out of range"},
        {FRP_START_WORK_CONN, "{\"dst_addr\":1}", "dst_addr has the wrong type"},
        {(enum frp_type)'F', "{}", "unknown message"},
    };
    struct frp_msg m;
    char err[160];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (decode(&m, cases[i].type, cases[i].body, err, sizeof(err)) == 0)
            fail_msg("accepted: %s", cases[i].body);
        assert_null(m.doc);
        if (!strstr(err, cases[i].why))
            fail_msg("%s: said '%s'", cases[i].body, err);
    }
}

static void refuses_text_over_its_bound(void **state)
{
    static const struct {
        enum frp_type type;
        const char *key;
        size_t bound;
    } cases[] = {
        {FRP_LOGIN, "run_id", 64},           {FRP_LOGIN, "hostname", 256},
        {FRP_LOGIN, "privilege_key", 4096},  {FRP_NEW_PROXY, "proxy_name", 256},
        {FRP_NEW_PROXY, "proxy_type", 64},   {FRP_CLOSE_PROXY, "proxy_name", 256},
        {FRP_NEW_WORK_CONN, "run_id", 64},   {FRP_START_WORK_CONN, "error", 4096},
        {FRP_NEW_PROXY_RESP, "error", 4096}, {FRP_LOGIN_RESP, "version", 64},
    };
    char body[5000], err[128];
    struct frp_msg m;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t over = 0; over < 2; over++) {
            int n = sprintf(body, "{\"%s\":\"", cases[i].key);

            memset(body + n, 'x', cases[i].bound + over);
            strcpy(body + n + cases[i].bound + over, "\"}");
            assert_int_equal(decode(&m, cases[i].type, body, err, sizeof(err)), over ? -1 : 0);
            frp_msg_clear(&m);
        }
    }
    for (int count = FRP_METAS_MAX; count <= FRP_METAS_MAX + 1; count++) {
        int n = sprintf(body, "{\"metas\":{");

        for (int i = 0; i < count; i++)
            n += sprintf(body + n, "%s\"m%d\":\"v\"", i ? "," : "", i);
        sprintf(body + n, "}}");
        assert_int_equal(decode(&m, FRP_LOGIN, body, err, sizeof(err)),
                         count > FRP_METAS_MAX ? -1 : 0);
        frp_msg_clear(&m);
    }
}

static void writes_frps_bytes(void **state)
{
    static const struct {
        struct frp_msg msg;
        const char *body;
    } cases[] = {
        {{.type = FRP_REQ_WORK_CONN}, "{}"},
        {{.type = FRP_PING}, "{}"},
        {{.type = FRP_PONG}, "{}"},
        {{.type = FRP_PONG, .u.pong = {{"<no>", 4}}}, "{\"error\":\"\\u003cno\\u003e\"}"},
        {{.type = FRP_LOGIN}, "{\"client_spec\":{}}"},
        {{.type = FRP_LOGIN,
          .u.login =
              {.version = {"0.61.1", 6},
               .user = {"u", 1},
               .timestamp = 7,
               .client_id = {"c", 1},
               .metas = {{{{"token", 5}, {"x", 1}}, {{"a", 1}, {"", 0}}, {{"to", 2}, {"y", 1}}}, 3},
               .pool_count = 1}},
         "{\"version\":\"0.61.1\",\"user\":\"u\",\"timestamp\":7,\"client_id\":\"c\",\"metas\":{"
         "\"a\":\"\",\"to\":\"y\",\"token\":\"x\"},\"client_spec\":{},\"pool_count\":1}"},
        {{.type = FRP_NEW_PROXY,
          .u.new_proxy = {{"p", 1},
                          {"tcp", 3},
                          true,
                          true,
                          {"1MB", 3},
                          {"client", 6},
                          {"g", 1},
                          {"k", 1},
                          23000}},
         "{\"proxy_name\":\"p\",\"proxy_type\":\"tcp\",\"use_encryption\":true,"
         "\"use_compression\":true,\"bandwidth_limit\":\"1MB\",\"bandwidth_limit_mode\":\"client\","
         "\"group\":\"g\",\"group_key\":\"k\",\"remote_port\":23000}"},
        {{.type = FRP_NEW_PROXY_RESP, .u.new_proxy_resp = {.error = {"port unavailable", 16}}},
         "{\"error\":\"port unavailable\"}"},
        {{.type = FRP_NEW_WORK_CONN, .u.new_work_conn = {{"r", 1}, {"k", 1}, -1}},
         "{\"run_id\":\"r\",\"privilege_key\":\"k\",\"timestamp\":-1}"},
        {{.type = FRP_START_WORK_CONN,
          .u.start_work_conn = {{"p", 1}, {"::1", 3}, {"::1", 3}, 65535, 0, {"e", 1}}},
         "{\"proxy_name\":\"p\",\"src_addr\":\"::1\",\"dst_addr\":\"::1\",\"src_port\":65535,"
         "\"error\":\"e\"}"},
        {{.type = FRP_NEW_VISITOR_CONN_RESP, .u.new_visitor_conn_resp = {{"p", 1}, {"no", 2}}},
         "{\"proxy_name\":\"p\",\"error\":\"no\"}"},
    };
    uint8_t buf[FRP_FRAME_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t len = strlen(cases[i].body);

        for (size_t cap = 0; cap < FRP_HEADER_LEN + len; cap++)
            assert_int_equal(frp_msg_encode(&cases[i].msg, buf, cap), -1);
        assert_int_equal(frp_msg_encode(&cases[i].msg, buf, FRP_HEADER_LEN + len), 9 + len);
        assert_int_equal(buf[0], cases[i].msg.type);
        assert_memory_equal(buf + 1, "\0\0\0\0\0\0", 6);
        assert_int_equal(buf[7] << 8 | buf[8], len);
        assert_memory_equal(buf + 9, cases[i].body, len);
    }
}

static void does_not_write_what_the_peer_would_refuse(void **state)
{
    static char big[4097], controls[4096];
    struct frp_msg bad[] = {
        {.type = FRP_UDP_PACKET},
        {.type = FRP_NEW_VISITOR_CONN},
        {.type = (enum frp_type)0},
        {.type = FRP_NEW_PROXY, .u.new_proxy.remote_port = 65536},
        {.type = FRP_NEW_PROXY, .u.new_proxy.remote_port = -1},
        {.type = FRP_LOGIN_RESP, .u.login_resp.run_id = {big, 65}},
        {.type = FRP_PONG, .u.pong.error = {big, 4097}},
        {.type = FRP_PONG, .u.pong.error = {"\xff", 1}},
        {.type = FRP_PONG, .u.pong.error = {controls, sizeof(controls)}}, /* over 10240 escaped */
        {.type = FRP_LOGIN, .u.login.metas = {{{{"a", 1}, {"", 0}}, {{"a", 1}, {"", 0}}}, 2}},
        {.type = FRP_LOGIN, .u.login.metas = {.n = FRP_METAS_MAX + 1}},
    };
    uint8_t buf[2 * FRP_FRAME_MAX];

    (void)state;
    memset(big, 'x', sizeof(big));
    memset(controls, 1, sizeof(controls));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(frp_msg_encode(&bad[i], buf, sizeof(buf)), -1);
}

static void privilege_key_is_md5_of_token_and_time(void **state)
{
    char key[FRP_PRIVILEGE_KEY_LEN + 1];
    struct str given = {key, FRP_PRIVILEGE_KEY_LEN};

    (void)state;
    assert_int_equal(frp_privilege_key(STR("ref-token-123"), 1795414481, key), 0);
    assert_string_equal(key, "8e9bdab7dc96e274cf81d540bec64424");
    assert_true(frp_privilege_key_matches(STR("ref-token-123"), 1795414481, given));
    assert_false(frp_privilege_key_matches(STR("ref-token-123"), 1795414482, given));
    assert_false(frp_privilege_key_matches(STR("ref-token-124"), 1795414481, given));
    assert_false(frp_privilege_key_matches(STR(""), 1795414481, given));
    assert_false(frp_privilege_key_matches(STR("ref-token-123"), 1795414481, STR("")));
    assert_int_equal(frp_privilege_key((struct str){NULL, 0}, 1795414484, key), 0);
    assert_string_equal(key, "85edbba1b425e1167d188a2c1286a84c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_cut_by_their_length),
        cmocka_unit_test(refuses_wrong_lengths),
        cmocka_unit_test(only_frps_types_are_known),
        cmocka_unit_test(reads_a_login),
        cmocka_unit_test(absent_keys_read_as_empty),
        cmocka_unit_test(refuses_bad_bodies),
        cmocka_unit_test(refuses_text_over_its_bound),
        cmocka_unit_test(writes_frps_bytes),
        cmocka_unit_test(does_not_write_what_the_peer_would_refuse),
        cmocka_unit_test(privilege_key_is_md5_of_token_and_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
