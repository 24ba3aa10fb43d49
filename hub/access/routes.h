/* routes.h - the routes of one ExApp: patterns, who may use them, and which answers count as failures.
 *
 * A pattern is a regular expression matched at the start of the path behind the prefix, still
 * encoded and without the query, as Python's re.match does. It is compiled once, with the JIT where
 * there is one; a pattern that is wrong is left out and logged. One that runs into its match limit ends
 * the search: no route matches that path, and nothing behind it can be reached by making it slow.
 *
 * What Python takes and PCRE2 does not, or the other way round, is settled where patterns are read:
 * `{,n}` is `{0,n}`, `\Z` is the very end, and `(*VERB)` is refused.
 *
 * `struct routes` owns the compiled patterns; routes_free. `struct route_matcher` is what a match
 * works in, once for all routes of a loop: it must outlive them.
 */
#ifndef HARP_HUB_ROUTES_H
#define HARP_HUB_ROUTES_H

#include "hub/access/exapp_meta.h"

struct log;
struct route_matcher;
struct routes;

enum { ROUTE_PATTERN_MAX = 4096 /* bytes */ };

/* NULL: out of memory. */
struct route_matcher *route_matcher_new(void) MUST_CHECK;
void route_matcher_free(struct route_matcher *m);

struct routes *routes_new(struct route_matcher *m);
/* Adds one; order is kept. `route` must outlive r. -1: the pattern can't be used, err says why; the
 * others stay. */
int routes_add(struct routes *r, const struct exapp_route *route, char *err,
               size_t errlen) MUST_CHECK;
unsigned routes_count(const struct routes *r);
/* The first route that matches, or NULL. */
const struct exapp_route *routes_match(struct routes *r, struct str path, struct log *log);
void routes_free(struct routes *r);

#endif
