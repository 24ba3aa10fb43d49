#include "common/docker/value.h"

#include "common/docker/chars.h"
#include "common/docker/reference.h"

/* How many decimal digits s begins with. */
static size_t digits(struct str s)
{
    size_t n = 0;
    while (n < s.n && docker_digit(s.p[n])) {
        n++;
    }
    return n;
}

const char *docker_value_bool(struct str s)
{
    bool good = str_eq(s, STR("0")) || str_eq(s, STR("1")) || str_eq(s, STR("false")) ||
                str_eq(s, STR("true"));
    return good ? NULL : "is not 0, 1, false or true";
}

bool docker_value_is_true(struct str s)
{
    return str_eq(s, STR("1")) || str_eq(s, STR("true"));
}

const char *docker_value_time(struct str s)
{
    static const char why[] = "is not a time in seconds";
    size_t whole = digits(s);
    if (whole == 0 || whole > DOCKER_SECONDS_DIGITS) {
        return why;
    }
    if (whole == s.n) {
        return NULL;
    }
    struct str fraction = {s.p + whole + 1, s.n - whole - 1};
    bool good = s.p[whole] == '.' && fraction.n > 0 && fraction.n <= DOCKER_FRACTION_DIGITS &&
                digits(fraction) == fraction.n;
    return good ? NULL : why;
}

const char *docker_value_tail(struct str s)
{
    bool number = s.n > 0 && s.n <= DOCKER_TAIL_DIGITS && digits(s) == s.n;
    return number || str_eq(s, STR("all")) ? NULL : "is not a number of lines or \"all\"";
}

const char *docker_value_reference(struct str s)
{
    struct docker_reference unused;
    return docker_reference_read(&unused, s) ? NULL : "is not an image reference";
}

const char *docker_value_tag(struct str s)
{
    return docker_tag_valid(s) || docker_digest_valid(s) ? NULL : "is not a tag or digest";
}

const char *docker_value_platform(struct str s)
{
    return docker_platform_valid(s) ? NULL : "is not a platform";
}

const char *docker_value_number(struct str s)
{
    bool good = str_eq(s, STR("-1")) || (s.n > 0 && s.n <= DOCKER_TAIL_DIGITS && digits(s) == s.n);
    return good ? NULL : "is not a number";
}

const char *docker_value_signal(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!docker_alnum(s.p[i]) && s.p[i] != '+' && s.p[i] != '-') {
            return "is not a signal";
        }
    }
    return s.n > 0 && s.n <= 16 ? NULL : "is not a signal";
}

const char *docker_value_any(struct str s)
{
    return s.n > 0 ? NULL : "is empty";
}

const char *docker_value_name(struct str s)
{
    return docker_name_valid(s) && s.n <= DOCKER_CONTAINER_MAX ? NULL : "is not a container's name";
}

const char *docker_value_root(struct str s)
{
    return str_eq(s, STR("/")) ? NULL : "is not /";
}

const char *docker_value_false(struct str s)
{
    return str_eq(s, STR("0")) || str_eq(s, STR("false")) ? NULL : "is not false";
}
