/* deploy_reader.h - for a test program that includes this: reads what AppAPI asks, from memory of exactly
 * its size, and checks what holds of every result. */
#ifndef HARP_UNIT_DEPLOY_READER_H
#define HARP_UNIT_DEPLOY_READER_H

#include <stdio.h>
#include <stdlib.h>

#include "common/docker/reference.h"
#include "hub/deploy/deploy_request.h"

#define X10 "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10

static struct deploy_request request;
static char words[DEPLOY_ERROR_MAX], why[DEPLOY_ERROR_MAX];

/* 0 or -1; the request, or words and why, are above. */
static inline int read_bytes(enum deploy_kind kind, const char *p, size_t n)
{
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, p, n);
    deploy_request_free(&request);
    memset(words, 'x', sizeof(words));
    memset(why, 'x', sizeof(why));
    int rc = deploy_request_read(&request, kind, (struct str){copy, n}, words, why);
    free(copy); /* the request has copies */
    assert_non_null(memchr(why, '\0', sizeof(why)));
    if (rc == 0) {
        assert_non_null(request.doc);
        assert_int_equal(request.kind, kind);
        assert_string_equal(why, "");
    } else {
        assert_non_null(memchr(words, '\0', sizeof(words)));
        assert_true(words[0] != '\0');
        assert_null(request.doc);
        assert_null(request.env);
        assert_null(request.mounts);
        assert_string_equal(request.container, "");
    }
    return rc;
}

static inline int read_json(enum deploy_kind kind, const char *json)
{
    return read_bytes(kind, json, strlen(json));
}

static inline void must_read(enum deploy_kind kind, const char *json)
{
    if (read_json(kind, json) < 0) {
        fail_msg("%s is refused: %s (%s)", json, words, why);
    }
}

/* says: in the answer's first line, behind HaRP's words. */
static inline void must_refuse(enum deploy_kind kind, const char *json, const char *says)
{
    static const char begin[] = "Payload validation error: ";
    if (read_json(kind, json) == 0) {
        fail_msg("%s is taken", json);
    }
    if (strncmp(words, begin, sizeof(begin) - 1) != 0 || !strstr(words, says)) {
        fail_msg("%s is refused with: %s; not: %s", json, words, says);
    }
}

static inline int reader_tear_down(void **state)
{
    (void)state;
    deploy_request_free(&request);
    return 0;
}

#endif
