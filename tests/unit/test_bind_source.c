/* Sources of mounts, on a file system of the test's own: in a mount namespace, so that its root belongs to root
 * and nothing is left behind. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "socket-filter/policy/bind_source.h"
#include "socket-filter/policy/host_path.h"

#define SOCKET "/mnt/engine/run/docker.sock"
#define NOBODY 65534

#define CHANGED "has a folder on the way to it that others than root can change"
#define LINKED "has a symbolic link in it"
#define ABSENT "is not there, or can't be seen from here"
#define OF_SOCKET "holds or lies in the folder of the Docker socket"
#define OF_KERNEL "holds or lies in /proc, /sys or /dev"
#define MOUNTED "has something mounted in it that may not be mounted"
#define SPELLED "is not an absolute path without empty parts, dots and a slash at its end"

static const char *no_ground; /* why there is no file system for the test */

static void folder(const char *path, mode_t mode, uid_t owner)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST) {
        fail_msg("mkdir %s: %s", path, strerror(errno));
    }
    assert_int_equal(chown(path, owner, owner), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void file(const char *path, uid_t owner)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fchown(fd, owner, owner), 0);
    close(fd);
}

static void make_socket(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    close(fd);
}

static int make_ground(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        no_ground = "needs root";
    } else if (syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0) < 0 && errno == ENOSYS) {
        no_ground = "no openat2 here";
    } else if (unshare(CLONE_NEWNS) != 0 ||
               mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
               mount("none", "/mnt", "tmpfs", 0, "mode=755") != 0) {
        no_ground = "no mount namespace can be had";
    } else {
        folder("/mnt/engine", 0755, 0);
        folder("/mnt/engine/run", 0755, 0);
        make_socket(SOCKET);
    }
    return 0;
}

static bool have_ground(void)
{
    if (no_ground) {
        print_message("skipped: %s\n", no_ground);
    }
    return !no_ground;
}

