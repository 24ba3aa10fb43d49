/* The writer: bounded, with a failure that sticks. */
#include "common/json/json.h"

#include "common/config/utf8.h"

#include <inttypes.h>
#include <stdio.h>

void json_out_init(struct json_out *o, char *buf, size_t cap)
{
    memset(o, 0, sizeof(*o));
    o->p = buf;
    o->cap = cap;
}

static void put(struct json_out *o, const char *p, size_t n)
{
    if (o->failed)
        return;
    if (o->cap - o->n < n) {
        o->failed = true;
        return;
    }
    if (n)
        memcpy(o->p + o->n, p, n);
    o->n += n;
}

static bool in_array(const struct json_out *o)
{
    return o->depth > 0 && (o->arrays >> (o->depth - 1) & 1);
}

/* Before any value: it must be its turn. */
static void begin_value(struct json_out *o)
{
    if (o->done || (o->depth > 0 && !in_array(o) && !o->keyed))
        o->failed = true;
    if (in_array(o) && o->comma)
        put(o, ",", 1);
    o->keyed = false;
}

static void end_value(struct json_out *o)
{
    o->comma = true;
    if (o->depth == 0)
        o->done = true;
}

static void open_level(struct json_out *o, bool array)
{
    begin_value(o);
    if (o->depth == JSON_OUT_DEPTH)
        o->failed = true;
    if (o->failed)
        return;
    put(o, array ? "[" : "{", 1);
    o->arrays &= ~(1u << o->depth);
    o->arrays |= (uint32_t)array << o->depth;
    o->depth++;
    o->comma = false;
}

static void close_level(struct json_out *o, bool array)
{
    if (o->depth == 0 || in_array(o) != array || o->keyed)
        o->failed = true;
    if (o->failed)
        return;
    put(o, array ? "]" : "}", 1);
    o->depth--;
    end_value(o);
}

void json_out_object(struct json_out *o)
{
    open_level(o, false);
}

void json_out_object_end(struct json_out *o)
{
    close_level(o, false);
}

void json_out_array(struct json_out *o)
{
    open_level(o, true);
}

void json_out_array_end(struct json_out *o)
{
    close_level(o, true);
}

/* Writes one character below 0x80 that cannot stand for itself. */
static void put_escape(struct json_out *o, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *at = c ? strchr(from, c) : NULL;
    char text[8];

    if (at)
        put(o, (const char[]){'\\', to[at - from]}, 2);
    else
        put(o, text, (size_t)snprintf(text, sizeof(text), "\\u%04x", c));
}

static bool plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

static void put_string(struct json_out *o, struct str s)
{
    size_t i = 0;

    put(o, "\"", 1);
    while (i < s.n && !o->failed) {
        size_t from = i;
        uint32_t cp;
        size_t len;

        while (i < s.n && (unsigned char)s.p[i] < 0x80 && plain((unsigned char)s.p[i]))
            i++;
        put(o, s.p + from, i - from);
        if (i == s.n)
            break;
        if ((unsigned char)s.p[i] < 0x80) {
            put_escape(o, (unsigned char)s.p[i++]);
            continue;
        }
        len = utf8_decode((struct str){s.p + i, s.n - i}, &cp);
        if (len == 0)
            o->failed = true;
        else if (cp == 0x2028 || cp == 0x2029)
            put(o, cp == 0x2028 ? "\\u2028" : "\\u2029", 6);
        else
            put(o, s.p + i, len);
        i += len;
    }
    put(o, "\"", 1);
}

void json_out_key(struct json_out *o, struct str key)
{
    if (o->depth == 0 || in_array(o) || o->keyed)
        o->failed = true;
    if (o->comma)
        put(o, ",", 1);
    put_string(o, key);
    put(o, ":", 1);
    o->keyed = true;
}

void json_out_str(struct json_out *o, struct str value)
{
    begin_value(o);
    put_string(o, value);
    end_value(o);
}

void json_out_int(struct json_out *o, int64_t value)
{
    char text[24];

    begin_value(o);
    put(o, text, (size_t)snprintf(text, sizeof(text), "%" PRId64, value));
    end_value(o);
}

void json_out_bool(struct json_out *o, bool value)
{
    begin_value(o);
    put(o, value ? "true" : "false", value ? 4 : 5);
    end_value(o);
}

void json_out_null(struct json_out *o)
{
    begin_value(o);
    put(o, "null", 4);
    end_value(o);
}

ssize_t json_out_end(const struct json_out *o)
{
    return o->failed || !o->done ? -1 : (ssize_t)o->n;
}
