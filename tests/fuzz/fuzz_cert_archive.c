/* Certificates as archives: of any bundle each one is well formed by the reader of the unit tests, its
 * members lie in the family's folder, and each file is one certificate that stands in the bundle, in its
 * order. The text is also read as an os-release; the tunnel's files are made of its parts.
 *
 * The first byte chooses family and folders. */
#include <stdio.h>
#include <stdlib.h>

#include "hub/deploy/cert_archive.h"
#include "tests/unit/tar_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth) {
        abort();
    }
}

static const char begin[] = "-----BEGIN CERTIFICATE-----";
static const char end[] = "-----END CERTIFICATE-----\n";

static size_t count_of(struct str s, const char *word, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i + n <= s.n; i++) {
        count += memcmp(s.p + i, word, n) == 0;
    }
    return count;
}

/* Moves *rest behind the certificate, which must be in it. */
static void check_cert(struct str content, struct str *rest)
{
    size_t b = sizeof(begin) - 1, e = sizeof(end) - 1;
    must(content.n >= b + e && memcmp(content.p, begin, b) == 0);
    must(memcmp(content.p + content.n - e, end, e) == 0);
    must(count_of(content, begin, b) == 1); /* its own */
    must(count_of((struct str){content.p + b, content.n - b}, end, e - 1) == 1);
    char *at = memmem(rest->p, rest->n, content.p, content.n - 1);
    must(at != NULL);
    size_t used = (size_t)(at - rest->p) + content.n - 1;
    *rest = (struct str){rest->p + used, rest->n - used};
}

/* Reads the folders that lead to `folder`, if they must be there. */
static void check_folders(struct tar_reader *t, const char *folder, bool there)
{
    const char *why;
    struct tar_member m;
    for (const char *slash = strchr(folder + 1, '/'); there; slash = strchr(slash + 1, '/')) {
        size_t n = slash ? (size_t)(slash - folder) : strlen(folder);
        must(tar_next(t, &m, &why) == 1 && m.folder && m.mode == 0755);
        must(strlen(m.name) == n && memcmp(m.name, folder + 1, n - 1) == 0);
        if (!slash) {
            break;
        }
    }
}

static void check_file(struct tar_reader *t, struct tar_member *m, const char *path)
{
    const char *why;
    must(tar_next(t, m, &why) == 1 && !m->folder && m->mode == 0644);
    must(strcmp(m->name, path) == 0);
}

static void check_bundle(struct str bundle, enum os_family family, bool folders)
{
    struct cert_archive a;
    const char *folder = os_family_folder(family), *why;
    struct tar_member m;
    struct str rest = bundle;
    char path[128];
    int n = cert_archive_bundle(&a, bundle, family, folders);
    must(n >= -1 && n <= CERT_ARCHIVE_MAX && (folder || n == 0));
    if (n < 0 || !folder) {
        must(!a.p && a.n == 0);
        return;
    }
    struct tar_reader t = {(const unsigned char *)a.p, a.n, 0};
    check_folders(&t, folder, folders);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/custom_ca_cert_%d.crt", folder + 1, i);
        check_file(&t, &m, path);
        check_cert(m.content, &rest);
    }
    must(tar_next(&t, &m, &why) == 0);
    cert_archive_free(&a);
    must(!a.p);
}

static void check_frp(struct str text, bool folders)
{
    static const char *const names[] = {"certs/frp/ca.crt", "certs/frp/client.crt",
                                        "certs/frp/client.key"};
    struct str parts[3] = {{text.p, text.n / 3}, {text.p, text.n / 2}, text};
    struct cert_archive a;
    struct tar_member m;
    const char *why;
    cert_archive_frp(&a, parts[0], parts[1], parts[2], folders);
    struct tar_reader t = {(const unsigned char *)a.p, a.n, 0};
    check_folders(&t, cert_archive_frp_folder, folders);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        check_file(&t, &m, names[i]);
        must(str_eq(m.content, parts[i]));
    }
    must(tar_next(&t, &m, &why) == 0);
    cert_archive_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    char *copy = malloc(size);
    struct str text = {copy, size - 1};
    memcpy(copy, data + 1, size - 1);
    check_bundle(text, (enum os_family)(data[0] % 3), data[0] & 128);
    check_frp(text, data[0] & 128);
    enum os_family family = os_family_of(text);
    must((os_family_folder(family) == NULL) == (os_family_refresh(family) == NULL));
    free(copy);
    return 0;
}
