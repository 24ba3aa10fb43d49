/* schema.c - the walk along a table of keys: each member is found, judged, and written anew. */
#include "common/docker/schema.h"

#include "common/docker/chars.h"

#include <stdio.h>

/* ---- refusing ---- */

int docker_refuse_key(struct docker_judging *j, enum docker_fault fault, struct str what,
                      const char *why)
{
    char text[sizeof(j->verdict->why)];
    snprintf(text, sizeof(text), "%s %s", j->path_len > 0 ? j->path : "the body", why);
    return docker_refuse(j->verdict, fault, what, text);
}

int docker_refuse_here(struct docker_judging *j, const char *why)
{
    return docker_refuse_key(j, DOCKER_FAULT_NEVER, str_of(j->path), why);
}

static int refuse_type(struct docker_judging *j, const char *wanted)
{
    char text[48];
    snprintf(text, sizeof(text), "is not %s", wanted);
    return docker_refuse_here(j, text);
}

/* ---- where the walk is ---- */

static size_t enter(struct docker_judging *j, struct str key)
{
    size_t before = j->path_len;
    int n = snprintf(j->path + before, sizeof(j->path) - before, "%s%.*s", before > 0 ? "." : "",
                     STR_ARG(key));
    j->path_len = MIN(before + (size_t)n, sizeof(j->path) - 1);
    return before;
}

static void leave(struct docker_judging *j, size_t before)
{
    j->path_len = before;
    j->path[before] = '\0';
}

/* ---- keys ---- */

const struct docker_field *docker_field_find(const struct docker_field *fields, struct str key)
{
    for (const struct docker_field *f = fields; f->key; f++) {
        if (str_eq(str_of(f->key), key) || (f->alias && str_eq(str_of(f->alias), key))) {
            return f;
        }
    }
    return NULL;
}

static bool shown(struct str key)
{
    for (size_t i = 0; i < key.n; i++) {
        if (!docker_alnum(key.p[i]) && key.p[i] != '_') {
            return false;
        }
    }
    return key.n > 0 && key.n <= DOCKER_KEY_SHOWN_MAX;
}

static int refuse_unknown(struct docker_judging *j, const struct docker_field *fields,
                          struct str key)
{
    char text[64];
    size_t before = enter(j, shown(key) ? key : STR("a key that is no word of Docker's"));
    const struct docker_field *meant = fields;
    while (meant->key && !str_eq_nocase(str_of(meant->key), key)) {
        meant++;
    }
    if (meant->key) {
        snprintf(text, sizeof(text), "must be spelled %s", meant->key);
    } else {
        snprintf(text, sizeof(text), "is not allowed");
    }
    int rc = docker_refuse_key(j, meant->key ? DOCKER_FAULT_NEVER : DOCKER_FAULT_KEY,
                               shown(key) ? str_of(j->path) : STR(""), text);
    leave(j, before);
    return rc;
}

/* ---- idle values ---- */

static bool pair(const struct json_node *n)
{
    int64_t i;
    for (const struct json_node *e = json_first(n); e; e = json_next(e)) {
        if (json_int(e, &i) < 0 || i < 0) {
            return false;
        }
    }
    return json_count(n) == 2;
}

static bool idle(const struct docker_field *f, const struct json_node *n);

static bool idle_object(const struct docker_field *fields, const struct json_node *n)
{
    for (const struct json_node *m = json_first(n); m; m = json_next(m)) {
        const struct docker_field *f = docker_field_find(fields, json_key(m));
        if (!f || !idle(f, m)) {
            return false;
        }
    }
    return true;
}

static bool idle(const struct docker_field *f, const struct json_node *n)
{
    struct str s = STR("");
    int64_t i = 0;
    bool b = false;
    switch (json_type(n)) {
    case JSON_NULL:
        return f->idle & IDLE_NULL;
    case JSON_BOOL:
        return json_bool(n, &b) == 0 && (f->idle & (b ? IDLE_TRUE : IDLE_FALSE));
    case JSON_INT:
        return json_int(n, &i) == 0 &&
               ((i == 0 && (f->idle & IDLE_ZERO)) || (i == -1 && (f->idle & IDLE_MINUS_ONE)));
    case JSON_STRING:
        return json_str(n, &s) == 0 && ((s.n == 0 && (f->idle & IDLE_EMPTY)) ||
                                        (f->idle_word && str_eq(s, str_of(f->idle_word))));
    case JSON_ARRAY:
        return json_count(n) == 0 ? f->idle & IDLE_LIST : (f->idle & IDLE_PAIR) && pair(n);
    case JSON_OBJECT:
        return json_count(n) == 0 ? f->idle & IDLE_MAP
                                  : !f->take && f->fields && idle_object(f->fields, n);
    case JSON_DOUBLE:
        break;
    }
    return false;
}

