#include "hub/command/command.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/config/values.h"
#include "common/crypto/secret.h"
#include "common/json/json.h"
#include "hub/admin/admin_bans.h"

enum {
    ASK_MS = 5000,                                       /* for a whole answer */
    ANSWER_BYTES = ADMIN_BANS_ROWS * ADMIN_BANS_ROW_MAX, /* more is none of the hub's */
    NODES = ADMIN_BANS_ROWS * 8,
};

const struct program_command hub_commands[] = {
    {"bans", "[list|lift ADDRESS]",
     "Lists the clients with failures, or forgets the failures of one, which ends its ban."},
};
const size_t hub_commands_n = ARRAY_LEN(hub_commands);

/* ---- asking the hub ---- */

struct asked {
    char at[LISTEN_TEXT_MAX]; /* for messages: the address that was asked */
    long status;
    struct buf body;
};

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct asked *asked = arg;
    if (asked->body.len + size * n > ANSWER_BYTES) {
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

static bool set_up(CURL *curl, const struct listen_addr *to, struct asked *asked,
                   const char *method, const char *path)
{
    char url[LISTEN_TEXT_MAX + 128];
    bool is_unix = to->kind == LISTEN_UNIX;
    snprintf(url, sizeof(url), "http://%s%s", is_unix ? "localhost" : asked->at, path);
    return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, is_unix ? to->path : NULL) ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK &&
           /* The environment may name proxies; the hub is never behind one. */
           curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ASK_MS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, asked) == CURLE_OK;
}

static struct curl_slist *token_header(const char *token)
{
    static const char name[] = "Authorization: Bearer ";
    size_t n = sizeof(name) + strlen(token);
    char *line = xmalloc(n);
    snprintf(line, n, "%s%s", name, token);
    struct curl_slist *list = curl_slist_append(NULL, line);
    secret_wipe(line, n);
    free(line);
    return list;
}

/* 0 when there is an answer, whatever it says; -1 with what is wrong told to err. */
static int ask(const struct hub_settings *set, const char *method, const char *path,
               struct asked *asked, FILE *err)
{
    char where[LISTEN_TEXT_MAX];
    listen_format(&set->admin_address, where);
    if (set->admin_address.kind == LISTEN_OFF) {
        fprintf(err,
                "harp-hub: HP_ADMIN_ADDRESS is 'off', so the hub can't be asked; set it, as in "
                "127.0.0.1:8200, and start the hub again\n");
        return -1;
    }
    struct listen_addr to = reachable(&set->admin_address);
    listen_format(&to, asked->at);
    struct curl_slist *headers = *set->admin_token ? token_header(set->admin_token) : NULL;
    CURL *curl = curl_easy_init();
    CURLcode rc = CURLE_FAILED_INIT;
    char why[CURL_ERROR_SIZE] = "";
    if (curl && set_up(curl, &to, asked, method, path) &&
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why) == CURLE_OK) {
        rc = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &asked->status);
    }
    curl_easy_cleanup(curl);
    if (headers) {
        secret_wipe(headers->data, strlen(headers->data));
    }
    curl_slist_free_all(headers);
    if (rc == CURLE_OK) {
        return 0;
    }
    fprintf(err,
            "harp-hub: no answer from the hub at %s: %s; is it running? HP_ADMIN_ADDRESS is '%s'\n",
            asked->at, *why ? why : curl_easy_strerror(rc), where);
    return -1;
}

static int unexpected(const struct asked *asked, FILE *err)
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

/* ---- bans ---- */

struct row {
    struct str address;
    int64_t failures, left;
    bool banned;
};

static int read_row(const struct json_node *node, struct row *row)
{
    return json_str(json_get(node, "address"), &row->address) != 0 ||
                   json_int(json_get(node, "failures"), &row->failures) != 0 ||
                   json_bool(json_get(node, "banned"), &row->banned) != 0 ||
                   json_int(json_get(node, "seconds_left"), &row->left) != 0 ||
                   /* It goes to a terminal. */
                   !value_is_printable(row->address)
               ? -1
               : 0;
}

