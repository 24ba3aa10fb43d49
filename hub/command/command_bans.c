/* command_bans.c - harp-hub bans. */
#include "common/config/values.h"
#include "common/json/json.h"
#include "hub/command/command_impl.h"

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
    static const struct json_limits limits = {.nodes = (size_t)ADMIN_BANS_ROWS * 8};
    struct asked asked = {.status = 0};
    int code = EXIT_CODE_SETTINGS;
    if (command_ask(set, "GET", "/api/bans", &asked, err) == 0) {
        struct json_doc *doc = asked.status == 200 ? json_parse(buf_head(&asked.body),
                                                                asked.body.len, &limits, NULL, 0)
                                                   : NULL;
        code = doc && print_rows(json_root(doc), out) == 0 ? EXIT_CODE_OK
                                                           : command_unexpected(&asked, err);
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
    if (command_ask(set, "DELETE", path, &asked, err) == 0) {
        if (asked.status == 204) {
            fprintf(out, "the failures of %s are forgotten; it is not banned\n", text);
            code = EXIT_CODE_OK;
        } else if (asked.status == 404) {
            fprintf(err, "harp-hub: nothing to lift: no failures of %s are remembered\n", text);
        } else {
            code = command_unexpected(&asked, err);
        }
    }
    buf_free(&asked.body);
    return code;
}

int command_bans(const struct hub_settings *set, const struct program *program,
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
