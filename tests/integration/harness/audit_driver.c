/* audit_driver.c - writes a record as harp-socket-filter does, at the word of a test, and runs its commands.
 *
 *   audit_driver write FOLDER SEGMENT_SIZE SYNC     a number on stdin: so many decisions are written (0: without
 *                                              end), and "N" is printed when record N of this process was, or
 *                                              "-N: error" when it could not be; the end of stdin: it stops
 *   audit_driver verify|show ...               as `harp-socket-filter audit`
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log/log.h"
#include "common/loop/loop.h"
#include "socket-filter/audit/audit.h"
#include "socket-filter/audit/audit_command.h"

static void write_one(struct audit *a, unsigned long n)
{
    char object[32];

    snprintf(object, sizeof(object), "nc_app_%lu", n);
    struct audit_record record = {
        .connection = n,
        .client = "uid 33",
        .policy = "driver",
        .method = "POST",
        .call = "containers/create",
        .object = str_of(object),
        .verdict = n % 3 ? AUDIT_PASSED : AUDIT_REFUSED,
        .why = n % 3 ? NULL : "container name is not granted",
    };
    /* The test counts what it was told. */
    if (audit_write(a, &record) == 0) {
        printf("%lu\n", n);
    } else {
        printf("-%lu: %s\n", n, strerror(errno));
    }
    fflush(stdout);
}

static int write_records(const char *folder, const char *size, const char *sync)
{
    static struct loop loop;
    struct log log;
    struct audit_settings settings = {.folder = folder, .segment_size = strtoull(size, NULL, 10)};
    char err[512], line[32];
    unsigned long n = 0;

    signal(SIGXFSZ, SIG_IGN);
    log_init(&log, 2, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    while (audit_sync_names[settings.sync] && strcmp(audit_sync_names[settings.sync], sync) != 0) {
        settings.sync++;
    }
    if (!audit_sync_names[settings.sync] || loop_init(&loop, &log) < 0) {
        return 2;
    }
    struct audit *a = audit_open(&loop, &log, &settings, err, sizeof(err));
    if (!a) {
        fprintf(stderr, "%s\n", err);
        loop_free(&loop);
        return 1;
    }
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        unsigned long count = strtoul(line, NULL, 10);
        for (unsigned long i = 0; i < count || count == 0; i++) {
            write_one(a, ++n);
        }
        uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
    audit_close(a);
    loop_free(&loop);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "write") == 0) {
        return write_records(argv[2], argv[3], argv[4]);
    }
    return audit_command(argc - 1, (const char *const *)argv + 1, stdout, stderr);
}
