#include "tunnel-client/toml_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/config/settings.h"
#include "common/config/utf8.h"
#include "common/config/values.h"

#define ENV_NAME_MAX 128
#define WORD_MAX 64

int toml_fail(struct toml_scan *s, const char *fmt, ...)
{
    char what[CONFIG_LINE_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    return config_fail(s->report, "%s:%d: %s", s->name, s->line, what);
}

int toml_check_text(struct toml_scan *s)
{
    int line = s->line;

    for (size_t i = 0; i < s->text.n;) {
        struct str rest = {s->text.p + i, s->text.n - i};
        uint32_t cp = 0;
        size_t n = utf8_decode(rest, &cp);
        const char *problem = NULL;

        if (n == 0)
            problem = "the text is not UTF-8";
        else if (i == 0 && cp == 0xFEFF)
            problem = "a byte order mark is not allowed";
        else if (cp == '\r' && (rest.n < 2 || rest.p[1] != '\n'))
            problem = "a carriage return without a line feed";
        else if ((cp < 0x20 && cp != '\t' && cp != '\r' && cp != '\n') || cp == 0x7F)
            problem = "a control character";
        if (problem)
            return toml_fail(s, "%s", problem);
        if (cp == '\n')
            s->line++;
        i += n;
    }
    s->line = line;
    return 0;
}

char toml_peek(const struct toml_scan *s)
{
    return s->at < s->text.n ? s->text.p[s->at] : '\0';
}

bool toml_take(struct toml_scan *s, char c)
{
    if (s->at >= s->text.n || s->text.p[s->at] != c)
        return false;
    s->at++;
    return true;
}

static bool next_is(const struct toml_scan *s, struct str word)
{
    return s->text.n - s->at >= word.n && memcmp(s->text.p + s->at, word.p, word.n) == 0;
}

bool toml_at_template(const struct toml_scan *s)
{
    return next_is(s, STR("{{"));
}

void toml_skip_blanks(struct toml_scan *s)
{
    while (toml_peek(s) == ' ' || toml_peek(s) == '\t')
        s->at++;
}

static void skip_comment(struct toml_scan *s)
{
    if (toml_peek(s) != '#')
        return;
    while (s->at < s->text.n && s->text.p[s->at] != '\n' && s->text.p[s->at] != '\r')
        s->at++;
}

/* A line's end; CR stands only before LF, the text was checked for that. */
static bool take_newline(struct toml_scan *s)
{
    (void)toml_take(s, '\r');
    if (!toml_take(s, '\n'))
        return false;
    s->line++;
    return true;
}

int toml_skip_lines(struct toml_scan *s)
{
    do {
        toml_skip_blanks(s);
        skip_comment(s);
    } while (take_newline(s));
    return 0;
}

int toml_end_line(struct toml_scan *s)
{
    toml_skip_blanks(s);
    skip_comment(s);
    if (s->at == s->text.n || toml_peek(s) == '\r' || toml_peek(s) == '\n')
        return 0;
    return toml_fail(s, "there is more on the line than a key and a value");
}

static int put(struct toml_scan *s, size_t *n, const char *p, size_t len)
{
    /* One byte is kept for the NUL. */
    if (len >= sizeof(s->buf) - *n)
        return toml_fail(s, "a string is longer than %d bytes", TOML_STRING_MAX - 1);
    memcpy(s->buf + *n, p, len);
    *n += len;
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static int put_unicode(struct toml_scan *s, size_t *n, unsigned digits)
{
    uint32_t cp = 0;
    char utf8[4];

    for (unsigned i = 0; i < digits; i++) {
        int digit = hex_digit(toml_peek(s));

        if (digit < 0)
            return toml_fail(s, "\\%c needs %u hexadecimal digits", digits == 4 ? 'u' : 'U',
                             digits);
        cp = cp << 4 | (uint32_t)digit;
        s->at++;
    }
    if (cp == 0 || cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF))
        return toml_fail(s, "an escape that is no character a value may hold");
    return put(s, n, utf8, utf8_encode(cp, utf8));
}

static int put_escape(struct toml_scan *s, size_t *n)
{
    static const char from[] = "btnfr\"\\";
    static const char to[] = "\b\t\n\f\r\"\\";
    char c = toml_peek(s);
    const char *found = c ? strchr(from, c) : NULL;

    if (!found && c != 'u' && c != 'U')
        return toml_fail(s, "an unknown escape in a string; write \\\\ for a backslash");
    s->at++;
    if (!found)
        return put_unicode(s, n, c == 'u' ? 4 : 8);
    return put(s, n, to + (found - from), 1);
}

/* A string in single or double quotes into s->buf, NUL-terminated. */
static int scan_string(struct toml_scan *s, size_t *n)
{
    char quote = toml_peek(s);

    if (next_is(s, STR("\"\"\"")) || next_is(s, STR("'''")))
        return toml_fail(s, "strings over several lines are not supported");
    s->at++;
    *n = 0;
    for (;;) {
        char c = toml_peek(s);

        if (s->at == s->text.n || c == '\n' || c == '\r')
            return toml_fail(s, "a string does not end on its line");
        s->at++;
        if (c == quote)
            break;
        if (quote == '"' && c == '\\') {
            if (put_escape(s, n) != 0)
                return -1;
        } else if (put(s, n, &c, 1) != 0) {
            return -1;
        }
    }
    s->buf[*n] = '\0';
    return 0;
}

static bool is_bare(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static int scan_key_part(struct toml_scan *s, struct str *part, size_t *used)
{
    size_t n = 0;

    if (toml_peek(s) == '"' || toml_peek(s) == '\'') {
        if (scan_string(s, &n) != 0)
            return -1;
    } else {
        while (is_bare(toml_peek(s))) {
            if (put(s, &n, s->text.p + s->at, 1) != 0)
                return -1;
            s->at++;
        }
        if (n == 0)
            return toml_fail(s, "a key is missing; lines read key = value, [table] or # comment");
    }
    if (n > sizeof(s->key_bytes) - *used)
        return toml_fail(s, "a key is longer than %d bytes", TOML_KEY_BYTES_MAX);
    memcpy(s->key_bytes + *used, s->buf, n);
    *part = (struct str){s->key_bytes + *used, n};
    *used += n;
    return 0;
}

int toml_scan_key(struct toml_scan *s, struct toml_key *key)
{
    size_t used = 0;

    key->n = 0;
    do {
        toml_skip_blanks(s);
        if (key->n == TOML_KEY_PARTS_MAX)
            return toml_fail(s, "a key has more than %d parts", TOML_KEY_PARTS_MAX);
        if (scan_key_part(s, &key->parts[key->n], &used) != 0)
            return -1;
        key->n++;
        toml_skip_blanks(s);
    } while (toml_take(s, '.'));
    return 0;
}

/* Reads `{{ .Envs.NAME }}` at the front of *rest, moves *rest past it, and gives the value. */
static int expand(struct toml_scan *s, struct str *rest, struct str *value)
{
    static const struct str prefix = {".Envs.", 6};
    char name[ENV_NAME_MAX];
    size_t at = 2;
    size_t n = 0;

    while (at < rest->n && rest->p[at] == ' ')
        at++;
    if (rest->n - at < prefix.n || memcmp(rest->p + at, prefix.p, prefix.n) != 0)
        goto bad;
    at += prefix.n;
    while (at < rest->n && is_bare(rest->p[at]) && rest->p[at] != '-' && n + 1 < sizeof(name))
        name[n++] = rest->p[at++];
    name[n] = '\0';
    while (at < rest->n && rest->p[at] == ' ')
        at++;
    if (n == 0 || rest->n - at < 2 || memcmp(rest->p + at, "}}", 2) != 0)
        goto bad;
    for (char *const *e = s->env; e && *e; e++) {
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=') {
            *rest = (struct str){rest->p + at + 2, rest->n - at - 2};
            *value = str_of(*e + n + 1);
            return 0;
        }
    }
    return toml_fail(s, "the environment variable %s is not set", name);
bad:
    return toml_fail(s, "only {{ .Envs.NAME }} is supported between {{ and }}");
}

/* A copy of s->buf with the environment put in. */
static int copy_expanded(struct toml_scan *s, size_t n, char **out)
{
    struct str rest = {s->buf, n};
    size_t used = 0;
    char *copy = malloc(TOML_STRING_MAX);
    int rc = 0;

    if (!copy)
        return toml_fail(s, "out of memory");
    while (rest.n && rc == 0) {
        struct str piece = {rest.p, 1};

        if (rest.n >= 2 && memcmp(rest.p, "{{", 2) == 0)
            rc = expand(s, &rest, &piece);
        else
            rest = (struct str){rest.p + 1, rest.n - 1};
        if (rc == 0 && piece.n >= TOML_STRING_MAX - used)
            rc = toml_fail(s, "a string is longer than %d bytes", TOML_STRING_MAX - 1);
        if (rc == 0 && piece.n) {
            memcpy(copy + used, piece.p, piece.n);
            used += piece.n;
        }
    }
    if (rc == 0) {
        *out = strndup(copy, used);
        if (!*out)
            rc = toml_fail(s, "out of memory");
    }
    explicit_bzero(copy, used);
    free(copy);
    return rc;
}

/* Digits of a base with single underscores between them. */
static int scan_digits(struct str word, unsigned base, uint64_t *out)
{
    uint64_t value = 0;
    bool after_digit = false;

    for (size_t i = 0; i < word.n; i++) {
        int digit = hex_digit(word.p[i]);

        if (word.p[i] == '_' && after_digit) {
            after_digit = false;
            continue;
        }
        if (digit < 0 || (unsigned)digit >= base ||
            __builtin_mul_overflow(value, (uint64_t)base, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value))
            return -1;
        after_digit = true;
    }
    *out = value;
    return after_digit ? 0 : -1;
}

static int scan_integer(struct str word, int64_t *out)
{
    bool negative = word.n && word.p[0] == '-';
    bool sign = negative || (word.n && word.p[0] == '+');
    struct str digits = sign ? (struct str){word.p + 1, word.n - 1} : word;
    unsigned base = 10;
    uint64_t value = 0;

    if (digits.n > 2 && digits.p[0] == '0' && strchr("xob", digits.p[1]) && !sign) {
        base = digits.p[1] == 'x' ? 16 : digits.p[1] == 'o' ? 8 : 2;
        digits = (struct str){digits.p + 2, digits.n - 2};
    } else if (digits.n > 1 && digits.p[0] == '0') {
        return -1;
    }
    if (scan_digits(digits, base, &value) != 0 || value > (uint64_t)INT64_MAX)
        return -1;
    *out = negative ? -(int64_t)value : (int64_t)value;
    return 0;
}

static int scan_word(struct toml_scan *s, struct str word, struct toml_scalar *out)
{
    char shown[CONFIG_SHOW_MAX];

    if (str_eq(word, STR("true")) || str_eq(word, STR("false"))) {
        out->type = TOML_BOOLEAN;
        out->boolean = word.p[0] == 't';
        return 0;
    }
    out->type = TOML_INTEGER;
    if (scan_integer(word, &out->integer) == 0)
        return 0;
    return toml_fail(s, "%s is no value; write \"text\", a whole number, true or false",
                     config_show(shown, word));
}

int toml_scan_scalar(struct toml_scan *s, struct toml_scalar *out)
{
    struct str rest = {s->text.p + s->at, s->text.n - s->at};
    struct str word = {rest.p, 0};
    size_t n = 0;

    *out = (struct toml_scalar){.type = TOML_STRING};
    if (toml_peek(s) == '"' || toml_peek(s) == '\'')
        return scan_string(s, &n) == 0 ? copy_expanded(s, n, &out->string) : -1;
    if (toml_at_template(s)) {
        size_t before = rest.n;
        struct str value = {NULL, 0};

        if (expand(s, &rest, &value) != 0)
            return -1;
        s->at += before - rest.n;
        /* The variable may hold a secret, so it is not shown. */
        out->type = TOML_INTEGER;
        if (scan_integer(value, &out->integer) == 0)
            return 0;
        out->type = TOML_BOOLEAN;
        if (value_parse_bool(value, &out->boolean) == 0 && value.n > 1)
            return 0;
        return toml_fail(s, "the environment variable is neither a whole number nor true or false; "
                            "write quotes around {{ }} for text");
    }
    while (word.n < rest.n && word.n < WORD_MAX && !strchr(" \t\r\n,]}#", rest.p[word.n]))
        word.n++;
    if (word.n == 0)
        return toml_fail(s, "a value is missing after the =");
    s->at += word.n;
    return scan_word(s, word, out);
}
