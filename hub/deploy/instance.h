/* instance.h - whose a container or a volume is: labels that keep two Nextclouds on one Docker host
 * from destroying each other's.
 *
 *     harp.instance   32 hexadecimal characters, made of NC_INSTANCE_URL and the shared key
 *     harp.nextcloud  NC_INSTANCE_URL, for people
 *
 * What carries no such label was made by HaRP, or by hand, and is everybody's. Pure; owns nothing.
 */
#ifndef HARP_HUB_INSTANCE_H
#define HARP_HUB_INSTANCE_H

#include "common/json/json.h"

#define INSTANCE_LABEL "harp.instance"
#define INSTANCE_URL_LABEL "harp.nextcloud"

enum { INSTANCE_LEN = 32 };

/* -1: no digest could be made; out is then "". */
int instance_make(char out[INSTANCE_LEN + 1], struct str key, struct str url) MUST_CHECK;
/* Whether labels can be what an engine says of a container without or with some: nothing, null, an object. */
bool instance_labels_valid(const struct json_node *labels);
/* labels: an object of strings, or nothing. aliases: further values that are ours, between commas or
 * blanks. */
bool instance_is_ours(const struct json_node *labels, const char *own, const char *aliases);
/* What a container of another one is refused with; returns out. */
const char *instance_reason(const struct json_node *labels, char *out, size_t size);

#endif