#define NEED_GROUND()                                                                              \
    do {                                                                                           \
        if (!have_ground()) {                                                                      \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

static const char *ask_for(const char *listed, bool below, const char *source)
{
    const struct docker_bind bind = {.path = listed, .below = below};
    struct bind_host host = {SOCKET, -1};
    return bind_source_check(&host, &bind, str_of(source));
}

static void check(const char *source, const char *want)
{
    const char *why = ask_for(source, false, source);
    if ((why == NULL) != (want == NULL) || (why && strcmp(why, want) != 0)) {
        fail_msg("%s: %s, not: %s", source, why ? why : "passes", want ? want : "passes");
    }
}

static void check_below(const char *listed, const char *source, const char *want)
{
    const char *why = ask_for(listed, true, source);
    if ((why == NULL) != (want == NULL) || (why && strcmp(why, want) != 0)) {
        fail_msg("%s: %s, not: %s", source, why ? why : "passes", want ? want : "passes");
    }
}

/* ---- who can change what a path means ---- */

static void what_only_root_can_change_passes(void **state)
{
    (void)state;
    NEED_GROUND();
    folder("/mnt/a", 0755, 0);
    folder("/mnt/a/b", 0700, 0);
    folder("/mnt/a/b/c", 0755, 0);
    file("/mnt/a/file", 0);
    check("/mnt/a", NULL);
    check("/mnt/a/b/c", NULL);
    check("/mnt/a/file", NULL);
    check_below("/mnt/a", "/mnt/a", NULL);
    check_below("/mnt/a", "/mnt/a/b", NULL);
    check_below("/mnt/a", "/mnt/a/b/c", NULL);
    check_below("/mnt/a", "/mnt/a/file", NULL);
}

static void the_last_part_may_belong_to_anybody(void **state)
{
    (void)state;
    NEED_GROUND();
    folder("/mnt/own", 0755, 0);
    folder("/mnt/own/data", 0777, NOBODY);
    folder("/mnt/own/data/in", 0755, 0);
    file("/mnt/own/file", NOBODY);
    check("/mnt/own/data", NULL);
    check("/mnt/own/file", NULL);
    check_below("/mnt/own", "/mnt/own/data", NULL);
    /* What lies in it can be moved away by its owner, whoever it belongs to. */
    check("/mnt/own/data/in", CHANGED);
    check_below("/mnt/own", "/mnt/own/data/in", CHANGED);
    check_below("/mnt/own/data", "/mnt/own/data", NULL);
    check_below("/mnt/own/data", "/mnt/own/data/in", CHANGED);
}

static void a_folder_on_the_way_that_others_can_change_is_refused(void **state)
{
    static const struct {
        mode_t mode;
        uid_t owner;
    } rows[] = {{0755, NOBODY}, {0700, NOBODY}, {0000, NOBODY}, {0775, 0},  {0757, 0}, {0720, 0},
                {0702, 0},      {0777, 0},      {01777, 0},     {01775, 0}, {03770, 0}};
    (void)state;
    NEED_GROUND();
    folder("/mnt/way", 0755, 0);
    folder("/mnt/way/x", 0755, 0);
    folder("/mnt/way/x/y", 0755, 0);
    folder("/mnt/way/x/y/z", 0755, 0);
    check("/mnt/way/x/y/z", NULL);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        folder("/mnt/way/x", rows[i].mode, rows[i].owner);
        check("/mnt/way/x", NULL);
        check("/mnt/way/x/y", CHANGED);
        check("/mnt/way/x/y/z", CHANGED);
        check_below("/mnt/way/x/y", "/mnt/way/x/y/z", CHANGED);
        check_below("/mnt/way", "/mnt/way/x/y/z", CHANGED);
    }
    folder("/mnt/way/x", 0755, 0);
    check("/mnt/way/x/y/z", NULL);
    /* Some modes that let nobody but root write. */
    folder("/mnt/way/x", 0555, 0);
    check("/mnt/way/x/y", NULL);
    folder("/mnt/way/x", 01755, 0);
    check("/mnt/way/x/y", NULL);
}

/* ---- links ---- */

static void symbolic_links_are_refused_wherever_they_stand(void **state)
{
    (void)state;
    NEED_GROUND();
    folder("/mnt/l", 0755, 0);
    folder("/mnt/l/real", 0755, 0);
    folder("/mnt/l/real/in", 0755, 0);
    assert_int_equal(symlink("real", "/mnt/l/link"), 0);
    assert_int_equal(symlink("/", "/mnt/l/real/root"), 0);
    assert_int_equal(symlink("../real/in", "/mnt/l/real/up"), 0);
    assert_int_equal(symlink("nowhere", "/mnt/l/dangling"), 0);
    assert_int_equal(symlink("/proc/self/cwd", "/mnt/l/magic"), 0);
    check("/mnt/l/real/in", NULL);
    check("/mnt/l/link", LINKED);
    check("/mnt/l/link/in", LINKED);
    check("/mnt/l/dangling", LINKED);
    check("/mnt/l/magic", LINKED);
    check("/proc/self/cwd", LINKED);
    check_below("/mnt/l", "/mnt/l/real/root", LINKED);
    check_below("/mnt/l", "/mnt/l/real/root/etc", LINKED);
    check_below("/mnt/l", "/mnt/l/real/up", LINKED);
}

static void what_is_not_there_is_told(void **state)
{
    (void)state;
    NEED_GROUND();
    folder("/mnt/n", 0755, 0);
    file("/mnt/n/file", 0);
    check("/mnt/n/absent", ABSENT);
    check("/mnt/absent/n", ABSENT);
    check("/mnt/n/file/in", ABSENT);
}

static void what_is_neither_folder_nor_file_is_refused(void **state)
{
    (void)state;
    NEED_GROUND();
    folder("/mnt/k", 0755, 0);
    make_socket("/mnt/k/sock");
    assert_int_equal(mkfifo("/mnt/k/pipe", 0644), 0);
    check("/mnt/k/sock", "is neither a folder nor a file");
    check("/mnt/k/pipe", "is neither a folder nor a file");
    if (mknod("/mnt/k/null", S_IFCHR | 0600, makedev(1, 3)) == 0) {
        check("/mnt/k/null", "is neither a folder nor a file");
    }
}

/* ---- what no mount reaches ---- */

static void the_host_and_its_kernel_are_refused_whatever_is_listed(void **state)
{
    static const char *const kernels[] = {"/proc",       "/proc/sys", "/sys",
                                          "/sys/kernel", "/dev",      "/dev/shm"};
    (void)state;
    NEED_GROUND();
    for (size_t i = 0; i < ARRAY_LEN(kernels); i++) {
        const char *why = ask_for(kernels[i], false, kernels[i]);
        assert_non_null(why);
        /* Not every host has all of them. */
        assert_true(strcmp(why, OF_KERNEL) == 0 || strcmp(why, ABSENT) == 0);
    }
    check("/", OF_SOCKET);
    check_below("/", "/", OF_SOCKET);
    check_below("/", "/proc/sys", OF_KERNEL);
}

static void the_engines_socket_is_refused_with_all_around_it(void **state)
{
    (void)state;
    NEED_GROUND();
    folder("/mnt/engine/run/in", 0755, 0);
    file("/mnt/engine/run/file", 0);
    folder("/mnt/engine/beside", 0755, 0);
    check("/mnt/engine/run", OF_SOCKET);
    check("/mnt/engine/run/in", OF_SOCKET);
    check("/mnt/engine/run/file", OF_SOCKET);
    check("/mnt/engine", OF_SOCKET);
    check("/mnt", OF_SOCKET);
    check("/mnt/engine/beside", NULL);
}

static void other_names_of_what_is_refused_do_not_help(void **state)
{
    (void)state;
    NEED_GROUND();
    folder("/mnt/m", 0755, 0);
    static const struct {
        const char *from, *why;
    } rows[] = {
        {"/", OF_SOCKET},           {"/mnt", OF_SOCKET},  {"/mnt/engine/run", OF_SOCKET},
        {"/dev", OF_KERNEL},        {"/proc", OF_KERNEL}, {"/proc/sys", OF_KERNEL},
        {"/sys/kernel", OF_KERNEL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        folder("/mnt/m/bound", 0755, 0);
        assert_int_equal(mount(rows[i].from, "/mnt/m/bound", "none", MS_BIND, NULL), 0);
        check("/mnt/m/bound", rows[i].why);
        /* Docker would mount it along with the folder. */
        check("/mnt/m", MOUNTED);
        assert_int_equal(umount2("/mnt/m/bound", MNT_DETACH), 0);
        check("/mnt/m/bound", NULL);
        check("/mnt/m", NULL);
    }
    /* Below a bind mount of what is refused, and of another file system of that kind. */
    assert_int_equal(mount("/mnt/engine", "/mnt/m/bound", "none", MS_BIND, NULL), 0);
    check("/mnt/m/bound/run/in", OF_SOCKET);
    check("/mnt/m/bound/beside", NULL);
    assert_int_equal(umount2("/mnt/m/bound", MNT_DETACH), 0);
    if (mount("none", "/mnt/m/bound", "proc", 0, NULL) == 0) {
        check("/mnt/m/bound", OF_KERNEL);
        check("/mnt/m/bound/sys", OF_KERNEL);
        assert_int_equal(umount2("/mnt/m/bound", MNT_DETACH), 0);
    }
    /* A folder of /dev, which is a file system of ordinary kind. */
    assert_int_equal(mount("none", "/dev", "tmpfs", 0, "mode=755"), 0);
    folder("/dev/in", 0755, 0);
    assert_int_equal(mount("/dev/in", "/mnt/m/bound", "none", MS_BIND, NULL), 0);
    check("/mnt/m/bound", OF_KERNEL);
    check("/mnt/m", MOUNTED);
    assert_int_equal(umount2("/mnt/m/bound", MNT_DETACH), 0);
    assert_int_equal(umount2("/dev", MNT_DETACH), 0);
    /* The socket itself, and a folder of the root's file system that holds nothing of the kind. */
    file("/mnt/m/file", 0);
    assert_int_equal(mount(SOCKET, "/mnt/m/file", "none", MS_BIND, NULL), 0);
    check("/mnt/m", MOUNTED);
    assert_int_equal(umount2("/mnt/m/file", MNT_DETACH), 0);
    assert_int_equal(mount("/usr/bin", "/mnt/m/bound", "none", MS_BIND, NULL), 0);
    check("/mnt/m", NULL);
    assert_int_equal(umount2("/mnt/m/bound", MNT_DETACH), 0);
    /* A mount point whose name is written with escapes in the kernel's list. */
    folder("/mnt/m/a b\\c", 0755, 0);
    assert_int_equal(mount("/mnt/engine/run", "/mnt/m/a b\\c", "none", MS_BIND, NULL), 0);
    check("/mnt/m", MOUNTED);
    assert_int_equal(umount2("/mnt/m/a b\\c", MNT_DETACH), 0);
}

static void a_table_that_was_opened_before_tells_what_is_mounted_now(void **state)
{
    const struct docker_bind bind = {.path = "/mnt/m"};
    (void)state;
    NEED_GROUND();
    struct bind_host host = {SOCKET, host_path_mounts_open()};
    assert_true(host.mounts >= 0);
    assert_null(bind_source_check(&host, &bind, STR("/mnt/m")));
    assert_int_equal(mount("/mnt/engine/run", "/mnt/m/a b\\c", "none", MS_BIND, NULL), 0);
    assert_string_equal(bind_source_check(&host, &bind, STR("/mnt/m")), MOUNTED);
    assert_int_equal(umount2("/mnt/m/a b\\c", MNT_DETACH), 0);
    assert_null(bind_source_check(&host, &bind, STR("/mnt/m")));
    close(host.mounts);
}

static void the_socket_may_be_called_by_a_link_and_need_not_be_there(void **state)
{
    const struct docker_bind bind = {.path = "/mnt/engine/run"};
    struct bind_host by_link = {"/mnt/var-run/docker.sock", -1},
                     later = {"/mnt/engine/run/later.sock", -1},
                     absent = {"/mnt/nowhere/docker.sock", -1}, relative = {"docker.sock", -1},
                     none = {NULL, -1};
    (void)state;
    NEED_GROUND();
    assert_int_equal(symlink("engine/run", "/mnt/var-run"), 0);
    assert_string_equal(bind_source_check(&by_link, &bind, str_of(bind.path)), OF_SOCKET);
    assert_string_equal(bind_source_check(&later, &bind, str_of(bind.path)), OF_SOCKET);
    assert_string_equal(bind_source_check(&absent, &bind, str_of(bind.path)),
                        "can't be compared with the folder of the Docker socket");
    assert_string_equal(bind_source_check(&relative, &bind, str_of(bind.path)),
                        "can't be compared with the folder of the Docker socket");
    assert_null(bind_source_check(&none, &bind, str_of(bind.path)));
}

/* ---- spelling ---- */

static void a_source_is_what_was_listed_or_lies_in_it(void **state)
{
    static const char other[] = "is not what the policy lists";
    (void)state;
    NEED_GROUND();
    folder("/mnt/s", 0755, 0);
    folder("/mnt/s/in", 0755, 0);
    folder("/mnt/s2", 0755, 0);
    assert_string_equal(ask_for("/mnt/s", false, "/mnt/s/in"), other);
    assert_null(ask_for("/mnt/s", true, "/mnt/s/in"));
    assert_string_equal(ask_for("/mnt/s", true, "/mnt/s2"), other);
    assert_string_equal(ask_for("/mnt/s/in", true, "/mnt/s"), other);
    assert_string_equal(ask_for("/mnt/s", true, "/mnt"), other);
}

static void a_source_has_one_spelling(void **state)
{
    static const char *const rows[] = {
        "",          "mnt/s",    "/mnt/s/",     "/mnt//s",   "//mnt/s",
        "/mnt/./s",  "/mnt/s/.", "/mnt/../mnt", "/mnt/s/..", "/mnt/s/in\n",
        "/mnt/\x7f", "/..",      "/.",          "//",        "/mnt/s/../s",
    };
    char longer[HOST_PATH_MAX + 2];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(ask_for("/mnt", true, rows[i]), SPELLED);
        assert_string_equal(bind_source_listed(rows[i], false), SPELLED);
    }
    const struct docker_bind bind = {.path = "/mnt", .below = true};
    assert_string_equal(bind_source_check(&(struct bind_host){NULL, -1}, &bind, STR("/mnt/a\0b")),
                        SPELLED);
    memset(longer, 'a', sizeof(longer) - 1);
    for (size_t i = 0; i < sizeof(longer); i += 100) {
        longer[i] = '/';
    }
    longer[HOST_PATH_MAX + 1] = '\0';
    assert_false(host_path_clean(str_of(longer)));
    longer[HOST_PATH_MAX] = '\0';
    assert_true(host_path_clean(str_of(longer)));
    memset(longer + 1, 'a', HOST_PATH_PART_MAX + 1);
    assert_false(host_path_clean((struct str){longer, HOST_PATH_PART_MAX + 2}));
    assert_true(host_path_clean((struct str){longer, HOST_PATH_PART_MAX + 1}));
    assert_true(host_path_clean(STR("/")));
}

static void the_number_of_parts_has_a_limit(void **state)
{
    char path[3 * HOST_PATH_PARTS + 8] = "/mnt";
    (void)state;
    NEED_GROUND();
    for (size_t parts = 1; parts < HOST_PATH_PARTS; parts++) {
        strcat(path, "/d");
        folder(path, 0755, 0);
    }
    check(path, NULL);
    strcat(path, "/d");
    folder(path, 0755, 0);
    check(path, "has too many parts");
}

static void what_gives_the_host_away_can_not_be_listed(void **state)
{
#define ENGINES "holds or lies in a folder of the Docker engine"
#define LIVES "is a folder that the host itself lives in"
#define BY_LINK "is reached through a symbolic link; /run is where it is"
#define EVERYBODY "lies where everybody can make names, so that nothing below it could be mounted"
    static const struct {
        const char *path, *why, *why_below;
    } rows[] = {
        {"/", "is the whole host", "is the whole host"},
        {"/proc", OF_KERNEL, OF_KERNEL},
        {"/proc/sys", OF_KERNEL, OF_KERNEL},
        {"/sys", OF_KERNEL, OF_KERNEL},
        {"/sys/fs/cgroup", OF_KERNEL, OF_KERNEL},
        {"/dev", OF_KERNEL, OF_KERNEL},
        {"/dev/shm/x", OF_KERNEL, OF_KERNEL},
        {"/run", ENGINES, ENGINES},
        {"/run/docker.sock", ENGINES, ENGINES},
        {"/run/containerd/s", ENGINES, ENGINES},
        {"/run/podman", ENGINES, ENGINES},
        {"/var", ENGINES, ENGINES},
        {"/var/lib", ENGINES, ENGINES},
        {"/var/lib/docker", ENGINES, ENGINES},
        {"/var/lib/docker/volumes", ENGINES, ENGINES},
        {"/var/lib/containerd", ENGINES, ENGINES},
        {"/var/run", BY_LINK, BY_LINK},
        {"/var/run/docker.sock", BY_LINK, BY_LINK},
        {"/var/lock/x", BY_LINK, BY_LINK},
        {"/etc", LIVES, LIVES},
        {"/usr", LIVES, LIVES},
        {"/bin", LIVES, LIVES},
        {"/sbin", LIVES, LIVES},
        {"/lib", LIVES, LIVES},
        {"/lib64", LIVES, LIVES},
        {"/boot", LIVES, LIVES},
        {"/root", LIVES, LIVES},
        {"/home", LIVES, LIVES},
        {"/opt", LIVES, LIVES},
        {"/tmp", NULL, EVERYBODY},
        {"/tmp/x", NULL, EVERYBODY},
        {"/var/tmp", NULL, EVERYBODY},
        {"/etc/nextcloud", NULL, NULL},
        {"/srv", NULL, NULL},
        {"/srv/data", NULL, NULL},
        {"/mnt/a b", NULL, NULL},
        {"/mnt/\xc3\xa4", NULL, NULL},
        {"/var/lib/dockerish", NULL, NULL},
        {"/var/lib/nextcloud", NULL, NULL},
        {"/run/postgresql", NULL, NULL},
        {"/process", NULL, NULL},
        {"/home/nextcloud", NULL, NULL},
        {"/mnt/.hidden", NULL, NULL},
        {"/mnt/...", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int below = 0; below < 2; below++) {
            const char *want = below ? rows[i].why_below : rows[i].why;
            const char *why = bind_source_listed(rows[i].path, below);
            if ((why == NULL) != (want == NULL) || (why && strcmp(why, want) != 0)) {
                fail_msg("%s: %s", rows[i].path, why ? why : "passes");
            }
        }
    }
}

/* ---- while somebody exchanges folders ---- */

struct swapper {
    const char *a, *b; /* exchanged for each other, again and again */
    atomic_bool stop;
    atomic_ulong swaps;
};

static void *swap(void *arg)
{
    struct swapper *s = arg;
    while (!atomic_load(&s->stop)) {
        if (renameat2(AT_FDCWD, s->a, AT_FDCWD, s->b, RENAME_EXCHANGE) == 0) {
            atomic_fetch_add(&s->swaps, 1);
        }
    }
    return NULL;
}

#define CHECKS 3000
#define SWAPS 300

/* Calls check until enough was swapped meanwhile; counts how often it passes, and how often each reason came. */
static void race(struct swapper *s, const char *listed, const char *source, unsigned long *passes,
                 unsigned long *changed, unsigned long *linked)
{
    pthread_t thread;
    *passes = *changed = *linked = 0;
    assert_int_equal(pthread_create(&thread, NULL, swap, s), 0);
    for (unsigned long i = 0; i < CHECKS || atomic_load(&s->swaps) < SWAPS; i++) {
        const char *why = ask_for(listed, true, source);
        *passes += !why;
        *changed += why && strcmp(why, CHANGED) == 0;
        *linked += why && strcmp(why, LINKED) == 0;
        if (why && strcmp(why, CHANGED) != 0 && strcmp(why, LINKED) != 0) {
            atomic_store(&s->stop, true);
            pthread_join(thread, NULL);
            fail_msg("%s: %s", source, why);
        }
    }
    atomic_store(&s->stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Where somebody else could do it, no moment is good. */
static void what_others_can_exchange_never_passes(void **state)
{
    static const struct {
        mode_t mode;
        uid_t owner;
    } rows[] = {{0777, 0}, {0755, NOBODY}, {01777, 0}};
    unsigned long passes, changed, linked;
    (void)state;
    NEED_GROUND();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct swapper s = {.a = "/mnt/race/x", .b = "/mnt/race/y"};
        folder("/mnt/race", rows[i].mode, rows[i].owner);
        folder("/mnt/race/x", 0755, 0);
        folder("/mnt/race/x/usr", 0755, 0);
        assert_int_equal(symlink("/", "/mnt/race/y"), 0);
        race(&s, "/mnt/race", "/mnt/race/x/usr", &passes, &changed, &linked);
        assert_int_equal(passes, 0);
        assert_int_equal(linked, 0); /* the folder before it is looked at first */
        assert_true(changed >= CHECKS);
        if (unlink("/mnt/race/y") != 0) {
            assert_int_equal(unlink("/mnt/race/x"), 0);
            assert_int_equal(rename("/mnt/race/y", "/mnt/race/x"), 0);
        }
    }
}

/* Root may exchange folders at any time: then each answer is that for one of the two, of the moment when it
 * was asked, and no link is ever followed. */
static void what_root_exchanges_is_one_of_the_two(void **state)
{
    struct swapper s = {.a = "/mnt/race2/x", .b = "/mnt/race2/y"};
    unsigned long passes, changed, linked;
    (void)state;
    NEED_GROUND();
    folder("/mnt/race2", 0755, 0);
    folder("/mnt/race2/x", 0755, 0);
    folder("/mnt/race2/x/usr", 0755, 0);
    assert_int_equal(symlink("/", "/mnt/race2/y"), 0);
    race(&s, "/mnt/race2", "/mnt/race2/x/usr", &passes, &changed, &linked);
    assert_int_equal(changed, 0);
    assert_true(passes + linked >= CHECKS);
    /* Every link would lead to a folder that is refused for another reason: race() looks for those. */
    struct swapper t = {.a = "/mnt/race2/p", .b = "/mnt/race2/q"};
    folder("/mnt/race2/p", 0755, 0);
    folder("/mnt/race2/p/sys", 0755, 0);
    assert_int_equal(symlink("/proc", "/mnt/race2/q"), 0);
    race(&t, "/mnt/race2", "/mnt/race2/p/sys", &passes, &changed, &linked);
    assert_int_equal(changed, 0);
    assert_true(passes + linked >= CHECKS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_only_root_can_change_passes),
        cmocka_unit_test(the_last_part_may_belong_to_anybody),
        cmocka_unit_test(a_folder_on_the_way_that_others_can_change_is_refused),
        cmocka_unit_test(symbolic_links_are_refused_wherever_they_stand),
        cmocka_unit_test(what_is_not_there_is_told),
        cmocka_unit_test(what_is_neither_folder_nor_file_is_refused),
        cmocka_unit_test(the_host_and_its_kernel_are_refused_whatever_is_listed),
        cmocka_unit_test(the_engines_socket_is_refused_with_all_around_it),
        cmocka_unit_test(other_names_of_what_is_refused_do_not_help),
        cmocka_unit_test(a_table_that_was_opened_before_tells_what_is_mounted_now),
        cmocka_unit_test(the_socket_may_be_called_by_a_link_and_need_not_be_there),
        cmocka_unit_test(a_source_is_what_was_listed_or_lies_in_it),
        cmocka_unit_test(a_source_has_one_spelling),
        cmocka_unit_test(the_number_of_parts_has_a_limit),
        cmocka_unit_test(what_gives_the_host_away_can_not_be_listed),
        cmocka_unit_test(what_others_can_exchange_never_passes),
        cmocka_unit_test(what_root_exchanges_is_one_of_the_two),
    };
    return cmocka_run_group_tests(tests, make_ground, NULL);
}
