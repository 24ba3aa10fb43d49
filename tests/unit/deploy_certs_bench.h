/* deploy_certs_bench.h - for a test program that includes this: what install_certificates needs beside
 * deploy_bench.h: a folder of certificates, commands in a container, and a look into archives. */
#ifndef HARP_UNIT_DEPLOY_CERTS_BENCH_H
#define HARP_UNIT_DEPLOY_CERTS_BENCH_H

#include "hub/tunnel/tunnel_impl.h"
#include "tests/unit/deploy_bench.h"
#include "tests/unit/tar_reader.h"

#define CERT(text) "-----BEGIN CERTIFICATE-----\n" text "\n-----END CERTIFICATE-----\n"
#define BUNDLE "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n"
#define ALL "{\"name\":\"a\",\"system_certs_bundle\":\"" BUNDLE "\",\"install_frp_certs\":true}"
#define SYSTEM "{\"name\":\"a\",\"system_certs_bundle\":\"" BUNDLE "\",\"install_frp_certs\":false}"
#define FRP "{\"name\":\"a\",\"install_frp_certs\":true}"
#define NEITHER "{\"name\":\"a\",\"install_frp_certs\":false}"

#define INSPECT "GET /containers/nc_app_a/json"
#define START "POST /containers/nc_app_a/start"
#define STOP "POST /containers/nc_app_a/stop"
#define EXEC "POST /containers/nc_app_a/exec"
#define EXEC_START "POST /exec/0e1/start"
#define EXEC_END "GET /exec/0e1/json"
#define UPLOAD "PUT /containers/nc_app_a/archive?path=/"
#define RUNNING "{\"Config\":{},\"State\":{\"Running\":true}}"
#define STOPPED "{\"Config\":{},\"State\":{\"Running\":false,\"Status\":\"exited\"}}"

#define CAT "[\"cat\",\"/etc/os-release\"]"
#define MKDIR_DEBIAN "[\"mkdir\",\"-p\",\"/usr/local/share/ca-certificates\"]"
#define MKDIR_FEDORA "[\"mkdir\",\"-p\",\"/etc/pki/ca-trust/source/anchors\"]"
#define MKDIR_FRP "[\"mkdir\",\"-p\",\"/certs/frp\"]"
#define REFRESH_DEBIAN "[\"update-ca-certificates\"]"
#define REFRESH_FEDORA "[\"update-ca-trust\",\"extract\"]"
#define DEBIAN "NAME=\"Debian GNU/Linux\"\nID=debian\n"
#define FEDORA "NAME=\"Rocky Linux\"\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"

static struct tunnels tunnels;
static char certs_dir[64];

static inline void certs_told(void *arg UNUSED, enum certs_level level UNUSED,
                              const char *text UNUSED)
{
}

/* The folder is made once; each test has the bench and TLS on. */
static inline int certs_set_up_all(void **state UNUSED)
{
    char err[CERTS_TEXT_SIZE];
    strcpy(certs_dir, "/tmp/test_deploy_certs.XXXXXX");
    if (!mkdtemp(certs_dir) ||
        certs_open(&tunnels.certs, certs_dir, 3650, certs_told, NULL, err, sizeof(err)) < 0) {
        return -1;
    }
    tunnels.tls = SSL_CTX_new(TLS_method());
    return !tunnels.tls;
}

static inline int certs_tear_down_all(void **state UNUSED)
{
    const struct certs *c = &tunnels.certs;
    const char *const files[] = {c->ca_crt,     c->ca_key,     c->server_crt,
                                 c->server_key, c->client_crt, c->client_key};
    char folder[96];
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        unlink(files[i]);
    }
    snprintf(folder, sizeof(folder), "%s/frp", certs_dir);
    rmdir(folder);
    SSL_CTX_free(tunnels.tls);
    return rmdir(certs_dir);
}

static inline int certs_set_up(void **state)
{
    int rc = bench_set_up(state);
    bench->hub.tunnels = &tunnels;
    return rc;
}

/* ---- commands ---- */

