/* generic.h - calls that the catalogue does not have, which a policy may let pass by their method and path
 * alone, without a body: "GET plugins", "POST networks/{network}/connect".
 *
 * Pure; allocates nothing. Calls that give away the host, other containers' files or whole images can't be
 * named so, nor can those that the catalogue judges by their content.
 */
#ifndef HARP_DOCKER_GENERIC_H
#define HARP_DOCKER_GENERIC_H

#include "common/docker/catalogue.h"

struct docker_generic {
    unsigned methods;                   /* of a rule: one */
    const struct docker_object *object; /* NULL: the path has no {} */
    char path[DOCKER_RULE_TEXT_MAX];    /* as of a rule, with {} */
};

/* Reads a rule's text, in the form of catalogue.h. The methods are GET, HEAD, POST, PUT and DELETE. The path
 * begins with a lower-case word; its other segments are unreserved characters (RFC 3986 2.3), or one of them
 * {container}, {image}, {volume}, {network} or {any}. What stands behind `containers` is no {any}, so that
 * what is granted counts; and so on. NULL; or a reason that goes on after the text. */
const char *docker_generic_read(struct docker_generic *out, struct str text) MUST_CHECK;

/* The text for a call that no rule of the catalogue fits: its words as they are, and at most one other
 * segment in braces. Writes it into buf of DOCKER_RULE_TEXT_MAX bytes and returns buf; "" if there is none
 * that docker_generic_read takes. */
const char *docker_generic_text(enum http_method method, const struct docker_call *call, char *buf);

/* Whether there is a request that fits both. */
bool docker_rules_meet(const struct docker_rule *a, const struct docker_rule *b);

#endif
