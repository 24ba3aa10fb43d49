/* policies_bench.h - for tests about policies: reading them from text, and comparing them. */
#ifndef HARP_TEST_POLICIES_BENCH_H
#define HARP_TEST_POLICIES_BENCH_H

#include "socket-filter/policy/policies.h"

/* As policies_load of a file "f.cfg" that holds this; the text has to be libconfig's. */
struct policies *bench_load(const char *text, struct config_report *report);

/* The same with one policy, which has to be good. */
struct policies *bench_load_one(const char *settings);

/* What policies_print writes; to be freed. */
char *bench_print(const struct named_policy *policy);

/* Fails the test where they differ, in rules or grants, field by field. */
void bench_same(const struct docker_policy *a, const struct docker_policy *b);

/* A file's text; to be freed. */
char *bench_read_file(const char *path);

#endif
