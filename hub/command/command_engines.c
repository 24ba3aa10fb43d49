/* command_engines.c - harp-hub engines: the list. */
#include "common/config/values.h"
#include "common/json/json.h"
#include "hub/command/command_impl.h"

enum { NODES = 100 * 12 + 8 };

/* A text of a row, fit for a terminal; "-" for none. */
static struct str text_of(const struct json_node *row, const char *key)
{
    struct str s;
    return json_str(json_get(row, key), &s) == 0 && s.n > 0 && value_is_printable(s) ? s : STR("-");
}

/* A number of a row, as text with something around it; "-" for none. */
static const char *number_of(const struct json_node *row, const char *key, const char *before,
                             const char *unit, char *buf, size_t size)
{
    int64_t n;
    if (json_int(json_get(row, key), &n) < 0) {
        return "-";
    }
    snprintf(buf, size, "%s%lld%s", before, (long long)n, unit);
    return buf;
}

static int width_of(const struct json_node *rows, const char *key, int least)
{
    int width = least;
    for (const struct json_node *r = json_first(rows); r; r = json_next(r)) {
        width = MAX(width, (int)text_of(r, key).n);
    }
    return width;
}

static int print_rows(const struct json_node *root, FILE *out)
{
    const struct json_node *rows = json_get(root, "engines");
    char port[16], took[24], containers[24], api[16];
    if (json_type(rows) != JSON_ARRAY) {
        return -1;
    }
    if (!json_first(rows)) {
        fputs("no Docker engine is connected: neither a socket at HP_DOCKER_SOCKET nor a tunnel\n",
              out);
        return 0;
    }
    int name = width_of(rows, "name", 4), address = width_of(rows, "address", 7),
        version = width_of(rows, "version", 7);
    fprintf(out, "PORT   %-*s  %-*s  %-*s  API   TRIP    CONTAINERS\n", name, "NAME", address,
            "ADDRESS", version, "VERSION");
    for (const struct json_node *r = json_first(rows); r; r = json_next(r)) {
        fprintf(out, "%-5s  %-*.*s  %-*.*s  %-*.*s  %-4s  %-6s  %s\n",
                number_of(r, "port", "", "", port, sizeof(port)), name, STR_ARG(text_of(r, "name")),
                address, STR_ARG(text_of(r, "address")), version, STR_ARG(text_of(r, "version")),
                number_of(r, "api", "1.", "", api, sizeof(api)),
                number_of(r, "milliseconds", "", " ms", took, sizeof(took)),
                number_of(r, "containers", "", "", containers, sizeof(containers)));
        if (json_type(json_get(r, "error")) == JSON_STRING) {
            fprintf(out, "       %.*s\n", STR_ARG(text_of(r, "error")));
        }
    }
    return 0;
}

static int list_engines(const struct hub_settings *set, FILE *out, FILE *err)
{
    static const struct json_limits limits = {.nodes = NODES};
    struct asked asked = {.status = 0};
    int code = EXIT_CODE_SETTINGS;
    if (command_ask(set, "GET", "/api/engines", &asked, err) == 0) {
        struct str body = asked_body(&asked);
        struct json_doc *doc =
            asked.status == 200 ? json_parse(body.p, body.n, &limits, NULL, 0) : NULL;
        code = doc && print_rows(json_root(doc), out) == 0 ? EXIT_CODE_OK
                                                           : command_unexpected(&asked, err);
        json_free(doc);
    }
    buf_free(&asked.body);
    return code;
}

int command_engines(const struct hub_settings *set, const struct program *program,
                    const struct options *o, FILE *out, FILE *err)
{
    uint16_t port;
    if (o->arguments_n == 0 || (o->arguments_n == 1 && strcmp(o->arguments[0], "list") == 0)) {
        return list_engines(set, out, err);
    }
    if (strcmp(o->arguments[0], "certificate") == 0) {
        return o->arguments_n == 3
                   ? command_engines_certificate(set, o->arguments[1], o->arguments[2], out, err)
                   : options_usage_error(program, err,
                                         "engines certificate: write the Docker "
                                         "host's name and a folder",
                                         NULL);
    }
    if (strcmp(o->arguments[0], "test") != 0) {
        return options_usage_error(
            program, err, "engines: write list, test PORT [IMAGE] or certificate NAME FOLDER, not",
            o->arguments[strcmp(o->arguments[0], "list") == 0]);
    }
    if (o->arguments_n < 2 || o->arguments_n > 3) {
        return options_usage_error(program, err, "engines test: write a port, and perhaps an image",
                                   NULL);
    }
    if (value_parse_port(str_of(o->arguments[1]), &port) < 0) {
        return options_usage_error(program, err, "engines test: not a port:", o->arguments[1]);
    }
    return command_engines_test(set, port, o->arguments_n == 3 ? o->arguments[2] : NULL, out, err);
}
