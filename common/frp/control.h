/* control.h - the encrypted half of a control stream: messages in and out of frp's cipher.
 *
 * After the login both directions of the control stream are encrypted, each beginning with an IV
 * of its own (cfb.h). A `struct frp_control` is embedded in its session, all zero at the start; it
 * owns the ciphers and the bytes of an incomplete message, at most one message long, and
 * frp_control_clear wipes and frees them.
 */
#ifndef HARP_FRP_CONTROL_H
#define HARP_FRP_CONTROL_H

#include "common/frp/cfb.h"
#include "common/frp/msg.h"
#include "common/stream/stream.h"

struct frp_control {
    struct frp_cipher *in, *out;
    struct buf plain; /* decrypted, not taken yet */
};

/* Encrypts the message and writes it. -1: encryption failed, the stream can't be used any more; a
 * message that can't be encoded is left out and is no failure. */
int frp_control_send(struct frp_control *c, struct stream *s, struct str token,
                     const struct frp_msg *msg) MUST_CHECK;
/* Decrypts received bytes. -1: decryption failed. */
int frp_control_feed(struct frp_control *c, struct str token, const char *p, size_t n) MUST_CHECK;
/* The next whole message: > 0, to be given to frp_control_taken once it was read; 0: none yet; < 0:
 * what was decrypted makes no sense, *why says why. */
int frp_control_next(const struct frp_control *c, struct frp_frame *frame,
                     const char **why) MUST_CHECK;
void frp_control_taken(struct frp_control *c, int total);
void frp_control_clear(struct frp_control *c);

#endif
