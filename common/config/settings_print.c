#include "common/config/settings.h"

#define WIDTH 96

/* Words of `text`, each line starting with `prefix`, none longer than WIDTH if a word allows. */
static void print_wrapped(FILE *to, const char *prefix, const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t word = strcspn(text, " ");

        if (column && column + 1 + word > WIDTH) {
            fputc('\n', to);
            column = 0;
        }
        if (column == 0)
            column = (size_t)fprintf(to, "%s", prefix);
        else
            column += (size_t)fprintf(to, " ");
        column += (size_t)fprintf(to, "%.*s", (int)word, text);
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', to);
}

static const char *value_shape(const struct setting *row)
{
    if (row->unit)
        return row->unit;
    switch (row->type) {
    case SETTING_SECRET:
        return "a secret; printable ASCII without double quote and backslash";
    case SETTING_BOOL:
        return "true or false";
    case SETTING_INT:
        return "a whole number";
    case SETTING_SIZE:
        return "bytes, or K, M, G";
    case SETTING_TIMEOUT:
        return "a duration with its unit: us, ms, s, m, h, d";
    case SETTING_DURATION:
        return "a duration: us, ms, s, m, h, d; without a unit, seconds";
    case SETTING_LISTEN:
        return row->max == 1 ? "ADDRESS:PORT, [IPV6]:PORT, unix:/PATH or off"
                             : "ADDRESS:PORT, [IPV6]:PORT or unix:/PATH";
    case SETTING_ADDRESSES:
        return "IP addresses and networks with commas between";
    default:
        return NULL;
    }
}

static void print_shape(FILE *to, const struct setting *row)
{
    const char *shape = value_shape(row);

    fputs("# Value: ", to);
    if (row->type == SETTING_CHOICE) {
        for (int i = 0; row->choices[i]; i++)
            fprintf(to, "%s%s", i ? ", " : "", row->choices[i]);
    } else {
        fputs(shape ? shape : "text", to);
    }
    if (row->env)
        fprintf(to, ". Environment: %s", row->env);
    fputs(".\n", to);
}

static void print_value(FILE *to, const struct setting *row)
{
    const char *def = row->def ? row->def : "";

    if (row->type == SETTING_INT || row->type == SETTING_BOOL) {
        fputs(def, to);
        return;
    }
    fputc('"', to);
    for (; *def; def++)
        fprintf(to, *def == '"' || *def == '\\' ? "\\%c" : "%c", *def);
    fputc('"', to);
}

void settings_print(const struct settings *settings, FILE *to, const char *head, const char *tail)
{
    if (head)
        fputs(head, to);
    for (size_t i = 0; i < settings->n; i++) {
        const struct setting *row = &settings->table[i];

        if (row->type == SETTING_HEADING) {
            fprintf(to, "\n# ---- %s ----\n", row->help);
            continue;
        }
        fputc('\n', to);
        print_wrapped(to, "# ", row->help);
        print_shape(to, row);
        fprintf(to, "#%s = ", row->name);
        print_value(to, row);
        fputs(";\n", to);
    }
    if (tail)
        fputs(tail, to);
}

void settings_help(const struct settings *settings, FILE *to)
{
    for (size_t i = 0; i < settings->n; i++) {
        const struct setting *row = &settings->table[i];

        if (row->type == SETTING_HEADING) {
            fprintf(to, "\n  %s\n", row->help);
            continue;
        }
        fprintf(to, "    %s", row->name);
        if (row->env)
            fprintf(to, " (%s)", row->env);
        if (row->def && *row->def)
            fprintf(to, " = %s", row->def);
        fputc('\n', to);
        print_wrapped(to, "        ", row->help);
    }
}
