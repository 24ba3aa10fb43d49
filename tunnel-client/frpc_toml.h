/* frpc_toml.h - fills the tunnel client's configuration from an frpc.toml.
 *
 * Owns nothing: what it allocates belongs to the `struct tunnel_config`. Names, defaults and meanings
 * are frpc's (https://github.com/fatedier/frp, conf/frpc_full_example.toml); what is read are the
 * settings of TCP proxies over TCP with TLS. A setting that frpc has and this program does not is
 * told as such, and one that nobody knows as unknown, each with its line.
 */
#ifndef HARP_TUNNEL_CLIENT_FRPC_TOML_H
#define HARP_TUNNEL_CLIENT_FRPC_TOML_H

#include "tunnel-client/config.h"

#define FRPC_TOML_MAX ((size_t)256 * 1024)

/* Both: *config is zeroed by the caller, who frees it also after an error. 0, or -1 with the error
 * in the report. `name` is the file's in errors. */
int frpc_toml_load(struct tunnel_config *config, const char *path, char *const *env,
                   struct config_report *report) MUST_CHECK;
int frpc_toml_read(struct tunnel_config *config, struct str text, const char *name,
                   char *const *env, struct config_report *report) MUST_CHECK;

#endif
