/* admin_status_impl.h - what the files of the status share (admin_status.h); for them alone. */
#ifndef HARP_HUB_ADMIN_STATUS_IMPL_H
#define HARP_HUB_ADMIN_STATUS_IMPL_H

#include "common/json/json.h"

struct admin_engines;
struct hub;

/* From good to bad. Unsure is what may be meant so, or can't be known from here. */
enum status_verdict { STATUS_OK, STATUS_UNSURE, STATUS_WRONG };

enum {
    STATUS_REASON_MAX = 400,   /* of a row, and of a section */
    STATUS_SECTION_MAX = 8192, /* bytes of a section as JSON, without its rows */
};

/* A member of the document that is being written: an object whose verdict is the worst of its rows' (or of
 * itself), with the reason and the remedy of the first of these. */
struct status_section {
    struct json_out *o;
    enum status_verdict verdict;
    unsigned count; /* rows with that verdict */
    char reason[STATUS_REASON_MAX];
    const char *remedy; /* a literal */
};

void status_section_open(struct status_section *s, struct json_out *o, const char *name);
/* Says of the section itself, or of one of its rows, what is the matter; of several that are as bad the first
 * one counts. */
void status_judge(struct status_section *s, enum status_verdict verdict, const char *remedy,
                  const char *format, ...) PRINTF_LIKE(4, 5);
/* Ends a row: its verdict and its reason ("" when it is well). */
void status_row_end(struct status_section *s, enum status_verdict verdict, const char *reason);
void status_section_close(struct status_section *s);
void status_put_verdict(struct json_out *o, enum status_verdict verdict);

/* ---- the sections: each adds itself to the document, and says how bad it is ---- */

enum status_verdict status_listening(struct json_out *o, struct hub *hub);
enum status_verdict status_engines(struct json_out *o, struct hub *hub,
                                   const struct admin_engines *engines);
enum status_verdict status_tunnels(struct json_out *o, struct hub *hub);
enum status_verdict status_nextcloud(struct json_out *o, struct hub *hub);
enum status_verdict status_apps(struct json_out *o, struct hub *hub);
enum status_verdict status_bans(struct json_out *o, struct hub *hub);
enum status_verdict status_certs(struct json_out *o, struct hub *hub);
/* Bytes that rows need at most. */
size_t status_engines_size(const struct admin_engines *engines);
size_t status_tunnels_size(const struct hub *hub);
size_t status_apps_size(const struct hub *hub);

#endif
