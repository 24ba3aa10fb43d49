/* command_status.c - harp-hub status: what the hub says of itself (admin_status.h), as lines or as it came.
 *
 * Each line begins with how it is, and then has the section, so that eyes and grep find what is wrong. */
#include <stdarg.h>
#include <stdlib.h>

#include "common/config/values.h"
#include "common/json/json.h"
#include "hub/admin/admin_text.h"
#include "hub/command/command_impl.h"

enum { LINE = 8, SECTION = 14, NODES = 32768 };

struct printing {
    FILE *out;
    const char *section;
};

/* ---- parts of a line ---- */

/* A text, fit for a terminal; "" for none. */
static struct str text_of(const struct json_node *object, const char *key)
{
    struct str s;
    return json_str(json_get(object, key), &s) == 0 && value_is_printable(s) ? s : STR("");
}

static int64_t number_of(const struct json_node *object, const char *key)
{
    int64_t n;
    return json_int(json_get(object, key), &n) == 0 ? n : -1;
}

static bool is_true(const struct json_node *object, const char *key)
{
    bool b;
    return json_bool(json_get(object, key), &b) == 0 && b;
}

static bool there(const struct json_node *object, const char *key)
{
    return json_type(json_get(object, key)) != JSON_NULL;
}

/* NULL: it is none of the three. */
static const char *mark_of(const struct json_node *object)
{
    struct str v = text_of(object, "verdict");
    return str_eq(v, STR("ok"))       ? "ok"
           : str_eq(v, STR("unsure")) ? "unsure"
           : str_eq(v, STR("wrong"))  ? "WRONG"
                                      : NULL;
}

static void line(const struct printing *p, const char *mark, const char *format, ...)
    PRINTF_LIKE(3, 4);
static void line(const struct printing *p, const char *mark, const char *format, ...)
{
    va_list ap;
    fprintf(p->out, "%-*s%-*s", LINE, mark, SECTION, p->section);
    va_start(ap, format);
    vfprintf(p->out, format, ap);
    va_end(ap);
    fputc('\n', p->out);
}

/* The end of a row's line: what is the matter with it. */
static struct str colon(const struct json_node *row)
{
    return text_of(row, "reason").n > 0 ? STR(": ") : STR("");
}

#define REASON(row) STR_ARG(colon(row)), STR_ARG(text_of(row, "reason"))

static const char *age_of(int64_t seconds, char buf[ADMIN_AGE_MAX])
{
    return admin_text_age((uint64_t)MAX(seconds, 0), buf);
}

/* ---- rows ---- */

typedef void print_row(const struct printing *p, const char *mark, const struct json_node *row);

static void print_place(const struct printing *p, const char *mark, const struct json_node *row)
{
    struct str why = text_of(row, "why_off");
    line(p, mark, "%-7.*s %-4s %.*s%s%.*s%s (%.*s)%.*s%.*s", STR_ARG(text_of(row, "name")),
         is_true(row, "open") ? "" : "off", STR_ARG(text_of(row, "address")), why.n ? ": " : "",
         STR_ARG(why), is_true(row, "tls") && is_true(row, "open") ? ", TLS" : "",
         STR_ARG(text_of(row, "setting")), REASON(row));
}

static void print_engine(const struct printing *p, const char *mark, const struct json_node *row)
{
    char up[ADMIN_AGE_MAX], known[128] = "", counted[96] = "";
    struct str name = text_of(row, "name"), version = text_of(row, "version"),
               address = text_of(row, "address");
    if (version.n > 0) {
        snprintf(known, sizeof(known), ", Docker %.*s, %lld ms", (int)MIN(version.n, 64U),
                 version.p, (long long)number_of(row, "milliseconds"));
    }
    if (there(row, "containers")) {
        snprintf(counted, sizeof(counted), ", API 1.%lld, containers of ours: %lld",
                 (long long)number_of(row, "api"), (long long)number_of(row, "containers"));
    }
    line(p, mark, "%lld  %.*s%s%.*s%s%.*s%s%s%s%s%.*s%.*s", (long long)number_of(row, "port"),
         STR_ARG(name), name.n && address.n ? ", " : "", STR_ARG(address),
         text_of(row, "login").n ? ", with " : "", STR_ARG(text_of(row, "login")),
         there(row, "seconds") && text_of(row, "login").n ? ", for " : "",
         there(row, "seconds") && text_of(row, "login").n ? age_of(number_of(row, "seconds"), up)
                                                          : "",
         known, counted, REASON(row));
}

