/* nextcloud_facts.h - what was seen of Nextcloud, and when: its answers to the hub's questions, and AppAPI's
 * calls to the hub. For those who look after the hub; nothing is judged by it.
 *
 * A plain value, of the hub. Times are loop_now's. No text in it is a secret, and all are printable ASCII.
 */
#ifndef HARP_HUB_NEXTCLOUD_FACTS_H
#define HARP_HUB_NEXTCLOUD_FACTS_H

#include "common/base/base.h"

enum { NEXTCLOUD_FACT_MAX = 256 };

/* The last time that it happened. */
struct nextcloud_fact {
    uint64_t at; /* 0: never */
    char text[NEXTCLOUD_FACT_MAX];
};

struct nextcloud_facts {
    struct nextcloud_fact answered; /* usable, whatever it says; text: to what */
    struct nextcloud_fact failed;   /* no usable answer; text: why */
    struct nextcloud_fact accepted; /* an answer that only the right key gets; text: to what */
    struct nextcloud_fact refused;  /* a 401 to what the right key gets answered; text: to what */
    struct nextcloud_fact called;   /* AppAPI called with the key; text: from where */
    struct nextcloud_fact
        other_key; /* somebody called as AppAPI does, with another key; text: from where */
};

/* What is not printable ASCII in the text becomes `?`; what is too long is cut. */
void nextcloud_fact_set(struct nextcloud_fact *fact, uint64_t now, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Whether the one happened, and the other did not happen after it. */
static inline bool nextcloud_fact_stands(const struct nextcloud_fact *fact,
                                         const struct nextcloud_fact *other)
{
    return fact->at != 0 && fact->at >= other->at;
}

#endif
