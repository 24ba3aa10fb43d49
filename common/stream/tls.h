/* tls.h - a stream of TLS over a socket, with OpenSSL.
 *
 * OpenSSL never touches the descriptor: bytes are read 256 KiB at a time into the loop's shared
 * buffer and given to it from there, and all records that one write makes leave in one send().
 * The tail of a TLS stream therefore holds ciphertext.
 *
 * Owns the SSL object it makes. The peer's close_notify is the end of its direction (eof); a TCP
 * end without one is a failure, as an attacker could have cut the stream there (RFC 8446 6.1).
 */
#ifndef HARP_STREAM_TLS_H
#define HARP_STREAM_TLS_H

#include <openssl/ssl.h>

#include "common/stream/sock.h"

/* Server side on a connected descriptor; `early` are bytes already read from it. `ready` follows
 * when the handshake is done (the owner limits the time). NULL: fd is closed. */
struct stream *tls_accept(struct loop *l, SSL_CTX *ctx, int fd, const void *early,
                          size_t n) MUST_CHECK;
/* Client side on a connected, or connecting, descriptor, with SNI and host name `name` set (NULL: none). */
struct stream *tls_client(struct loop *l, SSL_CTX *ctx, const char *name, int fd) MUST_CHECK;
/* The SSL object, borrowed, e.g. for the peer's certificate. NULL when s is not TLS. */
SSL *tls_ssl(struct stream *s);

#endif