static void print_tunnel(const struct printing *p, const char *mark, const struct json_node *row)
{
    char up[ADMIN_AGE_MAX], port[24] = "-";
    if (there(row, "port")) {
        snprintf(port, sizeof(port), "%lld", (long long)number_of(row, "port"));
    }
    line(p, mark, "%-5s  %.*s%s%.*s, with %.*s, for %s%.*s%.*s", port,
         STR_ARG(text_of(row, "name")), text_of(row, "name").n ? ", from " : "from ",
         STR_ARG(text_of(row, "address")), STR_ARG(text_of(row, "login")),
         age_of(number_of(row, "seconds"), up), REASON(row));
}

static void print_app(const struct printing *p, const char *mark, const struct json_node *row)
{
    char way[320] = "";
    struct str host = text_of(row, "host"), version = text_of(row, "version");
    if (str_eq(text_of(row, "way"), STR("tunnel"))) {
        snprintf(way, sizeof(way), ", by the tunnel at port %lld",
                 (long long)number_of(row, "port"));
    } else if (host.n > 0) {
        snprintf(way, sizeof(way), ", at %.*s port %lld", (int)MIN(host.n, 253U), host.p,
                 (long long)number_of(row, "port"));
    }
    line(p, mark, "%.*s%s%.*s, %.*s%s%.*s%.*s", STR_ARG(text_of(row, "id")), version.n ? " " : "",
         STR_ARG(version), STR_ARG(text_of(row, "state")), way, REASON(row));
}

static void print_ban(const struct printing *p, const char *mark, const struct json_node *row)
{
    line(p, mark, "%.*s banned, %lld failures, %lld s left%.*s%.*s",
         STR_ARG(text_of(row, "address")), (long long)number_of(row, "failures"),
         (long long)number_of(row, "seconds_left"), REASON(row));
}

static void print_certificate(const struct printing *p, const char *mark,
                              const struct json_node *row)
{
    char left[64] = "";
    if (there(row, "days_left")) {
        snprintf(left, sizeof(left), "until %.*s, %lld days, ",
                 (int)MIN(text_of(row, "until").n, 24U), text_of(row, "until").p,
                 (long long)number_of(row, "days_left"));
    }
    line(p, mark, "%-7.*s %s%.*s%.*s%.*s", STR_ARG(text_of(row, "name")), left,
         STR_ARG(text_of(row, "path")), REASON(row));
}

/* ---- sections ---- */

/* One of the things seen of Nextcloud. */
static void print_fact(const struct printing *p, const struct json_node *section, const char *key,
                       const char *words)
{
    char ago[ADMIN_AGE_MAX];
    const struct json_node *fact = json_get(section, key);
    if (json_type(fact) == JSON_OBJECT) {
        line(p, "", "%s %.*s, %s ago", words, STR_ARG(text_of(fact, "text")),
             age_of(number_of(fact, "seconds"), ago));
    }
}

static void print_nextcloud(const struct printing *p, const struct json_node *section)
{
    struct str url = text_of(section, "url");
    if (url.n == 0) {
        line(p, "ok", "there is none: NC_INSTANCE_URL is not set");
        return;
    }
    if (is_true(section, "reachable")) {
        line(p, "ok", "%.*s answers", STR_ARG(url));
    } else {
        line(p, there(section, "reachable") ? "WRONG" : "unsure",
             "%.*s does not answer as it should", STR_ARG(url));
    }
    struct str key = text_of(section, "key");
    line(p,
         str_eq(key, STR("accepted"))  ? "ok"
         : str_eq(key, STR("refused")) ? "WRONG"
                                       : "unsure",
         "the shared key is %.*s", STR_ARG(str_eq(key, STR("unknown")) ? STR("not proved") : key));
    print_fact(p, section, "answered", "answered:      ");
    print_fact(p, section, "failed", "no answer:     ");
    print_fact(p, section, "key_accepted", "key accepted:  ");
    print_fact(p, section, "key_refused", "key refused:   ");
    print_fact(p, section, "appapi_called", "AppAPI called:  from");
    print_fact(p, section, "other_key_called", "another key:    from");
}

