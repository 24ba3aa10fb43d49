#!/bin/sh
# What ExApp images run first: opens the way to the hub with a tunnel client, then becomes the app,
# whose command line are this script's arguments. What it does, and when, is what HaRP's start script
# for ExApps does (https://github.com/nextcloud/HaRP, exapps_dev/start.sh).
set -e

config=/frpc.toml

# Certificates are there when AppAPI had them installed; without them the tunnel is not encrypted.
tls() {
    if [ ! -d /certs/frp ]; then
        echo 'transport.tls.enable = false'
        return
    fi
    echo 'transport.tls.enable = true'
    echo 'transport.tls.serverName = "harp.nc"'
    for pair in certFile:client.crt keyFile:client.key trustedCaFile:ca.crt; do
        echo "transport.tls.${pair%%:*} = \"/certs/frp/${pair#*:}\""
    done
}

if [ -n "$HP_SHARED_KEY" ]; then
    {
        echo "serverAddr = \"$HP_FRP_ADDRESS\""
        echo "serverPort = $HP_FRP_PORT"
        echo 'loginFailExit = false'
        tls
        echo "metadatas.token = \"$HP_SHARED_KEY\""
        echo '[[proxies]]'
        echo "name = \"$APP_ID\""
        echo 'type = "tcp"'
        echo "remotePort = $APP_PORT"
        echo '[proxies.plugin]'
        echo 'type = "unix_domain_socket"'
        echo 'unixPath = "/tmp/exapp.sock"'
    } >$config
    echo "start: the tunnel client runs with $config"
fi
if [ -n "$HP_SHARED_KEY" ] && [ -f $config ]; then
    frpc -c $config &
fi
exec "$@"
