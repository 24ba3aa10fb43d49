#include "common/config/host_list.h"

#include <stdlib.h>

#include "common/config/report.h"
#include "common/config/values.h"

struct parse {
    struct host_list *list;
    char *bad;
};

/* What the set of addresses did not take: a name, or a mistake. */
static void take_name(void *arg, struct str entry)
{
    struct parse *p = arg;
    struct host_list *list = p->list;
    char **grown = NULL;

    if (*p->bad)
        return;
    if (value_is_host(entry) && list->n < HOST_LIST_MAX)
        grown = realloc(list->names, (list->n + 1) * sizeof(*grown));
    if (!grown) {
        config_show(p->bad, entry);
        return;
    }
    list->names = grown;
    grown[list->n] = strndup(entry.p, entry.n);
    list->n += grown[list->n] != NULL;
}

int host_list_parse(struct host_list *list, struct str text, char *bad)
{
    struct parse p = {list, bad};

    *list = (struct host_list){0};
    *bad = '\0';
    if (ip_set_parse(&list->addresses, text, take_name, &p) == 0 && !*bad)
        return 0;
    if (!*bad)
        config_show(bad, text);
    host_list_free(list);
    return -1;
}

bool host_list_contains(const struct host_list *list, struct str host)
{
    struct ip_addr ip;

    if (ip_parse(host, &ip) == 0)
        return ip_set_contains(&list->addresses, &ip);
    for (size_t i = 0; i < list->n; i++) {
        if (str_eq_nocase(host, str_of(list->names[i])))
            return true;
    }
    return false;
}

void host_list_free(struct host_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->names[i]);
    free(list->names);
    ip_set_free(&list->addresses);
    *list = (struct host_list){0};
}
