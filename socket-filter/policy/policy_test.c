#include "socket-filter/policy/policy_test.h"

#include "common/base/buf.h"
#include "common/config/values.h"
#include "common/docker/body.h"
#include "common/docker/catalogue.h"
#include "common/docker/hint.h"
#include "common/http/head.h"
#include "common/json/json.h"

#include <ctype.h>
#include <stdlib.h>

enum { HEAD_MAX = 64 * 1024, WHERE_MAX = 32, WHY_MAX = 192 };

struct test {
    const struct named_policy *policy;
    const char *path;
    FILE *out, *err;
    char where[WHERE_MAX]; /* "line 3", "request 3" */
    unsigned total, passed, unmet;
};

/* A request of the file; slices of its document. */
struct recorded {
    struct str name;
    bool expects, pass; /* whether something is expected, and that it passes */
    char *body;         /* malloc; NULL: none */
    size_t nbody;
    char head[HEAD_MAX];
    size_t nhead;
};

static int malformed(struct test *t, const char *why)
{
    fprintf(t->err, "%s: %s: %s\n", t->path, t->where, why);
    return -1;
}

/* ---- the request's head ---- */

static void put(struct recorded *q, struct str s)
{
    size_t n = MIN(s.n, sizeof(q->head) - q->nhead);
    memcpy(q->head + q->nhead, s.n > 0 ? s.p : "", n);
    q->nhead += n;
}

static void put_field(struct recorded *q, struct str name, struct str value)
{
    put(q, name);
    put(q, STR(": "));
    put(q, value);
    put(q, STR("\r\n"));
}

struct fields {
    bool host, type, coding;
};

static int put_header(struct test *t, struct recorded *q, struct str name,
                      const struct json_node *node, struct fields *seen)
{
    struct str value;
    if (name.n == 0 || json_str(node, &value) < 0) {
        return malformed(t, "headers: names and values are text");
    }
    seen->host |= str_eq_nocase(name, STR("Host"));
    seen->type |= str_eq_nocase(name, STR("Content-Type"));
    seen->coding |= str_eq_nocase(name, STR("Transfer-Encoding"));
    /* The length recorded is that of another spelling of the body. */
    if (!str_eq_nocase(name, STR("Content-Length"))) {
        put_field(q, name, value);
    }
    return 0;
}

static int put_headers(struct test *t, struct recorded *q, const struct json_node *headers,
                       struct fields *seen)
{
    enum json_type type = json_type(headers);
    if (headers && type != JSON_OBJECT && type != JSON_ARRAY) {
        return malformed(t, "headers: write an object, or a list of pairs");
    }
    for (const struct json_node *h = json_first(headers); h; h = json_next(h)) {
        struct str name = type == JSON_OBJECT ? json_key(h) : STR("");
        const struct json_node *value = h;
        if (type == JSON_ARRAY && (json_count(h) != 2 || json_str(json_first(h), &name) < 0)) {
            return malformed(t, "headers: a pair is a name and a value");
        }
        if (type == JSON_ARRAY) {
            value = json_next(json_first(h));
        }
        if (put_header(t, q, name, value, seen) < 0) {
            return -1;
        }
    }
    return 0;
}

static int put_head(struct test *t, struct recorded *q, const struct json_node *request)
{
    struct str method, path, query = STR("");
    struct fields seen = {.host = false};
    char length[32];
    if (json_str(json_get(request, "method"), &method) < 0 ||
        json_str(json_get(request, "path"), &path) < 0) {
        return malformed(t, "a request needs method and path, as text");
    }
    const struct json_node *node = json_get(request, "query");
    if (node && json_str(node, &query) < 0) {
        return malformed(t, "query: write text");
    }
    put(q, method);
    put(q, STR(" "));
    put(q, path);
    put(q, query.n > 0 ? STR("?") : STR(""));
    put(q, query);
    put(q, STR(" HTTP/1.1\r\n"));
    if (put_headers(t, q, json_get(request, "headers"), &seen) < 0) {
        return -1;
    }
    if (!seen.host) {
        put_field(q, STR("Host"), STR("docker"));
    }
    if (q->body && !seen.type) {
        put_field(q, STR("Content-Type"), STR("application/json"));
    }
    if (q->body && !seen.coding) {
        snprintf(length, sizeof(length), "%zu", q->nbody);
        put_field(q, STR("Content-Length"), str_of(length));
    }
    put(q, STR("\r\n"));
    return q->nhead < sizeof(q->head) ? 0 : malformed(t, "the head is longer than 64 KiB");
}

/* ---- its body ---- */

static void write_node(struct json_out *o, const struct json_node *node)
{
    struct str s;
    int64_t i;
    bool b;
    enum json_type type = json_type(node);
    if (json_str(node, &s) == 0) {
        json_out_str(o, s);
    } else if (json_int(node, &i) == 0) {
        json_out_int(o, i);
    } else if (json_bool(node, &b) == 0) {
        json_out_bool(o, b);
    } else if (type == JSON_NULL) {
        json_out_null(o);
    } else if (type == JSON_DOUBLE) {
        o->failed = true; /* it can't be told how it was spelled */
    }
}

