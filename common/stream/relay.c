#include "common/stream/relay.h"

#include <stdlib.h>

struct side {
    struct stream *s; /* NULL once it failed */
    uint64_t bytes;   /* read from it */
    bool ended;       /* its direction ended, and the other stream was shut down */
};

struct relay {
    struct loop *loop;
    struct side a, b;
    struct relay_limits limits;
    struct timer idle;
    struct loop_task release;
    relay_done *done;
    void *owner;
    uint64_t last; /* when the last byte came */
    bool last_a;   /* and whether from a */
    bool over;
};

static void run_free(struct loop_task *task)
{
    free(CONTAINER_OF(task, struct relay, release));
}

static void close_both(struct relay *r, const char *failed)
{
    r->over = true;
    timer_remove(r->loop, &r->idle);
    struct side *sides[] = {&r->a, &r->b};
    for (int i = 0; i < 2; i++) {
        if (sides[i]->s) {
            if (failed) {
                stream_abort(sides[i]->s);
            } else {
                stream_close(sides[i]->s);
            }
            sides[i]->s = NULL;
        }
    }
    r->release.run = run_free;
    loop_defer(r->loop, &r->release);
}

static void end(struct relay *r, const char *failed)
{
    if (!r->over) {
        uint64_t up = r->a.bytes, down = r->b.bytes;
        close_both(r, failed);
        if (r->done) {
            r->done(r->owner, up, down, failed);
        }
    }
}

void relay_stop(struct relay *r)
{
    if (!r->over) {
        close_both(r, "stopped");
    }
}

static void touch(struct relay *r)
{
    bool half = r->a.ended || r->b.ended;
    timer_set(r->loop, &r->idle, half ? r->limits.half_idle : r->limits.idle);
}

static struct side *side_of(struct relay *r, const struct stream *s, struct side **other)
{
    bool is_a = s == r->a.s;
    *other = is_a ? &r->b : &r->a;
    return is_a ? &r->a : &r->b;
}

static size_t on_data(void *owner, struct stream *s, const char *p, size_t n)
{
    struct relay *r = owner;
    struct side *to, *from = side_of(r, s, &to);
    if (stream_pending(to->s) > 0) {
        stream_pause(s);
        return 0;
    }
    touch(r);
    from->bytes += n;
    r->last = loop_now(r->loop);
    r->last_a = from == &r->a;
    stream_write(to->s, p, n);
    if (stream_pending(to->s) > 0) {
        stream_pause(s);
    }
    return n;
}

static void on_eof(void *owner, struct stream *s)
{
    struct relay *r = owner;
    struct side *to, *from = side_of(r, s, &to);
    from->ended = true;
    stream_shutdown(to->s);
    touch(r);
    if (r->a.ended && r->b.ended && stream_pending(r->a.s) == 0 && stream_pending(r->b.s) == 0) {
        end(r, NULL);
    }
}

static void on_drained(void *owner, struct stream *s)
{
    struct relay *r = owner;
    struct side *from, *to UNUSED = side_of(r, s, &from);
    touch(r);
    if (r->a.ended && r->b.ended && stream_pending(r->a.s) == 0 && stream_pending(r->b.s) == 0) {
        end(r, NULL);
        return;
    }
    stream_resume(from->s);
}

static void on_closed(void *owner, struct stream *s, const char *why)
{
    struct relay *r = owner;
    struct side *other, *side = side_of(r, s, &other);
    side->s = NULL;
    end(r, why);
}

static void idle_fire(struct timer *t)
{
    end(CONTAINER_OF(t, struct relay, idle), "idle for too long");
}

static const struct stream_events events = {
    .data = on_data,
    .eof = on_eof,
    .drained = on_drained,
    .closed = on_closed,
};

struct relay *relay_start(struct stream *a, struct stream *b, const struct relay_limits *limits,
                          relay_done *done, void *owner)
{
    struct relay *r = xcalloc(1, sizeof(*r));
    r->loop = a->loop;
    r->a.s = a;
    r->b.s = b;
    r->limits = *limits;
    r->done = done;
    r->owner = owner;
    r->idle.fire = idle_fire;
    r->last = loop_now(r->loop);
    stream_own(a, &events, r);
    stream_own(b, &events, r);
    stream_resume(a);
    stream_resume(b);
    touch(r);
    return r;
}

uint64_t relay_quiet(const struct relay *r, bool *from_a)
{
    *from_a = r->last_a;
    return loop_now(r->loop) - r->last;
}

bool relay_answered(const struct relay *r)
{
    return r->b.bytes > 0;
}
