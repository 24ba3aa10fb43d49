#include "common/http/body.h"

#include "common/http/syntax.h"

enum {
    CHUNK_LINE,     /* at a chunk size */
    CHUNK_LINE_END, /* at the CRLF of a chunk line whose extension was cut out */
    DATA,
    DATA_CR, /* at the CRLF behind a chunk's data */
    DATA_LF,
    TRAILER_SECTION, /* behind the last chunk's line */
    DONE,
    BAD
};

/* One feed of a chunked body: where it is, and the run of bytes to pass on. */
struct feed {
    struct http_body *b;
    const char *q, *end;
    const char *run, *run_end; /* run is NULL as long as there is none */
};

void http_body_init(struct http_body *b, enum http_framing framing, uint64_t length, bool decode)
{
    memset(b, 0, sizeof(*b));
    b->framing = (uint8_t)framing;
    b->decode = decode;
    b->left = length;
    b->state = framing == HTTP_BODY_CHUNKED ? CHUNK_LINE : DATA;
    if (framing == HTTP_BODY_NONE || (framing == HTTP_BODY_LENGTH && length == 0))
        b->state = DONE;
}

bool http_body_done(const struct http_body *b)
{
    return b->state == DONE;
}

uint64_t http_body_passed(const struct http_body *b)
{
    return b->passed;
}

static enum http_body_result bad(struct http_body *b, const char *why)
{
    b->why = why;
    b->state = BAD;
    return HTTP_BODY_BAD;
}

bool http_body_eof(struct http_body *b)
{
    if (b->state == DONE)
        return true;
    if (b->state == DATA && b->framing == HTTP_BODY_TO_EOF) {
        b->state = DONE;
        return true;
    }
    if (b->state != BAD)
        bad(b, "body ended too early");
    return false;
}

/* Framing: taken, and passed on unless decoding. */
static void take_framing(struct feed *f, size_t n)
{
    if (!f->b->decode) {
        if (!f->run)
            f->run = f->q;
        f->run_end = f->q + n;
    }
    f->q += n;
}

/* False when the data does not follow the run, which must then be passed on first. */
static bool take_data(struct feed *f)
{
    size_t n = (size_t)MIN((uint64_t)(f->end - f->q), f->b->left);

    if (!f->run)
        f->run = f->q;
    else if (f->run_end != f->q)
        return false;
    f->q += n;
    f->run_end = f->q;
    f->b->left -= n;
    f->b->passed += n;
    return true;
}

enum part { PART_OK, PART_PARTIAL, PART_BAD };

/* One quoted-string at *at; all bytes are known to end before `end`. */
static enum part read_quoted(const char **at, const char *end)
{
    const char *p = *at + 1;

    for (; p < end; p++) {
        if (*p == '"') {
            *at = p + 1;
            return PART_OK;
        }
        if (*p == '\\') {
            if (++p == end)
                break;
            if (http_is(*p, HTTP_C_CTL))
                return PART_BAD;
        } else if (!http_is(*p, HTTP_C_QUOTED)) {
            return PART_BAD;
        }
    }
    return PART_PARTIAL;
}

static const char *skip(const char *p, const char *end, unsigned cls)
{
    while (p < end && http_is(*p, cls))
        p++;
    return p;
}

/* *( ";" BWS name [ BWS "=" BWS value ] ), *at at the first ';', ends at the CR. RFC 9112 7.1.1
 * also lets blanks stand before a ';'; those are refused, as servers differ in what they make of
 * blanks behind a chunk size. */
static enum part read_extension(const char **at, const char *end)
{
    const char *p = *at, *from;

