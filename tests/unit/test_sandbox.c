/* What is left inside the sandbox: files, users and groups, capabilities; and how entering it fails. Each
 * test enters it in a child process of its own, which then tries. What this kernel or this build lacks is
 * not asked for. */
#include "socket-filter/system/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/stream/sock.h"
#include "tests/unit/sandbox_child.h"

/* ---- files ---- */

static void files_child(const void *arg UNUSED)
{
    char path[128], other[128], out[128], buf[16];
    struct stat st;
    enter_plainly(false);
    int fd = open(field.in_read, O_RDONLY);
    NEED(fd >= 0 && read(fd, buf, sizeof(buf)) == 5);
    NEED(open(field.read, O_RDONLY | O_DIRECTORY) >= 0);
    NEED_ERRNO(open(field.in_read, O_WRONLY), EACCES);
    NEED_ERRNO(open(field.in_read, O_RDWR), EACCES);
    NEED_ERRNO(unlink(field.in_read), EACCES);
    snprintf(path, sizeof(path), "%s/new", field.read);
    NEED_ERRNO(open(path, O_WRONLY | O_CREAT, 0600), EACCES);
    NEED_ERRNO(open(field.in_outside, O_RDONLY), EACCES);
    NEED_ERRNO(open(field.outside, O_RDONLY | O_DIRECTORY), EACCES);
    NEED_ERRNO(open("/etc/passwd", O_RDONLY), EACCES);
    NEED_ERRNO(open("/dev/null", O_RDWR), EACCES);
    NEED(stat(field.in_outside, &st) == 0); /* is there, and no more can be learnt */

    snprintf(path, sizeof(path), "%s/a", field.write);
    snprintf(other, sizeof(other), "%s/b", field.write);
    snprintf(out, sizeof(out), "%s/c", field.outside);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    NEED(fd >= 0 && write(fd, "12345", 5) == 5 && fsync(fd) == 0 && fdatasync(fd) == 0);
    NEED(flock(fd, LOCK_EX) == 0 && ftruncate(fd, 3) == 0 && pread(fd, buf, 16, 0) == 3);
    NEED(rename(path, out) == -1 && (errno == EACCES || errno == EXDEV));
    NEED(rename(path, other) == 0 && open(other, O_WRONLY | O_TRUNC) >= 0);
    NEED(unlink(other) == 0);
    NEED(mkdir(path, 0700) == -1 && mkfifo(path, 0600) == -1 &&
         symlink(field.outside, path) == -1 && link(field.in_read, path) == -1);
}

static void only_listed_files_can_be_used_and_only_as_listed(void **state)
{
    (void)state;
    skip_unless(landlock_abi() > 0, "no Landlock");
    in_child(files_child, NULL);
}

static void file_path_child(const void *arg UNUSED)
{
    struct sandbox_settings settings = {
        .user = "", .paths = {{field.in_read, false}, {field.in_outside, true}}};
    enter(&settings);
    NEED(open(field.in_read, O_RDONLY) >= 0 && open(field.in_outside, O_RDWR) >= 0);
    NEED_ERRNO(open(field.in_read, O_WRONLY), EACCES);
    NEED_ERRNO(open(field.read, O_RDONLY | O_DIRECTORY), EACCES);
    NEED_ERRNO(unlink(field.in_outside), EACCES);
}

static void a_listed_path_may_be_a_file(void **state)
{
    (void)state;
    skip_unless(landlock_abi() > 0, "no Landlock");
    in_child(file_path_child, NULL);
}

static void all_paths_child(const void *arg UNUSED)
{
    struct sandbox_settings settings = {.user = ""};
    for (int i = 0; i < SANDBOX_PATHS_MAX; i++) {
        settings.paths[i] = i < SANDBOX_PATHS_MAX - 1
                                ? (struct sandbox_path){field.read, false}
                                : (struct sandbox_path){field.in_outside, false};
    }
    enter(&settings);
    NEED(open(field.in_outside, O_RDONLY) >= 0);
}

static void the_last_of_all_paths_counts(void **state)
{
    (void)state;
    skip_unless(landlock_abi() > 0, "no Landlock");
    in_child(all_paths_child, NULL);
}

/* ---- what the kernel says about the process ---- */

static char status_text[8192];

