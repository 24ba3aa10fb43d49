#include "common/docker/hint.h"

#include "common/base/writer.h"
#include "common/config/values.h"
#include "common/docker/body.h"
#include "common/docker/catalogue.h"
#include "common/docker/reference.h"
#include "common/json/json.h"

#include <stdio.h>

/* A string of libconfig: of what is printable ASCII, only these two are escaped. */
static void put_string(struct writer *w, struct str s)
{
    writer_put(w, STR("\""));
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') {
            writer_put(w, STR("\\"));
        }
        writer_put(w, (struct str){s.p + i, 1});
    }
    writer_put(w, STR("\""));
}

static void put_list(struct writer *w, const char *setting, struct str word)
{
    writer_put(w, str_of(setting));
    writer_put(w, STR(" = [ "));
    put_string(w, word);
    writer_put(w, STR(" ];"));
}

/* Images are listed by their full names; an id can't be. */
static void put_image(struct writer *w, struct str what)
{
    char full[DOCKER_FULL_NAME_MAX];
    if (docker_image_full_name(what, full)) {
        put_list(w, "images", str_of(full));
    }
}

/* A name that an engine may take for an id is granted by no list. */
static void put_container(struct writer *w, struct str what)
{
    if (!docker_hex_valid(what)) {
        put_list(w, "containers", what);
    }
}

/* calls = [ "GET info" ]; all words of the catalogue fit there, and no others. */
static void put_call(struct writer *w, struct str what)
{
    if (docker_rule_find(what)) {
        put_list(w, "calls", what);
    } else if (what.n > 0) {
        writer_put(w, STR("other_calls = ( { call = "));
        put_string(w, what);
        writer_put(w, STR("; } );"));
    }
}

static void put_command(struct writer *w, struct str what)
{
    struct json_doc *doc = json_parse(what.p, what.n, NULL, NULL, 0);
    const char *between = " ";
    if (json_count(json_root(doc)) > 0) {
        writer_put(w, STR("commands = ( ["));
        for (const struct json_node *n = json_first(json_root(doc)); n; n = json_next(n)) {
            struct str s = STR("");
            if (json_str(n, &s) < 0 || !value_is_printable(s)) {
                w->full = true;
            }
            writer_put(w, str_of(between));
            put_string(w, s);
            between = ", ";
        }
        writer_put(w, STR(" ] );"));
    }
    json_free(doc);
}

static void put_bind(struct writer *w, struct str what)
{
    const struct str writes = STR(":rw");
    bool rw = what.n > writes.n && memcmp(what.p + what.n - writes.n, writes.p, writes.n) == 0;
    writer_put(w, STR("binds = ( { path = "));
    put_string(w, (struct str){what.p, what.n - (rw ? writes.n : 0)});
    writer_put(w, rw ? STR("; read_only = false; } );") : STR("; read_only = true; } );"));
}

static void put_key(struct writer *w, struct str what)
{
    static const char *const types[] = {"string", "integer", "boolean", "strings"};
    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        if (!docker_extra_key(what, (enum docker_extra_type)i)) {
            writer_put(w, STR("create_more = ( { key = "));
            put_string(w, what);
            writer_put(w, STR("; type = "));
            put_string(w, str_of(types[i]));
            writer_put(w, STR("; } );"));
        }
    }
}

static void put_memory(struct writer *w, struct str what)
{
    char text[VALUE_SIZE_TEXT_MAX];
    int64_t n = 0;
    if (value_parse_int(what, 1, INT64_MAX, &n) == 0) {
        writer_put(w, STR("memory_max = "));
        put_string(w, str_of(value_format_size((uint64_t)n, text)));
        writer_put(w, STR(";"));
    }
}

/* In billionths, of which as many digits are shown as count. */
static void put_cpus(struct writer *w, struct str what)
{
    char text[48];
    int64_t n = 0;
    if (value_parse_int(what, 1, INT64_MAX, &n) == 0) {
        int len = snprintf(text, sizeof(text), "%lld.%09lld", (long long)(n / 1000000000),
                           (long long)(n % 1000000000));
        while (text[len - 1] == '0' && text[len - 2] != '.') {
            text[--len] = '\0';
        }
        writer_put(w, STR("cpus_max = "));
        put_string(w, str_of(text));
        writer_put(w, STR(";"));
    }
}

static const char *list_of(enum docker_fault fault)
{
    switch (fault) {
    case DOCKER_FAULT_VOLUME:
        return "volumes";
    case DOCKER_FAULT_NETWORK:
        return "networks";
    case DOCKER_FAULT_PUBLISH:
        return "publish";
    case DOCKER_FAULT_DEVICE:
        return "devices";
    case DOCKER_FAULT_ARCHIVE:
        return "archive";
    default:
        return NULL;
    }
}

static void put_line(struct writer *w, enum docker_fault fault, struct str what)
{
    const char *list = list_of(fault);
    if (list) {
        put_list(w, list, what);
        return;
    }
    switch (fault) {
    case DOCKER_FAULT_CONTAINER:
        put_container(w, what);
        break;
    case DOCKER_FAULT_IMAGE:
        put_image(w, what);
        break;
    case DOCKER_FAULT_CALL:
        put_call(w, what);
        break;
    case DOCKER_FAULT_COMMAND:
        put_command(w, what);
        break;
    case DOCKER_FAULT_BIND:
        put_bind(w, what);
        break;
    case DOCKER_FAULT_KEY:
        put_key(w, what);
        break;
    case DOCKER_FAULT_MEMORY:
        put_memory(w, what);
        break;
    case DOCKER_FAULT_CPUS:
        put_cpus(w, what);
        break;
    default:
        break;
    }
}

const char *docker_hint(const struct docker_verdict *verdict, char *buf)
{
    struct writer w = {buf, buf + DOCKER_HINT_MAX - 1, false};
    struct str what = str_of(verdict->what);
    if (verdict->status == 403 && what.n > 0) {
        put_line(&w, verdict->fault, what);
    }
    buf[writer_end(&w, buf)] = '\0';
    return buf;
}
