#include "tests/unit/sandbox_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <grp.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/stream/sock.h"

struct sandbox_field field = {.dir = "/tmp/harp-sandbox-XXXXXX", .engine = -1};
char said[SANDBOX_SAID_MAX];

bool is_root(void)
{
    return geteuid() == 0;
}

int landlock_abi(void)
{
    long r = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return r < 0 ? 0 : (int)r;
}

static void put_file(const char *path)
{
    FILE *f = fopen(path, "w");
    if (f) {
        fputs("text\n", f);
        fclose(f);
        chmod(path, 0644);
    }
}

int sandbox_set_up(void **state)
{
    struct sock_addr a;
    (void)state;
    if (!mkdtemp(field.dir) || chmod(field.dir, 0755) < 0) {
        return -1;
    }
    snprintf(field.read, sizeof(field.read), "%s/read", field.dir);
    snprintf(field.in_read, sizeof(field.in_read), "%s/read/file", field.dir);
    snprintf(field.write, sizeof(field.write), "%s/write", field.dir);
    snprintf(field.outside, sizeof(field.outside), "%s/outside", field.dir);
    snprintf(field.in_outside, sizeof(field.in_outside), "%s/outside/file", field.dir);
    snprintf(field.docker, sizeof(field.docker), "%s/s", field.dir);
    if (mkdir(field.read, 0755) < 0 || mkdir(field.write, 0777) < 0 ||
        chmod(field.write, 0777) < 0 || mkdir(field.outside, 0755) < 0 ||
        sock_unix_addr(&a, field.docker) < 0) {
        return -1;
    }
    put_file(field.in_read);
    put_file(field.in_outside);
    field.engine = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(field.engine, (struct sockaddr *)&a.sa, a.len) < 0 || listen(field.engine, 64) < 0 ||
        chmod(field.docker, 0660) < 0 || (is_root() && chown(field.docker, 0, SOME_GROUP) < 0)) {
        return -1;
    }
    return 0;
}

int sandbox_tear_down(void **state)
{
    (void)state;
    close(field.engine);
    unlink(field.docker);
    unlink(field.in_read);
    unlink(field.in_outside);
    rmdir(field.read);
    rmdir(field.write);
    rmdir(field.outside);
    return rmdir(field.dir);
}

int run_child(void (*body)(const void *), const void *arg)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        body(arg);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

void in_child(void (*body)(const void *), const void *arg)
{
    int status = run_child(body, arg);
    if (WIFSIGNALED(status)) {
        fail_msg("the child was ended by signal %d", WTERMSIG(status));
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

struct sandbox_settings with(const char *user, bool network)
{
    return (struct sandbox_settings){
        .user = user,
        .network = network,
        .paths = {{field.read, false}, {field.write, true}},
    };
}

void enter(const struct sandbox_settings *settings)
{
    char err[400] = "";
    if (sandbox_enter(settings, said, err, sizeof(err)) < 0) {
        fprintf(stderr, "%s\n", err);
        _exit(1);
    }
}

void enter_plainly(bool network)
{
    struct sandbox_settings settings = with("", network);
    enter(&settings);
}

void skip_unless(bool there, const char *what)
{
    if (!there) {
        print_message("skipped: %s\n", what);
        skip();
    }
}

void be_somebody(gid_t group)
{
    NEED(!is_root() || (setgroups(1, &group) == 0 && setresgid(SOMEBODY, SOMEBODY, SOMEBODY) == 0 &&
                        setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == 0));
}

void enter_in_vain(const struct sandbox_settings *settings, const char *expect)
{
    char err[400] = "";
    NEED(sandbox_enter(settings, said, err, sizeof(err)) == -1);
    if (!strstr(err, expect)) {
        fprintf(stderr, "'%s' is not in: %s\n", expect, err);
        _exit(1);
    }
}
