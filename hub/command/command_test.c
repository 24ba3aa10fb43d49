/* command_test.c - harp-hub engines test: what AppAPI's "Test deploy" asks of the hub, in its order and
 * by the same calls, at the hub's public address. One line each; the first that fails ends it, and what
 * was made is removed. */
#include <stdlib.h>
#include <time.h>

#include "common/config/values.h"
#include "common/crypto/secret.h"
#include "common/docker/reference.h"
#include "common/json/json.h"
#include "hub/command/command_impl.h"

enum { CALL_MS = 150 * 1000, PULL_MS = 1800 * 1000, PATH_SIZE = 1024 };

#define NAME "harp-hub-test"

static const char default_image[] = "ghcr.io/nextcloud/test-deploy:release";

struct test {
    const struct hub_settings *set;
    const char *image;
    const char *headers[5];
    FILE *out;
    struct asked asked;
    double seconds;
    char why[COMMAND_WHY_MAX];
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The status; 0: no answer, t->why. */
static long call(struct test *t, const char *method, const char *path, const char *body, long ms)
{
    char whole[PATH_SIZE + 32];
    double began = now();
    buf_free(&t->asked.body);
    t->asked = (struct asked){.status = 0};
    snprintf(whole, sizeof(whole), "/exapps/app_api%s", path);
    struct command_question q = {.at = &t->set->exapps_address,
                                 .method = method,
                                 .path = whole,
                                 .headers = t->headers,
                                 .body = body,
                                 .timeout = ms};
    int rc = command_http(&q, &t->asked, t->why);
    t->seconds = now() - began;
    return rc == 0 ? t->asked.status : 0;
}

static long post(struct test *t, const char *what, const char *members)
{
    char path[128], body[2048];
    snprintf(path, sizeof(path), "/docker/exapp/%s", what);
    snprintf(body, sizeof(body), "{%s}", members);
    return call(t, "POST", path, body, CALL_MS);
}

static bool passed(const struct test *t, const char *step, const char *detail)
{
    fprintf(t->out, "ok      %7.3f s  %-21s %s\n", t->seconds, step, detail);
    fflush(t->out);
    return true;
}

/* With what the hub, or the engine, said: each line of it. */
static bool failed(const struct test *t, const char *step)
{
    struct str text = t->asked.status ? asked_body(&t->asked) : str_of(t->why);
    fprintf(t->out, "FAILED  %7.3f s  %-21s ", t->seconds, step);
    if (t->asked.status) {
        fprintf(t->out, "status %ld", t->asked.status);
    } else {
        fprintf(t->out, "no answer from the hub");
    }
    bool fresh = true;
    for (size_t i = 0; i < MIN(text.n, (size_t)1000); i++) {
        bool line_end = text.p[i] == '\n' || text.p[i] == '\r';
        if (!line_end) {
            fprintf(t->out, "%s%c", fresh ? "\n                   " : "",
                    text.p[i] >= ' ' && text.p[i] <= '~' ? text.p[i] : '?');
        }
        fresh = line_end;
    }
    fputc('\n', t->out);
    return false;
}

static bool expect(struct test *t, const char *step, long status, long wanted, const char *detail)
{
    return status == wanted ? passed(t, step, detail) : failed(t, step);
}

/* ---- the steps ---- */

static bool pull(struct test *t)
{
    static const char mark[] = "\"error\"";
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "/v1.41/images/create?fromImage=%s", t->image);
    long status = call(t, "POST", path, NULL, PULL_MS);
    struct str body = asked_body(&t->asked);
    /* What goes wrong on the way is told in the stream, behind a status of 200. */
    if (status != 200 || memmem(body.p, body.n, mark, sizeof(mark) - 1)) {
        return failed(t, "pull the image");
    }
    return passed(t, "pull the image", t->image);
}

static bool image(struct test *t)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "/v1.41/images/%s/json", t->image);
    long status = call(t, "GET", path, NULL, CALL_MS);
    if (status == 404) {
        return passed(t, "image", "is not there yet") && pull(t);
    }
    return expect(t, "image", status, 200, t->image);
}

static bool clean(struct test *t, const char *step)
{
    return expect(t, step, post(t, "remove", "\"name\":\"" NAME "\",\"remove_data\":true"), 204,
                  "nothing is left of it");
}

static bool create(struct test *t)
{
    char members[1536];
    /* Without a network, and without a way to the hub: it is the engine that is tested. */
    snprintf(members, sizeof(members),
             "\"name\":\"" NAME "\",\"image_id\":\"%s\",\"network_mode\":\"none\","
             "\"restart_policy\":\"no\",\"environment_variables\":["
             "\"APP_ID=" NAME "\",\"APP_SECRET=none\",\"APP_VERSION=1.0.0\",\"APP_HOST=127.0.0.1\","
             "\"APP_PORT=23999\",\"NEXTCLOUD_URL=http://127.0.0.1\"]",
             t->image);
    return expect(t, "create", post(t, "create", members), 201, "container nc_app_" NAME);
}

static bool wait_for_start(struct test *t)
{
    bool started = false;
    struct str status = STR("?");
    char text[80];
    if (post(t, "wait_for_start", "\"name\":\"" NAME "\"") != 200) {
        return failed(t, "wait for start");
    }
    struct str body = asked_body(&t->asked);
    struct json_doc *doc = json_parse(body.p, body.n, NULL, NULL, 0);
    if (json_bool(json_get(json_root(doc), "started"), &started) < 0 ||
        json_str(json_get(json_root(doc), "status"), &status) < 0 || !value_is_printable(status)) {
        status = STR("?");
    }
    snprintf(text, sizeof(text), "the container is %.*s", (int)MIN(status.n, 40U), status.p);
    json_free(doc);
    return started ? passed(t, "wait for start", text) : failed(t, "wait for start");
}

static bool run(struct test *t)
{
    static const char name[] = "\"name\":\"" NAME "\"";
    if (!expect(t, "ping", call(t, "GET", "/_ping", NULL, CALL_MS), 200, "the engine answers") ||
        !image(t) || !clean(t, "remove what was left") || !create(t)) {
        return false;
    }
    return expect(t, "certificates", post(t, "install_certificates", name), 204,
                  "the tunnel's are installed") &&
           expect(t, "start", post(t, "start", name), 204, "") && wait_for_start(t) &&
           expect(t, "stop", post(t, "stop", name), 204, "");
}

int command_engines_test(const struct hub_settings *set, uint16_t port, const char *image_name,
                         FILE *out, FILE *err)
{
    char key[32 + 1024], engine[64];
    struct test t = {.set = set,
                     .image = image_name ? image_name : default_image,
                     .headers = {key, engine, "Content-Type: application/json", "Expect:", NULL},
                     .out = out};
    if (!docker_image_valid(str_of(t.image))) {
        fprintf(err, "harp-hub: engines test: this is not an image's name\n");
        return EXIT_CODE_USAGE;
    }
    snprintf(key, sizeof(key), "harp-shared-key: %s", set->shared_key);
    snprintf(engine, sizeof(engine), "docker-engine-port: %u", port);
    bool ok = run(&t);
    /* Also after a failure, but not where nothing could have been made. */
    if (t.asked.status != 0) {
        ok = clean(&t, "remove") && ok;
    }
    secret_wipe(key, sizeof(key));
    buf_free(&t.asked.body);
    fprintf(out,
            ok ? "Docker engine %u can deploy ExApps\n"
               : "Docker engine %u can't deploy ExApps yet\n",
            port);
    return ok ? EXIT_CODE_OK : EXIT_CODE_SETTINGS;
}
