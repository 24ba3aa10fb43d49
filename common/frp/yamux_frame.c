#include "common/frp/yamux_frame.h"

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

const char *yamux_header_parse(struct yamux_header *h, const uint8_t p[YAMUX_HEADER])
{
    h->type = p[1];
    h->flags = (uint16_t)(p[2] << 8 | p[3]);
    h->id = get32(p + 4);
    h->length = get32(p + 8);
    if (p[0] != 0) {
        return "yamux: unknown version";
    }
    if (h->type > YAMUX_GO_AWAY) {
        return "yamux: unknown frame type";
    }
    if (h->flags & ~(YAMUX_SYN | YAMUX_ACK | YAMUX_FIN | YAMUX_RST)) {
        return "yamux: unknown flags";
    }
    if (h->type >= YAMUX_PING) {
        if (h->id != 0) {
            return "yamux: session frame with a stream id";
        }
        if (h->type == YAMUX_PING && h->flags != YAMUX_SYN && h->flags != YAMUX_ACK) {
            return "yamux: ping that is neither request nor reply";
        }
    } else if (h->id == 0) {
        return "yamux: stream frame without a stream id";
    }
    return NULL;
}

void yamux_header_write(uint8_t p[YAMUX_HEADER], uint8_t type, uint16_t flags, uint32_t id,
                        uint32_t length)
{
    p[0] = 0;
    p[1] = type;
    p[2] = (uint8_t)(flags >> 8);
    p[3] = (uint8_t)flags;
    put32(p + 4, id);
    put32(p + 8, length);
}
