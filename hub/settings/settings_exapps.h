/* settings_exapps.h - the ExApps that an administrator declares in hub.cfg.
 *
 * `exapps = ( { id = "sample"; token = "..."; version = "1.0.0"; host = "127.0.0.1"; port = 23005;
 *               routes = ( { url = "^/.*"; access_level = 0; bruteforce_protection = [401]; } ); } );`
 *
 * Owns what it allocates: hub_exapps_free releases it and wipes the tokens. All counts are bounded (exapp_meta.h).
 * A route's `url` is kept as text; whoever matches it compiles it.
 * Every error names the file, the line and the app.
 */
#ifndef HARP_HUB_SETTINGS_EXAPPS_H
#define HARP_HUB_SETTINGS_EXAPPS_H

#include "common/config/file.h"
#include "hub/access/exapp_meta.h"

#define HUB_EXAPPS_MAX 4096

struct hub_exapps {
    struct exapp_meta *apps;
    size_t n;
};

/* Reads the list `exapps` of the file, if there is one. 0, or -1 with the error in the report and
 * nothing to free. */
int hub_exapps_load(struct hub_exapps *exapps, const struct config_file *file,
                    struct config_report *report) MUST_CHECK;
void hub_exapps_free(struct hub_exapps *exapps);

/* The app with that id in any case of letters, or NULL. */
const struct exapp_meta *hub_exapps_find(const struct hub_exapps *exapps, struct str id);

#endif
