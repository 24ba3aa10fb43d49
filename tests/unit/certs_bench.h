/* certs_bench.h - what the tests of the tunnel's certificates work on: an empty folder of the test's
 * own, hub/tunnel/certs.h opened in it, and what it told.
 *
 * The bench belongs to the fixture: bench_set_up makes it and its folder, bench_tear_down frees it and
 * removes all files. A file that cannot be used as asked fails the running test.
 */
#ifndef HARP_UNIT_CERTS_BENCH_H
#define HARP_UNIT_CERTS_BENCH_H

#include "hub/tunnel/certs.h"
#include "hub/tunnel/certs_files.h"

enum { BENCH_FILE_MAX = 8192 };

struct bench {
    char base[64]; /* the certificates are in base/frp */
    char err[CERTS_TEXT_SIZE];
    char told[4096]; /* since the last opening, a line each */
    int warnings;    /* how many of them were warnings */
    struct certs c;
};

/* Fixture functions of cmocka; *state is the bench. */
int bench_set_up(void **state);
int bench_tear_down(void **state);

/* Opens the folder; certs_open's result. */
int bench_open_days(struct bench *b, int days) MUST_CHECK;
void bench_must_open(struct bench *b);
/* The error has these words and names the folder. */
void bench_must_refuse(struct bench *b, const char *says);
void bench_assert_told(const struct bench *b, const char *words);

/* A file of the certificate folder. Four results are kept. */
const char *bench_path(const struct bench *b, const char *name);
/* The whole file, which is not empty, as a string. */
void bench_slurp(const char *path, char out[BENCH_FILE_MAX]);
void bench_spill(const char *path, const char *text);
/* Runs the script in the certificate folder, which is made for it; whether it ended with 0. */
bool bench_shell(const struct bench *b, const char *script) MUST_CHECK;

/* All that the folder holds. */
struct bench_six {
    char text[CERTS_FILE_COUNT][BENCH_FILE_MAX];
};

void bench_snapshot(const struct bench *b, struct bench_six *s);
/* The two files named differ, the others are the same. -1: none. */
void bench_assert_same_but(const struct bench_six *a, const struct bench_six *b, int but1,
                           int but2);
void bench_assert_nothing_left_over(const struct bench *b);
/* The folder serves the tunnel: contexts of both sides can be built from it. */
void bench_assert_usable(const struct bench *b);

#endif
