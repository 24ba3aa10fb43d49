/* percent.h - percent-encoding (RFC 3986 2.1) undone once, as servers do. Pure; allocates nothing. */
#ifndef HARP_HTTP_PERCENT_H
#define HARP_HTTP_PERCENT_H

#include "common/base/base.h"

/* Decodes p[0..n) in place; what is no `%` with two hexadecimal digits stays as it is. Returns the new
 * length. */
size_t http_percent_decode(char *p, size_t n);

#endif
