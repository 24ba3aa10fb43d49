#include "hub/command/command.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "common/crypto/secret.h"
#include "hub/command/command_impl.h"

const struct program_command hub_commands[] = {
    {.name = "bans",
     .arguments = "[list|lift ADDRESS]",
     .help =
         "Lists the clients with failures, or forgets the failures of one, which ends its ban."},
    {.name = "engines",
     .arguments = "[list|test PORT [IMAGE]|certificate NAME FOLDER]",
     .help =
         "Lists the Docker engines; or makes the calls of a test deploy on one, with a container "
         "of IMAGE that is removed again; or writes a certificate for a Docker host's tunnel "
         "client to FOLDER."},
    {.name = "health",
     .arguments = "",
     .help = "Asks the hub that runs with these settings whether it is well, for a container's "
             "health check: one line."},
    {.name = "status",
     .arguments = "[--json]",
     .help =
         "Tells what listens, Nextcloud, Docker engines, tunnels, ExApps, bans and certificates, "
         "with a remedy for what is not well. Ends with 1 if something is wrong.",
     .dashes = true},
};
const size_t hub_commands_n = ARRAY_LEN(hub_commands);

/* ---- asking the hub ---- */

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct asked *asked = arg;
    if (asked->body.len + size * n > COMMAND_ANSWER_BYTES) {
        return 0; /* curl gives up */
    }
    buf_append(&asked->body, p, size * n);
    return size * n;
}

/* Where it listens everywhere, it is asked on the loopback. */
static struct listen_addr reachable(const struct listen_addr *at)
{
    static const struct ip_addr any6 = {{0}};
    struct listen_addr to = *at;
    struct ip_addr any4, loopback4, loopback6;
    if (ip_parse(STR("0.0.0.0"), &any4) != 0 || ip_parse(STR("127.0.0.1"), &loopback4) != 0 ||
        ip_parse(STR("::1"), &loopback6) != 0) {
        abort(); /* constants */
    }
    if (ip_equal(&to.ip, &any4)) {
        to.ip = loopback4;
    } else if (ip_equal(&to.ip, &any6)) {
        to.ip = loopback6;
    }
    return to;
}

static bool set_up(CURL *curl, const struct command_question *q, const struct listen_addr *to,
                   struct asked *asked)
{
    char url[LISTEN_TEXT_MAX + 1024];
    bool is_unix = to->kind == LISTEN_UNIX;
    snprintf(url, sizeof(url), "http://%s%s", is_unix ? "localhost" : asked->at, q->path);
    return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, is_unix ? to->path : NULL) ==
               CURLE_OK &&
           (!q->body || curl_easy_setopt(curl, CURLOPT_POSTFIELDS, q->body) == CURLE_OK) &&
           curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, q->method) == CURLE_OK &&
           /* The environment may name proxies; the hub is never behind one. */
           curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, q->timeout) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, asked) == CURLE_OK;
}

int command_http(const struct command_question *q, struct asked *asked, char why[COMMAND_WHY_MAX])
{
    struct listen_addr to = reachable(q->at);
    struct curl_slist *headers = NULL;
    char text[CURL_ERROR_SIZE] = "";
    CURLcode rc = CURLE_FAILED_INIT;
    listen_format(&to, asked->at);
    for (const char *const *h = q->headers; h && *h; h++) {
        headers = curl_slist_append(headers, *h);
    }
    CURL *curl = curl_easy_init();
    if (curl && set_up(curl, q, &to, asked) &&
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text) == CURLE_OK) {
        rc = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &asked->status);
    }
    curl_easy_cleanup(curl);
    for (struct curl_slist *s = headers; s; s = s->next) {
        secret_wipe(s->data, strlen(s->data));
    }
    curl_slist_free_all(headers);
    if (rc == CURLE_OK) {
        return 0;
    }
    snprintf(why, COMMAND_WHY_MAX, "%s", *text ? text : curl_easy_strerror(rc));
    return -1;
}

/* A line for headers, from malloc; the caller wipes and frees it. */
static char *token_header(const char *token)
{
    static const char name[] = "Authorization: Bearer ";
    size_t n = sizeof(name) + strlen(token);
    char *line = xmalloc(n);
    snprintf(line, n, "%s%s", name, token);
    return line;
}

int command_ask(const struct hub_settings *set, const char *method, const char *path,
                struct asked *asked, FILE *err)
{
    return command_ask_within(set, method, path, COMMAND_ASK_MS, asked, err);
}

int command_ask_within(const struct hub_settings *set, const char *method, const char *path,
                       long timeout, struct asked *asked, FILE *err)
{
    char where[LISTEN_TEXT_MAX], why[COMMAND_WHY_MAX];
    char *line = *set->admin_token ? token_header(set->admin_token) : NULL;
    const char *headers[] = {line, NULL};
    struct command_question q = {.at = &set->admin_address,
                                 .method = method,
                                 .path = path,
                                 .headers = headers,
                                 .timeout = timeout};
    int rc = -1;
    listen_format(&set->admin_address, where);
    if (set->admin_address.kind == LISTEN_OFF) {
        fprintf(err,
                "harp-hub: HP_ADMIN_ADDRESS is 'off', so the hub can't be asked; set it, as in "
                "127.0.0.1:8200, and start the hub again\n");
    } else {
        rc = command_http(&q, asked, why);
        if (rc < 0) {
            fprintf(
                err,
                "harp-hub: no answer from the hub at %s: %s; is it running? HP_ADMIN_ADDRESS is "
                "'%s'\n",
                asked->at, why, where);
        }
    }
    if (line) {
        secret_wipe(line, strlen(line));
        free(line);
    }
    return rc;
}

int command_unexpected(const struct asked *asked, FILE *err)
{
    if (asked->status == 401) {
        fprintf(err,
                "harp-hub: the hub at %s asks for another token; give the same HP_ADMIN_TOKEN as "
                "it was started with\n",
                asked->at);
    } else {
        fprintf(err,
                "harp-hub: unexpected answer from %s (status %ld); is it the hub? HP_ADMIN_ADDRESS "
                "must be what the hub was started with\n",
                asked->at, asked->status);
    }
    return EXIT_CODE_SETTINGS;
}

int command_run(const struct hub_settings *set, const struct program *program,
                const struct options *o, FILE *out, FILE *err)
{
    static command_fn *const run[] = {command_bans, command_engines, command_health,
                                      command_status}; /* as in hub_commands */
    int code = run[o->command - hub_commands](set, program, o, out, err);
    return fflush(out) == 0 && !ferror(out) ? code : EXIT_CODE_SETTINGS;
}
