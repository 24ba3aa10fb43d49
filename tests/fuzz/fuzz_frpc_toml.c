/* Any text as an frpc.toml: either a configuration that holds what it promises, or one line that
 * says what is wrong and where. */
#include <stdint.h>
#include <stdlib.h>

#include "common/config/values.h"
#include "tunnel-client/frpc_toml.h"
#include "tunnel-client/toml.h"

#define REQUIRE(what)                                                                              \
    do {                                                                                           \
        if (!(what))                                                                               \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct config_report *report)
{
    REQUIRE(strncmp(report->error, "f:", 2) == 0);
    for (const char *z = report->error; *z; z++)
        REQUIRE((unsigned char)*z >= 0x20 && *z != 0x7F);
}

/* Keys of a table differ; values have what their type needs. */
static size_t check_tree(const struct toml_node *node)
{
    size_t n = 1;

    REQUIRE(node->line >= 1);
    REQUIRE((node->type == TOML_STRING) == (node->string != NULL));
    REQUIRE(node->type == TOML_TABLE || node->type == TOML_ARRAY || !node->first);
    for (const struct toml_node *child = node->first; child; child = child->next) {
        REQUIRE((child->key != NULL) == (node->type == TOML_TABLE));
        REQUIRE(!child->key || toml_get(node, str_of(child->key)) == child);
        REQUIRE(child->next || node->last == child);
        n += check_tree(child);
    }
    return n;
}

static void check_config(const struct tunnel_config *t)
{
    REQUIRE(value_is_host(str_of(t->server_address)));
    REQUIRE(t->server_port >= 1 && t->server_port <= 65535);
    REQUIRE(t->proxies_n >= 1 && t->proxies_n <= TUNNEL_PROXIES_MAX);
    REQUIRE(t->metas_n <= TUNNEL_METAS_MAX);
    REQUIRE(t->dial_timeout && t->reconnect_min && t->keepalive_timeout);
    REQUIRE(!t->tls_enable || *t->tls_server_name);
    for (size_t i = 0; i < t->proxies_n; i++) {
        const struct tunnel_proxy *p = &t->proxies[i];

        REQUIRE(*p->name && p->remote_port);
        REQUIRE(*p->unix_path == '/' || (value_is_host(str_of(p->local_host)) && p->local_port));
        for (size_t j = 0; j < i; j++)
            REQUIRE(!tunnel_proxy_equal(p, &t->proxies[j]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const env[] = {"A=1", "B=text", "C=", NULL};
    struct config_report report = {0};
    struct tunnel_config t = {0};
    struct toml_node *root;
    char *copy = malloc(size + 1);

    if (!copy)
        return 0;
    memcpy(copy, data, size);
    root = toml_parse((struct str){copy, size}, "f", (char *const *)env, &report);
    if (root)
        REQUIRE(check_tree(root) <= TOML_NODES_MAX + 1 && !report.error[0]);
    else
        check_error(&report);
    report.error[0] = '\0';
    if (frpc_toml_read(&t, (struct str){copy, size}, "f", (char *const *)env, &report) == 0) {
        REQUIRE(root && !report.error[0]);
        check_config(&t);
    } else {
        check_error(&report);
    }
    tunnel_config_free(&t);
    toml_free(root);
    free(copy);
    return 0;
}
