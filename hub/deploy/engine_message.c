/* engine_message.c - what an engine says when it does not do something. */
#include "common/json/json.h"
#include "hub/deploy/engine.h"

void engine_message(const struct engine_answer *answer, char *out, size_t size)
{
    struct str body = answer->body, text;
    struct json_doc *doc = body.n > 0 ? json_parse(body.p, body.n, NULL, NULL, 0) : NULL;
    if (!doc || json_str(json_get(json_root(doc), "message"), &text) < 0) {
        text = body;
    }
    size_t n = MIN(MIN(text.n, size - 1), (size_t)ENGINE_MESSAGE_MAX);
    for (size_t i = 0; i < n; i++) {
        out[i] = (char)((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7F ? ' ' : text.p[i]);
    }
    out[n] = '\0';
    json_free(doc);
}

bool engine_refusal(const struct engine_answer *answer, char *out, size_t size)
{
    static const char begins[] = "refused by policy: ";
    *out = '\0';
    if (answer->status == 403) {
        engine_message(answer, out, size);
    }
    if (strncmp(out, begins, sizeof(begins) - 1) != 0) {
        *out = '\0';
    }
    return *out != '\0';
}