/* ---- extras ---- */

static const struct docker_extra *extra_find(const struct docker_judging *j,
                                             const struct docker_field *f)
{
    for (size_t i = 0; f->extra && i < j->grants->nextras; i++) {
        const struct docker_extra *e = &j->grants->extras[i];
        if (e->type == f->type && str_eq(str_of(e->key), str_of(j->path))) {
            return e;
        }
    }
    return NULL;
}

static int extra_values(struct docker_judging *j, const struct docker_extra *e,
                        const struct json_node *n)
{
    struct str s;
    if (e->values.n > 0 && json_str(n, &s) == 0 && !docker_words_match(e->values, s)) {
        return docker_refuse_here(j, "has a value that the policy does not list");
    }
    return 0;
}

static int take_extra(struct docker_judging *j, const struct docker_field *f,
                      const struct docker_extra *e, const struct json_node *n)
{
    struct docker_field row = *f;
    int rc = extra_values(j, e, n);
    for (const struct json_node *k = json_first(n); k && rc == 0; k = json_next(k)) {
        rc = extra_values(j, e, k);
    }
    if (rc) {
        return rc;
    }
    switch (f->type) {
    case DOCKER_EXTRA_STRING:
        return docker_take_string(j, &row, n);
    case DOCKER_EXTRA_INTEGER:
        row.least = 0;
        row.most = f->most > 0 ? MIN(f->most, e->max) : e->max;
        return docker_take_integer(j, &row, n);
    case DOCKER_EXTRA_BOOLEAN:
        return docker_take_boolean(j, &row, n);
    case DOCKER_EXTRA_STRINGS:
        row.most = DOCKER_WORDS_MAX;
        return docker_take_strings(j, &row, n);
    }
    return docker_refuse_here(j, "is not allowed");
}

/* ---- the walk ---- */

static int take_member(struct docker_judging *j, const struct docker_field *f,
                       const struct json_node *n)
{
    const struct docker_extra *e;
    int rc;
    if (idle(f, n)) {
        return 0;
    }
    json_out_key(&j->out, str_of(f->key));
    if (f->take) {
        rc = f->take(j, f, n);
    } else if ((e = extra_find(j, f)) != NULL) {
        rc = take_extra(j, f, e, n);
    } else {
        rc = docker_refuse_key(j, DOCKER_FAULT_KEY, str_of(j->path), "is not allowed");
    }
    j->seen |= f->seen;
    return rc;
}

int docker_walk(struct docker_judging *j, const struct docker_field *fields,
                const struct json_node *object)
{
    int rc = 0;
    if (json_type(object) != JSON_OBJECT) {
        return refuse_type(j, "an object");
    }
    for (const struct json_node *m = json_first(object); m && rc == 0; m = json_next(m)) {
        const struct docker_field *f = docker_field_find(fields, json_key(m));
        if (!f) {
            return refuse_unknown(j, fields, json_key(m));
        }
        size_t before = enter(j, str_of(f->key));
        if (f->alias && json_get(object, f->alias) && json_get(object, f->key)) {
            rc = docker_refuse_here(j, "comes twice");
        } else {
            rc = take_member(j, f, m);
        }
        leave(j, before);
    }
    return rc;
}

/* ---- values ---- */

static int judge_text(struct docker_judging *j, const struct docker_field *f, struct str s)
{
    const char *why = docker_has_control(s) ? "holds a control character"
                      : f->check            ? f->check(s)
                                            : NULL;
    return why ? docker_refuse_here(j, why) : f->granted ? f->granted(j, s) : 0;
}

int docker_take_string(struct docker_judging *j, const struct docker_field *f,
                       const struct json_node *n)
{
    struct str s;
    if (json_str(n, &s) < 0) {
        return refuse_type(j, "a string");
    }
    json_out_str(&j->out, s);
    return judge_text(j, f, s);
}

