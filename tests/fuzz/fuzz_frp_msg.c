/* A byte stream of frp messages: frames are cut the same at every length, and decode -> encode ->
 * decode -> encode gives the same bytes. */
#include "common/frp/msg.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth)
        abort();
}

static void check_body(const struct frp_frame *f)
{
    static uint8_t one[FRP_FRAME_MAX], two[FRP_FRAME_MAX];
    const char *why = NULL;
    struct frp_frame again;
    struct frp_msg m;
    char err[160];
    ssize_t n;

    if (frp_msg_decode(&m, f, err, sizeof(err)) < 0) {
        must(m.doc == NULL && memchr(err, '\0', sizeof(err)));
        return;
    }
    must(m.type == f->type);
    n = frp_msg_encode(&m, one, sizeof(one));
    frp_msg_clear(&m);
    if (n < 0) /* a type that is never sent, or escapes that make the body too long */
        return;
    must(frp_frame_parse(one, (size_t)n, &again, &why) == n);
    must(frp_msg_decode(&m, &again, err, sizeof(err)) == 0);
    must(frp_msg_encode(&m, two, sizeof(two)) == n && memcmp(one, two, (size_t)n) == 0);
    frp_msg_clear(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    while (size) {
        const char *why = NULL;
        struct frp_frame f;
        int got = frp_frame_parse(data, size, &f, &why);

        must((got < 0) == (why != NULL));
        if (got <= 0)
            break;
        must((size_t)got <= size && f.total == (size_t)got && got <= FRP_FRAME_MAX);
        must(f.body.n + FRP_HEADER_LEN == f.total);
        check_body(&f);
        must(frp_frame_parse(data, (size_t)got - 1, &f, &why) == 0);
        data += got;
        size -= (size_t)got;
    }
    return 0;
}
