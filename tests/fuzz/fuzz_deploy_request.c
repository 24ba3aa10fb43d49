/* What AppAPI asks to do with a container: whatever it is, it is refused with a reason or holds only names,
 * paths and numbers within their grammars, by checks that know nothing of the code. The first byte is the
 * kind of call. */
#include <stdlib.h>

#include "hub/deploy/deploy_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth) {
        abort();
    }
}

static bool has_nul(struct str s)
{
    return s.n > 0 && memchr(s.p, '\0', s.n);
}

static bool within(struct str s, const char *set)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\0' || !strchr(set, s.p[i])) {
            return false;
        }
    }
    return true;
}

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* A name that goes into a path of the Docker API and can't lead elsewhere. */
static void check_name(struct str s, size_t max)
{
    must(s.n >= 1 && s.n <= max);
    must(within((struct str){s.p, 1}, ALNUM));
    must(within(s, ALNUM "_.-"));
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

static void check_names(const struct deploy_request *q)
{
    size_t container = strlen(q->container), volume = strlen(q->volume);
    check_name(q->name, 100);
    check_name(str_of(q->container), 107);
    check_name(str_of(q->volume), 112);
    must(strncmp(q->container, "nc_app_", 7) == 0 && container > 7);
    must(strncmp(q->volume, "nc_app_", 7) == 0 && ends_with(q->volume, "_data"));
    /* the container is the volume without _data, and perhaps _ and a role */
    volume -= 5;
    must(container == volume || (container > volume + 1 && q->container[volume] == '_'));
    must(memcmp(q->container, q->volume, volume) == 0);
    /* the app's name stands at the volume's end, and perhaps an instance and _ before it */
    must(volume >= 7 + q->name.n);
    must(memcmp(q->volume + volume - q->name.n, q->name.p, q->name.n) == 0);
    must(volume == 7 + q->name.n || q->volume[volume - q->name.n - 1] == '_');
}

/* Absolute, below the root, and nowhere upwards: followed segment by segment. */
static void check_path(struct str p)
{
    size_t depth = 0;
    must(p.n <= DEPLOY_PATH_MAX && p.n > 1 && p.p[0] == '/' && !has_nul(p));
    for (size_t i = 1, from = 1; i <= p.n; i++) {
        if (i == p.n || p.p[i] == '/') {
            size_t n = i - from;
            must(!(n == 2 && memcmp(p.p + from, "..", 2) == 0));
            depth += n > 0 && !(n == 1 && p.p[from] == '.');
            from = i + 1;
        }
    }
    must(depth > 0);
}

static void check_create(const struct deploy_request *q)
{
    size_t n = 0;
    check_name(q->network, 128);
    must(str_eq(q->restart, STR("unless-stopped")) || str_eq(q->restart, STR("no")) ||
         str_eq(q->restart, STR("always")) || str_eq(q->restart, STR("on-failure")) ||
         q->restart.n == 0);
    must(q->compute == DEPLOY_CPU || q->compute == DEPLOY_CUDA || q->compute == DEPLOY_ROCM);
    must(q->memory >= 0 && q->nano_cpus >= 0);
    for (const struct json_node *e = json_first(q->env); e; e = json_next(e)) {
        struct str s = deploy_env(e);
        const char *eq = memchr(s.p, '=', s.n);
        must(eq && eq > s.p && !has_nul(s) && ++n <= DEPLOY_ENV_MAX);
    }
    n = 0;
    for (const struct json_node *e = json_first(q->mounts); e; e = json_next(e)) {
        struct deploy_mount m = deploy_mount(e);
        check_path(m.source);
        check_path(m.target);
        must(++n <= DEPLOY_MOUNTS_MAX);
    }
}

/* It stands between slashes in a path: no other character may end it or lead elsewhere. */
static void check_image(struct str s)
{
    must(s.n >= 1 && s.n <= 520 && within(s, ALNUM "_.-/:@"));
    must(s.p[0] != '/' && s.p[s.n - 1] != '/' && !memmem(s.p, s.n, "//", 2));
    must(!memmem(s.p, s.n, "..", 2) || memchr(s.p, ':', s.n)); /* only inside a tag */
    must(!memmem(s.p, s.n, "/.", 2) && s.p[0] != '.');
}

static void check(const struct deploy_request *q, enum deploy_kind kind)
{
    must(q->kind == kind && q->doc);
    if (kind == DEPLOY_IMAGE_REMOVE) {
        check_image(q->image);
        must(!q->container[0] && !q->volume[0]);
        return;
    }
    check_names(q);
    if (kind == DEPLOY_CREATE) {
        check_image(q->image);
        check_create(q);
    } else {
        must(!q->env && !q->mounts && q->image.n == 0);
    }
    must(kind == DEPLOY_CERTIFICATES ? !has_nul(q->bundle) : q->bundle.n == 0);
    must(kind == DEPLOY_REMOVE || !q->remove_data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char words[DEPLOY_ERROR_MAX], why[DEPLOY_ERROR_MAX];
    struct deploy_request q;
    struct str value;
    if (size < 1) {
        return 0;
    }
    enum deploy_kind kind = (enum deploy_kind)(data[0] % 8);
    char *copy = malloc(size);
    memcpy(copy, data + 1, size - 1);
    memset(words, 'x', sizeof(words));
    memset(why, 'x', sizeof(why));
    int rc = deploy_request_read(&q, kind, (struct str){copy, size - 1}, words, why);
    free(copy); /* what was read is a copy */
    must(memchr(why, '\0', sizeof(why)) != NULL);
    if (rc < 0) {
        must(rc == -1 && memchr(words, '\0', sizeof(words)) && words[0]);
        must(!q.doc && !q.env && !q.mounts && !q.container[0]);
        must(strcmp(words, "Invalid JSON body") == 0 || !why[0]);
        return 0;
    }
    must(!why[0]);
    check(&q, kind);
    if (deploy_env_find(&q, "APP_ID", &value) == 0) {
        must(!has_nul(value));
    }
    deploy_request_free(&q);
    must(!q.doc);
    return 0;
}
