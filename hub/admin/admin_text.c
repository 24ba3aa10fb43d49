#include "hub/admin/admin_text.h"

#include <stdio.h>

void admin_text_visible(char *to, size_t size, struct str from)
{
    size_t n = 0;
    for (size_t i = 0; i < from.n && n + 1 < size; i++) {
        to[n++] = (char)(from.p[i] > ' ' && from.p[i] <= '~' ? from.p[i] : '?');
    }
    to[n] = '\0';
}

void admin_text_words(char *text)
{
    for (char *p = text; *p; p++) {
        *p = *p >= ' ' && *p <= '~' ? *p : '?';
    }
}

const char *admin_text_age(uint64_t seconds, char buf[ADMIN_AGE_MAX])
{
    static const struct {
        unsigned length, until;
        const char *name;
    } units[] = {
        {1, 120, "s"}, {60, 2 * 3600, "min"}, {3600, 48 * 3600, "h"}, {24 * 3600, 0, "days"}};
    size_t i = 0;
    while (units[i].until != 0 && seconds >= units[i].until) {
        i++;
    }
    snprintf(buf, ADMIN_AGE_MAX, "%llu %s", (unsigned long long)seconds / units[i].length,
             units[i].name);
    return buf;
}

void admin_put_text(struct json_out *o, const char *key, const char *text)
{
    json_out_key(o, str_of(key));
    if (text && *text) {
        json_out_str(o, str_of(text));
    } else {
        json_out_null(o);
    }
}

void admin_put_int(struct json_out *o, const char *key, bool known, int64_t value)
{
    json_out_key(o, str_of(key));
    if (known) {
        json_out_int(o, value);
    } else {
        json_out_null(o);
    }
}

void admin_put_bool(struct json_out *o, const char *key, bool value)
{
    json_out_key(o, str_of(key));
    json_out_bool(o, value);
}
