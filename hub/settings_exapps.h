/* settings_exapps.h - the ExApps that an administrator declares in hub.cfg.
 *
 * `exapps = ( { id = "sample"; token = "..."; version = "1.0.0"; host = "127.0.0.1"; port = 23005;
 *               routes = ( { url = "^/.*"; access_level = 0; bruteforce_protection = [401]; } ); } );`
 *
 * Owns what it allocates: hub_exapps_free releases it and wipes the tokens. All counts are bounded.
 * A route's `url` is kept as text; whoever matches it compiles it.
 * Every error names the file, the line and the app.
 */
#ifndef HARP_HUB_SETTINGS_EXAPPS_H
#define HARP_HUB_SETTINGS_EXAPPS_H

#include "common/config/file.h"

#define HUB_EXAPPS_MAX 256
#define HUB_ROUTES_MAX 256
#define HUB_ROUTE_STATUS_MAX 16
#define HUB_EXAPP_ID_MAX 64
#define HUB_ROUTE_URL_MAX 1024

enum hub_access_level {
    HUB_ACCESS_PUBLIC = 0,
    HUB_ACCESS_USER = 1,
    HUB_ACCESS_ADMIN = 2,
};

struct hub_route {
    char *url; /* a regular expression, not compiled */
    enum hub_access_level access_level;
    uint16_t statuses[HUB_ROUTE_STATUS_MAX]; /* answers that count as a failure of the client */
    size_t statuses_n;
};

struct hub_exapp {
    char *id;    /* in lower case, as it is looked up */
    char *token; /* secret */
    char *version;
    char *host; /* a name or an address without brackets */
    uint16_t port;
    struct hub_route *routes; /* at least one, in order */
    size_t routes_n;
};

struct hub_exapps {
    struct hub_exapp *apps;
    size_t n;
};

/* Reads the list `exapps` of the file, if there is one. 0, or -1 with the error in the report and
 * nothing to free. */
int hub_exapps_load(struct hub_exapps *exapps, const struct config_file *file,
                    struct config_report *report) MUST_CHECK;
void hub_exapps_free(struct hub_exapps *exapps);

/* The app with that id in any case of letters, or NULL. */
const struct hub_exapp *hub_exapps_find(const struct hub_exapps *exapps, struct str id);

/* Whether the text can be an ExApp's id: [A-Za-z0-9_.-]+, not dots alone, not too long. */
bool hub_exapp_id_valid(struct str id);

#endif
