/* command_health.c - harp-hub health, for health checks of containers: one line, soon. */
#include "hub/command/command_impl.h"

enum { HEALTH_MS = 5000 };

int command_health(const struct hub_settings *set, const struct program *program,
                   const struct options *o, FILE *out, FILE *err)
{
    struct asked asked = {.status = 0};
    int code = EXIT_CODE_SETTINGS;
    if (o->arguments_n > 0) {
        return options_usage_error(program, err, "unexpected argument", o->arguments[0]);
    }
    if (command_ask_within(set, "GET", "/health", HEALTH_MS, &asked, err) == 0) {
        if (asked.status == 200) {
            fprintf(out, "healthy: the hub at %s answers, and all its listeners are open\n",
                    asked.at);
            code = EXIT_CODE_OK;
        } else if (asked.status == 503) {
            fprintf(err, "harp-hub: not healthy: the hub at %s is stopping\n", asked.at);
        } else {
            code = command_unexpected(&asked, err);
        }
    }
    buf_free(&asked.body);
    return code;
}
