#include "common/base/list.h"

void list_add(struct list_link **list, struct list_link *link)
{
    link->next = *list;
    link->at = list;
    if (link->next) {
        link->next->at = &link->next;
    }
    *list = link;
}

void list_remove(struct list_link *link)
{
    *link->at = link->next;
    if (link->next) {
        link->next->at = link->at;
    }
    link->next = NULL;
    link->at = NULL;
}

struct list_link *list_take(struct list_link **list)
{
    struct list_link *link = *list;
    if (link) {
        list_remove(link);
    }
    return link;
}
