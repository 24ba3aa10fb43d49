#include "common/docker/reference.h"

#include "common/docker/chars.h"
#include "common/docker/grants.h"

#include <stdio.h>

static bool word(char c)
{
    return docker_alnum(c) || c == '_';
}

static bool name_byte(char c)
{
    return word(c) || c == '.' || c == '-';
}

static bool all(struct str s, bool (*in_class)(char c))
{
    for (size_t i = 0; i < s.n; i++) {
        if (!in_class(s.p[i])) {
            return false;
        }
    }
    return true;
}

static bool lower_hex(char c)
{
    return docker_digit(c) || (c >= 'a' && c <= 'f');
}

static bool starts_with(struct str s, struct str prefix)
{
    return s.n >= prefix.n && memcmp(s.p, prefix.p, prefix.n) == 0;
}

/* Takes what stands before the next `sep` off *rest, and `sep` with it; all that is left, if there is
 * none: *rest then has a NULL pointer. */
static struct str take_until(struct str *rest, char sep)
{
    const char *at = memchr(rest->p, sep, rest->n);
    struct str part = {rest->p, at ? (size_t)(at - rest->p) : rest->n};
    *rest = at ? (struct str){at + 1, rest->n - part.n - 1} : (struct str){NULL, 0};
    return part;
}

static bool label_valid(struct str s)
{
    if (s.n == 0 || s.p[0] == '-' || s.p[s.n - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!docker_alnum(s.p[i]) && s.p[i] != '-') {
            return false;
        }
    }
    return true;
}

static bool port_valid(struct str s)
{
    unsigned port = 0;
    if (s.n == 0 || s.n > 5 || s.p[0] == '0' || !all(s, docker_digit)) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        port = port * 10 + (unsigned)(s.p[i] - '0');
    }
    return port <= DOCKER_PORT_MAX;
}

static bool domain_valid(struct str s)
{
    struct str port = s, host = take_until(&port, ':');
    if (port.p && !port_valid(port)) {
        return false;
    }
    while (host.p) {
        if (!label_valid(take_until(&host, '.'))) {
            return false;
        }
    }
    return true;
}

/* The length of the separator that p[0..n) begins with; 0: of none. */
static size_t separator(const char *p, size_t n)
{
    size_t dashes = 0;
    if (*p == '.') {
        return 1;
    }
    if (*p == '_') {
        return n > 1 && p[1] == '_' ? 2 : 1;
    }
    while (dashes < n && p[dashes] == '-') {
        dashes++;
    }
    return dashes;
}

static bool component_valid(struct str s)
{
    for (size_t i = 0;;) {
        size_t from = i;
        while (i < s.n && (docker_lower(s.p[i]) || docker_digit(s.p[i]))) {
            i++;
        }
        if (i == from) {
            return false;
        }
        if (i == s.n) {
            return true;
        }
        size_t between = separator(s.p + i, s.n - i);
        if (between == 0) {
            return false;
        }
        i += between;
    }
}

static bool path_valid(struct str s)
{
    while (s.p) {
        if (!component_valid(take_until(&s, '/'))) {
            return false;
        }
    }
    return true;
}

static bool image_name_valid(struct str s)
{
    if (s.n == 0 || s.n > DOCKER_NAME_MAX) {
        return false;
    }
    struct str path = s, first = take_until(&path, '/');
    /* A first component that is no domain may still be part of the path, as in "my_user/app". */
    return path_valid(path.p && domain_valid(first) ? path : s);
}

static bool bare_id(struct str s)
{
    return s.n == 64 && all(s, lower_hex);
}

static bool has_upper(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= 'A' && s.p[i] <= 'Z') {
            return true;
        }
    }
    return false;
}

/* Whether the first of several components is a registry, as Docker tells them apart: newer ones take a host
 * name with an upper-case letter for one, since no repository has such. */
static bool registry(struct str first)
{
    return memchr(first.p, '.', first.n) || memchr(first.p, ':', first.n) || has_upper(first) ||
           str_eq(first, STR("localhost"));
}

