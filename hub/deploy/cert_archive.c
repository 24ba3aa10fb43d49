#include "hub/deploy/cert_archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/crypto/secret.h"

enum { BLOCK = 512, NAME_MAX_LEN = 99 };

const char cert_archive_frp_folder[] = "/certs/frp";

/* ---- systems ---- */

static bool word_in(struct str list, const char *word)
{
    size_t n = strlen(word), i = 0;
    while (i < list.n) {
        size_t from = i;
        while (i < list.n && list.p[i] != ' ') {
            i++;
        }
        if (i - from == n && strncasecmp(list.p + from, word, n) == 0) {
            return true;
        }
        i++;
    }
    return false;
}

static enum os_family family_of_ids(struct str ids)
{
    static const struct {
        const char *id;
        enum os_family family;
    } known[] = {
        {"debian", OS_DEBIAN}, {"ubuntu", OS_DEBIAN},    {"alpine", OS_DEBIAN},
        {"rhel", OS_FEDORA},   {"centos", OS_FEDORA},    {"fedora", OS_FEDORA},
        {"rocky", OS_FEDORA},  {"almalinux", OS_FEDORA},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (word_in(ids, known[i].id)) {
            return known[i].family;
        }
    }
    return OS_OTHER;
}

/* KEY=value or KEY="value" at the line's beginning. */
static bool line_value(struct str line, const char *key, struct str *value)
{
    size_t n = strlen(key);
    if (line.n <= n || memcmp(line.p, key, n) != 0) {
        return false;
    }
    *value = (struct str){line.p + n, line.n - n};
    while (value->n > 0 && (value->p[value->n - 1] == '\r' || value->p[value->n - 1] == ' ')) {
        value->n--;
    }
    if (value->n >= 2 && (*value->p == '"' || *value->p == '\'') &&
        value->p[value->n - 1] == *value->p) {
        *value = (struct str){value->p + 1, value->n - 2};
    }
    return true;
}

enum os_family os_family_of(struct str text)
{
    enum os_family by_id = OS_OTHER, by_like = OS_OTHER;
    while (text.n > 0) {
        const char *nl = memchr(text.p, '\n', text.n);
        struct str line = {text.p, nl ? (size_t)(nl - text.p) : text.n}, value;
        if (line_value(line, "ID=", &value)) {
            by_id = family_of_ids(value);
        } else if (line_value(line, "ID_LIKE=", &value)) {
            by_like = family_of_ids(value);
        }
        size_t used = MIN(line.n + 1, text.n);
        text = (struct str){text.p + used, text.n - used};
    }
    return by_id != OS_OTHER ? by_id : by_like;
}

const char *os_family_folder(enum os_family family)
{
    static const char *const folders[] = {
        [OS_OTHER] = NULL,
        [OS_DEBIAN] = "/usr/local/share/ca-certificates",
        [OS_FEDORA] = "/etc/pki/ca-trust/source/anchors",
    };
    return folders[family];
}

const char *const *os_family_refresh(enum os_family family)
{
    static const char *const debian[] = {"update-ca-certificates", NULL};
    static const char *const fedora[] = {"update-ca-trust", "extract", NULL};
    return family == OS_DEBIAN ? debian : family == OS_FEDORA ? fedora : NULL;
}

/* ---- tar ---- */

struct writer {
    char *p;
    size_t n, cap;
    time_t now;
};

/* Makes room; what was there is moved and wiped, as keys are in it. */
static char *room(struct writer *w, size_t n)
{
    if (w->cap - w->n < n) {
        size_t cap = MAX(w->cap * 2, w->n + n);
        char *p = xcalloc(1, cap);
        if (w->p) {
            memcpy(p, w->p, w->n);
            secret_wipe(w->p, w->cap);
            free(w->p);
        }
        w->p = p;
        w->cap = cap;
    }
    char *at = w->p + w->n;
    memset(at, 0, n);
    w->n += n;
    return at;
}

/* The fields of a ustar header: offset and size of each, with the NUL at its end. */
static void put_octal(char *header, size_t at, size_t size, uint64_t value)
{
    for (size_t i = size - 1; i > 0; i--, value >>= 3) {
        header[at + i - 1] = (char)('0' + (value & 7));
    }
}

