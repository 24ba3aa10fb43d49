/*
 * What both ends of wsload share: byte buffers, WebSocket frames, handshake fields, a histogram.
 *
 * Owns nothing but what a `struct buf` holds; buf_consume of all of it gives the memory back.
 * Sizes are bytes. Functions that return int: negative is an error, unless they say otherwise.
 * Frames are bounded by MAX_PAYLOAD, heads by MAX_HEAD. No extension is negotiated, so a reserved
 * bit is an error. Continuation frames are taken as they come.
 * Rules: RFC 6455 sections 4.2.2 (accept value), 5.2 and 5.3 (frames, masking).
 */
#ifndef HARP_BENCH_WSFRAME_H
#define HARP_BENCH_WSFRAME_H

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_PAYLOAD 65536
#define MAX_HEAD 8192
#define MAX_BUFFER (MAX_PAYLOAD + 14)

struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
};

struct frame {
    const uint8_t *payload;
    size_t len;
    size_t whole;  /* head and payload */
    uint8_t first; /* FIN, reserved bits and opcode, as they came */
    bool masked;
    uint8_t mask[4];
};

/* Log-linear histogram of nanoseconds: 64 steps per power of two, so an error below 1.6 %. */
#define HISTOGRAM_STEPS (60 * 64)
struct histogram {
    uint64_t steps[HISTOGRAM_STEPS];
    uint64_t count;
};

static inline void histogram_add(struct histogram *h, uint64_t value)
{
    unsigned shift = value < 128 ? 0 : 57 - (unsigned)__builtin_clzll(value);

    h->steps[shift * 64 + (unsigned)(value >> shift)]++;
    h->count++;
}

/* The lower edge of the step that holds the wanted share of all values. */
static inline double histogram_us(const struct histogram *h, double share)
{
    uint64_t wanted = (uint64_t)((double)h->count * share);
    uint64_t seen = 0;

    for (uint64_t i = 0; i < HISTOGRAM_STEPS; i++) {
        uint64_t shift = i < 128 ? 0 : i / 64 - 1;

        seen += h->steps[i];
        if (seen > wanted)
            return (double)((i - shift * 64) << shift) / 1000.0;
    }
    return 0;
}

static inline int buf_append(struct buf *b, const void *data, size_t len)
{
    if (len > MAX_BUFFER * 2 - b->len)
        return -1;
    if (b->len + len > b->cap) {
        size_t cap = b->len + len < 512 ? 512 : b->len + len;
        uint8_t *grown = realloc(b->data, cap);

        if (!grown)
            return -1;
        b->data = grown;
        b->cap = cap;
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
}

/* An empty buffer gives its memory back: thousands of idle connections must not weigh. */
static inline void buf_consume(struct buf *b, size_t len)
{
    b->len -= len;
    if (b->len == 0) {
        free(b->data);
        *b = (struct buf){0};
    } else if (len) {
        memmove(b->data, b->data + len, b->len);
    }
}

/* 1 a whole frame, 0 more bytes are needed, -1 not a frame that is taken here. */
static inline int frame_parse(const uint8_t *p, size_t n, struct frame *f)
{
    size_t head = 2;
    uint64_t len;

    if (n < 2)
        return 0;
    f->first = p[0];
    f->masked = p[1] & 0x80;
    len = p[1] & 0x7f;
    if (len == 126) {
        if (n < 4)
            return 0;
        len = (uint64_t)p[2] << 8 | p[3];
        head = 4;
    } else if (len == 127) {
        if (n < 10)
            return 0;
        len = 0;
        for (int i = 2; i < 10; i++)
            len = len << 8 | p[i];
        head = 10;
    }
    if (len > MAX_PAYLOAD || (p[0] & 0x70))
        return -1;
    if (f->masked) {
        if (n < head + 4)
            return 0;
        memcpy(f->mask, p + head, 4);
        head += 4;
    }
    f->payload = p + head;
    f->len = (size_t)len;
    f->whole = head + (size_t)len;
    return n >= f->whole;
}

static inline int frame_append(struct buf *out, uint8_t first, const uint8_t *payload, size_t len,
                               const uint8_t *mask)
{
    uint8_t head[8] = {first, mask ? 0x80 : 0};
    size_t n = 2;

    if (len > 65535)
        return -1;
    if (len < 126) {
        head[1] |= (uint8_t)len;
    } else {
        head[1] |= 126;
        head[2] = (uint8_t)(len >> 8);
        head[3] = (uint8_t)len;
        n = 4;
    }
    if (mask) {
        memcpy(head + n, mask, 4);
        n += 4;
    }
    if (buf_append(out, head, n) < 0 || buf_append(out, payload, len) < 0)
        return -1;
    if (mask) {
        uint8_t *p = out->data + out->len - len;

        for (size_t i = 0; i < len; i++)
            p[i] ^= mask[i & 3];
    }
    return 0;
}

static inline void accept_of_key(const char *key, char out[29])
{
    char text[128];
    uint8_t digest[SHA_DIGEST_LENGTH];
    int n = snprintf(text, sizeof(text), "%.64s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);

    SHA1((const uint8_t *)text, (size_t)n, digest);
    EVP_EncodeBlock((uint8_t *)out, digest, sizeof(digest));
}

/* Copies a field's value; the head must end with a NUL. */
static inline bool head_field(const char *head, const char *name, char *value, size_t size)
{
    size_t n = strlen(name);

    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            const char *from = line + n + 1;
            size_t len = strcspn(from += strspn(from, " \t"), "\r");

            if (len >= size)
                return false;
            memcpy(value, from, len);
            value[len] = 0;
            return true;
        }
    }
    return false;
}

#endif
