#include "tests/unit/audit_bench.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "socket-filter/audit/audit_command.h"

int abench_setup(void **state)
{
    struct abench *b = xcalloc(1, sizeof(*b));
    snprintf(b->folder, sizeof(b->folder), "/tmp/harp-audit-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    assert_int_equal(loop_init(&b->loop, NULL), 0);
    b->settings = (struct audit_settings){
        .folder = b->folder, .segment_size = 1 << 20, .sync = AUDIT_SYNC_NEVER};
    *state = b;
    return 0;
}

int abench_teardown(void **state)
{
    struct abench *b = *state;
    DIR *dir = opendir(b->folder);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] != '.') {
            unlink(abench_path(b, entry->d_name));
        }
    }
    closedir(dir);
    rmdir(b->folder);
    loop_free(&b->loop);
    free(b);
    return 0;
}

struct audit *abench_open(struct abench *b)
{
    b->err[0] = '\0';
    return audit_open(&b->loop, NULL, &b->settings, b->err, sizeof(b->err));
}

void abench_write(struct audit *a, unsigned n)
{
    for (unsigned i = 1; i <= n; i++) {
        char object[32];
        snprintf(object, sizeof(object), "x%u", i);
        struct audit_record record = {
            .connection = i,
            .client = "127.0.0.1",
            .policy = "p",
            .method = "GET",
            .call = "containers/json",
            .object = str_of(object),
            .verdict = i % 2 ? AUDIT_PASSED : AUDIT_REFUSED,
            .why = i % 2 ? NULL : "it is not granted",
        };
        assert_int_equal(audit_write(a, &record), 0);
    }
}

void abench_fill(struct abench *b, unsigned n)
{
    struct audit *a = abench_open(b);
    if (!a) {
        fail_msg("%s", b->err);
    }
    abench_write(a, n);
    audit_close(a);
}

const char *abench_path(const struct abench *b, const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", b->folder, name);
    return path;
}

const char *abench_segment(const struct abench *b, uint64_t first)
{
    char name[AUDIT_NAME_SIZE];
    audit_segment_name(first, name);
    return abench_path(b, name);
}

struct firsts {
    uint64_t *p;
    size_t n, max;
};

static int note(void *arg, const char *name, uint64_t first)
{
    struct firsts *f = arg;
    (void)name;
    assert_true(f->n < f->max);
    f->p[f->n++] = first;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

size_t abench_segments(struct abench *b, uint64_t *firsts, size_t max)
{
    struct firsts f = {firsts, 0, max};
    int folder = open(b->folder, O_RDONLY | O_DIRECTORY);
    assert_int_equal(audit_segments(folder, note, &f), 0);
    close(folder);
    qsort(firsts, f.n, sizeof(*firsts), by_number);
    return f.n;
}

char *abench_read(const char *path, size_t *n)
{
    FILE *file = fopen(path, "rb");
    char *text = xmalloc(4 << 20);
    assert_non_null(file);
    *n = fread(text, 1, (4 << 20) - 1, file);
    text[*n] = '\0';
    fclose(file);
    return text;
}

void abench_put(const char *path, const char *p, size_t n)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(p, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

char *abench_line(char *text, unsigned number, size_t *n)
{
    char *at = text;
    while (--number > 0) {
        at = strchr(at, '\n');
        assert_non_null(at);
        at++;
    }
    const char *end = strchr(at, '\n');
    assert_non_null(end);
    *n = (size_t)(end - at) + 1;
    return at;
}

int abench_command(struct abench *b, ...)
{
    const char *words[16];
    int n = 0;
    va_list ap;
    va_start(ap, b);
    while ((words[n] = va_arg(ap, const char *))) {
        n++;
    }
    va_end(ap);
    memset(b->out, 0, sizeof(b->out));
    memset(b->told, 0, sizeof(b->told));
    FILE *out = fmemopen(b->out, sizeof(b->out) - 1, "w");
    FILE *err = fmemopen(b->told, sizeof(b->told) - 1, "w");
    int rc = audit_command(n, words, out, err);
    fclose(out);
    fclose(err);
    return rc;
}

int abench_verify(struct abench *b)
{
    return abench_command(b, "verify", b->folder, NULL);
}
