#include "hub/access/nextcloud_facts.h"

#include <stdarg.h>
#include <stdio.h>

void nextcloud_fact_set(struct nextcloud_fact *fact, uint64_t now, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(fact->text, sizeof(fact->text), format, ap);
    va_end(ap);
    for (char *p = fact->text; *p; p++) {
        *p = *p >= ' ' && *p <= '~' ? *p : '?';
    }
    fact->at = MAX(now, 1);
}
