/* deploy_exec.c - runs a command in a container: makes an exec, starts it, reads its output to the end,
 * asks for its exit code. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "hub/deploy/deploy_impl.h"

enum { COMMAND_MAX = 1024, FRAME_HEAD = 8, STDOUT = 1, STDERR = 2 };

static void ran(struct deploy *d, int exit_code, bool failed)
{
    struct deploy_result result = {
        .exit_code = exit_code, .failed = failed, .text = {d->exec.output, d->exec.len}};
    d->exec.ran(d, &result);
}

/* What an image lacks is no failure of the engine's. Podman answers 500 for it. */
static bool cannot_be_run(const struct engine_answer *a)
{
    static const char *const words[] = {"not found", "no such file"};
    for (size_t i = 0; i < ARRAY_LEN(words) && a->status >= 500; i++) {
        if (a->body.n > 0 && memmem(a->body.p, a->body.n, words[i], strlen(words[i]))) {
            return true;
        }
    }
    return a->status >= 400 && a->status < 500;
}

static void not_ran(struct deploy *d, const struct engine_answer *a, const char *what)
{
    bool failed = !cannot_be_run(a);
    if (failed) {
        deploy_note_failed(d, a, "Failed to run '%s' in container '%s' (%s)", d->exec.command,
                           d->request.container, what);
    }
    ran(d, -1, failed);
}

void deploy_run_clear(struct deploy *d)
{
    free(d->exec.output);
    d->exec.output = NULL;
    d->exec.len = 0;
}

size_t deploy_output(struct str s, char out[DEPLOY_OUTPUT_MAX])
{
    size_t len = 0;
    while (s.n >= FRAME_HEAD) {
        const unsigned char *h = (const unsigned char *)s.p;
        size_t n = (size_t)h[4] << 24 | (size_t)h[5] << 16 | (size_t)h[6] << 8 | h[7];
        if (h[0] > STDERR || h[1] != 0 || h[2] != 0 || h[3] != 0) {
            break;
        }
        s = (struct str){s.p + FRAME_HEAD, s.n - FRAME_HEAD};
        n = MIN(n, s.n);
        size_t fits = h[0] == STDOUT ? MIN(n, DEPLOY_OUTPUT_MAX - len) : 0;
        if (fits > 0) {
            memcpy(out + len, s.p, fits);
            len += fits;
        }
        s = (struct str){s.p + n, s.n - n};
    }
    return len;
}

static void exit_told(struct deploy *d, const struct engine_answer *a)
{
    int64_t code = -1;
    struct json_doc *doc = a->status == 200 ? deploy_json(a) : NULL;
    if (json_int(json_get(json_root(doc), "ExitCode"), &code) < 0 || code < 0 || code > INT32_MAX) {
        code = -1;
    }
    json_free(doc);
    if (a->status == 200) {
        ran(d, (int)code, false);
    } else {
        not_ran(d, a, "exec inspect");
    }
}

static void run_ended(struct deploy *d, const struct engine_answer *a)
{
    if (a->status != 200) {
        not_ran(d, a, "exec start");
        return;
    }
    d->exec.output = xmalloc(DEPLOY_OUTPUT_MAX);
    d->exec.len = deploy_output(a->body, d->exec.output);
    deploy_ask(d, exit_told, HTTP_GET, "/exec/%s/json", d->exec.id);
}

static bool id_valid(struct str id)
{
    for (size_t i = 0; i < id.n; i++) {
        if (!((id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'f'))) {
            return false;
        }
    }
    return id.n > 0 && id.n <= DEPLOY_ID_MAX;
}

static void exec_made(struct deploy *d, const struct engine_answer *a)
{
    static const char start[] = "{\"Detach\":false,\"Tty\":false}";
    struct str id = {"", 0};
    struct json_doc *doc = a->status == 201 ? deploy_json(a) : NULL;
    bool ok = json_str(json_get(json_root(doc), "Id"), &id) == 0 && id_valid(id);
    if (ok) {
        memcpy(d->exec.id, id.p, id.n);
        d->exec.id[id.n] = '\0';
    }
    json_free(doc);
    if (!ok) {
        not_ran(d, a, "exec create");
        return;
    }
    deploy_ask_body(d, run_ended, HTTP_POST, "application/json", xstrndup(start, sizeof(start) - 1),
                    sizeof(start) - 1, DEPLOY_SLOW, "/exec/%s/start", d->exec.id);
}

void deploy_run(struct deploy *d, const char *const *argv, deploy_ran *done)
{
    struct json_out o;
    char *body = xmalloc(COMMAND_MAX);
    deploy_run_clear(d);
    d->exec.ran = done;
    json_out_init(&o, body, COMMAND_MAX);
    json_out_object(&o);
    json_out_key(&o, STR("AttachStdout"));
    json_out_bool(&o, true);
    json_out_key(&o, STR("AttachStderr"));
    json_out_bool(&o, true);
    json_out_key(&o, STR("Cmd"));
    json_out_array(&o);
    d->exec.command[0] = '\0';
    for (size_t n = 0; *argv; argv++) {
        json_out_str(&o, str_of(*argv));
        snprintf(d->exec.command + n, sizeof(d->exec.command) - n, "%s%s", n > 0 ? " " : "", *argv);
        n = strlen(d->exec.command);
    }
    json_out_array_end(&o);
    json_out_object_end(&o);
    ssize_t n = json_out_end(&o); /* commands are few and short: it fits */
    deploy_ask_body(d, exec_made, HTTP_POST, "application/json", body, (size_t)MAX(n, 0), 1,
                    "/containers/%s/exec", d->request.container);
}
