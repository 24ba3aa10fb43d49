#include "socket-filter/command/command.h"

#include "socket-filter/audit/audit_command.h"
#include "socket-filter/command/health_command.h"
#include "socket-filter/command/policy_command.h"
#include "socket-filter/settings/settings.h"

enum { COMMAND_POLICY, COMMAND_AUDIT, COMMAND_HEALTH };

static const struct program_command commands[] = {
    [COMMAND_POLICY] =
        {.name = "policy",
         .arguments = "show [NAME] | test [--policy NAME] FILE",
         .help =
             "Lists the policies, or prints one as it stands in a configuration file; or judges "
             "recorded requests by one.",
         .dashes = true},
    [COMMAND_AUDIT] =
        {.name = "audit",
         .arguments = "verify [--head HEX] FILE... | show [FILTER]... FILE...",
         .help =
             "Checks the chain of records, or prints records. A FILE may be the folder of them.",
         .dashes = true},
    [COMMAND_HEALTH] =
        {.name = "health",
         .arguments = "",
         .help =
             "Asks the filter that runs with these settings, for a container's health check: its "
             "admin "
             "socket, else /_ping at the first listener that needs neither credentials nor TLS."},
};

static const struct program_option own[] = {
    {"--docker", "unix:PATH", "where the engine is, whatever the configuration says"},
    {"--listen", "unix:PATH|ADDRESS:PORT",
     "where to listen, in place of all listeners of the configuration; several times"},
};

static const char example_head[] =
    "# harp-socket-filter: stands in front of a Docker socket and lets through what a policy "
    "allows.\n"
    "# What passes, and how to let one thing more pass: POLICY.md. Without this file: AppAPI's "
    "policy\n"
    "# at " FILTER_LISTEN_DEFAULT ", for the program's own user alone.\n"
    "# Each setting is shown with its default; take away the # to change it. An environment "
    "variable "
    "that is\n"
    "# set wins over this file.\n";

static const char example_tail[] =
    "\n# ---- Listeners: each with a policy ----\n"
    "#\n"
    "# address        unix:PATH, ADDRESS:PORT; or: socket, the name of one that systemd hands "
    "over\n"
    "# file_mode      of a unix socket, in octal, in quotes\n"
    "# group          of a unix socket; default: the program's own\n"
    "# policy         `harp-socket-filter policy show` lists them\n"
    "# mode           enforce or report; default: as above\n"
    "# certificate    PEM with key: TLS;  key: where the key is a file of its own\n"
    "# client_ca      PEM: clients must show a certificate signed by one of these\n"
    "# certificates   policies of single certificates, by common name, DNS name or "
    "sha256:FINGERPRINT;\n"
    "#                the first that fits counts\n"
    "# user, password or password_file   Basic authentication\n"
    "#\n"
    "# listeners = (\n"
    "#   { address = \"" FILTER_LISTEN_DEFAULT "\"; file_mode = \"0660\"; group = \"harp\";\n"
    "#     policy = \"appapi\"; },\n"
    "#   { address = \"127.0.0.1:2375\"; policy = \"read-only\"; },\n"
    "#   { address = \"0.0.0.0:2376\"; policy = \"appapi\";\n"
    "#     certificate = \"/etc/harp/filter.pem\"; client_ca = \"/etc/harp/clients.pem\";\n"
    "#     certificates = ( { name = \"monitor.example\"; policy = \"read-only\"; } ); }\n"
    "# );\n"
    "#\n"
    "# policies = ( ... );   as `harp-socket-filter policy show NAME` prints them\n";

struct program filter_program(const char *version)
{
    return (struct program){
        .name = "harp-socket-filter",
        .config = "/etc/harp/filter.cfg",
        .version = version,
        .summary = "Stands in front of a Docker socket and lets through what a policy allows.",
        .settings = &filter_settings_table,
        .example_head = example_head,
        .example_tail = example_tail,
        .commands = commands,
        .commands_n = ARRAY_LEN(commands),
        .options = own,
        .options_n = ARRAY_LEN(own)};
}

static int run_policy(const struct options *o, FILE *out, FILE *err)
{
    struct config_report report = {.arg = NULL};
    struct config_file file;
    bool from_file = o->config[0] != '\0';
    if (from_file && config_file_open(&file, o->config, &report) < 0) {
        fprintf(err, "harp-socket-filter: %s\n", report.error);
        return EXIT_CODE_SETTINGS;
    }
    struct policies *policies = policies_load(from_file ? &file : NULL, &report);
    if (from_file) {
        config_file_close(&file);
    }
    if (!policies) {
        fprintf(err, "harp-socket-filter: %s\n", report.error);
        return EXIT_CODE_SETTINGS;
    }
    int code = policy_command(policies, o->config, (int)o->arguments_n, o->arguments, out, err);
    policies_free(policies);
    return code;
}

static int run_health(const struct program *program, const struct options *o, char *const *env,
                      FILE *out, FILE *err)
{
    struct filter_settings set = {.mode = 0};
    struct config_report report = {.arg = NULL};
    if (o->arguments_n > 0) {
        return options_usage_error(program, err, "unexpected argument", o->arguments[0]);
    }
    if (filter_settings_load(&set, o, env, &report) < 0) {
        fprintf(err, "harp-socket-filter: %s\n", report.error);
        return EXIT_CODE_SETTINGS;
    }
    int code = health_command(&set, out, err);
    filter_settings_free(&set);
    return code;
}

int filter_command(const struct program *program, const struct options *options, char *const *env,
                   FILE *out, FILE *err)
{
    if (options->command == &commands[COMMAND_HEALTH]) {
        return run_health(program, options, env, out, err);
    }
    if (options->given_n > 0) {
        return options_usage_error(program, err, "an option that no command has",
                                   options->given[0].option->name);
    }
    return options->command == &commands[COMMAND_POLICY]
               ? run_policy(options, out, err)
               : audit_command((int)options->arguments_n, options->arguments, out, err);
}
