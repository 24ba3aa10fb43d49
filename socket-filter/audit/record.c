#include "socket-filter/audit/record.h"

#include <stdio.h>
#include <time.h>

#include "common/config/utf8.h"
#include "common/config/values.h"

/* What the texts of a decision may take. Together with keys, numbers and hash they fit in AUDIT_LINE_MAX
 * (a test writes the longest record there can be). */
enum {
    LISTENER_MAX = 128,
    CLIENT_MAX = 256,
    POLICY_MAX = 96,
    METHOD_MAX = 16,
    CALL_MAX = 96,
    OBJECT_MAX = 512,
    RULE_MAX = 256,
    WHY_MAX = 256,
};

#define CUT "..."
#define SEQ_KEY "{\"seq\":"
#define TIME_KEY ",\"time\":\""
#define EVENT_KEY "\",\"event\":\""
#define HASH_KEY ",\"hash\":\""
#define LINE_END "\"}"

const char *const audit_event_names[] = {"decision", "start",     "stop", "segment",
                                         "closed",   "recovered", "lost", NULL};
const char *const audit_verdict_names[] = {"passed",       "refused",      "malformed",
                                           "would-refuse", "unauthorized", NULL};

int audit_hasher_init(struct audit_hasher *h)
{
    h->md = EVP_MD_fetch(NULL, "SHA3-256", NULL);
    h->ctx = EVP_MD_CTX_new();
    return h->md && h->ctx ? 0 : -1;
}

void audit_hasher_free(struct audit_hasher *h)
{
    EVP_MD_CTX_free(h->ctx);
    EVP_MD_free(h->md);
    *h = (struct audit_hasher){0};
}

int audit_hash(struct audit_hasher *h, struct str body, const unsigned char *previous,
               unsigned char *hash)
{
    unsigned n = 0;

    return EVP_DigestInit_ex2(h->ctx, h->md, NULL) == 1 &&
                   EVP_DigestUpdate(h->ctx, body.p, body.n) == 1 &&
                   EVP_DigestUpdate(h->ctx, previous, AUDIT_HASH_SIZE) == 1 &&
                   EVP_DigestFinal_ex(h->ctx, hash, &n) == 1 && n == AUDIT_HASH_SIZE
               ? 0
               : -1;
}

void audit_hex(const unsigned char *hash, char *hex)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < AUDIT_HASH_SIZE; i++) {
        hex[2 * i] = digits[hash[i] >> 4];
        hex[2 * i + 1] = digits[hash[i] & 15];
    }
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int audit_unhex(struct str text, unsigned char *hash)
{
    if (text.n != AUDIT_HASH_HEX) {
        return -1;
    }
    for (size_t i = 0; i < AUDIT_HASH_SIZE; i++) {
        int high = digit_of(text.p[2 * i]), low = digit_of(text.p[2 * i + 1]);
        if (high < 0 || low < 0) {
            return -1;
        }
        hash[i] = (unsigned char)(high << 4 | low);
    }
    return 0;
}

/* ---- writing ---- */

static void put_time(struct json_out *o)
{
    struct timespec ts = {0};
    struct tm tm = {0};
    char text[64];

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    (void)gmtime_r(&ts.tv_sec, &tm);
    int n = snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                     (int)(ts.tv_nsec / 1000000));
    json_out_str(o, (struct str){text, (size_t)n});
}

void audit_draft_begin(struct audit_draft *d, uint64_t seq, enum audit_event event)
{
    json_out_init(&d->json, d->line, sizeof(d->line) - 1);
    json_out_object(&d->json);
    audit_draft_number(d, "seq", seq);
    json_out_key(&d->json, STR("time"));
    put_time(&d->json);
    json_out_key(&d->json, STR("event"));
    json_out_str(&d->json, str_of(audit_event_names[event]));
}

void audit_draft_number(struct audit_draft *d, const char *key, uint64_t value)
{
    json_out_key(&d->json, str_of(key));
    json_out_int(&d->json, (int64_t)MIN(value, (uint64_t)INT64_MAX));
}

/* Bytes that the writer makes of a character at most. */
static size_t cost(uint32_t cp, size_t n)
{
    if (cp == '"' || cp == '\\') {
        return 2;
    }
    bool escaped = cp < 0x20 || cp == '<' || cp == '>' || cp == '&' || cp == 0x2028 || cp == 0x2029;
    return escaped ? 6 : n;
}

