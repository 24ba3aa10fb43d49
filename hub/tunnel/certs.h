/* certs.h - the tunnel's own small PKI in {HP_CERTS_DIR}/frp, made at the first start.
 *
 *   ca.key ca.crt          CN harp.nc; signs the others. Clients hold ca.crt.
 *   server.key server.crt  CN and DNS name harp.nc, which stock frpc is told to expect.
 *   client.key client.crt  CN and DNS name harp.client.nc, for Docker hosts set up by hand.
 *
 * Names and contents are HaRP's, so that a folder HaRP made and the clients with files from it work
 * on. A complete folder is never changed but for one case: a server certificate that is about to
 * end is renewed while the CA's key is there. A missing server or client pair is issued again; the
 * CA is never replaced, as every client would have to be visited. The CA's key may be kept
 * elsewhere: then nothing can be issued, and the rest works.
 *
 * `struct certs` holds paths only; nothing is to be freed. What happened is told to the log
 * callback, one sentence each. Whoever runs without TLS on the tunnel does not call this.
 */
#ifndef HARP_HUB_CERTS_H
#define HARP_HUB_CERTS_H

#include "common/base/base.h"
#include "hub/tunnel/certs_make.h"

#define CERTS_SERVER_NAME "harp.nc"
#define CERTS_CLIENT_NAME "harp.client.nc"

enum {
    CERTS_PATH_SIZE = 544,
    CERTS_TEXT_SIZE = 800, /* enough for every error text below */
    CERTS_DAYS_MAX = 36500,
};

enum certs_level { CERTS_INFO, CERTS_WARNING };

/* text is valid during the call only. */
typedef void certs_log_fn(void *arg, enum certs_level level, const char *text);

struct certs {
    char ca_crt[CERTS_PATH_SIZE];
    char ca_key[CERTS_PATH_SIZE];
    char server_crt[CERTS_PATH_SIZE];
    char server_key[CERTS_PATH_SIZE];
    char client_crt[CERTS_PATH_SIZE];
    char client_key[CERTS_PATH_SIZE];
    bool can_issue; /* the CA's key is there */
};

/* Makes or checks the folder. days is HP_FRP_CERT_VALIDITY_DAYS, 1..CERTS_DAYS_MAX. Blocks for some ms, and
 * for 10 s at most while another process has the folder: for the start, and where the files were changed.
 * Negative: err says what is wrong and what to do about it. */
int certs_open(struct certs *c, const char *certs_dir, int days, certs_log_fn *log, void *arg,
               char *err, size_t cap) MUST_CHECK;

/* Issues a client certificate for cn (shape: certs_make in certs_make.h), e.g. for one ExApp. The
 * CA's key is read for it and wiped again. pair belongs to the caller: certs_pair_free. */
int certs_issue_client(const struct certs *c, const char *cn, int days, struct certs_pair *pair,
                       char *err, size_t cap) MUST_CHECK;

#endif