/* The document's depth is limited, so is this. */
static void write_tree(struct json_out *o, const struct json_node *node)
{
    enum json_type type = json_type(node);
    if (type != JSON_OBJECT && type != JSON_ARRAY) {
        write_node(o, node);
        return;
    }
    if (type == JSON_OBJECT) {
        json_out_object(o);
    } else {
        json_out_array(o);
    }
    for (const struct json_node *n = json_first(node); n; n = json_next(n)) {
        if (type == JSON_OBJECT) {
            json_out_key(o, json_key(n));
        }
        write_tree(o, n);
    }
    if (type == JSON_OBJECT) {
        json_out_object_end(o);
    } else {
        json_out_array_end(o);
    }
}

/* Recordings have "" where there was none. */
static int take_body(struct test *t, struct recorded *q, const struct json_node *node, size_t size)
{
    struct str text;
    if (json_str(node, &text) == 0) {
        q->body = text.n > 0 ? xstrndup(text.p, text.n) : NULL;
        q->nbody = text.n;
        return 0;
    }
    if (json_type(node) == JSON_NULL) {
        return 0;
    }
    struct json_out o;
    size_t cap = 6 * size + 64; /* each byte escaped */
    q->body = xmalloc(cap);
    json_out_init(&o, q->body, cap);
    write_tree(&o, node);
    ssize_t n = json_out_end(&o);
    if (n < 0) {
        return malformed(t, "body: fractions, and more than 32 levels, are to be written as text");
    }
    q->nbody = (size_t)n;
    return 0;
}

/* ---- judging ---- */

struct judged {
    struct docker_call call;
    struct docker_verdict verdict;
};

static void judge_body(const struct docker_policy *p, const struct recorded *q, struct judged *j)
{
    struct docker_body_out out = {.p = NULL};
    enum docker_body kind = j->call.rule->body;
    if (!q->body || kind == DOCKER_NO_BODY || kind == DOCKER_BODY_ARCHIVE) {
        return;
    }
    if (docker_judge_body(p, &j->call, (struct str){q->body, q->nbody}, NULL, &out, &j->verdict) ==
        0) {
        docker_body_wipe(&out);
    }
}

static void judge(const struct docker_policy *p, const struct recorded *q, struct judged *j)
{
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    struct http_request request;
    size_t scanned = 0;
    int n = http_parse_request(&request, q->head, q->nhead, &limits, &scanned);
    j->call.rule = NULL;
    j->call.object = (struct docker_span){0, 0};
    if (n != (int)q->nhead) {
        j->verdict = (struct docker_verdict){.status = n < 0 ? request.status : 400};
        snprintf(j->verdict.why, sizeof(j->verdict.why), "%s",
                 n < 0 ? request.why : "bytes behind the head");
        return;
    }
    if (docker_judge(p, &request, request.path, &j->call, &j->verdict) == 0) {
        judge_body(p, q, j);
    }
}

/* ---- telling ---- */

static void put_printable(FILE *to, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        fputc(s.p[i] >= ' ' && s.p[i] <= '~' ? s.p[i] : '?', to);
    }
}

/* What it is about: the name in the path, else the one that a parameter has. */
static struct str object_of(const struct docker_call *call)
{
    struct str s = docker_call_object(call);
    if (s.n == 0 && !docker_call_param(call, STR("name"), &s) &&
        !docker_call_param(call, STR("fromImage"), &s)) {
        return STR("");
    }
    return s;
}

static void tell(struct test *t, const struct recorded *q, const struct judged *j)
{
    char text[DOCKER_RULE_TEXT_MAX], hint[DOCKER_HINT_MAX];
    const struct docker_verdict *v = &j->verdict;
    bool passes = v->status == 0;
    if (passes) {
        struct str object = object_of(&j->call);
        fprintf(t->out, "pass    %-18s  ", v->call);
        put_printable(t->out, object);
        fprintf(t->out, "%*s  %s", (int)MAX(0, 18 - (int)object.n), "",
                docker_rule_text(j->call.rule, text));
    } else {
        fprintf(t->out, "refuse  %-18s  %s%s", v->call[0] ? v->call : "-",
                v->status == 403 ? "" : "malformed: ", v->why);
    }
    if (q->name.n > 0) {
        fputs("  (", t->out);
        put_printable(t->out, q->name);
        fputc(')', t->out);
    }
    fputc('\n', t->out);
    if (passes && v->look_up) {
        fputs("        if the engine says that it is one the policy grants\n", t->out);
    }
    if (!passes && docker_hint(v, hint)[0]) {
        fprintf(t->out, "        %s\n", hint);
    }
    if (q->expects && q->pass != passes) {
        fprintf(t->out, "        EXPECTED to %s: %s\n", q->pass ? "pass" : "be refused", t->where);
    }
}

/* ---- the file ---- */