bool docker_reference_read(struct docker_reference *ref, struct str s)
{
    *ref = (struct docker_reference){.name = s};
    if (s.n == 0 || s.n > DOCKER_REFERENCE_MAX || docker_digest_valid(s)) {
        return false;
    }
    const char *at = memchr(s.p, '@', s.n);
    if (at) {
        ref->name.n = (size_t)(at - s.p);
        ref->digest = (struct str){at + 1, s.n - ref->name.n - 1};
        if (!docker_digest_valid(ref->digest)) {
            return false;
        }
    }
    const char *colon = memrchr(s.p, ':', ref->name.n);
    /* With a slash behind it, it stands in front of a port. */
    if (colon && !memchr(colon, '/', ref->name.n - (size_t)(colon - s.p))) {
        ref->tag = (struct str){colon + 1, ref->name.n - (size_t)(colon - s.p) - 1};
        ref->name.n = (size_t)(colon - s.p);
        if (!docker_tag_valid(ref->tag)) {
            return false;
        }
    }
    return image_name_valid(ref->name) && !bare_id(ref->name);
}

/* Whether an engine could read it as the beginning of an image's id. */
static bool short_id(const struct docker_reference *ref)
{
    return ref->tag.n == 0 && ref->digest.n == 0 && docker_hex_valid(ref->name);
}

bool docker_image_full_name(struct str s, char *buf)
{
    struct docker_reference ref;
    if (!docker_reference_read(&ref, s) || short_id(&ref)) {
        return false;
    }
    struct str rest = ref.name, first = take_until(&rest, '/');
    const char *before = !rest.p ? "docker.io/library/" : registry(first) ? "" : "docker.io/";
    snprintf(buf, DOCKER_FULL_NAME_MAX, "%s%.*s", before, STR_ARG(ref.name));
    return true;
}

const char *docker_image_granted(const struct docker_grants *grants, struct str s)
{
    char full[DOCKER_FULL_NAME_MAX];
    if (docker_words_all(grants->images)) {
        return NULL;
    }
    if (!docker_image_full_name(s, full)) {
        return "is an id, or may be one; the policy lists images by name";
    }
    return docker_words_match(grants->images, str_of(full)) ? NULL
                                                            : "is not one that the policy lists";
}

bool docker_image_valid(struct str s)
{
    struct docker_reference unused;
    return bare_id(s) || (starts_with(s, STR("sha256:")) && docker_digest_valid(s)) ||
           docker_reference_read(&unused, s);
}

bool docker_container_valid(struct str s)
{
    const struct str prefix = STR("nc_app_");
    return starts_with(s, prefix) && s.n > prefix.n && s.n <= DOCKER_CONTAINER_MAX &&
           all(s, name_byte);
}

bool docker_name_valid(struct str s)
{
    return s.n >= 2 && s.n <= DOCKER_OBJECT_MAX && docker_alnum(s.p[0]) && all(s, name_byte);
}

bool docker_hex_valid(struct str s)
{
    return s.n > 0 && s.n <= DOCKER_ID_DIGITS && all(s, lower_hex);
}

bool docker_tag_valid(struct str s)
{
    return s.n > 0 && s.n <= DOCKER_TAG_MAX && word(s.p[0]) && all(s, name_byte);
}

bool docker_digest_valid(struct str s)
{
    static const struct {
        struct str prefix;
        size_t digits;
    } algorithms[] = {{{"sha256:", 7}, 64}, {{"sha384:", 7}, 96}, {{"sha512:", 7}, 128}};
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
        size_t skip = algorithms[i].prefix.n;
        if (starts_with(s, algorithms[i].prefix)) {
            return s.n == skip + algorithms[i].digits &&
                   all((struct str){s.p + skip, s.n - skip}, lower_hex);
        }
    }
    return false;
}

bool docker_platform_valid(struct str s)
{
    unsigned parts = 0;
    while (s.p) {
        struct str part = take_until(&s, '/');
        if (++parts > 3 || part.n == 0 || part.n > DOCKER_PLATFORM_PART_MAX ||
            !docker_alnum(part.p[0]) || !all(part, name_byte)) {
            return false;
        }
    }
    return parts > 0;
}