void audit_draft_text(struct audit_draft *d, const char *key, struct str text, size_t max)
{
    char copy[AUDIT_TEXT_MAX];
    size_t n = 0, spent = 0, whole = 0; /* whole: as much as leaves room for the mark of a cut */

    max = MIN(max, sizeof(copy));
    while (text.n > 0) {
        char odd[4];
        uint32_t cp;
        size_t taken = utf8_decode(text, &cp);
        struct str c = {text.p, taken};
        if (taken == 0) {
            cp = 0xFFFD;
            taken = 1;
            c = (struct str){odd, utf8_encode(cp, odd)};
        }
        spent += cost(cp, c.n);
        if (spent > max) {
            memcpy(copy + whole, CUT, sizeof(CUT) - 1);
            n = whole + sizeof(CUT) - 1;
            break;
        }
        memcpy(copy + n, c.p, c.n);
        n += c.n;
        if (spent + sizeof(CUT) - 1 <= max) {
            whole = n;
        }
        text.p += taken;
        text.n -= taken;
    }
    if (n > 0) {
        json_out_key(&d->json, str_of(key));
        json_out_str(&d->json, (struct str){copy, n});
    }
}

void audit_draft_hash(struct audit_draft *d, const char *key, const unsigned char *hash)
{
    char hex[AUDIT_HASH_HEX];

    audit_hex(hash, hex);
    json_out_key(&d->json, str_of(key));
    json_out_str(&d->json, (struct str){hex, sizeof(hex)});
}

void audit_draft_decision(struct audit_draft *d, const struct audit_record *record)
{
    if (record->connection > 0) {
        audit_draft_number(d, "connection", record->connection);
    }
    audit_draft_text(d, "listener", str_of(record->listener), LISTENER_MAX);
    audit_draft_text(d, "client", str_of(record->client), CLIENT_MAX);
    audit_draft_text(d, "policy", str_of(record->policy), POLICY_MAX);
    audit_draft_text(d, "method", str_of(record->method), METHOD_MAX);
    audit_draft_text(d, "call", str_of(record->call), CALL_MAX);
    audit_draft_text(d, "object", record->object, OBJECT_MAX);
    audit_draft_text(d, "verdict", str_of(audit_verdict_names[record->verdict]), AUDIT_TEXT_MAX);
    audit_draft_text(d, "rule", str_of(record->rule), RULE_MAX);
    audit_draft_text(d, "why", str_of(record->why), WHY_MAX);
}

ssize_t audit_draft_end(struct audit_draft *d, struct audit_hasher *h,
                        const unsigned char *previous, unsigned char *hash)
{
    if (d->json.failed || audit_hash(h, (struct str){d->line, d->json.n}, previous, hash) < 0) {
        return -1;
    }
    audit_draft_hash(d, "hash", hash);
    json_out_object_end(&d->json);
    ssize_t n = json_out_end(&d->json);
    if (n < 0) {
        return -1;
    }
    d->line[n] = '\n'; /* its room was kept */
    return n + 1;
}

/* ---- reading ---- */

/* Whether s begins with `start`, which is then taken off. */
static bool take(struct str *s, struct str start)
{
    if (s->n < start.n || memcmp(s->p, start.p, start.n) != 0) {
        return false;
    }
    s->p += start.n;
    s->n -= start.n;
    return true;
}

/* What stands before the next c, which stays; {NULL, 0} if there is none. */
static struct str take_to(struct str *s, char c)
{
    const char *at = s->n ? memchr(s->p, c, s->n) : NULL;
    struct str found = {at ? s->p : NULL, at ? (size_t)(at - s->p) : 0};

    s->p += found.n;
    s->n -= found.n;
    return found;
}

static int event_of(struct str name, enum audit_event *event)
{
    for (int i = 0; i < AUDIT_EVENTS; i++) {
        if (str_eq(name, str_of(audit_event_names[i]))) {
            *event = (enum audit_event)i;
            return 0;
        }
    }
    return -1;
}

