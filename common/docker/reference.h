/* reference.h - the grammars of the names that Docker calls carry.
 *
 * Pure; allocates nothing; slices point into the caller's bytes. All lengths are bytes.
 *
 * Image references follow the grammar of the distribution project, which Docker and Podman use:
 *
 *     reference = name [ ":" tag ] [ "@" digest ]
 *     name      = [ domain "/" ] component *( "/" component )
 *     domain    = label *( "." label ) [ ":" port ]       labels of letters, digits and inner "-"
 *     component = alnum+ *( separator alnum+ )            lower case; "." "_" "__" or dashes between
 *
 * It is narrower in four places. A registry is a host name or an IPv4 address: the "[" and "]"
 * around others may not stand in a path (RFC 3986 3.3). A port is from 1 to 65535, without leading zeros.
 * A digest is of an algorithm that the engines have, with its length in lower-case hexadecimal digits.
 * What reads as an image id is not a name as well.
 */
#ifndef HARP_DOCKER_REFERENCE_H
#define HARP_DOCKER_REFERENCE_H

#include "common/base/base.h"

#define DOCKER_NAME_MAX 255u /* of an image, with its domain */
#define DOCKER_FULL_NAME_MAX (DOCKER_NAME_MAX + sizeof("docker.io/library/"))
#define DOCKER_TAG_MAX 128u
#define DOCKER_DIGEST_MAX (sizeof("sha512:") - 1 + 128)
#define DOCKER_REFERENCE_MAX (DOCKER_NAME_MAX + 1 + DOCKER_TAG_MAX + 1 + DOCKER_DIGEST_MAX)
#define DOCKER_PORT_MAX 65535u    /* of a registry */
#define DOCKER_CONTAINER_MAX 107u /* a container's name: "nc_app_" and 100 */
#define DOCKER_OBJECT_MAX 128u    /* a volume's or network's */
#define DOCKER_ID_DIGITS 64u      /* of a container, an exec */
#define DOCKER_ID_SHORT 12u       /* as docker prints them */
#define DOCKER_PLATFORM_PART_MAX 32u

struct docker_reference {
    struct str name;   /* with its domain, if there is one */
    struct str tag;    /* empty: none */
    struct str digest; /* empty: none */
};

/* A name that an image can be pulled by; false: it is none, *ref is then undefined. */
bool docker_reference_read(struct docker_reference *ref, struct str s) MUST_CHECK;

/* What an image on the engine is called by: a reference, 64 lower-case hexadecimal digits, or those
 * behind "sha256:". The first digits of an id are a name by the grammar. */
bool docker_image_valid(struct str s) MUST_CHECK;

/* Against the patterns of grants->images, which name a registry and a path, as `ghcr.io/nextcloud/` and a star. A
 * reference without a registry means docker.io, and one of a single component docker.io/library (as Docker
 * reads them). NULL: it is granted; else a reason. An id, and a name that may be the beginning of one, is
 * granted only where all images are. */
struct docker_grants;
const char *docker_image_granted(const struct docker_grants *grants, struct str s) MUST_CHECK;

/* What those patterns are compared with, NUL-terminated, in buf of DOCKER_FULL_NAME_MAX bytes. false: it is
 * an id, or may be one. */
bool docker_image_full_name(struct str s, char *buf) MUST_CHECK;

/* nc_app_[a-zA-Z0-9_.-]{1,100} */
bool docker_container_valid(struct str s) MUST_CHECK;

/* [a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}, as Docker has it for containers and volumes, but for the length. */
bool docker_name_valid(struct str s) MUST_CHECK;

/* 1 to 64 lower-case hexadecimal digits: an id, or the beginning of one. */
bool docker_hex_valid(struct str s) MUST_CHECK;

bool docker_tag_valid(struct str s) MUST_CHECK;

/* sha256, sha384 or sha512, ":", and 64, 96 or 128 lower-case hexadecimal digits. */
bool docker_digest_valid(struct str s) MUST_CHECK;

/* os[/arch[/variant]], each a letter or digit and up to 31 of those, "_", "." and "-". */
bool docker_platform_valid(struct str s) MUST_CHECK;

#endif
