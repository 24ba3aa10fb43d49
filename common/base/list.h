/* list.h - a list whose members may leave it by themselves, whoever holds it.
 *
 * Owns nothing: a `struct list_link` is embedded in its member (CONTAINER_OF gets back to it), a list is
 * a pointer to its first link, NULL when it is empty. Order is last in, first out. While one is worked
 * off by list_take, members may be added and removed at any time.
 */
#ifndef HARP_BASE_LIST_H
#define HARP_BASE_LIST_H

#include "common/base/base.h"

struct list_link {
    struct list_link *next, **at; /* *at is this one */
};

void list_add(struct list_link **list, struct list_link *link);
void list_remove(struct list_link *link);
/* Takes the first out; NULL: there is none. */
struct list_link *list_take(struct list_link **list);

#endif
