#define PCRE2_CODE_UNIT_WIDTH 8
#include "hub/access/routes.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/log/log.h"

enum {
    /* A pattern that backtracks for ever would stop the loop for everybody. */
    MATCH_LIMIT = 100000,
    DEPTH_LIMIT = 10000,
    HEAP_LIMIT = 32 * 1024, /* KiB; of the interpreter */
    /* Of the JIT; its own 32 KiB are used up by `(a|b)*` on a path of 2000 bytes. */
    JIT_STACK_START = 32 * 1024,
    JIT_STACK_MAX = 1024 * 1024,
    /* Many patterns that each stay under their limit must not add up: after so many the time of
     * this search is looked at, and it ends when it has used up its share. */
    CLOCK_EVERY = 8,
    SEARCH_MAX_US = 20000,
};

struct entry {
    pcre2_code *code;
    const struct exapp_route *route;
    bool told; /* that it ran into its limit */
};

struct routes {
    struct route_matcher *matcher;
    struct entry *list;
    unsigned n;
};

struct route_matcher {
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack; /* NULL without a JIT */
};

struct route_matcher *route_matcher_new(void)
{
    struct route_matcher *m = xcalloc(1, sizeof(*m));
    m->match = pcre2_match_data_create(1, NULL);
    m->context = pcre2_match_context_create(NULL);
    if (!m->match || !m->context) {
        route_matcher_free(m);
        return NULL;
    }
    pcre2_set_match_limit(m->context, MATCH_LIMIT);
    pcre2_set_depth_limit(m->context, DEPTH_LIMIT);
    pcre2_set_heap_limit(m->context, HEAP_LIMIT);
    m->stack = pcre2_jit_stack_create(JIT_STACK_START, JIT_STACK_MAX, NULL);
    if (m->stack) {
        pcre2_jit_stack_assign(m->context, NULL, m->stack);
    }
    return m;
}

void route_matcher_free(struct route_matcher *m)
{
    if (m) {
        pcre2_match_data_free(m->match);
        pcre2_match_context_free(m->context);
        pcre2_jit_stack_free(m->stack);
        free(m);
    }
}

struct routes *routes_new(struct route_matcher *matcher)
{
    struct routes *r = xcalloc(1, sizeof(*r));
    r->matcher = matcher;
    return r;
}

/* Python's syntax in PCRE2's words, into out of at most 2 * len + 1 bytes. Returns what is wrong, or
 * NULL. Inside a class nothing is touched; both take `]` as a plain byte right behind its start. */
static const char *translate(const char *in, size_t len, char *out, size_t *n)
{
    size_t class_start = 0; /* index behind the `[` or `[^` of the class we are in; 0: in none */
    *n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = in[i];
        out[(*n)++] = c;
        if (c == '\\' && i + 1 < len) {
            c = in[++i];
            out[(*n)++] = !class_start && c == 'Z' ? 'z' : c;
        } else if (class_start) {
            if (c == ']' && i > class_start) {
                class_start = 0;
            }
        } else if (c == '[') {
            if (i + 1 < len && in[i + 1] == '^') {
                out[(*n)++] = in[++i];
            }
            class_start = i;
            if (i + 1 < len && in[i + 1] == ']') {
                out[(*n)++] = in[++i];
                class_start = i;
            }
        } else if (c == '(' && i + 1 < len && in[i + 1] == '*') {
            return "nothing to repeat behind (";
        } else if (c == '{' && i + 1 < len && in[i + 1] == ',') {
            size_t k = i + 2;
            while (k < len && in[k] >= '0' && in[k] <= '9') {
                k++;
            }
            if (k > i + 2 && k < len && in[k] == '}') {
                out[(*n)++] = '0';
            }
        }
    }
    return NULL;
}

int routes_add(struct routes *r, const struct exapp_route *route, char *err, size_t errlen)
{
    size_t len = strlen(route->url), at = 0, n;
    int code = 0;
    if (r->n >= EXAPP_ROUTES_MAX) {
        snprintf(err, errlen, "more than %d routes", EXAPP_ROUTES_MAX);
        return -1;
    }
    if (len > ROUTE_PATTERN_MAX) {
        snprintf(err, errlen, "pattern is longer than %d bytes", ROUTE_PATTERN_MAX);
        return -1;
    }
    char pattern[2 * ROUTE_PATTERN_MAX + 1];
    const char *why = translate(route->url, len, pattern, &n);
    if (why) {
        snprintf(err, errlen, "not a valid pattern: %s", why);
        return -1;
    }
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern, n, PCRE2_ANCHORED | PCRE2_NEVER_BACKSLASH_C,
                                   &code, &at, NULL);
    if (!re) {
        PCRE2_UCHAR text[128];
        pcre2_get_error_message(code, text, sizeof(text));
        snprintf(err, errlen, "not a valid pattern: %s at offset %zu", (const char *)text, at);
        return -1;
    }
    /* Without a JIT it is interpreted: slower, the same. */
    pcre2_jit_compile(re, PCRE2_JIT_COMPLETE);
    struct entry *list = realloc(r->list, (r->n + 1) * sizeof(*list));
    if (!list) {
        pcre2_code_free(re);
        snprintf(err, errlen, "out of memory");
        return -1;
    }
    r->list = list;
    r->list[r->n++] = (struct entry){.code = re, .route = route};
    return 0;
}

unsigned routes_count(const struct routes *r)
{
    return r->n;
}

/* Processor time of this thread, so that a busy machine does not turn requests away. */
static uint64_t used_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void tell(struct entry *e, unsigned number, int error, struct log *log)
{
    if (!e->told) {
        e->told = true;
        log_warning(log, "route", 0,
                    "route %u, '%.80s', met its match limit at a path, which is refused (error "
                    "%d); this is told once",
                    number, e->route->url, error);
    }
}

const struct exapp_route *routes_match(struct routes *r, struct str path, struct log *log)
{
    bool timed = r->n > CLOCK_EVERY;
    uint64_t began = timed ? used_us() : 0;
    for (unsigned i = 0; i < r->n; i++) {
        struct entry *e = &r->list[i];
        int got = pcre2_match(e->code, (PCRE2_SPTR)path.p, path.n, 0, 0, r->matcher->match,
                              r->matcher->context);
        if (got >= 0) {
            return e->route;
        }
        bool late = timed && (i + 1) % CLOCK_EVERY == 0 && used_us() - began > SEARCH_MAX_US;
        if (got != PCRE2_ERROR_NOMATCH || late) {
            /* Whether this route would have decided is not known. Going on to the next could let a
             * path that was made for it past an administrator's route to a public one. */
            tell(e, i + 1, got, log);
            return NULL;
        }
    }
    return NULL;
}

void routes_free(struct routes *r)
{
    if (!r) {
        return;
    }
    for (unsigned i = 0; i < r->n; i++) {
        pcre2_code_free(r->list[i].code);
    }
    free(r->list);
    free(r);
}
