/* answer.h - the answers the hub makes itself: short plain text that says which hop failed.
 *
 * Pure. The first line is what Nextcloud's HaRP answers in the same case, so that whoever looks for
 * it finds it; the lines after it say where it went wrong and why:
 *
 *     503 Service Unavailable (HaRP)
 *     hop: ExApp
 *     reason: 127.0.0.1:23005: Connection refused
 */
#ifndef HARP_HUB_ANSWER_H
#define HARP_HUB_ANSWER_H

#include "common/base/base.h"
#include "hub/hop.h"

enum { ANSWER_MAX = 4096 };

struct answer {
    int status;
    enum hop hop;      /* HOP_NONE: no such line */
    const char *why;   /* NULL or "": no such line */
    const char *words; /* the first line in place of status and reason phrase; NULL: these */
    const char *json;  /* the whole body in place of all lines; NULL: lines of text */
    const char *allow; /* of a 405: the methods */
    bool docker;       /* hop and why as a Docker engine writes errors: {"message":"..."} */
    bool close;
    bool keep_alive; /* as in common/http/reply.h */
    bool head;       /* the request was a HEAD: no body */
};

/* Head and body; a 204 has none. */
size_t answer_write(char out[ANSWER_MAX], const struct answer *a);

#endif
