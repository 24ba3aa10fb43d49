#include "common/frp/control.h"

#include "common/crypto/secret.h"

int frp_control_send(struct frp_control *c, struct stream *s, struct str token,
                     const struct frp_msg *msg)
{
    uint8_t buf[FRP_IV_LEN + FRP_FRAME_MAX];
    uint8_t *out = buf + FRP_IV_LEN, *start = out;
    ssize_t n = frp_msg_encode(msg, out, FRP_FRAME_MAX);
    if (n <= 0) {
        return 0;
    }
    if (!c->out) { /* the first: the IV goes in front */
        start = buf;
        c->out = frp_encrypt_new(token, buf);
    }
    if (!c->out || frp_encrypt(c->out, out, (size_t)n) < 0) {
        secret_wipe(out, (size_t)n);
        return -1;
    }
    stream_write(s, start, (size_t)(out + n - start));
    return 0;
}

int frp_control_feed(struct frp_control *c, struct str token, const char *p, size_t n)
{
    size_t had = c->plain.len;
    if (!c->in) {
        c->in = frp_decrypt_new(token);
    }
    buf_append(&c->plain, p, n);
    ssize_t iv = c->in ? frp_decrypt(c->in, (uint8_t *)buf_head(&c->plain) + had, n) : -1;
    if (iv < 0) {
        return -1;
    }
    buf_consume_keep(&c->plain, (size_t)iv); /* the IV comes before any plain text */
    return 0;
}

int frp_control_next(const struct frp_control *c, struct frp_frame *frame, const char **why)
{
    return c->plain.len == 0
               ? 0
               : frp_frame_parse((const uint8_t *)buf_head(&c->plain), c->plain.len, frame, why);
}

static void release_plain(struct frp_control *c)
{
    if (c->plain.p) {
        secret_wipe(c->plain.p, c->plain.cap);
        buf_free(&c->plain);
    }
}

void frp_control_taken(struct frp_control *c, int total)
{
    buf_consume_keep(&c->plain, (size_t)total);
    if (c->plain.len == 0) {
        release_plain(c);
    }
}

void frp_control_clear(struct frp_control *c)
{
    release_plain(c);
    frp_cipher_free(c->in);
    frp_cipher_free(c->out);
    c->in = c->out = NULL;
}
