/* A command's output as an engine streams it: what is kept is what another way of reading the frames keeps;
 * of a stream that was built from the input, exactly the standard output comes back. */
#include <stdlib.h>

#include "hub/deploy/deploy_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth) {
        abort();
    }
}

/* Byte by byte: where in a frame it is, and how much of it is to come. */
static size_t reference(const uint8_t *p, size_t n, uint8_t *out)
{
    uint64_t head = 0, left = 0;
    unsigned have = 0;
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        if (left == 0 || have < 8) {
            head = head << 8 | p[i];
            if (++have < 8) {
                continue;
            }
            if (head >> 56 > 2 || (head >> 32 & 0xffffff) != 0) {
                return len;
            }
            left = head & 0xffffffff;
            have = left == 0 ? 0 : 8;
            continue;
        }
        if (head >> 56 == 1 && len < DEPLOY_OUTPUT_MAX) {
            out[len++] = p[i];
        }
        if (--left == 0) {
            have = 0;
        }
    }
    return len;
}

static void check(const uint8_t *data, size_t n)
{
    char *copy = malloc(n ? n : 1), *out = malloc(DEPLOY_OUTPUT_MAX);
    uint8_t *want = malloc(DEPLOY_OUTPUT_MAX);
    memcpy(copy, data, n);
    size_t len = deploy_output((struct str){copy, n}, out);
    must(len <= DEPLOY_OUTPUT_MAX && len == reference(data, n, want));
    must(memcmp(out, want, len) == 0);
    free(copy);
    free(out);
    free(want);
}

/* Frames of the input's bytes: each one's first byte says how long it is, and of which output. */
static void check_built(const uint8_t *data, size_t size)
{
    uint8_t *stream = malloc(9 * size + 1), *text = malloc(size + 1);
    char *out = malloc(DEPLOY_OUTPUT_MAX);
    size_t n = 0, len = 0;
    for (size_t i = 0; i < size;) {
        size_t k = MIN((size_t)data[i] & 0x3f, size - i - 1);
        uint8_t output = data[i] >> 7 ? 1 : (data[i] >> 6 & 1) * 2;
        const uint8_t head[8] = {output, 0, 0, 0, 0, 0, 0, (uint8_t)k};
        memcpy(stream + n, head, 8);
        memcpy(stream + n + 8, data + i + 1, k);
        n += 8 + k;
        if (output == 1) {
            memcpy(text + len, data + i + 1, k);
            len += k;
        }
        i += 1 + k;
    }
    size_t got = deploy_output((struct str){(const char *)stream, n}, out);
    must(got == MIN(len, (size_t)DEPLOY_OUTPUT_MAX) && memcmp(out, text, got) == 0);
    free(stream);
    free(text);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(data, size);
    check_built(data, size);
    return 0;
}