/* The value in /proc/PID/status, which was opened before. */
static const char *status_of(int fd, const char *name)
{
    static char value[256];
    char line[64];
    ssize_t n = pread(fd, status_text, sizeof(status_text) - 1, 0);
    NEED(n > 0);
    status_text[n] = '\0';
    snprintf(line, sizeof(line), "\n%s:\t", name);
    const char *p = strstr(status_text, line);
    NEED(p);
    p += strlen(line);
    snprintf(value, sizeof(value), "%.*s", (int)strcspn(p, "\n"), p);
    return value;
}

static void status_child(const void *arg)
{
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
    struct sandbox_settings settings = with(arg, false);
    int fd = open("/proc/self/status", O_RDONLY);
    bool root = is_root();
    enter(&settings);
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        NEED(strcmp(status_of(fd, sets[i]), "0000000000000000") == 0);
    }
    if (root) {
        NEED(strcmp(status_of(fd, "CapBnd"), "0000000000000000") == 0);
    }
    NEED(strcmp(status_of(fd, "NoNewPrivs"), "1") == 0);
    NEED(strcmp(status_of(fd, "Seccomp"), sandbox_seccomp_usable() ? "2" : "0") == 0);
}

static void no_capabilities_and_no_new_privileges_are_left(void **state)
{
    (void)state;
    in_child(status_child, "");
    if (is_root()) {
        in_child(status_child, "54321");
    }
}

static void said_child(const void *arg UNUSED)
{
    char want[SANDBOX_SAID_MAX], landlock[32] = "no Landlock";
    int abi = landlock_abi(), groups = getgroups(0, NULL);
    gid_t none = 0;
    if (abi > 0) {
        snprintf(landlock, sizeof(landlock), "Landlock ABI %d", abi);
    }
    if (is_root()) {
        groups = 0;
        NEED(setgroups(0, &none) == 0);
    }
    enter_plainly(false);
    snprintf(want, sizeof(want), "user %u, group %u, no capabilities, no new privileges, %s, %s",
             (unsigned)getuid(), (unsigned)getgid(), landlock,
             sandbox_seccomp_usable() ? "seccomp"
             : SANITIZED_BUILD        ? "no seccomp (built with a sanitizer)"
                                      : "no seccomp");
    NEED(groups > 0 || strcmp(said, want) == 0);
}

static void it_says_what_it_did(void **state)
{
    (void)state;
    in_child(said_child, NULL);
}

/* As root sees it from outside: the folder of a process that can't be traced is root's. */
static void dumpable_child(const void *arg)
{
    struct sandbox_settings settings = with("54321", false);
    const int *ends = arg;
    char c;
    enter(&settings);
    NEED(write(ends[1], "x", 1) == 1 && read(ends[2], &c, 1) == 0);
}

