#include "tunnel-client/status_command.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "common/json/json.h"
#include "common/config/values.h"
#include "common/system/ask.h"
#include "tunnel-client/status.h"

enum { NODES = 16 + TUNNEL_PROXIES_MAX * 8 };

const struct program_command tunnel_commands[] = {
    {.name = "status",
     .arguments = "[--json]",
     .help =
         "Says whether the client that runs with these settings is logged in, which proxies are "
         "open, and what went wrong last.",
     .dashes = true},
    {.name = "health", .arguments = "", .help = "The same in one line, for a health check."},
};
const size_t tunnel_commands_n = ARRAY_LEN(tunnel_commands);

/* Fit for a terminal; "-" for none. */
static struct str text_of(const struct json_node *object, const char *key)
{
    struct str s;
    return json_str(json_get(object, key), &s) == 0 && s.n > 0 && value_is_printable(s) ? s
                                                                                        : STR("-");
}

static long long number_of(const struct json_node *object, const char *key)
{
    int64_t n = 0;
    return json_int(json_get(object, key), &n) == 0 ? (long long)n : 0;
}

static bool is_text(const struct json_node *object, const char *key, const char *text)
{
    return str_eq(text_of(object, key), str_of(text));
}

static unsigned open_proxies(const struct json_node *root)
{
    unsigned n = 0;
    for (const struct json_node *p = json_first(json_get(root, "proxies")); p; p = json_next(p)) {
        n += is_text(p, "state", "open");
    }
    return n;
}

static bool is_well(const struct json_node *root)
{
    return is_text(root, "state", "running") &&
           open_proxies(root) == json_count(json_get(root, "proxies"));
}

static void print_status(const struct json_node *root, FILE *out)
{
    char since[32] = "?";
    time_t when = (time_t)number_of(root, "since");
    struct tm tm;
    if (gmtime_r(&when, &tm)) {
        strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S UTC", &tm);
    }
    fprintf(out, "%-5s  session  %.*s at %.*s since %s\n",
            is_text(root, "state", "running") ? "ok" : "WRONG", STR_ARG(text_of(root, "state")),
            STR_ARG(text_of(root, "server")), since);
    if (json_type(json_get(root, "last_error")) == JSON_STRING) {
        fprintf(out, "                %.*s\n", STR_ARG(text_of(root, "last_error")));
    }
    for (const struct json_node *p = json_first(json_get(root, "proxies")); p; p = json_next(p)) {
        bool error = json_type(json_get(p, "last_error")) == JSON_STRING;
        fprintf(
            out,
            "%-5s  proxy    %.*s, %.*s at port %lld, to %.*s: %lld connections, %lld answered\n",
            !is_text(p, "state", "open") ? "WRONG"
            : error                      ? "unsure"
                                         : "ok",
            STR_ARG(text_of(p, "name")), STR_ARG(text_of(p, "state")), number_of(p, "remote_port"),
            STR_ARG(text_of(p, "target")), number_of(p, "connections"), number_of(p, "answered"));
        if (error) {
            fprintf(out, "                %.*s\n", STR_ARG(text_of(p, "last_error")));
        }
    }
}

static int print_health(const struct json_node *root, FILE *out, FILE *err)
{
    unsigned open = open_proxies(root);
    size_t all = json_count(json_get(root, "proxies"));
    bool well = is_well(root), error = json_type(json_get(root, "last_error")) == JSON_STRING;
    fprintf(well ? out : err, "%s: %.*s at %.*s, %u of %zu proxies open%s%.*s\n",
            well ? "healthy" : "not healthy", STR_ARG(text_of(root, "state")),
            STR_ARG(text_of(root, "server")), open, all, error ? "; " : "",
            STR_ARG(error ? text_of(root, "last_error") : STR("")));
    return well ? EXIT_CODE_OK : EXIT_CODE_SETTINGS;
}

/* What the client says, in *text; 0, or -1 after a line to err. */
static int ask(const struct tunnel_config *set, struct buf *text, FILE *err)
{
    char at[LISTEN_TEXT_MAX];
    if (set->status_socket.kind == LISTEN_OFF) {
        fprintf(err, "harp-tunnel-client: status_socket is 'off', so the client can't be asked\n");
        return -1;
    }
    int fd = ask_connect(&set->status_socket);
    int rc = fd < 0 ? -1 : ask_read(fd, text, STATUS_BYTES);
    if (rc < 0) {
        fprintf(err,
                "harp-tunnel-client: no answer from the client at %s: %s; does it run, with this "
                "status_socket?\n",
                listen_format(&set->status_socket, at), ask_error(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

int tunnel_command(const struct tunnel_config *set, const struct program *program,
                   const struct options *options, FILE *out, FILE *err)
{
    const struct json_limits limits = {.nodes = NODES, .bytes = STATUS_BYTES};
    bool health = options->command == &tunnel_commands[1], json = false;
    char why[160], at[LISTEN_TEXT_MAX];
    struct buf text = {0};
    for (size_t i = 0; i < options->arguments_n; i++) {
        if (health || json || strcmp(options->arguments[i], "--json") != 0) {
            return options_usage_error(program, err, "unexpected argument", options->arguments[i]);
        }
        json = true;
    }
    int code = EXIT_CODE_SETTINGS;
    if (ask(set, &text, err) == 0) {
        struct json_doc *doc = json_parse(buf_head(&text), text.len, &limits, why, sizeof(why));
        const struct json_node *root = doc ? json_root(doc) : NULL;
        if (json_type(json_get(root, "proxies")) != JSON_ARRAY) {
            fprintf(err, "harp-tunnel-client: unexpected answer at %s; is it the client?\n",
                    listen_format(&set->status_socket, at));
        } else if (health) {
            code = print_health(root, out, err);
        } else {
            if (json) {
                fprintf(out, "%.*s\n", (int)text.len, buf_head(&text));
            } else {
                print_status(root, out);
            }
            code = is_well(root) ? EXIT_CODE_OK : EXIT_CODE_SETTINGS;
        }
        json_free(doc);
    }
    buf_free(&text);
    return fflush(out) == 0 && !ferror(out) ? code : EXIT_CODE_SETTINGS;
}