/* One frame of an output: 1 standard output, 2 standard error. Returns its length. */
static inline size_t frame(char *out, int stream, const char *text, size_t n)
{
    const unsigned char head[] = {(unsigned char)stream,
                                  0,
                                  0,
                                  0,
                                  (unsigned char)(n >> 24),
                                  (unsigned char)(n >> 16),
                                  (unsigned char)(n >> 8),
                                  (unsigned char)n};
    memcpy(out, head, sizeof(head));
    memcpy(out + sizeof(head), text, n);
    return sizeof(head) + n;
}

/* The command is made, and must be this one; its start is the next call. */
static inline void command_made(const char *argv)
{
    char want[256];
    struct engine_call *c = stub_expect(EXEC);
    snprintf(want, sizeof(want), "{\"AttachStdout\":true,\"AttachStderr\":true,\"Cmd\":%s}", argv);
    assert_string_equal(c->body, want);
    assert_string_equal(c->type, "application/json");
    assert_int_equal(c->timeout, 30000);
    stub_answer(c, 201, "{\"Id\":\"0e1\"}");
}

static inline void command_output(const char *output, size_t n, const char *ended)
{
    struct engine_call *c = stub_expect(EXEC_START);
    assert_string_equal(c->body, "{\"Detach\":false,\"Tty\":false}");
    assert_string_equal(c->type, "application/json");
    assert_int_equal(c->timeout, 60000);
    stub_say(c, 200, output, n);
    stub_step(EXEC_END, 200, ended);
}

/* All of a command that writes this and ends so. */
static inline void command(const char *argv, const char *text, int code)
{
    char output[1024], ended[64];
    size_t n = strlen(text) > 0 ? frame(output, 1, text, strlen(text)) : 0;
    snprintf(ended, sizeof(ended), "{\"Running\":false,\"ExitCode\":%d}", code);
    command_made(argv);
    command_output(output, n, ended);
}

/* What it can't run for want of the program: Docker and Podman say it in these ways. */
static inline void command_missing(const char *argv)
{
    command(argv, "", 127);
}

/* ---- archives ---- */

/* The upload; t reads what is in it. */
static inline struct engine_call *upload(struct tar_reader *t)
{
    struct engine_call *c = stub_expect(UPLOAD);
    assert_string_equal(c->type, "application/x-tar");
    assert_int_equal(c->timeout, 30000);
    *t = (struct tar_reader){(const unsigned char *)c->body, c->n, 0};
    return c;
}

/* The archive's next member; a NULL name: there is none. */
static inline struct str member(struct tar_reader *t, const char *name)
{
    struct tar_member m = {0};
    const char *why = "";
    int rc = tar_next(t, &m, &why);
    if (rc != (name ? 1 : 0) || (name && strcmp(m.name, name) != 0)) {
        fail_msg("%d, %s, where %s should be (%s)", rc, m.name, name ? name : "the end", why);
    }
    return m.content;
}

/* Of the certificate in BUNDLE, with the folders if they could not be made. */
static inline void upload_bundle(const char *folder, bool folders)
{
    struct tar_reader t;
    char name[128];
    struct engine_call *c = upload(&t);
    for (const char *slash = strchr(folder, '/'); folders && slash;
         slash = strchr(slash + 1, '/')) {
        snprintf(name, sizeof(name), "%.*s", (int)(slash - folder) + 1, folder);
        member(&t, name);
    }
    snprintf(name, sizeof(name), "%scustom_ca_cert_0.crt", folder);
    assert_true(str_eq(member(&t, name), STR(CERT("AAAA"))));
    member(&t, NULL);
    stub_answer(c, 200, "");
}

/* Of the tunnel's files; what is in them is not looked at. */
static inline void upload_frp(bool folders)
{
    struct tar_reader t;
    struct engine_call *c = upload(&t);
    if (folders) {
        member(&t, "certs/");
        member(&t, "certs/frp/");
    }
    assert_true(member(&t, "certs/frp/ca.crt").n > 0);
    assert_true(member(&t, "certs/frp/client.crt").n > 0);
    assert_true(member(&t, "certs/frp/client.key").n > 0);
    member(&t, NULL);
    stub_answer(c, 200, "");
}

#endif