    while (*p == ';') {
        from = p = skip(p + 1, end, HTTP_C_BLANK);
        p = skip(p, end, HTTP_C_TOKEN);
        if (p == end)
            return PART_PARTIAL;
        if (p == from)
            return PART_BAD;
        from = p;
        p = skip(p, end, HTTP_C_BLANK);
        if (p == end)
            return PART_PARTIAL;
        if (*p == '=') {
            from = p = skip(p + 1, end, HTTP_C_BLANK);
            if (p == end)
                return PART_PARTIAL;
            if (*p == '"') {
                enum part r = read_quoted(&p, end);

                if (r != PART_OK)
                    return r;
            } else {
                p = skip(p, end, HTTP_C_TOKEN);
                if (p == from)
                    return PART_BAD;
            }
        } else if (p != from) {
            return PART_BAD;
        }
        if (p == end)
            return PART_PARTIAL;
    }
    *at = p;
    return PART_OK;
}

/* A whole chunk line at q: its size, the end of its digits, and its CR. */
static enum part read_chunk_line(struct feed *f, uint64_t *size, const char **digits_end,
                                 const char **cr)
{
    const char *p = f->q, *end = f->end, *why = "chunk size is not hexadecimal digits";
    uint64_t v = 0;

    for (; p < end && http_is(*p, HTTP_C_HEX); p++) {
        if (p - f->q == 16 || v > INT64_MAX / 16) {
            bad(f->b, "chunk size too large");
            return PART_BAD;
        }
        v = v * 16 + http_hex(*p);
    }
    if (p == end)
        return PART_PARTIAL;
    *size = v;
    *digits_end = p;
    if (p > f->q && *p == ';') {
        /* One byte more than allowed is enough to know that it is too long. */
        bool cut = end - p > HTTP_CHUNK_EXTENSION_MAX;
        const char *from = p;
        enum part r = read_extension(&p, cut ? p + HTTP_CHUNK_EXTENSION_MAX + 1 : end);

        if (r == PART_PARTIAL && !cut)
            return PART_PARTIAL;
        why = r == PART_PARTIAL ? "chunk extension too long" : "malformed chunk extension";
        if (r == PART_OK && f->b->extensions + (p - from) > HTTP_BODY_EXTENSIONS_MAX) {
            why = "too many chunk extensions";
            r = PART_BAD;
        }
        if (r != PART_OK) {
            bad(f->b, why);
            return PART_BAD;
        }
    }
    *cr = p;
    if (p > f->q && *p == '\r') {
        if (p + 1 == end)
            return PART_PARTIAL;
        if (p[1] == '\n') {
            f->b->extensions = (uint16_t)(f->b->extensions + (p - *digits_end));
            return PART_OK;
        }
        why = "CR without LF in a chunk line";
    }
    bad(f->b, why);
    return PART_BAD;
}

static void begin_chunk(struct http_body *b)
{
    b->state = b->left ? DATA : TRAILER_SECTION;
}

/* Whoever gets data alone would not look at them. */
static bool trailers_good(struct http_body *b)
{
    struct http_limits limits = HTTP_LIMITS_DEFAULT;
    struct http_field fields[HTTP_MAX_FIELDS];
    const char *why = NULL;
    if (http_parse_trailers(fields, HTTP_MAX_FIELDS, b->trailers.p, b->trailers.n, &limits, &why) <
        0) {
        b->trailers = (struct str){NULL, 0};
        bad(b, why);
        return false;
    }
    return true;
}

/* The section at q, from its first line to its empty one; its fields are for the caller, unless only data is
 * passed. */
static enum part read_trailers(struct feed *f)
{
    struct http_body *b = f->b;
    const char *end = f->q + MIN(f->end - f->q, HTTP_TRAILERS_MAX), *eol, *why = NULL;
    const char *line = f->q + MIN(b->line, end - f->q), *from = f->q + MIN(b->seen, end - f->q);

