/* command_certificate.c - harp-hub engines certificate: files for a Docker host's tunnel client, with
 * which its engine's port can be opened even where the shared key is not taken at the tunnel port. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/tunnel/certs.h"
#include "hub/command/command_impl.h"
#include "hub/tunnel/tunnel_identity.h"

enum { CA_MAX = 64 * 1024 };

static void tell(void *arg, enum certs_level level, const char *text)
{
    if (level == CERTS_WARNING) {
        fprintf(arg, "harp-hub: %s\n", text);
    }
}

static bool name_valid(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n + strlen(TUNNEL_ENGINE_CERTIFICATE) <= CERTS_CN_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == n;
}

/* A file that is there already is left alone: it may be in use somewhere. */
static int write_file(int dir, const char *folder, const char *name, mode_t mode, struct str text,
                      FILE *err)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    size_t done = 0;
    while (fd >= 0 && done < text.n) {
        ssize_t k = write(fd, text.p + done, text.n - done);
        if (k <= 0) {
            break;
        }
        done += (size_t)k;
    }
    if (fd < 0 || (close(fd) | (done < text.n)) != 0) {
        fprintf(err, "harp-hub: %s/%s can't be written: %s\n", folder, name, strerror(errno));
        return -1;
    }
    return 0;
}

static char *read_ca(const char *path, size_t *n, FILE *err)
{
    FILE *f = fopen(path, "re");
    char *text = xmalloc(CA_MAX);
    *n = f ? fread(text, 1, CA_MAX, f) : 0;
    if (f) {
        fclose(f);
    }
    if (*n == 0 || *n == CA_MAX) {
        fprintf(err, "harp-hub: %s can't be read\n", path);
        free(text);
        return NULL;
    }
    return text;
}

static int write_all(const struct certs *certs, const struct certs_pair *pair, const char *folder,
                     FILE *err)
{
    size_t n;
    int rc = -1;
    char *ca = read_ca(certs->ca_crt, &n, err);
    if (mkdir(folder, 0700) < 0 && errno != EEXIST) {
        fprintf(err, "harp-hub: the folder %s can't be made: %s\n", folder, strerror(errno));
        free(ca);
        return -1;
    }
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        fprintf(err, "harp-hub: the folder %s can't be opened: %s\n", folder, strerror(errno));
    } else if (ca &&
               write_file(dir, folder, "client.key", 0600, (struct str){pair->key, pair->key_len},
                          err) == 0 &&
               write_file(dir, folder, "client.crt", 0644, (struct str){pair->cert, pair->cert_len},
                          err) == 0 &&
               write_file(dir, folder, "ca.crt", 0644, (struct str){ca, n}, err) == 0) {
        rc = 0;
    }
    if (dir >= 0) {
        close(dir);
    }
    free(ca);
    return rc;
}

int command_engines_certificate(const struct hub_settings *set, const char *name,
                                const char *folder, FILE *out, FILE *err)
{
    struct certs certs;
    struct certs_pair pair = {0};
    char cn[CERTS_CN_MAX + 1], why[CERTS_TEXT_SIZE];
    int days = (int)set->frp_cert_validity_days, rc = -1;
    if (!name_valid(name)) {
        fprintf(err,
                "harp-hub: engines certificate: a name is made of at most %zu letters, digits "
                "and . - _\n",
                CERTS_CN_MAX - strlen(TUNNEL_ENGINE_CERTIFICATE));
        return EXIT_CODE_USAGE;
    }
    snprintf(cn, sizeof(cn), "%s%s", TUNNEL_ENGINE_CERTIFICATE, name);
    if (certs_open(&certs, set->certs_dir, days, tell, err, why, sizeof(why)) < 0 ||
        certs_issue_client(&certs, cn, days, &pair, why, sizeof(why)) < 0) {
        fprintf(err, "harp-hub: %s\n", why);
    } else {
        rc = write_all(&certs, &pair, folder, err);
    }
    certs_pair_free(&pair);
    if (rc < 0) {
        return EXIT_CODE_SETTINGS;
    }
    fprintf(out,
            "ca.crt, client.crt and client.key for the Docker host %s are in %s: copy them there, "
            "and keep client.key secret\n",
            name, folder);
    return EXIT_CODE_OK;
}