static void put_header(struct writer *w, const char *name, char type, unsigned mode, size_t size)
{
    char *h = room(w, BLOCK);
    unsigned sum = 0;
    snprintf(h, NAME_MAX_LEN + 1, "%s", name);
    put_octal(h, 100, 8, mode);
    put_octal(h, 108, 8, 0); /* uid */
    put_octal(h, 116, 8, 0); /* gid */
    put_octal(h, 124, 12, size);
    put_octal(h, 136, 12, (uint64_t)w->now);
    memset(h + 148, ' ', 8); /* the checksum counts as blanks */
    h[156] = type;
    snprintf(h + 257, 6, "ustar");
    h[263] = h[264] = '0'; /* its version */
    for (size_t i = 0; i < BLOCK; i++) {
        sum += (unsigned char)h[i];
    }
    snprintf(h + 148, 7, "%06o", sum);
}

static void put_file(struct writer *w, const char *folder, const char *name, struct str content)
{
    char path[NAME_MAX_LEN + 1];
    snprintf(path, sizeof(path), "%s/%s", folder + 1, name);
    put_header(w, path, '0', 0644, content.n);
    if (content.n > 0) {
        memcpy(room(w, (content.n + BLOCK - 1) / BLOCK * BLOCK), content.p, content.n);
    }
}

/* All of them, from the first below the root. */
static void put_folders(struct writer *w, const char *folder)
{
    char path[NAME_MAX_LEN + 1];
    for (const char *slash = strchr(folder + 1, '/');; slash = strchr(slash + 1, '/')) {
        size_t n = slash ? (size_t)(slash - folder) : strlen(folder);
        snprintf(path, sizeof(path), "%.*s/", (int)n - 1, folder + 1);
        put_header(w, path, '5', 0755, 0);
        if (!slash) {
            break;
        }
    }
}

static struct writer begin(const char *folder, bool folders)
{
    struct writer w = {.now = time(NULL)};
    if (folders) {
        put_folders(&w, folder);
    }
    return w;
}

static void end(struct writer *w, struct cert_archive *a)
{
    room(w, 2 * (size_t)BLOCK);
    *a = (struct cert_archive){w->p, w->n};
}

void cert_archive_free(struct cert_archive *a)
{
    if (a->p) {
        secret_wipe(a->p, a->n);
        free(a->p);
    }
    *a = (struct cert_archive){0};
}

/* ---- what is put in ---- */

static const char *find(const char *p, const char *end, struct str mark)
{
    return p < end ? memmem(p, (size_t)(end - p), mark.p, mark.n) : NULL;
}

/* The next certificate of the bundle, its marks included. One that has no end before another begins is
 * left out: its file would spoil those that a system joins it with. */
static bool next_cert(struct str *rest, struct str *cert)
{
    static const struct str first = {"-----BEGIN CERTIFICATE-----", 27};
    static const struct str last = {"-----END CERTIFICATE-----", 25};
    const char *end = rest->n > 0 ? rest->p + rest->n : rest->p;
    const char *from = find(rest->p, end, first), *again = from, *to = NULL;
    while (again) {
        from = again;
        const char *body = from + first.n;
        if (!to || to < body) {
            to = find(body, end, last);
        }
        if (!to) {
            return false;
        }
        /* One that begins before `to`, even if it should end behind it. */
        again = find(from + 1, to + MIN(first.n - 1, (size_t)(end - to)), first);
    }
    if (!from) {
        return false;
    }
    to += last.n;
    *cert = (struct str){from, (size_t)(to - from)};
    *rest = (struct str){to, (size_t)(end - to)};
    return true;
}

int cert_archive_bundle(struct cert_archive *a, struct str bundle, enum os_family family,
                        bool folders)
{
    const char *folder = os_family_folder(family);
    struct str cert;
    int count = 0;
    *a = (struct cert_archive){0};
    if (!folder) {
        return 0;
    }
    struct writer w = begin(folder, folders);
    while (next_cert(&bundle, &cert)) {
        char name[32];
        if (count == CERT_ARCHIVE_MAX) {
            free(w.p);
            return -1;
        }
        snprintf(name, sizeof(name), "custom_ca_cert_%d.crt", count++);
        /* With an end of line: some tools join such files without looking. */
        char *text = xmalloc(cert.n + 1);
        memcpy(text, cert.p, cert.n);
        text[cert.n] = '\n';
        put_file(&w, folder, name, (struct str){text, cert.n + 1});
        free(text);
    }
    end(&w, a);
    return count;
}

void cert_archive_frp(struct cert_archive *a, struct str ca, struct str cert, struct str key,
                      bool folders)
{
    struct writer w = begin(cert_archive_frp_folder, folders);
    put_file(&w, cert_archive_frp_folder, "ca.crt", ca);
    put_file(&w, cert_archive_frp_folder, "client.crt", cert);
    put_file(&w, cert_archive_frp_folder, "client.key", key);
    end(&w, a);
}
