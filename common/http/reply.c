#include "common/http/reply.h"

#include <stdio.h>

#include "common/base/writer.h"

const char *http_status_words(int status)
{
    static const struct {
        int status;
        const char *words;
    } table[] = {
        {200, "OK"},
        {201, "Created"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {417, "Expectation Failed"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].status == status) {
            return table[i].words;
        }
    }
    return "Error";
}

static void put_field(struct writer *w, struct str name, struct str value)
{
    writer_put(w, name);
    writer_put(w, STR(": "));
    writer_put(w, value);
    writer_put(w, STR("\r\n"));
}

size_t http_write_response(char *out, size_t cap, const struct http_response *r,
                           const struct http_reply *reply)
{
    struct writer w = {out, out + cap, false};
    char line[32];
    int n = snprintf(line, sizeof(line), "HTTP/1.1 %u ", r->status);
    writer_put(&w, (struct str){line, (size_t)n});
    writer_put(&w, r->reason);
    writer_put(&w, STR("\r\n"));
    for (unsigned i = 0; i < r->nfields; i++) {
        const struct http_field *f = &r->fields[i];
        if (!f->drop) {
            put_field(&w, f->name, f->value);
        }
    }
    if (reply->chunked) {
        writer_put(&w, STR("Transfer-Encoding: chunked\r\n"));
    }
    if (r->upgrade) {
        writer_put(&w, STR("Connection: upgrade\r\n"));
    } else if (reply->close) {
        writer_put(&w, STR("Connection: close\r\n"));
    } else if (reply->keep_alive) {
        writer_put(&w, STR("Connection: keep-alive\r\n"));
    }
    writer_put(&w, STR("\r\n"));
    return writer_end(&w, out);
}

size_t http_write_trailers(char *out, size_t cap, const struct http_field *fields, unsigned n)
{
    struct writer w = {out, out + cap, false};
    for (unsigned i = 0; i < n; i++) {
        if (!fields[i].drop && !http_name_is_hub(fields[i].id)) {
            put_field(&w, fields[i].name, fields[i].value);
        }
    }
    writer_put(&w, STR("\r\n"));
    return writer_end(&w, out);
}