int docker_take_integer(struct docker_judging *j, const struct docker_field *f,
                        const struct json_node *n)
{
    int64_t i;
    if (json_int(n, &i) < 0) {
        return refuse_type(j, "an integer");
    }
    if (i < f->least || i > f->most) {
        return docker_refuse_here(j, i < f->least ? "is too small" : "is too large");
    }
    json_out_int(&j->out, i);
    return f->whole ? f->whole(j, n) : 0;
}

int docker_take_boolean(struct docker_judging *j, const struct docker_field *f,
                        const struct json_node *n)
{
    bool b;
    (void)f;
    if (json_bool(n, &b) < 0) {
        return refuse_type(j, "true or false");
    }
    json_out_bool(&j->out, b);
    return 0;
}

int docker_expect_array(struct docker_judging *j, const struct docker_field *f,
                        const struct json_node *n)
{
    if (json_type(n) != JSON_ARRAY) {
        return refuse_type(j, "an array");
    }
    if ((int64_t)json_count(n) < f->least) {
        return docker_refuse_here(j, "is empty");
    }
    return (int64_t)json_count(n) > f->most ? docker_refuse_here(j, "has too many elements") : 0;
}

int docker_take_strings(struct docker_judging *j, const struct docker_field *f,
                        const struct json_node *n)
{
    int rc = docker_expect_array(j, f, n);
    json_out_array(&j->out);
    for (const struct json_node *e = json_first(n); e && rc == 0; e = json_next(e)) {
        rc = docker_take_string(j, f, e);
    }
    json_out_array_end(&j->out);
    return rc ? rc : f->whole ? f->whole(j, n) : 0;
}

int docker_take_object(struct docker_judging *j, const struct docker_field *f,
                       const struct json_node *n)
{
    json_out_object(&j->out);
    int rc = docker_walk(j, f->fields, n);
    json_out_object_end(&j->out);
    return rc ? rc : f->whole ? f->whole(j, n) : 0;
}

int docker_take_objects(struct docker_judging *j, const struct docker_field *f,
                        const struct json_node *n)
{
    int rc = docker_expect_array(j, f, n);
    json_out_array(&j->out);
    for (const struct json_node *e = json_first(n); e && rc == 0; e = json_next(e)) {
        rc = docker_take_object(j, f, e);
    }
    json_out_array_end(&j->out);
    return rc;
}

static int take_pairs(struct docker_judging *j, const struct docker_field *f,
                      const struct json_node *n)
{
    int rc = 0;
    for (const struct json_node *m = json_first(n); m && rc == 0; m = json_next(m)) {
        rc = judge_text(j, f, json_key(m));
        if (rc == 0) {
            size_t before = enter(j, STR("*"));
            json_out_key(&j->out, json_key(m));
            rc = f->fields->take(j, f->fields, m);
            leave(j, before);
        }
    }
    return rc;
}

static int expect_map(struct docker_judging *j, const struct docker_field *f,
                      const struct json_node *n)
{
    if (json_type(n) != JSON_OBJECT) {
        return refuse_type(j, "an object");
    }
    return (int64_t)json_count(n) > f->most ? docker_refuse_here(j, "has too many members") : 0;
}

int docker_take_map(struct docker_judging *j, const struct docker_field *f,
                    const struct json_node *n)
{
    int rc = expect_map(j, f, n);
    json_out_object(&j->out);
    if (rc == 0) {
        rc = take_pairs(j, f, n);
    }
    json_out_object_end(&j->out);
    return rc;
}

/* ---- labels ---- */

void docker_write_owner(struct docker_judging *j)
{
    if (j->grants->owner) {
        json_out_key(&j->out, STR(DOCKER_OWNER_LABEL));
        json_out_str(&j->out, str_of(j->grants->owner));
    }
}

void docker_write_labels(struct docker_judging *j)
{
    if (j->grants->owner && !(j->seen & SEEN_LABELS)) {
        json_out_key(&j->out, STR("Labels"));
        json_out_object(&j->out);
        docker_write_owner(j);
        json_out_object_end(&j->out);
    }
}

int docker_take_labels(struct docker_judging *j, const struct docker_field *f,
                       const struct json_node *n)
{
    int rc = expect_map(j, f, n);
    json_out_object(&j->out);
    if (rc == 0) {
        rc = take_pairs(j, f, n);
    }
    docker_write_owner(j);
    json_out_object_end(&j->out);
    return rc;
}
