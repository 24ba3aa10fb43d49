/* Docker calls: what the hub's policy lets pass is written as a head that is parsed and judged to be the
 * same call, has a clean path by an independent reading of the client's target, and matches exactly one
 * of the shapes below. A path of such a shape passes. What is refused has a printable reason. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/docker/forward.h"
#include "common/json/json.h"

#define REQUIRE(x)                                                                                 \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct docker_forwarding closing = {.keep_alive = false};

/* Shapes of what may be written to the engine. S, C, A: how slash, colon and "@" are spelled there. */
#define ALNUM "[a-z0-9]+"
#define COMPONENT ALNUM "(?:(?:\\.|__?|-+)" ALNUM ")*"
#define LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
#define PORT                                                                                       \
    "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
#define NAME(S, C)                                                                                 \
    "(?:" LABEL "(?:\\." LABEL ")*(?:" C PORT ")?" S ")?" COMPONENT "(?:" S COMPONENT ")*"
#define TAG "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
#define HEX "[0-9a-f]"
#define DIGEST(C) "sha(?:256" C HEX "{64}|384" C HEX "{96}|512" C HEX "{128})"
#define REFERENCE(S, C, A, END)                                                                    \
    "(?!" HEX "{64}(?:" C "|" A "|" END ")|" DIGEST(C) END ")" NAME(S, C) "(?:" C TAG ")?(?:" A    \
    DIGEST(C) ")?"
#define VERSION "(?:/v1\\.(?:2[4-9]|[3-9][0-9]))?"
#define CONTAINER "nc_app_[A-Za-z0-9_.-]{1,100}"
#define BOOL "(?:0|1|true|false)"
#define TIME "[0-9]{1,12}(?:\\.[0-9]{1,9})?"
#define LOGS                                                                                       \
    "(?:(?:follow|stdout|stderr|timestamps)=" BOOL "|(?:since|until)=" TIME                        \
    "|tail=(?:all|[0-9]{1,9}))"
#define PLATFORM "[A-Za-z0-9][A-Za-z0-9_.-]{0,31}"
#define CREATE                                                                                     \
    "(?:fromImage=" REFERENCE("%2F", "%3A", "%40", "(?:&|$)") "|tag=(?:" TAG "|" DIGEST(           \
        "%3A") ")"                                                                                 \
               "|platform=" PLATFORM "(?:%2F" PLATFORM "){0,2})"

static const char *const shapes[] = {
    "(?:GET|HEAD) " VERSION "/_ping",
    "GET " VERSION "/images/(?:" HEX "{64}|sha256:" HEX
    "{64}|" REFERENCE("/", ":", "@", "/json$") ")/json",
    "POST " VERSION "/images/create\\?(?=(?:.*&)?fromImage=)" CREATE "(?:&" CREATE ")*",
    "GET " VERSION "/containers/" CONTAINER "/json",
    "GET " VERSION "/containers/" CONTAINER "/logs(?:\\?" LOGS "(?:&" LOGS ")*)?",
};

static pcre2_code *compiled[ARRAY_LEN(shapes)];
static pcre2_match_data *match_data;

static struct http_request in, out;
static struct docker_call call, again;
static struct docker_verdict verdict, verdict2;
static const struct http_limits limits = HTTP_LIMITS_DEFAULT;

static unsigned shapes_of(struct str method, struct str target)
{
    char *line = malloc(method.n + 1 + target.n);
    unsigned count = 0;
    if (!match_data) {
        for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
            int error;
            PCRE2_SIZE at;
            compiled[i] = pcre2_compile((PCRE2_SPTR)shapes[i], PCRE2_ZERO_TERMINATED,
                                        PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY,
                                        &error, &at, NULL);
            REQUIRE(compiled[i]);
        }
        match_data = pcre2_match_data_create(1, NULL);
    }
    memcpy(line, method.p, method.n);
    line[method.n] = ' ';
    memcpy(line + method.n + 1, target.p, target.n);
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        int rc = pcre2_match(compiled[i], (PCRE2_SPTR)line, method.n + 1 + target.n, 0, 0,
                             match_data, NULL);
        REQUIRE(rc >= 0 || rc == PCRE2_ERROR_NOMATCH);
        count += rc >= 0;
    }
    free(line);
    return count;
}

