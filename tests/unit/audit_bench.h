/* audit_bench.h - a folder for a record, files in it to be spoilt, and commands whose output is kept. */
#ifndef HARP_TESTS_AUDIT_BENCH_H
#define HARP_TESTS_AUDIT_BENCH_H

#include "common/loop/loop.h"
#include "socket-filter/audit/audit.h"
#include "socket-filter/audit/segment.h"

struct abench {
    char folder[64];
    struct loop loop;
    struct audit_settings settings;
    char err[512];  /* of audit_open */
    char out[8192]; /* of abench_command */
    char told[4096];
};

/* For cmocka: *state is a struct abench with an empty folder, and segments that never fill. */
int abench_setup(void **state);
int abench_teardown(void **state);

struct audit *abench_open(struct abench *b);
/* Opens, writes n decisions about the objects x1, x2, ..., and closes. */
void abench_fill(struct abench *b, unsigned n);
void abench_write(struct audit *a, unsigned n);

/* A path in the folder; valid until the fourth next call. */
const char *abench_path(const struct abench *b, const char *name);
const char *abench_segment(const struct abench *b, uint64_t first);
/* The segments' first numbers in order; returns how many there are (at most max). */
size_t abench_segments(struct abench *b, uint64_t *firsts, size_t max);

/* The whole file, NUL-terminated, to be freed. */
char *abench_read(const char *path, size_t *n);
void abench_put(const char *path, const char *p, size_t n);
/* Line `number`, from 1: where it begins, and its length with the newline. */
char *abench_line(char *text, unsigned number, size_t *n);

/* Runs audit_command with these words (NULL at the end); its exit code. */
int abench_command(struct abench *b, ...) __attribute__((sentinel));
int abench_verify(struct abench *b);

#endif
