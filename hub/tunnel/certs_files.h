/* certs_files.h - the tunnel's certificate folder on disk: which files are there, and replacing
 * several of them as one step.
 *
 * A key and its certificate must change together, and so must all six at the first start. Both use
 * the same order of work:
 *   1. the new files are written and synced in the subfolder ".new",
 *   2. ".new" is renamed to ".commit": from here on they are the valid ones,
 *   3. they are renamed one by one from ".commit" to their places, and ".commit" is removed.
 * A start that finds ".new" throws it away; one that finds ".commit" carries on with step 3. So
 * neither a crash nor a full disk leaves a folder that the next start would refuse.
 *
 * `struct certs_files` owns the folder's descriptor, which is also the lock that keeps a second hub
 * out; certs_files_close ends both. Errors: negative, err has one sentence with path and reason.
 */
#ifndef HARP_HUB_CERTS_FILES_H
#define HARP_HUB_CERTS_FILES_H

#include "common/base/base.h"

enum certs_file {
    CERTS_CA_KEY,
    CERTS_CA_CRT,
    CERTS_SERVER_KEY,
    CERTS_SERVER_CRT,
    CERTS_CLIENT_KEY,
    CERTS_CLIENT_CRT,
    CERTS_FILE_COUNT,
};

struct certs_files {
    char dir[512];
    int fd;
    bool there[CERTS_FILE_COUNT];
};

/* "ca.key" and so on: the names that HaRP gives them. */
const char *certs_file_name(enum certs_file f);

/* Opens {base}/frp, making it (and base) where it is not there, takes the lock, finishes or undoes
 * what an interrupted start left, and notes which files are there. Works on a read-only folder when
 * there is nothing to finish. */
int certs_files_open(struct certs_files *s, const char *base, char *err, size_t cap) MUST_CHECK;
void certs_files_close(struct certs_files *s);

/* Replaces every file f for which text[f].p is not NULL, all or none; keys get mode 0600 (0644 the
 * others), less what the umask takes. Updates s->there. */
int certs_files_replace(struct certs_files *s, const struct str text[CERTS_FILE_COUNT], char *err,
                        size_t cap) MUST_CHECK;

#endif
