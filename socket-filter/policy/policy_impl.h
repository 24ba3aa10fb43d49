/* policy_impl.h - what the files of policies.h share; for them alone.
 *
 * Memory of policies that were read comes from policies_alloc, and goes with the struct policies.
 */
#ifndef HARP_FILTER_POLICY_IMPL_H
#define HARP_FILTER_POLICY_IMPL_H

#include "socket-filter/policy/policies.h"

enum {
    POLICIES_MAX = 32,        /* of a file */
    POLICY_NAME_MAX = 64,     /* bytes */
    POLICY_CALLS_MAX = 128,   /* of calls and other_calls together */
    POLICY_ENTRIES_MAX = 256, /* of every other list, with those of the base */
    POLICY_WORDS_MAX = 64,    /* of a command */
    POLICY_TEXT_MAX = 256,    /* bytes of an entry */
    POLICY_OWNER_MAX = 63,    /* bytes */
    POLICY_VERSION_MAX = 999,
    POLICY_CPUS_MAX = 65536,
};

/* Where in a list the base's entries are meant. */
#define POLICY_BASE_ENTRIES "..."

/* A file that is being read. */
struct policy_reader {
    struct policies *all;
    const struct config_file *file;
    struct config_report *report;
    char policy[POLICY_NAME_MAX +
                1];      /* the one that is being read; "" while its name is not known */
    const char *setting; /* of it; NULL: none in particular */
    const struct docker_policy *base; /* NULL: it has none */
};

/* Puts one line into the report, "FILE:LINE: policies.NAME.SETTING: ...". */
void policy_tell(const struct policy_reader *r, const config_setting_t *node, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* The same as a value: -1, to be returned. */
#define policy_fail(...) (policy_tell(__VA_ARGS__), -1)

/* Zeroed; ends the process when there is no memory. */
void *policies_alloc(struct policies *p, size_t n);
const char *policies_copy(struct policies *p, struct str text);

/* The setting, and what it is called in messages from now on; NULL: it is not there. */
config_setting_t *policy_setting(struct policy_reader *r, const config_setting_t *group,
                                 const char *name);

/* A list that is being read. */
struct policy_list {
    const config_setting_t *node;
    int first, n; /* elements first..n-1 are entries */
    bool more;    /* it begins with POLICY_BASE_ENTRIES */
};

/* Checks the list's form, and how long it is. `example` is for the message. */
int policy_list_open(struct policy_reader *r, const config_setting_t *node, const char *example,
                     struct policy_list *list) MUST_CHECK;
const config_setting_t *policy_list_at(const struct policy_list *list, int i);

/* A string of printable ASCII, in the file's memory. */
int policy_text(struct policy_reader *r, const config_setting_t *node, struct str *text) MUST_CHECK;
/* A boolean that is a member of an entry; *out stays as it is when there is none. */
int policy_flag(struct policy_reader *r, const config_setting_t *group, const char *name,
                bool *out) MUST_CHECK;
/* Refuses members that are not in `known`, which ends in NULL. */
int policy_members(struct policy_reader *r, const config_setting_t *group,
                   const char *const *known) MUST_CHECK;

/* NULL; or why a word of a list can't be meant, to go on after the word. */
typedef const char *policy_word_check(struct str word);
/* *words holds what the base has, and stays so when the setting is not there. check may be NULL. */
int policy_words(struct policy_reader *r, const config_setting_t *group, const char *name,
                 policy_word_check *check, struct docker_words *words) MUST_CHECK;

/* policy_calls.c: calls and other_calls, into p->rules and p->count, which hold the base's. */
int policy_read_calls(struct policy_reader *r, const config_setting_t *group,
                      struct docker_policy *p) MUST_CHECK;
/* "string", ... by enum docker_extra_type, ending in NULL. */
extern const char *const policy_extra_types[];
/* policy_grants.c: all lists and limits; *g holds the base's. */
int policy_read_grants(struct policy_reader *r, const config_setting_t *group,
                       struct docker_grants *g) MUST_CHECK;

#endif
