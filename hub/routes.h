/* routes.h - the routes of one ExApp: patterns, who may use them, and which answers count as failures.
 *
 * A pattern is a regular expression matched at the start of the path behind the prefix, still
 * encoded and without the query, as Python's re.match does. It is compiled once, with the JIT where
 * there is one; a pattern that is wrong is left out and logged. One that runs into its match limit ends
 * the search: no route matches that path, and nothing behind it can be reached by making it slow.
 *
 * Owns the compiled patterns; routes_free.
 */
#ifndef HARP_HUB_ROUTES_H
#define HARP_HUB_ROUTES_H

#include "common/base/base.h"

struct log;
struct routes;

enum route_access { ROUTE_PUBLIC = 0, ROUTE_USER = 1, ROUTE_ADMIN = 2 };

enum {
    ROUTES_MAX = 256,
    ROUTE_PATTERN_MAX = 4096, /* bytes */
    ROUTE_STATUS_MAX = 16,    /* statuses of one route that count */
};

struct route {
    int access;
    uint16_t status[ROUTE_STATUS_MAX];
    unsigned nstatus;
};

struct routes *routes_new(void);
/* Adds one; order is kept. -1: the pattern can't be used, err says why; the others stay. */
int routes_add(struct routes *r, const char *pattern, const struct route *route, char *err,
               size_t errlen) MUST_CHECK;
/* The first route that matches, or NULL. */
const struct route *routes_match(struct routes *r, struct str path, struct log *log);
void routes_free(struct routes *r);

#endif
