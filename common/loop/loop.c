#include "common/loop/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"

void loop_defer(struct loop *l, struct loop_task *task)
{
    if (task->next) {
        return;
    }
    task->prev = l->tasks.prev;
    task->next = &l->tasks;
    l->tasks.prev->next = task;
    l->tasks.prev = task;
}

void loop_cancel(struct loop_task *task)
{
    if (!task->next) {
        return;
    }
    task->prev->next = task->next;
    task->next->prev = task->prev;
    task->next = task->prev = NULL;
}

static void run_tasks(struct loop *l)
{
    while (l->tasks.next != &l->tasks) {
        struct loop_task *task = l->tasks.next;
        loop_cancel(task);
        task->run(task);
    }
}

static void on_prepare(uv_prepare_t *h)
{
    run_tasks(h->data);
}

static void on_check(uv_check_t *h)
{
    run_tasks(h->data);
}

int loop_init(struct loop *l, struct log *log)
{
    memset(l, 0, sizeof(*l));
    int r = uv_loop_init(&l->uv);
    if (r == 0) {
        r = timers_init(l);
    }
    if (r != 0) {
        fprintf(stderr, "could not start the event loop: %s\n", uv_strerror(r));
        return -1;
    }
    /* A peer that went away must show as EPIPE on the one write, not end the process. */
    signal(SIGPIPE, SIG_IGN);
    l->log = log;
    l->tasks.prev = l->tasks.next = &l->tasks;
    l->held_soft = (size_t)64 * 1024 * 1024;
    /* Untouched pages cost nothing: a hub without TLS never pays for the two that are TLS's. */
    l->plain = xmalloc(LOOP_READ_SIZE);
    l->cipher = xmalloc(LOOP_READ_SIZE);
    l->sealed = xmalloc(LOOP_SEALED_SIZE);
    /* The tasks run both before the loop sleeps (after timers) and right after it woke and called
     * the descriptors' callbacks. Neither handle keeps the loop alive. */
    uv_prepare_init(&l->uv, &l->prepare);
    uv_check_init(&l->uv, &l->check);
    l->prepare.data = l->check.data = l;
    uv_prepare_start(&l->prepare, on_prepare);
    uv_check_start(&l->check, on_check);
    uv_unref((uv_handle_t *)&l->prepare);
    uv_unref((uv_handle_t *)&l->check);
    return 0;
}

void loop_run(struct loop *l)
{
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l)
{
    uv_stop(&l->uv);
}

static void close_handle(uv_handle_t *h, void *arg UNUSED)
{
    if (!uv_is_closing(h)) {
        uv_close(h, NULL);
    }
}

void loop_free(struct loop *l)
{
    run_tasks(l);
    uv_walk(&l->uv, close_handle, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    run_tasks(l);
    uv_loop_close(&l->uv);
    timers_free(l);
    free(l->plain);
    free(l->cipher);
    free(l->sealed);
}
