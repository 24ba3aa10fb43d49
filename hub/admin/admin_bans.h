/* admin_bans.h - the list of bans as the administration interface shows it, and its addresses.
 *
 * Pure, but for the table of bans that is read. An IPv6 client is known by its /64, so an address
 * is written "192.0.2.1" or "2001:db8::/64".
 */
#ifndef HARP_HUB_ADMIN_BANS_H
#define HARP_HUB_ADMIN_BANS_H

#include "common/access/bans.h"

enum {
    ADMIN_BANS_ROWS = 1000,                   /* listed at most */
    ADMIN_BAN_TEXT_MAX = IP_TEXT_MAX + 3,     /* with "/64" */
    ADMIN_BANS_ROW_MAX = 96 + IP_TEXT_MAX + 3 /* bytes of a row as JSON */
};

/* 0, or -1 if it is no address. "2001:db8::/64" and "2001:db8::5" both mean that /64, whose first
 * address it gives. */
int admin_ban_parse(struct str text, struct ip_addr *ip) MUST_CHECK;
/* `buf` has ADMIN_BAN_TEXT_MAX bytes; returns it. */
const char *admin_ban_text(const struct ip_addr *ip, char *buf);

/* {"bans":[{"address":..,"failures":..,"banned":..,"seconds_left":..},..],"total":N,"more":false}:
 * the banned first, then by failures. The text is the caller's to free, *n its length. */
char *admin_bans_json(struct bans *b, uint64_t now, size_t *n) MUST_CHECK;

#endif
