#include "socket-filter/policy/bind_source.h"

#include <stdio.h>
#include <sys/stat.h>

#include "socket-filter/policy/host_path.h"

static const char kernels[] = "holds or lies in /proc, /sys or /dev";
static const char engines[] = "holds or lies in a folder of the Docker engine";

/* No mount reaches these: what each gives away is the host. The engine's folders are where it is run with its
 * usual settings; that of the socket is known better. */
static const struct {
    const char *path;
    const char *why;
} never[] = {
    {"/proc", kernels},
    {"/sys", kernels},
    {"/dev", kernels},
    {"/run/docker.sock", engines},
    {"/run/docker", engines},
    {"/run/containerd", engines},
    {"/run/podman", engines},
    {"/var/lib/docker", engines},
    {"/var/lib/containerd", engines},
    {"/var/lib/containers", engines},
};

/* ---- what a file may list ---- */

/* As a whole they are the host; what lies in them is for the administrator to judge. */
static const char *const whole[] = {"/bin",   "/boot", "/etc",  "/home", "/lib", "/lib32",
                                    "/lib64", "/opt",  "/root", "/sbin", "/usr"};

/* Usually links to other folders of this list. */
static const char *const links[] = {"/var/run", "/var/lock"};

/* Everybody makes names in them. */
static const char *const shared[] = {"/tmp", "/var/tmp"};

static bool same_or_in(struct str path, struct str folder)
{
    return str_eq(path, folder) || host_path_in(path, folder);
}

const char *bind_source_listed(const char *path, bool below)
{
    struct str s = str_of(path);
    if (!host_path_clean(s)) {
        return "is not an absolute path without empty parts, dots and a slash at its end";
    }
    if (s.n == 1) {
        return "is the whole host";
    }
    for (size_t i = 0; i < ARRAY_LEN(never); i++) {
        if (same_or_in(s, str_of(never[i].path)) || host_path_in(str_of(never[i].path), s)) {
            return never[i].why;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(links); i++) {
        if (same_or_in(s, str_of(links[i]))) {
            return "is reached through a symbolic link; /run is where it is";
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        if (str_eq(s, str_of(whole[i]))) {
            return "is a folder that the host itself lives in";
        }
    }
    for (size_t i = 0; below && i < ARRAY_LEN(shared); i++) {
        if (same_or_in(s, str_of(shared[i]))) {
            return "lies where everybody can make names, so that nothing below it could be mounted";
        }
    }
    return NULL;
}

/* ---- what is there ---- */

static bool same(struct host_id a, struct host_id b)
{
    return a.dev == b.dev && a.ino == b.ino;
}

/* Whether `thing` is on the way to `path`, or its end. */
static bool passes(const struct host_path *path, struct host_id thing)
{
    for (size_t i = 0; i < path->n; i++) {
        if (same(path->step[i], thing)) {
            return true;
        }
    }
    return false;
}

/* Whether one is or lies in the other, whatever they are called: by what is open, not by names, so that a bind
 * mount of one of them elsewhere is seen. */
static bool touches(const struct host_path *source, const struct host_path *thing)
{
    return passes(source, host_path_last(thing)) || passes(thing, host_path_last(source));
}

/* Whether the source is on the file system of `thing`, which is not that of `/`: a folder of it may be mounted
 * elsewhere, without those above it. */
static bool shares(const struct host_path *source, const struct host_path *thing)
{
    dev_t dev = host_path_last(thing).dev;
    for (size_t i = 0; dev != thing->step[0].dev && i < source->n; i++) {
        if (source->step[i].dev == dev) {
            return true;
        }
    }
    return false;
}

struct question {
    const char *socket; /* NULL: there is none */
    const struct host_path *source;
};

static const char *ask(const struct host_path *source, const char *path, const char *why)
{
    struct host_path thing;
    bool there;
    const char *fault = host_path_find(&thing, path, &there);
    if (fault || !there) {
        return fault;
    }
    bool given = touches(source, &thing) || (why == kernels && shares(source, &thing));
    return given ? why : NULL;
}

/* The folder that a path lies in, into `folder` of HOST_PATH_MAX + 1 bytes. */
static bool folder_of(const char *path, char *folder)
{
    const char *slash = strrchr(path, '/');
    if (path[0] != '/' || strlen(path) > HOST_PATH_MAX) {
        return false;
    }
    snprintf(folder, HOST_PATH_MAX + 1, "%.*s", (int)MAX(slash - path, (ptrdiff_t)1), path);
    return true;
}

/* The engine may not have made its socket yet: so its folder must be there. */
static const char *ask_socket(const struct host_path *source, const char *socket)
{
    static const char why[] = "holds or lies in the folder of the Docker socket";
    char folder[HOST_PATH_MAX + 1];
    struct host_path thing;
    bool there;
    if (!folder_of(socket, folder)) {
        return "can't be compared with the folder of the Docker socket";
    }
    const char *fault = host_path_find(&thing, folder, &there);
    if (fault || !there) {
        return "can't be compared with the folder of the Docker socket";
    }
    if (touches(source, &thing)) {
        return why;
    }
    return ask(source, socket, why);
}

static const char *ask_all(const struct question *q)
{
    const char *why = q->source->kernel ? kernels : NULL;
    if (!why && q->socket) {
        why = ask_socket(q->source, q->socket);
    }
    for (size_t i = 0; !why && i < ARRAY_LEN(never); i++) {
        why = ask(q->source, never[i].path, never[i].why);
    }
    return why;
}

/* Docker mounts what is mounted in a folder along with it. */
static const char *ask_mount(void *arg, struct str point)
{
    struct question q = *(const struct question *)arg;
    struct host_path mount;
    if (host_path_look(&mount, point, false)) {
        return "has something mounted in it that can't be looked at from here";
    }
    q.source = &mount;
    return ask_all(&q) ? "has something mounted in it that may not be mounted" : NULL;
}

const char *bind_source_check(void *arg, const struct docker_bind *bind, struct str source)
{
    struct host_path seen;
    struct str listed = str_of(bind->path);
    if (!host_path_clean(source)) {
        return "is not an absolute path without empty parts, dots and a slash at its end";
    }
    if (!str_eq(source, listed) && !(bind->below && host_path_in(source, listed))) {
        return "is not what the policy lists";
    }
    const char *why = host_path_look(&seen, source, true);
    const struct bind_host *host = arg;
    struct question q = {.socket = host->socket, .source = &seen};
    if (!why && !S_ISDIR(seen.mode) && !S_ISREG(seen.mode)) {
        why = "is neither a folder nor a file";
    }
    if (!why) {
        why = ask_all(&q);
    }
    return why ? why : host_path_mounts(host->mounts, source, ask_mount, &q);
}
