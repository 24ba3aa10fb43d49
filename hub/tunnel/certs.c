/* certs.c - see certs.h. */
#include "hub/tunnel/certs.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "common/crypto/pemfile.h"
#include "hub/tunnel/certs_files.h"

enum {
    DAY = 24 * 3600,
    SOON_DAYS = 30,
};

/* One start: what it works on and whom it tells. */
struct start {
    struct certs_files files;
    struct certs *c;
    int days;
    certs_log_fn *log;
    void *arg;
    char *err;
    size_t cap;
};

static int fail(struct start *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void tell(struct start *s, enum certs_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int fail(struct start *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(s->err, s->cap, fmt, ap);
    va_end(ap);
    return -1;
}

static void tell(struct start *s, enum certs_level level, const char *fmt, ...)
{
    char text[CERTS_TEXT_SIZE];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (s->log)
        s->log(s->arg, level, text);
}

static void put_pair(struct str text[CERTS_FILE_COUNT], enum certs_file key, enum certs_file crt,
                     const struct certs_pair *pair)
{
    text[key] = (struct str){pair->key, pair->key_len};
    text[crt] = (struct str){pair->cert, pair->cert_len};
}

/* The first start: all six. */
static int make_all(struct start *s)
{
    struct certs_pair ca = {0}, server = {0}, client = {0};
    struct str text[CERTS_FILE_COUNT] = {0};
    struct certs_issuer by = {0};
    int r = -1;

    by.key = certs_key_new(s->err, s->cap);
    if (by.key)
        by.cert =
            certs_make(CERTS_ROLE_CA, CERTS_SERVER_NAME, by.key, NULL, s->days, s->err, s->cap);
    if (!by.cert || certs_pair_encode(&ca, by.cert, by.key, s->err, s->cap) < 0 ||
        certs_make_pair(&server, CERTS_ROLE_SERVER, CERTS_SERVER_NAME, &by, s->days, s->err,
                        s->cap) < 0 ||
        certs_make_pair(&client, CERTS_ROLE_CLIENT, CERTS_CLIENT_NAME, &by, s->days, s->err,
                        s->cap) < 0)
        goto out;
    put_pair(text, CERTS_CA_KEY, CERTS_CA_CRT, &ca);
    put_pair(text, CERTS_SERVER_KEY, CERTS_SERVER_CRT, &server);
    put_pair(text, CERTS_CLIENT_KEY, CERTS_CLIENT_CRT, &client);
    r = certs_files_replace(&s->files, text, s->err, s->cap);
    if (r == 0)
        tell(s, CERTS_INFO,
             "made a CA, a server and a client certificate for the tunnel in %s, valid for %d "
             "days",
             s->files.dir, s->days);
out:
    certs_pair_free(&ca);
    certs_pair_free(&server);
    certs_pair_free(&client);
    X509_free(by.cert);
    EVP_PKEY_free(by.key);
    return r;
}

/* Reads the CA's certificate and key, which must belong together. Both stay those of the files,
 * which the caller frees whatever this returns. */
static int read_issuer(const struct certs *c, struct pem_file *crt, struct pem_file *key,
                       struct certs_issuer *by, char *err, size_t cap)
{
    memset(crt, 0, sizeof(*crt));
    memset(key, 0, sizeof(*key));
    if (pem_file_read_certs(crt, c->ca_crt, err, cap) < 0 ||
        pem_file_read_key(key, c->ca_key, err, cap) < 0)
        return -1;
    by->key = key->key;
    by->cert = pem_find_cert(crt->certs, by->key);
    if (by->cert)
        return 0;
    snprintf(err, cap,
             "%s: does not belong to the certificate in ca.crt; put the right key there, or take "
             "it away (nothing can be issued then)",
             c->ca_key);
    return -1;
}

/* Issues a server or client pair and puts it into the folder. */
static int issue_into(struct start *s, enum certs_role role, char *err, size_t cap)
{
    bool server = role == CERTS_ROLE_SERVER;
    struct str text[CERTS_FILE_COUNT] = {0};
    struct pem_file crt, key;
    struct certs_pair pair = {0};
    struct certs_issuer by;
    int r = -1;

    if (read_issuer(s->c, &crt, &key, &by, err, cap) == 0 &&
        certs_make_pair(&pair, role, server ? CERTS_SERVER_NAME : CERTS_CLIENT_NAME, &by, s->days,
                        err, cap) == 0) {
        put_pair(text, server ? CERTS_SERVER_KEY : CERTS_CLIENT_KEY,
                 server ? CERTS_SERVER_CRT : CERTS_CLIENT_CRT, &pair);
        r = certs_files_replace(&s->files, text, err, cap);
    }
    certs_pair_free(&pair);
    pem_file_free(&crt);
    pem_file_free(&key);
    return r;
}

/* A pair that is missing as a whole is issued again; half a pair is somebody's mistake. */
static int complete_pair(struct start *s, enum certs_role role, enum certs_file key,
                         enum certs_file crt)
{
    const bool *there = s->files.there;
    const char *dir = s->files.dir, *k = certs_file_name(key), *c = certs_file_name(crt);

    if (there[key] && there[crt])
        return 0;
    if (there[key] || there[crt])
        return fail(s,
                    "%s: %s is missing; put it back, or remove %s as well: with ca.key in the "
                    "folder the next start then issues both anew",
                    dir, there[key] ? c : k, there[key] ? k : c);
    if (!there[CERTS_CA_KEY])
        return fail(s,
                    "%s: %s and %s are missing, and without ca.key they cannot be issued; put them "
                    "or ca.key back, or move the folder away to have everything made anew (every "
                    "tunnel client then needs the new files)",
                    dir, k, c);
    if (issue_into(s, role, s->err, s->cap) < 0)
        return -1;
    tell(s, CERTS_INFO, "%s: %s and %s were missing and have been issued anew", dir, k, c);
    return 0;
}

static int complete(struct start *s)
{
    const bool *there = s->files.there;

    if (!there[CERTS_CA_CRT])
        return fail(s,
                    "%s: ca.crt is missing; put it back (every tunnel client has a copy), or move "
                    "the folder away to have everything made anew (every tunnel client then needs "
                    "the new files)",
                    s->files.dir);
    if (complete_pair(s, CERTS_ROLE_SERVER, CERTS_SERVER_KEY, CERTS_SERVER_CRT) < 0)
        return -1;
    return complete_pair(s, CERTS_ROLE_CLIENT, CERTS_CLIENT_KEY, CERTS_CLIENT_CRT);
}

/* Whether any of the certificates in `ca`, or an intermediate one beside leaf, signed leaf. The
 * chain as a whole is checked in each handshake; this finds files that were mixed up. */
static bool signed_by(X509 *leaf, const STACK_OF(X509) * ca, const STACK_OF(X509) * beside)
{
    const STACK_OF(X509) * stacks[] = {ca, beside};
    bool found = false;

    for (size_t j = 0; j < ARRAY_LEN(stacks); j++) {
        for (int i = 0; !found && i < sk_X509_num(stacks[j]); i++) {
            X509 *x = sk_X509_value(stacks[j], i);
            EVP_PKEY *pub = x == leaf ? NULL : X509_get0_pubkey(x);

            found = pub && X509_verify(leaf, pub) == 1;
        }
    }
    ERR_clear_error();
    return found;
}

/* Checks that the pair belongs together and to the CA, and says when it ends and for whom it is. */
static int check_pair(struct start *s, const char *key_path, const char *crt_path,
                      const STACK_OF(X509) * ca, int64_t *until, bool *named)
{
    struct pem_file key = {0}, crt = {0};
    int64_t from;
    X509 *leaf;
    int r = -1;

    if (pem_file_read_key(&key, key_path, s->err, s->cap) < 0 ||
        pem_file_read_certs(&crt, crt_path, s->err, s->cap) < 0)
        goto out;
    leaf = pem_find_cert(crt.certs, key.key);
    if (!leaf)
        fail(s,
             "%s: does not match the certificate in %s; put the right pair there, or remove both",
             key_path, crt_path);
    else if (!signed_by(leaf, ca, crt.certs))
        fail(s,
             "%s: is not signed by the CA in ca.crt; put the right pair there, or remove it with "
             "its key",
             crt_path);
    else if (pem_cert_times(leaf, &from, until) < 0)
        fail(s, "%s: the certificate's dates cannot be read", crt_path);
    else
        r = 0;
    if (r == 0)
        *named = X509_check_host(leaf, CERTS_SERVER_NAME, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
                                 NULL) == 1;
out:
    pem_file_free(&key);
    pem_file_free(&crt);
    return r;
}

/* A third of the validity when that is short, so that a new certificate is not "soon to end". */
static int64_t soon(const struct start *s)
{
    return MIN((int64_t)SOON_DAYS * DAY, (int64_t)s->days * DAY / 3);
}

/* Says that something ends, or has ended, and what to do. */
static void tell_end(struct start *s, const char *path, int64_t until, const char *remedy)
{
    char date[PEM_DATE_SIZE];

    tell(s, CERTS_WARNING, "%s: %s on %s; %s", path,
         until < (int64_t)time(NULL) ? "expired" : "expires", pem_date(until, date), remedy);
}

static void renew_server(struct start *s, int64_t until, int64_t issuer_until)
{
    int64_t now = (int64_t)time(NULL);
    char why[CERTS_TEXT_SIZE / 2], date[PEM_DATE_SIZE];

    if (until - now >= soon(s))
        return;
    if (!s->files.there[CERTS_CA_KEY]) {
        tell_end(s, s->c->server_crt, until, "put ca.key into the folder, or a new pair");
        return;
    }
    /* It cannot outlive its CA; when it lasts as long already, there is nothing to gain. */
    if (issuer_until - until < DAY) {
        tell_end(s, s->c->server_crt, until, "its CA ends with it, see there");
        return;
    }
    if (issue_into(s, CERTS_ROLE_SERVER, why, sizeof(why)) < 0)
        tell(s, CERTS_WARNING, "%s: expires on %s and cannot be renewed: %s", s->c->server_crt,
             pem_date(until, date), why);
    else
        tell(s, CERTS_INFO, "%s: renewed with its key for %d days (the old one: until %s)",
             s->c->server_crt, s->days, pem_date(until, date));
}

static void check_key_modes(struct start *s)
{
    const char *keys[] = {s->c->ca_key, s->c->server_key, s->c->client_key};
    struct stat st;

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (stat(keys[i], &st) == 0 && (st.st_mode & 077) != 0)
            tell(s, CERTS_WARNING, "%s: others than the owner may read it (mode %04o); chmod 600",
                 keys[i], (unsigned)(st.st_mode & 07777));
}

/* The last end of all CA certificates in the file: until then somebody is let in. */
static int ca_end(const STACK_OF(X509) * ca, int64_t *until)
{
    int64_t from, end;

    *until = INT64_MIN;
    for (int i = 0; i < sk_X509_num(ca); i++) {
        if (pem_cert_times(sk_X509_value(ca, i), &from, &end) < 0)
            return -1;
        *until = MAX(*until, end);
    }
    return 0;
}

static int check(struct start *s)
{
    struct pem_file ca = {0}, ca_key = {0}, crt = {0};
    struct certs_issuer by;
    int64_t from, ca_until, issuer_until, server_until, client_until, now = (int64_t)time(NULL);
    bool named, ignored;
    int r = -1;

    if (pem_file_read_certs(&ca, s->c->ca_crt, s->err, s->cap) < 0)
        return -1;
    if (s->files.there[CERTS_CA_KEY] && read_issuer(s->c, &crt, &ca_key, &by, s->err, s->cap) < 0)
        goto out;
    issuer_until = INT64_MIN;
    if (ca_end(ca.certs, &ca_until) < 0 ||
        (ca_key.key && pem_cert_times(by.cert, &from, &issuer_until) < 0)) {
        fail(s, "%s: the certificate's dates cannot be read", s->c->ca_crt);
        goto out;
    }
    if (ca_until < now) {
        char date[PEM_DATE_SIZE], today[PEM_DATE_SIZE];

        fail(s,
             "%s: the CA expired on %s, so no client can connect (is the clock right? it says %s); "
             "move the folder %s away to have everything made anew (every tunnel client then needs "
             "the new files)",
             s->c->ca_crt, pem_date(ca_until, date), pem_date(now, today), s->files.dir);
        goto out;
    }
    if (check_pair(s, s->c->server_key, s->c->server_crt, ca.certs, &server_until, &named) < 0 ||
        check_pair(s, s->c->client_key, s->c->client_crt, ca.certs, &client_until, &ignored) < 0)
        goto out;
    if (!named)
        tell(s, CERTS_WARNING, "%s: is not for the name %s, which tunnel clients expect",
             s->c->server_crt, CERTS_SERVER_NAME);
    if (ca_until - now < soon(s))
        tell_end(s, s->c->ca_crt, ca_until,
                 "then every client is refused: move the folder away in time, to have everything "
                 "made anew, and give the new files to every tunnel client");
    renew_server(s, server_until, issuer_until);
    if (client_until - now < soon(s))
        tell_end(s, s->c->client_crt, client_until,
                 "remove it with client.key to have a new pair issued at the next start, and copy "
                 "that to the Docker hosts");
    check_key_modes(s);
    if (!s->files.there[CERTS_CA_KEY])
        tell(s, CERTS_INFO, "%s: ca.key is not there, so no certificate can be issued or renewed",
             s->files.dir);
    r = 0;
out:
    pem_file_free(&ca);
    pem_file_free(&crt);
    pem_file_free(&ca_key);
    return r;
}

static void set_paths(struct certs *c, const char *dir)
{
    char *const paths[CERTS_FILE_COUNT] = {
        [CERTS_CA_KEY] = c->ca_key,         [CERTS_CA_CRT] = c->ca_crt,
        [CERTS_SERVER_KEY] = c->server_key, [CERTS_SERVER_CRT] = c->server_crt,
        [CERTS_CLIENT_KEY] = c->client_key, [CERTS_CLIENT_CRT] = c->client_crt,
    };

    memset(c, 0, sizeof(*c));
    for (int f = 0; f < CERTS_FILE_COUNT; f++)
        snprintf(paths[f], CERTS_PATH_SIZE, "%s/%s", dir, certs_file_name((enum certs_file)f));
}

int certs_open(struct certs *c, const char *certs_dir, int days, certs_log_fn *log, void *arg,
               char *err, size_t cap)
{
    struct start s = {.c = c, .days = days, .log = log, .arg = arg, .err = err, .cap = cap};
    bool any = false;
    int r;

    if (days < 1 || days > CERTS_DAYS_MAX)
        return fail(&s, "HP_FRP_CERT_VALIDITY_DAYS must be 1 to %d, it is %d", CERTS_DAYS_MAX,
                    days);
    if (certs_files_open(&s.files, certs_dir, err, cap) < 0)
        return -1;
    set_paths(c, s.files.dir);
    for (int f = 0; f < CERTS_FILE_COUNT; f++)
        any = any || s.files.there[f];
    r = any ? complete(&s) : make_all(&s);
    if (r == 0)
        r = check(&s);
    c->can_issue = r == 0 && s.files.there[CERTS_CA_KEY];
    certs_files_close(&s.files);
    return r;
}

int certs_issue_client(const struct certs *c, const char *cn, int days, struct certs_pair *pair,
                       char *err, size_t cap)
{
    struct pem_file crt, key;
    struct certs_issuer by;
    int r = -1;

    memset(pair, 0, sizeof(*pair));
    if (read_issuer(c, &crt, &key, &by, err, cap) == 0)
        r = certs_make_pair(pair, CERTS_ROLE_CLIENT, cn, &by, days, err, cap);
    pem_file_free(&crt);
    pem_file_free(&key);
    return r;
}