static void memory_is_not_dumped_and_not_traced_by_the_user_itself(void **state)
{
    int to_us[2], to_it[2], status = 0;
    struct stat st;
    char c, path[32];
    (void)state;
    skip_unless(is_root() && !SANITIZED_BUILD, "not root, or a build that is traced");
    assert_int_equal(pipe(to_us), 0);
    assert_int_equal(pipe(to_it), 0);
    int ends[3] = {to_us[0], to_us[1], to_it[0]};
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(to_it[1]);
        dumpable_child(ends);
        _exit(0);
    }
    assert_int_equal(read(to_us[0], &c, 1), 1);
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 0);
    close(to_it[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(to_us[0]);
    close(to_us[1]);
    close(to_it[0]);
}

/* ---- users ---- */

static void user_child(const void *arg UNUSED)
{
    struct sandbox_settings settings = with("54321", false);
    gid_t groups[8], many[] = {1, 2, 3};
    uid_t uid[3];
    gid_t gid[3];
    struct sock_addr a;
    NEED(setgroups(3, many) == 0);
    settings.docker = field.docker;
    enter(&settings);
    NEED(getresuid(&uid[0], &uid[1], &uid[2]) == 0 && getresgid(&gid[0], &gid[1], &gid[2]) == 0);
    for (int i = 0; i < 3; i++) {
        NEED(uid[i] == SOMEBODY && gid[i] == SOMEBODY);
    }
    NEED(getgroups(8, groups) == 1 && groups[0] == SOME_GROUP);
    NEED_ERRNO(setuid(0), EPERM);
    NEED_ERRNO(setresuid(0, 0, 0), EPERM);
    NEED_ERRNO(setgid(0), EPERM);
    NEED_ERRNO(setgroups(3, many), EPERM);
    NEED(strncmp(said, "user 54321, group 54321 and 54322, no capabilities, ", 51) == 0);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    NEED(sock_unix_addr(&a, field.docker) == 0);
    NEED(connect(fd, (struct sockaddr *)&a.sa, a.len) == 0); /* by its group */
}

static void a_user_has_the_engines_group_and_no_other_and_never_root(void **state)
{
    (void)state;
    skip_unless(is_root(), "not root");
    in_child(user_child, NULL);
}

static void named_user_child(const void *arg UNUSED)
{
    struct sandbox_settings settings = with("nobody", false);
    gid_t groups[8], many[] = {1, 2, 3};
    NEED(setgroups(3, many) == 0);
    enter(&settings);
    NEED(getuid() == 65534 && getgid() == 65534);
    NEED(getgroups(8, groups) == 0);
}

static void a_user_may_be_named(void **state)
{
    (void)state;
    skip_unless(is_root(), "not root");
    in_child(named_user_child, NULL);
}

/* Everything but the change of users is done without root as well. */
static void plain_child(const void *arg)
{
    struct sandbox_settings settings = with(arg, false);
    be_somebody(SOME_GROUP);
    bool landlock = landlock_abi() > 0;
    int groups = getgroups(0, NULL);
    enter(&settings);
    NEED(getgroups(0, NULL) == groups); /* they were given on purpose */
    if (landlock) {
        NEED_ERRNO(open(field.in_outside, O_RDONLY), EACCES);
    }
    if (sandbox_seccomp_usable()) {
        NEED_ERRNO(socket(AF_INET, SOCK_STREAM, 0), EPERM);
    }
    NEED_ERRNO(setuid(0), EPERM);
}

static void nothing_depends_on_root(void **state)
{
    char me[24];
    (void)state;
    in_child(plain_child, "");
    snprintf(me, sizeof(me), "%u", is_root() ? (unsigned)SOMEBODY : (unsigned)getuid());
    in_child(plain_child, me); /* that user already */
}

/* ---- what goes wrong ---- */

struct failing {
    const char *user, *docker, *path;
    bool plain; /* started as a plain user */
    const char *expect;
};

static void failing_child(const void *arg)
{
    const struct failing *f = arg;
    struct sandbox_settings settings = {
        .user = f->user, .docker = f->docker, .paths = {{f->path, false}}};
    if (f->plain) {
        be_somebody(SOME_GROUP);
    }
    enter_in_vain(&settings, f->expect);
}

static void what_fails_is_told_with_a_remedy(void **state)
{
    const struct failing cases[] = {
        {"no-such-user", NULL, NULL, false, "there is none of that name; make it"},
        {"-1", NULL, NULL, false, "there is none of that name"},
        {"4294967295", NULL, NULL, false, "there is none of that name"}, /* means "unchanged" */
        {"root", NULL, NULL, false, "that is root"},
        {"0", NULL, NULL, false, "that is root"},
        {"54320", NULL, NULL, true, "start as root, or as that user, or name none"},
        {"54320", "/nowhere/docker.sock", NULL, false, "start the engine first"},
        {"54320", field.in_read, NULL, false, "is no socket"},
        {"", NULL, "/nowhere/file", false, "can't keep /nowhere/file"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct failing one = cases[i];
        if (one.path && landlock_abi() == 0) {
            continue;
        }
        in_child(failing_child, &one);
    }
}

static void an_engine_that_the_user_can_not_reach_is_told(void **state)
{
    struct failing one = {"54321", field.docker, NULL, false,
                          "let the socket's group (54322) write"};
    (void)state;
    skip_unless(is_root(), "not root");
    assert_int_equal(chmod(field.docker, 0600), 0);
    in_child(failing_child, &one);
    assert_int_equal(chmod(field.docker, 0660), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_listed_files_can_be_used_and_only_as_listed),
        cmocka_unit_test(a_listed_path_may_be_a_file),
        cmocka_unit_test(the_last_of_all_paths_counts),
        cmocka_unit_test(no_capabilities_and_no_new_privileges_are_left),
        cmocka_unit_test(it_says_what_it_did),
        cmocka_unit_test(memory_is_not_dumped_and_not_traced_by_the_user_itself),
        cmocka_unit_test(a_user_has_the_engines_group_and_no_other_and_never_root),
        cmocka_unit_test(a_user_may_be_named),
        cmocka_unit_test(nothing_depends_on_root),
        cmocka_unit_test(what_fails_is_told_with_a_remedy),
        cmocka_unit_test(an_engine_that_the_user_can_not_reach_is_told),
    };
    return cmocka_run_group_tests(tests, sandbox_set_up, sandbox_tear_down);
}
