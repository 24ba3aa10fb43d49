#include <stdarg.h>
#include <stdio.h>

#include "hub/admin/admin_status_impl.h"
#include "hub/admin/admin_text.h"

static const char *const names[] = {
    [STATUS_OK] = "ok", [STATUS_UNSURE] = "unsure", [STATUS_WRONG] = "wrong"};

void status_put_verdict(struct json_out *o, enum status_verdict verdict)
{
    admin_put_text(o, "verdict", names[verdict]);
}

void status_section_open(struct status_section *s, struct json_out *o, const char *name)
{
    *s = (struct status_section){.o = o};
    json_out_key(o, str_of(name));
    json_out_object(o);
}

void status_judge(struct status_section *s, enum status_verdict verdict, const char *remedy,
                  const char *format, ...)
{
    va_list ap;
    if (verdict == STATUS_OK || verdict < s->verdict) {
        return;
    }
    if (verdict == s->verdict) {
        s->count++;
        return;
    }
    s->verdict = verdict;
    s->count = 1;
    s->remedy = remedy;
    va_start(ap, format);
    vsnprintf(s->reason, sizeof(s->reason), format, ap);
    va_end(ap);
    admin_text_words(s->reason);
}

void status_row_end(struct status_section *s, enum status_verdict verdict, const char *reason)
{
    status_put_verdict(s->o, verdict);
    admin_put_text(s->o, "reason", reason);
    json_out_object_end(s->o);
}

void status_section_close(struct status_section *s)
{
    status_put_verdict(s->o, s->verdict);
    admin_put_text(s->o, "reason", s->reason);
    admin_put_text(s->o, "remedy", s->remedy);
    admin_put_int(s->o, "not_well", true, s->count);
    json_out_object_end(s->o);
}