static const struct {
    const char *key, *title, *rows, *none;
    print_row *print;
} sections[] = {
    {"listening", "listening", "addresses", NULL, print_place},
    {"nextcloud", "Nextcloud", NULL, NULL, NULL},
    {"engines", "engines", "engines", "none", print_engine},
    {"tunnels", "tunnels", "tunnels", "none", print_tunnel},
    {"apps", "apps", "apps", "none is known", print_app},
    {"bans", "bans", "banned", NULL, print_ban},
    {"certificates", "certificates", "certificates", "none: no TLS", print_certificate},
};

/* 0, or -1: this is no section. */
static int print_section(FILE *out, size_t i, const struct json_node *root)
{
    struct printing p = {out, sections[i].title};
    const struct json_node *section = json_get(root, sections[i].key);
    const char *mark = mark_of(section);
    const struct json_node *rows = sections[i].rows ? json_get(section, sections[i].rows) : NULL;
    if (!mark || (sections[i].rows && json_type(rows) != JSON_ARRAY)) {
        return -1;
    }
    if (strcmp(mark, "ok") != 0) {
        int64_t more = number_of(section, "not_well") - 1;
        line(&p, mark, "%.*s", STR_ARG(text_of(section, "reason")));
        if (more > 0) {
            line(&p, "", "and %lld more", (long long)more);
        }
        line(&p, "", "-> %.*s", STR_ARG(text_of(section, "remedy")));
    }
    if (!sections[i].print) {
        print_nextcloud(&p, section);
        return 0;
    }
    for (const struct json_node *r = json_first(rows); r; r = json_next(r)) {
        if (!mark_of(r)) {
            return -1;
        }
        sections[i].print(&p, mark_of(r), r);
    }
    if (there(section, "clients_with_failures")) {
        line(&p, "ok", "clients with failures: %lld, banned: %lld",
             (long long)number_of(section, "clients_with_failures"),
             (long long)number_of(section, "total"));
    } else if (!json_first(rows) && sections[i].none && strcmp(mark, "ok") == 0) {
        line(&p, "ok", "%s", sections[i].none);
    }
    if (is_true(section, "more")) {
        line(&p, "", "%lld in all; no more are listed", (long long)number_of(section, "total"));
    }
    return 0;
}

static int print_all(const struct json_node *root, const char *at, FILE *out)
{
    char up[ADMIN_AGE_MAX];
    struct printing p = {out, "hub"};
    const char *mark = mark_of(root);
    if (!mark) {
        return -1;
    }
    line(&p, mark, "version %.*s at %s, up for %s", STR_ARG(text_of(root, "version")), at,
         age_of(number_of(root, "up_seconds"), up));
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        if (print_section(out, i, root) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Whole or not at all. */
static int print_text(const struct json_node *root, const char *at, FILE *out)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    int rc = f ? print_all(root, at, f) : -1;
    if (f && fclose(f) != 0) {
        rc = -1;
    }
    if (rc == 0) {
        fwrite(text, 1, n, out);
    }
    free(text);
    return rc;
}

int command_status(const struct hub_settings *set, const struct program *program,
                   const struct options *o, FILE *out, FILE *err)
{
    static const struct json_limits limits = {.nodes = NODES, .bytes = COMMAND_ANSWER_BYTES};
    struct asked asked = {.status = 0};
    bool json = o->arguments_n > 0 && strcmp(o->arguments[0], "--json") == 0;
    int code = EXIT_CODE_SETTINGS;
    if (o->arguments_n > json) {
        return options_usage_error(program, err, "status: write nothing behind it, or --json, not",
                                   o->arguments[json]);
    }
    if (command_ask(set, "GET", "/status", &asked, err) == 0) {
        struct str body = asked_body(&asked);
        struct json_doc *doc =
            asked.status == 200 ? json_parse(body.p, body.n, &limits, NULL, 0) : NULL;
        const char *mark = mark_of(json_root(doc));
        if (!mark || (!json && print_text(json_root(doc), asked.at, out) < 0)) {
            code = command_unexpected(&asked, err);
        } else {
            if (json) {
                fprintf(out, "%.*s\n", STR_ARG(body));
            }
            code = strcmp(mark, "WRONG") == 0 ? EXIT_CODE_SETTINGS : EXIT_CODE_OK;
        }
        json_free(doc);
    }
    buf_free(&asked.body);
    return code;
}
