#include "common/http/percent.h"

#include "common/http/syntax.h"

size_t http_percent_decode(char *p, size_t n)
{
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '%' && n - i > 2 && http_is(p[i + 1], HTTP_C_HEX) &&
            http_is(p[i + 2], HTTP_C_HEX)) {
            p[out++] = (char)(http_hex(p[i + 1]) << 4 | http_hex(p[i + 2]));
            i += 2;
        } else {
            p[out++] = p[i];
        }
    }
    return out;
}