static int take_expect(struct test *t, struct recorded *q, const struct json_node *object)
{
    const struct json_node *node = json_get(object, "expect");
    struct str text = STR("");
    if (node && (json_str(node, &text) < 0 ||
                 (!str_eq(text, STR("pass")) && !str_eq(text, STR("refuse"))))) {
        return malformed(t, "expect: write \"pass\" or \"refuse\"");
    }
    q->expects = node != NULL;
    q->pass = str_eq(text, STR("pass"));
    node = json_get(object, "name");
    if (node && json_str(node, &q->name) < 0) {
        return malformed(t, "name: write text");
    }
    return 0;
}

static int test_one(struct test *t, const struct json_node *object, size_t size)
{
    const struct json_node *inner = json_get(object, "request");
    const struct json_node *request = inner ? inner : object;
    struct recorded *q = xcalloc(1, sizeof(*q));
    struct judged *j = xcalloc(1, sizeof(*j));
    int rc = -1;
    if (json_type(request) != JSON_OBJECT) {
        malformed(t, "a request is an object");
        goto out;
    }
    if (take_expect(t, q, object) < 0 || take_body(t, q, json_get(request, "body"), size) < 0 ||
        put_head(t, q, request) < 0) {
        goto out;
    }
    judge(t->policy->policy, q, j);
    tell(t, q, j);
    t->total++;
    t->passed += j->verdict.status == 0;
    t->unmet += q->expects && q->pass != (j->verdict.status == 0);
    rc = 0;
out:
    free(q->body);
    free(q);
    free(j);
    return rc;
}

static const struct json_limits json_limits = {
    .depth = JSON_DEPTH, .nodes = POLICY_TEST_NODES_MAX, .bytes = POLICY_TEST_FILE_MAX};

/* The parser says "... at byte N" of the text. */
static unsigned long line_of(const char *text, size_t n, const char *why)
{
    const char *at = strstr(why, " at byte ");
    size_t byte = at ? strtoul(at + sizeof(" at byte ") - 1, NULL, 10) : 0;
    unsigned long line = 1;
    for (size_t i = 0; i < MIN(byte, n); i++) {
        line += text[i] == '\n';
    }
    return line;
}

static int test_array(struct test *t, const char *text, size_t n)
{
    char why[WHY_MAX];
    struct json_doc *doc = json_parse(text, n, &json_limits, why, sizeof(why));
    unsigned i = 0;
    int rc = 0;
    if (!doc) {
        snprintf(t->where, sizeof(t->where), "line %lu", line_of(text, n, why));
        return malformed(t, why);
    }
    for (const struct json_node *r = json_first(json_root(doc)); r && rc == 0; r = json_next(r)) {
        snprintf(t->where, sizeof(t->where), "request %u", ++i);
        rc = test_one(t, r, n);
    }
    json_free(doc);
    return rc;
}

static bool blank(struct str line)
{
    for (size_t i = 0; i < line.n; i++) {
        if (!isspace((unsigned char)line.p[i])) {
            return false;
        }
    }
    return true;
}

static int test_lines(struct test *t, const char *text, size_t n)
{
    char why[WHY_MAX];
    int rc = 0;
    unsigned number = 0;
    for (size_t at = 0; at < n && rc == 0;) {
        const char *end = memchr(text + at, '\n', n - at);
        struct str line = {text + at, end ? (size_t)(end - text) - at : n - at};
        snprintf(t->where, sizeof(t->where), "line %u", ++number);
        at += line.n + 1;
        if (blank(line)) {
            continue;
        }
        struct json_doc *doc = json_parse(line.p, line.n, &json_limits, why, sizeof(why));
        rc = doc ? test_one(t, json_root(doc), line.n) : malformed(t, why);
        json_free(doc);
    }
    return rc;
}

int policy_test(const struct named_policy *policy, const char *path, FILE *out, FILE *err)
{
    struct test t = {.policy = policy, .path = path, .out = out, .err = err};
    struct config_report report = {.error = ""};
    size_t n = 0, first = 0;
    char *text = config_read_all("requests", path, POLICY_TEST_FILE_MAX, &n, &report);
    if (!text) {
        fprintf(err, "%s\n", report.error);
        return POLICY_TEST_MALFORMED;
    }
    while (first < n && isspace((unsigned char)text[first])) {
        first++;
    }
    int rc = first < n && text[first] == '[' ? test_array(&t, text, n) : test_lines(&t, text, n);
    config_wipe_free(text, n);
    if (rc < 0) {
        return POLICY_TEST_MALFORMED;
    }
    fprintf(out, "%u request%s by policy %s: %u pass, %u refused", t.total, t.total == 1 ? "" : "s",
            policy->name, t.passed, t.total - t.passed);
    if (t.unmet > 0) {
        fprintf(out, ", %u not as expected", t.unmet);
    }
    fputc('\n', out);
    return t.unmet > 0 ? POLICY_TEST_UNMET : POLICY_TEST_MET;
}