    for (;; from = line = eol + 2) {
        switch (http_line_find(line, from, end, HTTP_TRAILERS_MAX, &eol, &why)) {
        case HTTP_LINE_OK:
            break;
        case HTTP_LINE_PARTIAL:
        case HTTP_LINE_LONG:
            if (end - f->q == HTTP_TRAILERS_MAX) {
                bad(b, "trailer section too long");
                return PART_BAD;
            }
            b->line = (uint16_t)(line - f->q);
            b->seen = (uint16_t)(eol - f->q);
            return PART_PARTIAL;
        case HTTP_LINE_BAD:
            bad(b, why);
            return PART_BAD;
        }
        if (eol == line)
            break;
        if (b->lines++ == HTTP_MAX_FIELDS) {
            bad(b, "too many trailer fields");
            return PART_BAD;
        }
    }
    eol += 2;
    if (b->lines == 0) {
        take_framing(f, 2);
        return PART_OK;
    }
    b->trailers = (struct str){f->q, (size_t)(eol - f->q)};
    f->q = eol;
    return !b->decode || trailers_good(b) ? PART_OK : PART_BAD;
}

static enum http_body_result feed_chunked(struct feed *f)
{
    struct http_body *b = f->b;

    for (;;) {
        if (f->q == f->end)
            return HTTP_BODY_MORE;
        switch (b->state) {
        case CHUNK_LINE: {
            const char *digits_end, *cr;
            enum part r = read_chunk_line(f, &b->left, &digits_end, &cr);

            if (r != PART_OK)
                return r == PART_BAD ? HTTP_BODY_BAD : HTTP_BODY_MORE;
            if (cr == digits_end || b->decode) {
                take_framing(f, (size_t)(cr + 2 - f->q));
                begin_chunk(b);
                break;
            }
            take_framing(f, (size_t)(digits_end - f->q));
            f->q = cr;
            b->state = CHUNK_LINE_END;
            return HTTP_BODY_MORE;
        }
        case CHUNK_LINE_END:
            if (f->end - f->q < 2)
                return HTTP_BODY_MORE;
            take_framing(f, 2);
            begin_chunk(b);
            break;
        case DATA:
            if (!take_data(f))
                return HTTP_BODY_MORE;
            if (b->left == 0)
                b->state = DATA_CR;
            break;
        case DATA_CR:
        case DATA_LF:
            if (*f->q != (b->state == DATA_CR ? '\r' : '\n'))
                return bad(b, "chunk data is not followed by CRLF");
            b->state = b->state == DATA_CR ? DATA_LF : CHUNK_LINE;
            take_framing(f, 1);
            break;
        case TRAILER_SECTION: {
            enum part r = read_trailers(f);

            if (r != PART_OK)
                return r == PART_BAD ? HTTP_BODY_BAD : HTTP_BODY_MORE;
            b->state = DONE;
            return b->trailers.n && !b->decode ? HTTP_BODY_TRAILERS : HTTP_BODY_DONE;
        }
        default:
            return bad(b, "impossible state");
        }
    }
}

enum http_body_result http_body_feed(struct http_body *b, const char *p, size_t n, size_t *used,
                                     struct str *pass)
{
    struct feed f = {.b = b, .q = p, .end = p + n};
    enum http_body_result r = HTTP_BODY_MORE;

    *used = 0;
    *pass = (struct str){p, 0};
    if (b->state == DONE || b->state == BAD)
        return b->state == DONE ? HTTP_BODY_DONE : HTTP_BODY_BAD;
    if (n == 0)
        return HTTP_BODY_MORE;
    switch ((enum http_framing)b->framing) {
    case HTTP_BODY_CHUNKED:
        r = feed_chunked(&f);
        break;
    case HTTP_BODY_LENGTH:
        if (take_data(&f) && b->left == 0) {
            b->state = DONE;
            r = HTTP_BODY_DONE;
        }
        break;
    case HTTP_BODY_TO_EOF:
        b->left = n;
        (void)take_data(&f);
        break;
    case HTTP_BODY_NONE:
        return HTTP_BODY_DONE;
    }
    *used = (size_t)(f.q - p);
    if (f.run)
        *pass = (struct str){f.run, (size_t)(f.run_end - f.run)};
    return r;
}