int audit_line_split(struct str line, struct audit_line *out)
{
    const size_t tail = sizeof(HASH_KEY) - 1 + AUDIT_HASH_HEX + sizeof(LINE_END) - 1;
    int64_t seq;

    if (line.n <= tail || line.n >= AUDIT_LINE_MAX) {
        return -1;
    }
    struct str body = {line.p, line.n - tail}, rest = body;
    struct str end = {line.p + body.n, tail};
    if (!take(&end, STR(HASH_KEY)) ||
        audit_unhex((struct str){end.p, AUDIT_HASH_HEX}, out->link.hash) < 0 ||
        memcmp(end.p + AUDIT_HASH_HEX, LINE_END, sizeof(LINE_END) - 1) != 0) {
        return -1;
    }
    if (!take(&rest, STR(SEQ_KEY)) ||
        value_parse_int(take_to(&rest, ','), 1, INT64_MAX, &seq) != 0 ||
        !take(&rest, STR(TIME_KEY))) {
        return -1;
    }
    out->time = take_to(&rest, '"');
    if (out->time.n != AUDIT_TIME_SIZE || !take(&rest, STR(EVENT_KEY)) ||
        event_of(take_to(&rest, '"'), &out->event) < 0) {
        return -1;
    }
    out->link.seq = (uint64_t)seq;
    out->body = body;
    return 0;
}

/* ---- times ---- */

/* Takes n digits; -1: there are others. */
static int digits(struct str *s, size_t n)
{
    int value = 0;

    if (s->n < n) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9') {
            return -1;
        }
        value = value * 10 + (s->p[i] - '0');
    }
    s->p += n;
    s->n -= n;
    return value;
}

static int fraction(struct str *s, int *ms)
{
    int scale = 100;
    size_t n = 0;

    *ms = 0;
    if (!take(s, STR("."))) {
        return 0;
    }
    for (int d; s->n > 0 && (d = digits(s, 1)) >= 0; n++) {
        *ms += d * scale;
        scale /= 10;
    }
    return n > 0 ? 0 : -1;
}

/* Minutes east of UTC. */
static int offset(struct str *s, int *minutes)
{
    bool west = s->n > 0 && *s->p == '-';

    *minutes = 0;
    if (take(s, STR("Z"))) {
        return 0;
    }
    if (!take(s, STR("+")) && !take(s, STR("-"))) {
        return -1;
    }
    int h = digits(s, 2);
    if (h < 0 || h > 23 || !take(s, STR(":"))) {
        return -1;
    }
    int m = digits(s, 2);
    if (m < 0 || m > 59) {
        return -1;
    }
    *minutes = west ? -(h * 60 + m) : h * 60 + m;
    return 0;
}

int audit_moment(struct str text, int64_t *ms)
{
    struct tm tm = {0};
    int parts, minutes;

    tm.tm_year = digits(&text, 4) - 1900;
    bool ok = tm.tm_year >= 70 && take(&text, STR("-"));
    tm.tm_mon = ok ? digits(&text, 2) - 1 : -1;
    ok = tm.tm_mon >= 0 && tm.tm_mon < 12 && take(&text, STR("-"));
    tm.tm_mday = ok ? digits(&text, 2) : 0;
    ok = tm.tm_mday > 0 && tm.tm_mday < 32 && take(&text, STR("T"));
    tm.tm_hour = ok ? digits(&text, 2) : -1;
    ok = tm.tm_hour >= 0 && tm.tm_hour < 24 && take(&text, STR(":"));
    tm.tm_min = ok ? digits(&text, 2) : -1;
    ok = tm.tm_min >= 0 && tm.tm_min < 60 && take(&text, STR(":"));
    tm.tm_sec = ok ? digits(&text, 2) : -1;
    ok = tm.tm_sec >= 0 && tm.tm_sec <= 60 && fraction(&text, &parts) == 0 &&
         offset(&text, &minutes) == 0 && text.n == 0;
    if (!ok) {
        return -1;
    }
    int day = tm.tm_mday, month = tm.tm_mon, second = tm.tm_sec;
    int64_t seconds = (int64_t)timegm(&tm);
    /* A 30th of February would be taken for a day in March; only a leap second may flow over. */
    if (second < 60 && (tm.tm_mday != day || tm.tm_mon != month)) {
        return -1;
    }
    *ms = (seconds - (int64_t)minutes * 60) * 1000 + parts;
    return 0;
}
