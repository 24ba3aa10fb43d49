/* config.h - what can be set in harp-audit-ship: from `audit-ship.cfg`, and the environment above it.
 *
 * The caller owns the struct; ship_config_free releases what ship_config_load put into it, and wipes the
 * secret.
 */
#ifndef HARP_SHIP_CONFIG_H
#define HARP_SHIP_CONFIG_H

#include "common/config/options.h"

enum ship_keep {
    SHIP_KEEP, /* the segment stays, and an empty file NAME.shipped beside it says that it is safe */
    SHIP_DELETE, /* it goes */
};

/* Times in ms. */
struct ship_config {
    char *folder;
    char *endpoint; /* http[s]://host[:port], without a slash at its end */
    char *host;     /* of it: host[:port]; not a setting */
    char *bucket, *prefix, *region;
    char *access_key, *secret_key, *secret_key_file, *ca_file;
    int keep; /* enum ship_keep */
    uint64_t retry_min, retry_max, poll_interval, connect_timeout, timeout;
    int log_level, log_format;
};

extern const struct settings ship_settings_table;
struct program ship_program(const char *version);

/* 0, or -1 with the error in the report and nothing to free. path may be empty. */
int ship_config_load(struct ship_config *config, const char *path, char *const *env,
                     struct config_report *report) MUST_CHECK;
void ship_config_free(struct ship_config *config);

#endif
