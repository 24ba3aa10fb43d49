/* yajl reads and yajl writes; what yajl is lax about is looked at before (common/json/yajl_guard.h). For
 * that, a string is kept until it is whole: then yajl, which would read the part that it has again with each
 * call, sees it once. */
#include "common/docker/scrub.h"

#include "common/base/buf.h"
#include "common/crypto/secret.h"
#include "common/json/yajl_guard.h"

#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

static const char hidden[] = "<hidden>";

struct scrub {
    yajl_handle parser;
    yajl_gen gen;
    const char *why; /* it has failed */
    bool taken;      /* what is in `gen` */
    unsigned depth;
    uint64_t envs; /* bit d: level d is an array under Env */
    bool env_key;  /* the value that comes next stands under Env */
    /* Between parsing and the parser: */
    size_t word;             /* bytes of a number or literal so far */
    bool in_string, escaped; /* the next byte is in a string, behind a backslash */
    char *held;              /* the beginning of that string, if it came with an earlier call */
    size_t nheld, held_cap;
};

_Static_assert(SCRUB_DEPTH <= 64, "a bit of `envs` for each level");

static int fail(struct scrub *s, const char *why)
{
    if (!s->why) {
        s->why = why;
    }
    return 0; /* which tells yajl to stop */
}

/* ---- yajl's events ---- */

static int written(struct scrub *s, yajl_gen_status status)
{
    s->env_key = false;
    return status == yajl_gen_status_ok ? 1 : fail(s, "it can't be written again");
}

static int on_null(void *ctx)
{
    struct scrub *s = ctx;
    return written(s, yajl_gen_null(s->gen));
}

static int on_bool(void *ctx, int value)
{
    struct scrub *s = ctx;
    return written(s, yajl_gen_bool(s->gen, value));
}

static int on_number(void *ctx, const char *p, size_t n)
{
    struct scrub *s = ctx;
    return written(s, yajl_gen_number(s->gen, p, n));
}

static int on_string(void *ctx, const unsigned char *p, size_t n)
{
    struct scrub *s = ctx;
    bool env = s->depth > 0 && s->envs >> (s->depth - 1) & 1;
    const unsigned char *equals = env && n > 0 ? memchr(p, '=', n) : NULL;
    if (!equals) {
        return written(s, yajl_gen_string(s->gen, p, n));
    }
    size_t name = (size_t)(equals + 1 - p);
    unsigned char *text = wiping_realloc(NULL, NULL, name + sizeof(hidden));
    memcpy(text, p, name);
    memcpy(text + name, hidden, sizeof(hidden));
    int more = written(s, yajl_gen_string(s->gen, text, name + sizeof(hidden) - 1));
    wiping_free(NULL, text);
    return more;
}

static int on_key(void *ctx, const unsigned char *p, size_t n)
{
    struct scrub *s = ctx;
    int more = written(s, yajl_gen_string(s->gen, p, n));
    s->env_key = str_eq((struct str){(const char *)p, n}, STR("Env"));
    return more;
}

static int on_level(struct scrub *s, bool env, yajl_gen_status status)
{
    if (s->depth == SCRUB_DEPTH) {
        return fail(s, "it is nested too deep");
    }
    s->envs &= ~(UINT64_C(1) << s->depth);
    s->envs |= (uint64_t)env << s->depth;
    s->depth++;
    return written(s, status);
}

static int on_object(void *ctx)
{
    struct scrub *s = ctx;
    return on_level(s, false, yajl_gen_map_open(s->gen));
}

static int on_array(void *ctx)
{
    struct scrub *s = ctx;
    return on_level(s, s->env_key, yajl_gen_array_open(s->gen));
}

static int on_object_end(void *ctx)
{
    struct scrub *s = ctx;
    s->depth--;
    return written(s, yajl_gen_map_close(s->gen));
}

static int on_array_end(void *ctx)
{
    struct scrub *s = ctx;
    s->depth--;
    return written(s, yajl_gen_array_close(s->gen));
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_object,
    .yajl_map_key = on_key,
    .yajl_end_map = on_object_end,
    .yajl_start_array = on_array,
    .yajl_end_array = on_array_end,
};

/* ---- before yajl ---- */

static void parse(struct scrub *s, const char *p, size_t n)
{
    if (n > 0 && yajl_parse(s->parser, (const unsigned char *)p, n) != yajl_status_ok) {
        fail(s, "it is not JSON");
    }
}