static int print_rows(const struct json_node *root, FILE *out)
{
    const struct json_node *bans = json_get(root, "bans");
    int64_t total, shown = 0;
    int width = (int)strlen("ADDRESS");
    struct row row;
    if (json_type(bans) != JSON_ARRAY || json_int(json_get(root, "total"), &total) != 0) {
        return -1;
    }
    for (const struct json_node *n = json_first(bans); n; n = json_next(n)) {
        if (read_row(n, &row) != 0) {
            return -1;
        }
        width = MAX(width, (int)row.address.n);
    }
    if (!json_first(bans)) {
        fputs("no failures are remembered\n", out);
        return 0;
    }
    fprintf(out, "%-*s  FAILURES  BANNED  LEFT\n", width, "ADDRESS");
    for (const struct json_node *n = json_first(bans); n; n = json_next(n), shown++) {
        char left[24] = "-";
        if (read_row(n, &row) != 0) {
            return -1;
        }
        if (row.banned) {
            snprintf(left, sizeof(left), "%llds", (long long)row.left);
        }
        fprintf(out, "%-*.*s  %8lld  %-6s  %s\n", width, STR_ARG(row.address),
                (long long)row.failures, row.banned ? "yes" : "no", left);
    }
    if (total > shown) {
        fprintf(out, "and %lld more with fewer failures\n", (long long)(total - shown));
    }
    return 0;
}

static int list_bans(const struct hub_settings *set, FILE *out, FILE *err)
{
    static const struct json_limits limits = {.nodes = NODES};
    struct asked asked = {.status = 0};
    int code = EXIT_CODE_SETTINGS;
    if (ask(set, "GET", "/api/bans", &asked, err) == 0) {
        struct json_doc *doc = asked.status == 200 ? json_parse(buf_head(&asked.body),
                                                                asked.body.len, &limits, NULL, 0)
                                                   : NULL;
        code = doc && print_rows(json_root(doc), out) == 0 ? EXIT_CODE_OK : unexpected(&asked, err);
        json_free(doc);
    }
    buf_free(&asked.body);
    return code;
}

static int lift_ban(const struct hub_settings *set, const struct ip_addr *ip, FILE *out, FILE *err)
{
    struct asked asked = {.status = 0};
    char path[64 + IP_TEXT_MAX], plain[IP_TEXT_MAX], text[ADMIN_BAN_TEXT_MAX];
    int code = EXIT_CODE_SETTINGS;
    snprintf(path, sizeof(path), "/api/bans/%s", ip_format(ip, plain));
    admin_ban_text(ip, text);
    if (ask(set, "DELETE", path, &asked, err) == 0) {
        if (asked.status == 204) {
            fprintf(out, "the failures of %s are forgotten; it is not banned\n", text);
            code = EXIT_CODE_OK;
        } else if (asked.status == 404) {
            fprintf(err, "harp-hub: nothing to lift: no failures of %s are remembered\n", text);
        } else {
            code = unexpected(&asked, err);
        }
    }
    buf_free(&asked.body);
    return code;
}

static int bans(const struct hub_settings *set, const struct program *program,
                const struct options *o, FILE *out, FILE *err)
{
    struct ip_addr ip;
    if (o->arguments_n == 0 || (o->arguments_n == 1 && strcmp(o->arguments[0], "list") == 0)) {
        return list_bans(set, out, err);
    }
    if (strcmp(o->arguments[0], "lift") != 0) {
        return options_usage_error(program, err, "bans: write list, or lift ADDRESS, not",
                                   o->arguments[strcmp(o->arguments[0], "list") == 0]);
    }
    if (o->arguments_n != 2) {
        return options_usage_error(program, err, "bans lift: write one IP address", NULL);
    }
    if (admin_ban_parse(str_of(o->arguments[1]), &ip) != 0) {
        return options_usage_error(program, err,
                                   "bans lift: write an IP address as `bans list` shows it, not",
                                   o->arguments[1]);
    }
    return lift_ban(set, &ip, out, err);
}

int command_run(const struct hub_settings *set, const struct program *program,
                const struct options *o, FILE *out, FILE *err)
{
    int code = bans(set, program, o, out, err); /* there is no other yet */
    return fflush(out) == 0 && !ferror(out) ? code : EXIT_CODE_SETTINGS;
}
