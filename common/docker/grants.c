#include "common/docker/grants.h"

/* Goes back to the last `*` only: those before it have found their shortest run, which is as good as any. */
static bool matches(const char *p, struct str s)
{
    const char *star = NULL;
    size_t i = 0, from = 0;
    while (i < s.n) {
        if (*p == '*') {
            star = ++p;
            from = ++i; /* it stands for one byte at least */
        } else if (*p && *p == s.p[i]) {
            p++;
            i++;
        } else if (star) {
            p = star;
            i = ++from;
        } else {
            return false;
        }
    }
    return *p == '\0';
}

bool docker_words_match(struct docker_words patterns, struct str s)
{
    for (size_t i = 0; i < patterns.n; i++) {
        if (matches(patterns.p[i], s)) {
            return true;
        }
    }
    return false;
}

bool docker_words_have(struct docker_words words, struct str s)
{
    for (size_t i = 0; i < words.n; i++) {
        if (str_eq(str_of(words.p[i]), s)) {
            return true;
        }
    }
    return false;
}

bool docker_words_all(struct docker_words patterns)
{
    return docker_words_have(patterns, STR("*"));
}
