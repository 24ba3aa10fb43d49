#include "socket-filter/audit/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"

static int fail(const char *name, FILE *err)
{
    fprintf(err, "%s: %s\n", name, strerror(errno));
    return -1;
}

int audit_file_open(const char *name, FILE *err)
{
    struct stat st;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        return fail(name, err);
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        fprintf(err, "%s: no regular file\n", name);
        close(fd);
        return -1;
    }
    return fd;
}

static int add(struct audit_files *f, char *name, FILE *err)
{
    const char *slash = strrchr(name, '/');

    if (f->n == AUDIT_FILES_MAX) {
        fprintf(err, "more than %d files\n", AUDIT_FILES_MAX);
        free(name);
        return -1;
    }
    if ((f->n & (f->n - 1)) == 0) { /* room for 1, 2, 4, ... */
        struct audit_file *grown = xcalloc(f->n ? f->n * 2 : 1, sizeof(*grown));
        if (f->n > 0) {
            memcpy(grown, f->p, f->n * sizeof(*grown));
        }
        free(f->p);
        f->p = grown;
    }
    f->p[f->n++] =
        (struct audit_file){.name = name, .by_name = audit_segment_first(slash ? slash + 1 : name)};
    return 0;
}

/* ---- folders ---- */

struct listing {
    struct audit_files *files;
    uint64_t last; /* the newest that is looked at */
    FILE *err;
};

static int note_last(void *arg, const char *name UNUSED, uint64_t first)
{
    struct listing *l = arg;

    l->last = MAX(l->last, first);
    return 0;
}

static int add_segment(void *arg, const char *name, uint64_t first)
{
    struct listing *l = arg;
    if (first > l->last) {
        return 0;
    }
    size_t size = strlen(l->files->folder) + 1 + strlen(name) + 1;
    char *path = xmalloc(size);

    snprintf(path, size, "%s/%s", l->files->folder, name);
    return add(l->files, path, l->err) < 0 ? 1 : 0;
}

/* Read before the segments are: what is in it stays true while more is written. */
static int read_head(struct audit_files *f, int folder, FILE *err)
{
    int fd = openat(folder, AUDIT_HEAD_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0) {
        f->headless = errno == ENOENT;
        return f->headless ? 0 : fail(AUDIT_HEAD_NAME, err);
    }
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    f->live = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    f->head_rc = audit_head_read(fd, &f->head);
    int rc = f->head_rc < 0 && errno != 0 ? fail(AUDIT_HEAD_NAME, err) : 0;
    close(fd);
    return rc;
}

static int add_folder(struct audit_files *f, const char *path, int folder, FILE *err)
{
    struct listing listing = {.files = f, .err = err};

    if (f->folder) {
        fprintf(err, "%s: only one folder can be looked at\n", path);
        return -1;
    }
    f->folder = xstrndup(path, strlen(path));
    if (read_head(f, folder, err) < 0) {
        return -1;
    }
    /* While segments are made, one reading of a folder may give a newer one and not an older one. Those that
     * were there before the second reading began are all in it. */
    int rc = audit_segments(folder, note_last, &listing);
    if (rc == 0) {
        rc = audit_segments(folder, add_segment, &listing);
    }
    return rc < 0 ? fail(path, err) : -rc;
}

/* ---- their order ---- */

static int read_first(struct audit_file *file, struct audit_reader *r, FILE *err)
{
    struct str line;
    struct audit_line parts;
    int fd = audit_file_open(file->name, err);

    if (fd < 0) {
        return -1;
    }
    audit_reader_init(r, fd);
    enum audit_read got = audit_reader_next(r, &line);
    int rc = got == AUDIT_READ_FAILED ? fail(file->name, err) : 0;
    close(fd);
    /* Where the record can't be read, the name says where the file belongs. */
    file->first = got == AUDIT_READ_LINE && audit_line_split(line, &parts) == 0 ? parts.link.seq
                                                                                : file->by_name;
    return rc;
}

static int compare(const void *a, const void *b)
{
    const struct audit_file *x = a, *y = b;

    if (x->first != y->first) {
        return x->first < y->first ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

int audit_files_open(struct audit_files *f, const char *const *words, size_t n, FILE *err)
{
    *f = (struct audit_files){0};
    for (size_t i = 0; i < n; i++) {
        int fd = open(words[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int rc;
        if (fd >= 0) {
            rc = add_folder(f, words[i], fd, err);
            close(fd);
        } else if (errno == ENOTDIR) {
            rc = add(f, xstrndup(words[i], strlen(words[i])), err);
        } else {
            rc = fail(words[i], err);
        }
        if (rc < 0) {
            return -1;
        }
    }
    struct audit_reader *r = xmalloc(sizeof(*r));
    int rc = 0;
    for (size_t i = 0; i < f->n && rc == 0; i++) {
        rc = read_first(&f->p[i], r, err);
    }
    free(r);
    if (rc == 0 && f->n > 1) {
        qsort(f->p, f->n, sizeof(*f->p), compare);
    }
    return rc;
}

void audit_files_free(struct audit_files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->p[i].name);
    }
    free(f->p);
    free(f->folder);
    *f = (struct audit_files){0};
}
