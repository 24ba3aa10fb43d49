/* client_address.h - which address a request counts for.
 *
 * Pure. The socket's, or, when that is a trusted proxy's, the rightmost address of all
 * X-Forwarded-For fields taken as one list that is not itself a trusted proxy's: each proxy appends
 * whom it saw, so that what stands further left is hearsay. Where there is none, X-Real-IP.
 *
 * An entry may have a port (`192.0.2.1:4711`, `[2001:db8::1]:4711`) or brackets. At an entry that is
 * no address ("unknown", garbage) the search ends: the request counts for the proxy that wrote it.
 * An X-Real-IP that is there twice or is no address says nothing.
 */
#ifndef HARP_HUB_CLIENT_ADDRESS_H
#define HARP_HUB_CLIENT_ADDRESS_H

#include "common/config/ip_set.h"
#include "common/http/head.h"

struct ip_addr client_address(const struct http_request *request, const struct ip_addr *peer,
                              const struct ip_set *trusted);

#endif