/* A whole string, with its quotes. */
static void parse_string(struct scrub *s, const char *p, size_t n)
{
    const char *why = NULL;
    size_t step;
    for (size_t i = 1; i < n - 1; i += step) {
        step = yajl_character(p + i, n - 1 - i, &why);
        if (step == 0) {
            fail(s, why);
            return;
        }
    }
    parse(s, p, n);
}

static void hold(struct scrub *s, const char *p, size_t n)
{
    if (s->held_cap - s->nheld < n) {
        s->held_cap = MAX(s->nheld + n, 2 * s->held_cap);
        s->held = wiping_realloc(NULL, s->held, s->held_cap);
    }
    memcpy(s->held + s->nheld, p, n);
    s->nheld += n;
}

/* Takes bytes of a string up to its end or that of what is there; returns how many. */
static size_t feed_string(struct scrub *s, const char *p, size_t n)
{
    bool whole = false;
    size_t i = s->nheld == 0; /* behind the first quote */
    for (; i < n && !whole; i++) {
        if (s->escaped) {
            s->escaped = false;
        } else if (p[i] == '\\') {
            s->escaped = true;
        } else {
            whole = p[i] == '"';
        }
    }
    if (s->nheld + i > SCRUB_STRING_MAX) {
        fail(s, "it has a string that is too long");
        return i;
    }
    s->in_string = !whole;
    if (whole && s->nheld == 0) {
        parse_string(s, p, i);
        return i;
    }
    hold(s, p, i);
    if (whole) {
        parse_string(s, s->held, s->nheld);
        secret_wipe(s->held, s->nheld);
        s->nheld = 0;
    }
    return i;
}

/* Takes bytes up to the next string; returns how many. */
static size_t feed_between(struct scrub *s, const char *p, size_t n)
{
    size_t i = 0;
    for (; i < n && p[i] != '"'; i++) {
        if (yajl_no_blank(p[i])) {
            fail(s, "it is not JSON");
            return i;
        }
        s->word = p[i] && strchr(" \t\r\n,:[]{}", p[i]) ? 0 : s->word + 1;
        if (s->word > SCRUB_WORD_MAX) {
            fail(s, "it has a number that is too long");
            return i;
        }
    }
    parse(s, p, i);
    if (i < n) {
        s->word = 0;
        s->in_string = true;
    }
    return i;
}

/* ---- calls ---- */

struct scrub *scrub_new(void)
{
    yajl_alloc_funcs funcs = yajl_wiping;
    struct scrub *s = wiping_realloc(NULL, NULL, sizeof(*s));
    *s = (struct scrub){0};
    s->parser = yajl_alloc(&callbacks, &funcs, s);
    s->gen = yajl_gen_alloc(&funcs);
    return s;
}

void scrub_free(struct scrub *s)
{
    if (s) {
        yajl_free(s->parser);
        yajl_gen_free(s->gen);
        wiping_free(NULL, s->held);
        wiping_free(NULL, s);
    }
}

static int told(const struct scrub *s, const char **why)
{
    if (s->why) {
        *why = s->why;
    }
    return s->why ? -1 : 0;
}

/* What was taken goes when something new may be written. */
static void drop_taken(struct scrub *s)
{
    if (s->taken) {
        yajl_gen_clear(s->gen);
        s->taken = false;
    }
}

int scrub_feed(struct scrub *s, const char *p, size_t n, const char **why)
{
    drop_taken(s);
    while (n > 0 && !s->why) {
        size_t used = s->in_string ? feed_string(s, p, n) : feed_between(s, p, n);
        p += used;
        n -= used;
    }
    return told(s, why);
}

int scrub_end(struct scrub *s, const char **why)
{
    drop_taken(s);
    if (!s->why && (s->in_string || yajl_complete_parse(s->parser) != yajl_status_ok)) {
        fail(s, "it stops before its end");
    }
    return told(s, why);
}

struct str scrub_take(struct scrub *s)
{
    const unsigned char *p = NULL;
    size_t n = 0;
    drop_taken(s);
    if (s->why || yajl_gen_get_buf(s->gen, &p, &n) != yajl_gen_status_ok) {
        return (struct str){NULL, 0};
    }
    s->taken = true;
    return (struct str){(const char *)p, n};
}