static int digit(char c)
{
    static const char all[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c ? strchr(all, c) : NULL;
    return at ? (int)((at - all) % 16) : -1;
}

/* Neither as it is nor decoded once or twice has a path a segment that is empty or of dots; what is
 * encoded in it is of an image's name. */
static void require_clean(struct str target)
{
    const char *query = memchr(target.p, '?', target.n);
    size_t n = query ? (size_t)(query - target.p) : target.n;
    char *path = malloc(n + 1);
    memcpy(path, target.p, n);
    for (int round = 0; round < 3; round++) {
        size_t k = 0;
        path[n] = '/';
        REQUIRE(n > 1 && path[0] == '/');
        for (size_t i = 0, from = 1; i <= n; i++) {
            REQUIRE(path[i] > 0x20 && path[i] < 0x7f && path[i] != ';' && path[i] != '\\');
            if (i > 0 && path[i] == '/') {
                REQUIRE(i > from && !(i - from == 1 && path[from] == '.') &&
                        !(i - from == 2 && memcmp(path + from, "..", 2) == 0));
                from = i + 1;
            }
        }
        for (size_t i = 0; i < n; i++) {
            if (path[i] == '%') {
                REQUIRE(n - i > 2 && digit(path[i + 1]) >= 0 && digit(path[i + 2]) >= 0);
                path[k++] = (char)(digit(path[i + 1]) * 16 + digit(path[i + 2]));
                REQUIRE(path[k - 1] == '/' || path[k - 1] == ':' || path[k - 1] == '@');
                i += 2;
            } else {
                path[k++] = path[i];
            }
        }
        n = k;
    }
    free(path);
}

static void require_same(void)
{
    REQUIRE(again.version == call.version && again.rule == call.rule);
    REQUIRE(str_eq(docker_call_path(&again), docker_call_path(&call)));
    REQUIRE(str_eq(docker_call_object(&again), docker_call_object(&call)));
    REQUIRE(again.nsegments == call.nsegments && again.nparams == call.nparams);
    for (unsigned i = 0; i < call.nparams; i++) {
        REQUIRE(str_eq(docker_param_name(&again, i), docker_param_name(&call, i)));
        REQUIRE(str_eq(docker_param_value(&again, i), docker_param_value(&call, i)));
        for (unsigned k = 0; k < i; k++) {
            REQUIRE(!str_eq(docker_param_name(&call, i), docker_param_name(&call, k)));
        }
    }
    REQUIRE(verdict2.answer == verdict.answer && strcmp(verdict2.call, verdict.call) == 0);
}

static bool own_field(struct str name)
{
    static const char *const names[] = {
        "Host", "Accept", "User-Agent", "X-Registry-Auth", "Content-Length", "Connection"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq(name, str_of(names[i]))) {
            return true;
        }
    }
    return false;
}

static void check_passed(void)
{
    static const struct http_limits wide = {
        .line = 32768, .head = DOCKER_FORWARD_MAX, .fields = HTTP_MAX_FIELDS};
    char *head = malloc(DOCKER_FORWARD_MAX);
    size_t scanned = 0,
           len = docker_forward_request(head, DOCKER_FORWARD_MAX, &call, &in, &closing);
    REQUIRE(len > 0 && docker_forward_request(head, len - 1, &call, &in, &closing) == 0);
    char *exact = malloc(len), *second = malloc(len);
    REQUIRE(docker_forward_request(exact, len, &call, &in, &closing) == len);
    free(head);
    REQUIRE(http_parse_request(&out, exact, len, &wide, &scanned) == (int)len);
    REQUIRE(str_eq(out.method, in.method) && out.minor == 1 && !out.keep_alive && !out.upgrade);
    REQUIRE(out.length == 0 && out.framing != HTTP_BODY_CHUNKED && !out.absolute);
    REQUIRE(str_eq(out.authority, STR("docker")));
    for (unsigned i = 0; i < out.nfields; i++) {
        REQUIRE(own_field(out.fields[i].name));
    }
    REQUIRE(shapes_of(out.method, out.path) == 1);
    REQUIRE(docker_judge(&docker_policy_hub, &out, out.path, &again, &verdict2) == 0);
    require_same();
    REQUIRE(docker_forward_request(second, len, &again, &out, &closing) == len);
    REQUIRE(memcmp(exact, second, len) == 0);
    free(exact);
    free(second);
}

static void check_refused(struct str target, bool bare)
{
    char message[DOCKER_MESSAGE_MAX], body[DOCKER_MESSAGE_BODY_MAX];
    size_t n = docker_verdict_message(&verdict, message, sizeof(message));
    size_t len = docker_message_body(body, sizeof(body), (struct str){message, n});
    REQUIRE(verdict.status == 400 || verdict.status == 403);
    REQUIRE(n > 0 && len > 0 && verdict.why[0] && (verdict.status == 400 || verdict.call[0]));
    for (size_t i = 0; i < n; i++) {
        REQUIRE(message[i] >= 0x20 && message[i] < 0x7f);
    }
    struct json_doc *doc = json_parse(body, len, NULL, NULL, 0);
    struct str text;
    REQUIRE(doc && json_str(json_get(json_root(doc), "message"), &text) == 0);
    REQUIRE(str_eq(text, (struct str){message, n}));
    json_free(doc);
    REQUIRE(!call.rule && docker_forward_request(body, sizeof(body), &call, &in, &closing) == 0);
    /* Within what all limits allow, a path of a shape passes. Queries have rules of their own. */
    if (bare && target.n <= 100 && !memchr(target.p, '?', target.n)) {
        REQUIRE(shapes_of(in.method, target) == 0);
    }
}

static void check(struct str target, bool bare)
{
    memset(&call, 0xa5, sizeof(call)); /* it need not be cleared before */
    if (docker_judge(&docker_policy_hub, &in, target, &call, &verdict) == 0) {
        require_clean(target);
        check_passed();
    } else {
        if (verdict.status == 403) {
            require_clean(target);
        }
        check_refused(target, bare);
    }
}

/* The first byte chooses: a method, with the rest as a target; or the rest is a head. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"GET", "POST", "HEAD"};
    if (size < 1) {
        return 0;
    }
    unsigned how = data[0] & 3;
    size_t scanned = 0, n = size - 1;
    char *rest = malloc(n ? n : 1);
    memcpy(rest, data + 1, n);
    if (how == 3) {
        if (http_parse_request(&in, rest, n, &limits, &scanned) > 0) {
            check(in.path, false);
        }
    } else {
        char head[64];
        int len = snprintf(head, sizeof(head), "%s / HTTP/1.1\r\nHost: h\r\n\r\n", methods[how]);
        REQUIRE(http_parse_request(&in, head, (size_t)len, &limits, &scanned) == len);
        check((struct str){rest, n}, true);
    }
    free(rest);
    return 0;
}
