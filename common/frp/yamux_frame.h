/* yamux_frame.h - the 12-byte yamux frame header, as pure functions.
 *
 * version(1) = 0, type(1), flags(2), stream id(4), length(4), big endian
 * (github.com/hashicorp/yamux, spec.md). Owns nothing.
 */
#ifndef HARP_FRP_YAMUX_FRAME_H
#define HARP_FRP_YAMUX_FRAME_H

#include "common/base/base.h"

enum {
    YAMUX_HEADER = 12,
    YAMUX_INITIAL_WINDOW = 256 * 1024,
};

enum yamux_type { YAMUX_DATA = 0, YAMUX_WINDOW = 1, YAMUX_PING = 2, YAMUX_GO_AWAY = 3 };
enum yamux_flag { YAMUX_SYN = 1, YAMUX_ACK = 2, YAMUX_FIN = 4, YAMUX_RST = 8 };
enum yamux_go_away { YAMUX_NORMAL = 0, YAMUX_PROTOCOL_ERROR = 1, YAMUX_INTERNAL_ERROR = 2 };

struct yamux_header {
    uint8_t type;
    uint16_t flags;
    uint32_t id;
    uint32_t length;
};

/* NULL, or why the header breaks the protocol whatever the state: version, type, flags, or an id
 * that does not fit the type. */
const char *yamux_header_parse(struct yamux_header *h, const uint8_t p[YAMUX_HEADER]) MUST_CHECK;
void yamux_header_write(uint8_t p[YAMUX_HEADER], uint8_t type, uint16_t flags, uint32_t id,
                        uint32_t length);

#endif
