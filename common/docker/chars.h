/* chars.h - classes of ASCII bytes, whatever the locale; used inside common/docker only. */
#ifndef HARP_DOCKER_CHARS_H
#define HARP_DOCKER_CHARS_H

#include "common/base/base.h"

static inline bool docker_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool docker_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static inline bool docker_alnum(char c)
{
    return docker_digit(c) || docker_lower(c) || (c >= 'A' && c <= 'Z');
}

/* The unreserved characters of RFC 3986 2.3. */
static inline bool docker_unreserved(char c)
{
    return docker_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* The value of a hexadecimal digit in either case, -1 if it is none. */
static inline int docker_hex(char c)
{
    if (docker_digit(c)) {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

#endif
