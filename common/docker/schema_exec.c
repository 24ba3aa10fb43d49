/* schema_exec.c - the bodies of commands in containers, and of volumes. */
#include "common/docker/schema.h"

#include "common/docker/reference.h"

/* ---- commands ---- */

static bool same_command(const struct docker_command *c, const struct json_node *n)
{
    size_t i = 0;
    for (const struct json_node *e = json_first(n); e; e = json_next(e), i++) {
        struct str s;
        if (i == c->argv.n || json_str(e, &s) < 0 || !str_eq(s, str_of(c->argv.p[i]))) {
            return false;
        }
    }
    return i == c->argv.n && i > 0;
}

/* The whole of it as a JSON array, or "" when that is too long. */
static struct str command_text(const struct json_node *n, char *buf)
{
    struct json_out o;
    json_out_init(&o, buf, DOCKER_WHAT_MAX - 1);
    json_out_array(&o);
    for (const struct json_node *e = json_first(n); e; e = json_next(e)) {
        struct str s = STR("");
        if (json_str(e, &s) == 0) {
            json_out_str(&o, s);
        }
    }
    json_out_array_end(&o);
    ssize_t len = json_out_end(&o);
    return (struct str){buf, len > 0 ? (size_t)len : 0};
}

static int command_granted(struct docker_judging *j, const struct json_node *n)
{
    char text[DOCKER_WHAT_MAX];
    for (size_t i = 0; i < j->grants->ncommands; i++) {
        if (same_command(&j->grants->commands[i], n)) {
            return 0;
        }
    }
    return docker_refuse_key(j, DOCKER_FAULT_COMMAND, command_text(n, text),
                             "is a command that the policy does not list");
}

const struct docker_field docker_schema_exec[] = {
    {.key = "Cmd",
     .take = docker_take_strings,
     .check = docker_check_any,
     .whole = command_granted,
     .least = 1,
     .most = DOCKER_WORDS_MAX,
     .seen = SEEN_COMMAND},
    {.key = "AttachStdout", .idle = IDLE_NULL, .take = docker_take_boolean},
    {.key = "AttachStderr", .idle = IDLE_NULL, .take = docker_take_boolean},
    {.key = "AttachStdin", .idle = IDLE_NULL | IDLE_FALSE},
    {.key = "ConsoleSize", .idle = IDLE_NULL | IDLE_PAIR},
    {.key = "Detach", .idle = IDLE_NULL | IDLE_FALSE},
    {.key = "DetachKeys", .idle = IDLE_NULL | IDLE_EMPTY},
    {.key = "Env", .idle = IDLE_NULL | IDLE_LIST},
    {.key = "Privileged", .idle = IDLE_NULL | IDLE_FALSE},
    {.key = "Tty", .idle = IDLE_NULL | IDLE_FALSE},
    {.key = "User", .idle = IDLE_NULL | IDLE_EMPTY},
    {.key = "WorkingDir", .idle = IDLE_NULL | IDLE_EMPTY},
    {0},
};

int docker_exec_end(struct docker_judging *j)
{
    return j->seen & SEEN_COMMAND ? 0 : docker_refuse_here(j, "has no Cmd");
}

const struct docker_field docker_schema_exec_start[] = {
    {.key = "Detach", .idle = IDLE_NULL | IDLE_FALSE},
    {.key = "Tty", .idle = IDLE_NULL | IDLE_FALSE},
    {.key = "ConsoleSize", .idle = IDLE_NULL | IDLE_PAIR},
    {0},
};

int docker_exec_start_end(struct docker_judging *j)
{
    json_out_key(&j->out, STR("Detach"));
    json_out_bool(&j->out, false);
    json_out_key(&j->out, STR("Tty"));
    json_out_bool(&j->out, false);
    return 0;
}

/* ---- volumes ---- */

static const char *check_volume(struct str s)
{
    return docker_name_valid(s) ? NULL : "is not a volume's name";
}

static int volume_granted(struct docker_judging *j, struct str s)
{
    return docker_words_match(j->grants->volumes, s)
               ? 0
               : docker_refuse_key(j, DOCKER_FAULT_VOLUME, s,
                                   "is a volume that the policy does not list");
}

const struct docker_field docker_schema_volume[] = {
    {.key = "Name",
     .alias = "name",
     .take = docker_take_string,
     .check = check_volume,
     .granted = volume_granted,
     .seen = SEEN_NAME},
    {.key = "Labels",
     .idle = IDLE_NULL | IDLE_MAP,
     .take = docker_take_labels,
     .check = docker_check_label_key,
     .fields = &docker_each_label,
     .most = DOCKER_LABELS_MAX,
     .seen = SEEN_LABELS},
    {.key = "Driver", .idle = IDLE_NULL | IDLE_EMPTY, .idle_word = "local"},
    /* A local volume's options can make it a folder of the host. */
    {.key = "DriverOpts", .idle = IDLE_NULL | IDLE_MAP},
    {.key = "ClusterVolumeSpec", .idle = IDLE_NULL},
    {0},
};

int docker_volume_end(struct docker_judging *j)
{
    if (!(j->seen & SEEN_NAME)) {
        return docker_refuse_here(j, "has no Name");
    }
    docker_write_labels(j);
    return 0;
}
