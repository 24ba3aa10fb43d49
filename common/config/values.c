#include "common/config/values.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/config/ip.h"

#define FRACTION_DIGITS 6
#define HOST_MAX 253
#define LABEL_MAX 63

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit DURATIONS[] = {
    {"us", 1},
    {"ms", 1000ULL},
    {"s", 1000ULL * 1000},
    {"m", 60ULL * 1000 * 1000},
    {"h", 3600ULL * 1000 * 1000},
    {"d", 86400ULL * 1000 * 1000},
};
static const struct unit SIZES[] = {
    {"", 1},
    {"K", 1ULL << 10},
    {"M", 1ULL << 20},
    {"G", 1ULL << 30},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static struct str drop(struct str text, size_t n)
{
    return (struct str){text.p + n, text.n - n};
}

/* Takes the digits in front of *text. */
static int take_digits(struct str *text, uint64_t *out)
{
    uint64_t value = 0;
    bool too_big = false;
    size_t n = 0;

    for (; n < text->n && is_digit(text->p[n]); n++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text->p[n] - '0'), &value))
            too_big = true;
    }
    if (n == 0 || (n > 1 && text->p[0] == '0'))
        return VALUE_BAD;
    *text = drop(*text, n);
    *out = value;
    return too_big ? VALUE_RANGE : 0;
}

struct str value_unquote(struct str text)
{
    while (text.n >= 2 && (text.p[0] == '"' || text.p[0] == '\'') &&
           text.p[text.n - 1] == text.p[0])
        text = (struct str){text.p + 1, text.n - 2};
    return text;
}

static int find_unit(const struct unit *units, size_t n, struct str text, uint64_t *factor)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(text, str_of(units[i].name))) {
            *factor = units[i].factor;
            return 0;
        }
    }
    return VALUE_BAD;
}

int value_parse_duration(struct str text, uint64_t *ms)
{
    uint64_t whole, factor;
    uint64_t fraction = 0;
    uint64_t scale = 1;
    int rc = take_digits(&text, &whole);

    if (rc == VALUE_BAD)
        return rc;
    if (text.n && text.p[0] == '.') {
        text = drop(text, 1);
        if (text.n == 0 || !is_digit(text.p[0]))
            return VALUE_BAD;
        for (unsigned i = 0; text.n && is_digit(text.p[0]); i++, text = drop(text, 1)) {
            if (i >= FRACTION_DIGITS)
                return VALUE_BAD;
            fraction = fraction * 10 + (uint64_t)(text.p[0] - '0');
            scale *= 10;
        }
    }
    if (text.n == 0)
        text = STR("s");
    if (find_unit(DURATIONS, ARRAY_LEN(DURATIONS), text, &factor) != 0)
        return VALUE_BAD;
    /* In microseconds; the fraction's product is below 10^6 * 86400 * 10^6 and cannot overflow. */
    if (rc != 0 || __builtin_mul_overflow(whole, factor, &whole) ||
        __builtin_add_overflow(whole, (fraction * factor + scale - 1) / scale, &whole))
        return VALUE_RANGE;
    *ms = whole / 1000 + (whole % 1000 != 0);
    return 0;
}

int value_parse_bool(struct str text, bool *out)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        bool is_yes = str_eq_nocase(text, str_of(yes[i]));

        if (is_yes || str_eq_nocase(text, str_of(no[i]))) {
            *out = is_yes;
            return 0;
        }
    }
    return VALUE_BAD;
}

int value_parse_int(struct str text, int64_t min, int64_t max, int64_t *out)
{
    bool negative = text.n && text.p[0] == '-';
    uint64_t magnitude;
    int64_t value;
    int rc;

    if (negative)
        text = drop(text, 1);
    rc = take_digits(&text, &magnitude);
    if (rc == VALUE_BAD || text.n)
        return VALUE_BAD;
    if (rc != 0 || magnitude > (uint64_t)INT64_MAX)
        return VALUE_RANGE;
    value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (value < min || value > max)
        return VALUE_RANGE;
    *out = value;
    return 0;
}

int value_parse_size(struct str text, uint64_t *bytes)
{
    uint64_t value, factor;
    int rc = take_digits(&text, &value);

    if (rc == VALUE_BAD || find_unit(SIZES, ARRAY_LEN(SIZES), text, &factor) != 0)
        return VALUE_BAD;
    if (rc != 0 || __builtin_mul_overflow(value, factor, &value))
        return VALUE_RANGE;
    *bytes = value;
    return 0;
}

const char *value_format_duration(uint64_t ms, char *buf)
{
    size_t i = ARRAY_LEN(DURATIONS) - 1;

    /* Down to milliseconds, which divide everything. */
    while (i > 1 && (ms == 0 ? i > 2 : ms % (DURATIONS[i].factor / 1000) != 0))
        i--;
    snprintf(buf, VALUE_DURATION_TEXT_MAX, "%" PRIu64 "%s", ms / (DURATIONS[i].factor / 1000),
             DURATIONS[i].name);
    return buf;
}

const char *value_format_size(uint64_t bytes, char *buf)
{
    size_t i = ARRAY_LEN(SIZES) - 1;

    while (i > 0 && (bytes == 0 || bytes % SIZES[i].factor != 0))
        i--;
    snprintf(buf, VALUE_SIZE_TEXT_MAX, "%" PRIu64 "%s", bytes / SIZES[i].factor, SIZES[i].name);
    return buf;
}

int value_parse_port(struct str text, uint16_t *port)
{
    int64_t value;
    int rc = value_parse_int(text, 1, UINT16_MAX, &value);

    if (rc == 0)
        *port = (uint16_t)value;
    return rc;
}

bool value_is_host(struct str text)
{
    struct ip_addr ip;
    size_t label = 0;
    bool numeric = true;

    if (ip_parse(text, &ip) == 0)
        return true;
    if (text.n == 0 || text.n > HOST_MAX)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (c == '.') {
            if (label == 0)
                return false;
            label = 0;
            continue;
        }
        if (!is_alnum(c) && c != '_' && !(c == '-' && label > 0))
            return false;
        if (++label > LABEL_MAX)
            return false;
        numeric = numeric && is_digit(c);
    }
    return !numeric;
}

int value_split_authority(struct str authority, struct str *host)
{
    const char *colon = authority.n ? memrchr(authority.p, ':', authority.n) : NULL;
    uint16_t port;

    *host = authority;
    if (colon && authority.p[authority.n - 1] != ']') {
        host->n = (size_t)(colon - authority.p);
        if (value_parse_port((struct str){colon + 1, authority.n - host->n - 1}, &port) != 0)
            return -1;
    }
    if (host->n > 2 && host->p[0] == '[' && host->p[host->n - 1] == ']') {
        *host = (struct str){host->p + 1, host->n - 2};
        return memchr(host->p, ':', host->n) ? 0 : -1;
    }
    return host->n > 0 && !memchr(host->p, ':', host->n) ? 0 : -1;
}

bool value_is_printable(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < 0x20 || text.p[i] > 0x7E)
            return false;
    }
    return true;
}

const char *value_check_key(struct str text)
{
    if (text.n == 0)
        return "is empty";
    if (!value_is_printable(text))
        return "has a byte that is not printable ASCII";
    if (memchr(text.p, '"', text.n) || memchr(text.p, '\\', text.n))
        return "has a double quote or a backslash in it";
    if (text.p[0] == ' ' || text.p[text.n - 1] == ' ')
        return "begins or ends with a space";
    return NULL;
}
