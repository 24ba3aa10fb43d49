/* host_list.h - hosts an administrator lists: names, addresses and networks between commas.
 *
 * A `struct host_list` owns what it holds; host_list_free ends it, zero is the empty list. A name
 * stands for itself alone, in any letter case, and not for the addresses it has at the moment; an
 * address or network only for addresses.
 */
#ifndef HARP_CONFIG_HOST_LIST_H
#define HARP_CONFIG_HOST_LIST_H

#include "common/config/ip_set.h"

#define HOST_LIST_MAX 1024 /* names */

struct host_list {
    struct ip_set addresses;
    char **names;
    size_t n;
};

/* 0, or -1: `bad` (of CONFIG_SHOW_MAX bytes) is the entry that is none of these, quoted, and the list
 * is empty. */
int host_list_parse(struct host_list *list, struct str text, char *bad) MUST_CHECK;
bool host_list_contains(const struct host_list *list, struct str host);
void host_list_free(struct host_list *list);

#endif
