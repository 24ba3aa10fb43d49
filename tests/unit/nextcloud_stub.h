/* nextcloud_stub.h - Nextcloud's part as a test plays it: for a test program that includes this, in
 * place of hub/access/nextcloud.c. Questions are kept; the test answers them when it likes. */
#ifndef HARP_TEST_NEXTCLOUD_STUB_H
#define HARP_TEST_NEXTCLOUD_STUB_H

#include "hub/access/nextcloud.h"

enum { STUB_CALLS = 64 };

struct nextcloud_call {
    nextcloud_done *done;
    void *owner;
    char id[EXAPP_ID_MAX + 1];
    bool open, cancelled;
};

static struct nextcloud_call stub_calls[STUB_CALLS];
static unsigned stub_asked;
static bool stub_absent; /* there is no Nextcloud */
static bool stub_full;   /* its line is full */

bool nextcloud_configured(const struct nextcloud *nc UNUSED)
{
    return !stub_absent;
}

static struct nextcloud_call *stub_ask(const char *id, nextcloud_done *done, void *owner)
{
    if (stub_full) {
        return NULL;
    }
    assert_true(stub_asked < STUB_CALLS);
    struct nextcloud_call *call = &stub_calls[stub_asked++];
    *call = (struct nextcloud_call){.done = done, .owner = owner, .open = true};
    snprintf(call->id, sizeof(call->id), "%s", id);
    return call;
}

struct nextcloud_call *nextcloud_ask_app(struct nextcloud *nc UNUSED, const char *id,
                                         nextcloud_done *done, void *owner)
{
    return stub_ask(id, done, owner);
}

struct nextcloud_call *nextcloud_ask_user(struct nextcloud *nc UNUSED, const char *id,
                                          const struct http_request *request UNUSED,
                                          const struct ip_addr *client UNUSED, nextcloud_done *done,
                                          void *owner)
{
    return stub_ask(id, done, owner);
}

struct nextcloud_call *nextcloud_ask_key(struct nextcloud *nc UNUSED, const char *id,
                                         nextcloud_done *done, void *owner)
{
    return stub_ask(id, done, owner);
}

struct nextcloud_call *nextcloud_ask_status(struct nextcloud *nc UNUSED, nextcloud_done *done,
                                            void *owner)
{
    return stub_ask("", done, owner);
}

void nextcloud_cancel(struct nextcloud_call *call)
{
    assert_true(call->open);
    call->open = false;
    call->cancelled = true;
}

static inline void stub_reset(void)
{
    stub_asked = 0;
    stub_absent = stub_full = false;
}

/* Answers question number i, from 0. */
static inline void stub_answer(unsigned i, const struct nextcloud_answer *answer)
{
    assert_true(i < stub_asked && stub_calls[i].open);
    stub_calls[i].open = false;
    stub_calls[i].done(stub_calls[i].owner, answer);
}

#endif
