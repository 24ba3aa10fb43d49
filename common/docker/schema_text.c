/* schema_text.c - what strings in a body may be made of. Each check returns NULL, or a reason that goes on
 * after the key's name. */
#include "common/docker/schema.h"

#include "common/config/ip.h"
#include "common/docker/chars.h"

bool docker_has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == 0x7f) {
            return true;
        }
    }
    return false;
}

static bool starts_with(struct str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

/* Letters, digits and those of `more`. */
static bool made_of(struct str s, const char *more)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!docker_alnum(s.p[i]) && (s.p[i] == '\0' || !strchr(more, s.p[i]))) {
            return false;
        }
    }
    return true;
}

static bool word(struct str s, const char *more, size_t max)
{
    return s.n > 0 && s.n <= max && docker_alnum(s.p[0]) && made_of(s, more);
}

const char *docker_check_any(struct str s)
{
    (void)s;
    return NULL;
}

const char *docker_check_hostname(struct str s)
{
    return word(s, "_.-", DOCKER_HOSTNAME_MAX) ? NULL : "is not a host's name";
}

const char *docker_check_host(struct str s)
{
    return word(s, "_.-", 253) ? NULL : "is not a host's name";
}

const char *docker_check_network(struct str s)
{
    return word(s, "_.-", DOCKER_NETWORK_MAX) ? NULL : "is not a network's name";
}

const char *docker_check_path(struct str s)
{
    if (s.n < 2 || s.n > DOCKER_BODY_PATH_MAX || s.p[0] != '/') {
        return "is not an absolute path below /, or is too long";
    }
    for (size_t i = 1, from = 1; i <= s.n; i++) {
        if (i < s.n && s.p[i] != '/') {
            continue;
        }
        size_t n = i - from;
        if (n == 0 || (n <= 2 && s.p[from] == '.' && s.p[i - 1] == '.')) {
            return "has an empty or dot segment";
        }
        from = i + 1;
    }
    return NULL;
}

const char *docker_check_mount_path(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\0' || strchr(",:\"\\", s.p[i])) {
            return "holds a comma, colon, quote or backslash";
        }
    }
    return docker_check_path(s);
}

/* Decimal, 1 to 65535, without leading zeros. */
static bool port_number(struct str s)
{
    unsigned n = 0;
    if (s.n == 0 || s.n > 5 || s.p[0] == '0') {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!docker_digit(s.p[i])) {
            return false;
        }
        n = n * 10 + (unsigned)(s.p[i] - '0');
    }
    return n <= 65535;
}

const char *docker_check_port(struct str s)
{
    const char *slash = s.n > 0 ? memchr(s.p, '/', s.n) : NULL;
    struct str number = {s.p, slash ? (size_t)(slash - s.p) : s.n};
    struct str proto = slash ? (struct str){slash + 1, s.n - number.n - 1} : STR("tcp");
    bool known =
        str_eq(proto, STR("tcp")) || str_eq(proto, STR("udp")) || str_eq(proto, STR("sctp"));
    return known && port_number(number) ? NULL : "has a key that is not a port";
}

const char *docker_check_host_port(struct str s)
{
    return s.n == 0 || str_eq(s, STR("0")) || port_number(s) ? NULL : "is not a port";
}

/* Podman joins key and value by "=", so that one in a key would name another label. Some keys are orders:
 * to Podman's auto-update, which restarts systemd units by them, and to Podman itself. */
const char *docker_check_label_key(struct str s)
{
    if (s.n == 0 || s.n > DOCKER_LABEL_KEY_MAX) {
        return "has a key that is empty or too long";
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= 0x20 || s.p[i] > 0x7e || s.p[i] == '=') {
            return "has a key that is not printable ASCII, or holds a space or \"=\"";
        }
    }
    if (str_eq(s, STR(DOCKER_OWNER_LABEL))) {
        return "has the key that tells the owner";
    }
    return str_eq(s, STR("PODMAN_SYSTEMD_UNIT")) || starts_with(s, "io.containers.") ||
                   starts_with(s, "io.podman.")
               ? "has a key that is an order to Podman"
               : NULL;
}

const char *docker_check_user(struct str s)
{
    return word(s, "_.:-", 64) ? NULL : "is not a user";
}

const char *docker_check_cpus(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!docker_digit(s.p[i]) && s.p[i] != ',' && s.p[i] != '-') {
            return "is not a list of numbers";
        }
    }
    return s.n <= 256 ? NULL : "is too long";
}

const char *docker_check_capability(struct str s)
{
    return word(s, "_", 64) ? NULL : "is not a capability";
}

const char *docker_check_address(struct str s)
{
    struct ip_addr unused;
    return ip_parse(s, &unused) == 0 ? NULL : "is not an IP address";
}

/* Of all security options, those that can only take from a container what it might do. */
const char *docker_check_hardening(struct str s)
{
    return str_eq(s, STR("no-new-privileges")) || str_eq(s, STR("no-new-privileges:true")) ||
                   str_eq(s, STR("no-new-privileges=true"))
               ? NULL
               : "may hold no-new-privileges only";
}
