#define PCRE2_CODE_UNIT_WIDTH 8
#include "hub/routes.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/log/log.h"

enum {
    /* A pattern that backtracks for ever would stop the loop for everybody. */
    MATCH_LIMIT = 100000,
    HEAP_LIMIT = 32 * 1024, /* KiB; of the interpreter */
    /* Of the JIT; its own 32 KiB are used up by `(a|b)*` on a path of 2000 bytes. */
    JIT_STACK_START = 32 * 1024,
    JIT_STACK_MAX = 1024 * 1024,
};

struct entry {
    pcre2_code *code;
    struct route route;
    bool told; /* that it ran into its limit */
};

struct routes {
    struct entry *list;
    unsigned n;
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack; /* NULL without a JIT */
};

struct routes *routes_new(void)
{
    struct routes *r = xcalloc(1, sizeof(*r));
    r->match = pcre2_match_data_create(1, NULL);
    r->context = pcre2_match_context_create(NULL);
    if (!r->match || !r->context) {
        routes_free(r);
        return NULL;
    }
    pcre2_set_match_limit(r->context, MATCH_LIMIT);
    pcre2_set_heap_limit(r->context, HEAP_LIMIT);
    r->stack = pcre2_jit_stack_create(JIT_STACK_START, JIT_STACK_MAX, NULL);
    if (r->stack) {
        pcre2_jit_stack_assign(r->context, NULL, r->stack);
    }
    return r;
}

int routes_add(struct routes *r, const char *pattern, const struct route *route, char *err,
               size_t errlen)
{
    size_t len = strlen(pattern), at = 0;
    int code = 0;
    if (r->n >= ROUTES_MAX) {
        snprintf(err, errlen, "more than %d routes", ROUTES_MAX);
        return -1;
    }
    if (len > ROUTE_PATTERN_MAX) {
        snprintf(err, errlen, "pattern is longer than %d bytes", ROUTE_PATTERN_MAX);
        return -1;
    }
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern, len,
                                   PCRE2_ANCHORED | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (!re) {
        PCRE2_UCHAR text[128];
        pcre2_get_error_message(code, text, sizeof(text));
        snprintf(err, errlen, "not a valid pattern: %s at offset %zu", (const char *)text, at);
        return -1;
    }
    pcre2_jit_compile(re,
                      PCRE2_JIT_COMPLETE); /* without a JIT it is interpreted: slower, the same */
    struct entry *list = realloc(r->list, (r->n + 1) * sizeof(*list));
    if (!list) {
        pcre2_code_free(re);
        snprintf(err, errlen, "out of memory");
        return -1;
    }
    r->list = list;
    r->list[r->n++] = (struct entry){.code = re, .route = *route};
    return 0;
}

const struct route *routes_match(struct routes *r, struct str path, struct log *log)
{
    for (unsigned i = 0; i < r->n; i++) {
        struct entry *e = &r->list[i];
        int got = pcre2_match(e->code, (PCRE2_SPTR)path.p, path.n, 0, 0, r->match, r->context);
        if (got >= 0) {
            return &e->route;
        }
        if (got != PCRE2_ERROR_NOMATCH) {
            /* Whether this route would have decided is not known. Going on to the next could let a
             * path that was made for it past an administrator's route to a public one. */
            if (!e->told) {
                e->told = true;
                log_warning(log, "route", 0,
                            "route %u took too long to match a path, which is refused (error %d); "
                            "this is told once",
                            i + 1, got);
            }
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
    pcre2_match_data_free(r->match);
    pcre2_match_context_free(r->context);
    pcre2_jit_stack_free(r->stack);
    free(r);
}
