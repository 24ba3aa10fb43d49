/* cert_archive.h - certificates as a tar archive that a Docker engine unpacks in a container
 * (`PUT /containers/{id}/archive?path=/`).
 *
 * Pure. Archives come from malloc and belong to the caller; private keys may be in them, so it wipes
 * them. The format is POSIX ustar (IEEE Std 1003.1, pax): regular files of mode 0644 that belong to
 * root, and where wanted the folders that lead to them; nothing that the gate would not let through.
 */
#ifndef HARP_HUB_CERT_ARCHIVE_H
#define HARP_HUB_CERT_ARCHIVE_H

#include "common/base/base.h"

enum { CERT_ARCHIVE_MAX = 1000 }; /* certificates in one bundle */

/* How an image's system takes in CA certificates. */
enum os_family {
    OS_OTHER,  /* not known: they are left out */
    OS_DEBIAN, /* Debian, Ubuntu, Alpine: update-ca-certificates */
    OS_FEDORA, /* CentOS, Alma, RHEL, Fedora: update-ca-trust extract */
};

/* By ID and ID_LIKE of /etc/os-release (os-release(5)). */
enum os_family os_family_of(struct str os_release);
/* Where its certificates go: an absolute path without a slash at its end; NULL of OS_OTHER. */
const char *os_family_folder(enum os_family family);
/* What takes them in: arguments, ended by NULL; NULL of OS_OTHER. */
const char *const *os_family_refresh(enum os_family family);

/* Where ExApps' start scripts look for the tunnel's files. */
extern const char cert_archive_frp_folder[];

struct cert_archive {
    char *p;
    size_t n;
};

/* Each certificate of the PEM bundle becomes a file in the family's folder; one that has no end before
 * another begins is left out. Returns how many there are; 0: the archive, which may be NULL, has no files;
 * -1: more than CERT_ARCHIVE_MAX. */
int cert_archive_bundle(struct cert_archive *a, struct str bundle, enum os_family family,
                        bool folders) MUST_CHECK;
/* ca.crt, client.crt and client.key. */
void cert_archive_frp(struct cert_archive *a, struct str ca, struct str cert, struct str key,
                      bool folders);
void cert_archive_free(struct cert_archive *a);

#endif
