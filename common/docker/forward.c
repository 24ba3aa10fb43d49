#include "common/docker/forward.h"

#include "common/base/writer.h"
#include "common/docker/chars.h"
#include "common/json/json.h"

#include <stdio.h>

static void put_version(struct writer *w, unsigned minor)
{
    char text[16];
    int n = snprintf(text, sizeof(text), "/v1.%u", minor);
    writer_put(w, (struct str){text, (size_t)n});
}

static void put_value(struct writer *w, struct str value)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (docker_unreserved(value.p[i])) {
            writer_put(w, (struct str){value.p + i, 1});
        } else {
            writer_put(w, (struct str){(const char[]){'%', digits[c >> 4], digits[c & 15]}, 3});
        }
    }
}

/* The first such field, unless it was for the nearest server alone. */
static void put_field(struct writer *w, const struct http_request *request, struct str name)
{
    for (unsigned i = 0; i < request->nfields; i++) {
        const struct http_field *f = &request->fields[i];
        if (str_eq_nocase(f->name, name)) {
            if (!f->drop) {
                writer_put(w, name);
                writer_put(w, STR(": "));
                writer_put(w, f->value);
                writer_put(w, STR("\r\n"));
            }
            return;
        }
    }
}

static void put_framing(struct writer *w, const struct http_request *request,
                        const struct docker_forwarding *how)
{
    char text[64];
    if (how->chunked) {
        writer_put(w, STR("Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n"));
    } else if (how->length > 0) {
        int n = snprintf(text, sizeof(text), "Content-Length: %zu\r\n", how->length);
        writer_put(w, STR("Content-Type: application/json\r\n"));
        writer_put(w, (struct str){text, (size_t)n});
    } else if (request->method_id != HTTP_GET && request->method_id != HTTP_HEAD) {
        /* Said for methods that could have a body (RFC 9110 8.6). */
        writer_put(w, STR("Content-Length: 0\r\n"));
    }
    if (how->upgrade) {
        writer_put(w, STR("Connection: Upgrade\r\nUpgrade: tcp\r\n"));
    } else if (!how->keep_alive) {
        writer_put(w, STR("Connection: close\r\n"));
    }
    writer_put(w, STR("\r\n"));
}

size_t docker_forward_request(char *out, size_t cap, const struct docker_call *call,
                              const struct http_request *request,
                              const struct docker_forwarding *how)
{
    struct writer w = {out, out + cap, false};
    if (!call->rule) {
        return 0;
    }
    writer_put(&w, request->method);
    writer_put(&w, STR(" "));
    if (call->version) {
        put_version(&w, call->version);
    }
    writer_put(&w, docker_call_path(call));
    for (unsigned i = 0; i < call->nparams; i++) {
        writer_put(&w, i ? STR("&") : STR("?"));
        writer_put(&w, docker_param_name(call, i));
        writer_put(&w, STR("="));
        put_value(&w, docker_param_value(call, i));
    }
    writer_put(&w, STR(" HTTP/1.1\r\nHost: docker\r\n"));
    put_field(&w, request, STR("Accept"));
    put_field(&w, request, STR("User-Agent"));
    if (call->rule->registry_auth) {
        put_field(&w, request, STR("X-Registry-Auth"));
    }
    put_framing(&w, request, how);
    return w.full ? 0 : (size_t)(w.p - out);
}

bool docker_answer_passes(const struct http_field *field)
{
    return !field->drop && field->id != HTTP_LOCATION;
}

size_t docker_verdict_message(const struct docker_verdict *verdict, char *out, size_t cap)
{
    int n = verdict->status == 403
                ? snprintf(out, cap, "refused by policy: %s: %s", verdict->call, verdict->why)
            : verdict->status == 413
                ? snprintf(out, cap, "too large: %s: %s", verdict->call, verdict->why)
                : snprintf(out, cap, "malformed request: %s", verdict->why);
    return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

size_t docker_message_body(char *out, size_t cap, struct str message)
{
    struct json_out o;
    json_out_init(&o, out, cap);
    json_out_object(&o);
    json_out_key(&o, STR("message"));
    json_out_str(&o, message);
    json_out_object_end(&o);
    ssize_t n = json_out_end(&o);
    return n > 0 ? (size_t)n : 0;
}
