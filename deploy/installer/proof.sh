# proof.sh - whether the hub comes through to this host's Docker engine. The hub asks an engine for its
# version as soon as its port is offered; the tunnel client counts what was answered. So one answer proves
# the whole way: hub, tunnel, filter, engine, and back. What fails is told by hop.
# shellcheck shell=sh disable=SC2154 # variables are those of install-tunnel-client.sh

# JSON from stdin as lines PATH=VALUE, as in proxies.0.state=open.
flat_json() {
    awk '
        function blank() { while (substr(text, at, 1) ~ /[ \t\r\n]/) at++ }
        function letter() { return substr(text, at, 1) }
        function string(   s) {
            for (at++; letter() != "\"" && letter() != ""; at++) {
                if (letter() == "\\") at++
                s = s letter()
            }
            at++
            return s
        }
        function next_one() { blank(); if (letter() == ",") at++; blank() }
        function value(path,   n, k, from) {
            blank()
            if (letter() == "{") {
                at++; blank()
                for (; letter() == "\""; next_one()) {
                    k = string(); blank(); at++
                    value(path == "" ? k : path "." k)
                }
                at++
            } else if (letter() == "[") {
                at++; blank()
                for (n = 0; letter() != "]" && letter() != ""; next_one()) value(path "." n++)
                at++
            } else if (letter() == "\"") {
                print path "=" string()
            } else {
                for (from = at; letter() ~ /[-+.A-Za-z0-9]/; at++) continue
                print path "=" substr(text, from, at - from)
                if (at == from) at = length(text) + 1
            }
        }
        { text = text $0 "\n" }
        END { at = 1; value("") }'
}

# field PATH: of the last status; "" for null and for what is not there.
field() {
    sed -n "s/^$1=//p" "$work/status" | sed -n '1s/^null$//;1p'
}

# The number in the list of the proxy at our port; "" if the client does not have it (yet).
proxy_number() {
    sed -n "s/^proxies\.\([0-9]*\)\.remote_port=$port\$/\1/p" "$work/status" | head -n 1
}

# look: one look at all hops. Sets hop and why of the first that is not well; hop is '' if all are.
look() {
    hop=filter
    if ! why=$("filter_health_$way" 2>&1); then
        case $why in
        *answered*) hop=engine ;;
        esac
        return 0
    fi
    hop=client
    if ! "client_status_$way" >"$work/json" 2>"$work/why" && [ ! -s "$work/json" ]; then
        why=$(tail -n 1 "$work/why")
        return 0
    fi
    flat_json <"$work/json" >"$work/status"
    state=$(field state) why=$(field last_error) number=$(proxy_number)
    if [ "$(field server)" != "$hub_host:$hub_port" ] || [ -z "$number" ]; then
        why='it runs with other settings than these'
    elif [ "$state" != running ]; then
        session_hop
    elif [ "$(field "proxies.$number.state")" != open ]; then
        hop=port why=$(field "proxies.$number.last_error")
    elif [ "$(field "proxies.$number.answered")" -eq 0 ]; then
        hop=hub why=$(field "proxies.$number.last_error")
    else
        hop=''
    fi
}

# Where the session ended, by the client's own words.
session_hop() {
    case $why in
    *'could not be looked up'* | *'looking the name up'*) hop=name ;;
    *'login refused: '* | *'answer to the login'*) hop=login ;;
    *ertificate* | *TLS*) hop=TLS ;;
    *) hop=network ;;
    esac
}

remedy() {
    case $hop in
    filter) say "is the unit or container harp-socket-filter running? $("log_of_$way" harp-socket-filter)" ;;
    engine) say "the filter is there, but Docker does not answer at $docker_socket: start Docker, or name its socket with --docker-socket; the filter's reason is in $("log_of_$way" harp-socket-filter)" ;;
    client) say "$("log_of_$way" harp-tunnel-client)" ;;
    name) say "correct --hub, or see /etc/resolv.conf" ;;
    network) say "is the hub running, and does each firewall let port $hub_port through? On the hub's host: harp-hub status" ;;
    TLS)
        say "take ca.crt, client.crt and client.key of this hub. A hub that says nothing may have banned this address: harp-hub bans, there"
        ;;
    login)
        if [ "$identity" = shared ]; then
            say "the file of --key-file must hold the hub's HP_SHARED_KEY; where the hub has HP_FRP_ACCEPT_SHARED_KEY=none, have it make a certificate: harp-hub engines certificate $name DIR"
        else
            say "the reason is the hub's; its log has more"
        fi
        ;;
    port) say "another Docker host has this port or name (harp-hub engines, at the hub): run this again with another --port or --name" ;;
    hub) say "the port is open, and the hub has not asked yet. HaRP itself asks only when AppAPI does: press \"Check connection\" there, and run this again. Else see harp-hub engines, at the hub" ;;
    esac
}

prove() {
    say "waiting for the hub to come through, at most $limit s:"
    until_time=$(($(date +%s) + limit))
    again=''
    look
    while [ -n "$hop" ] && [ "$(date +%s)" -lt "$until_time" ]; do
        # The hub asked, and the filter was not there yet. It asks anew when the port is offered anew.
        if [ "$hop" = hub ] && [ -n "$why" ] && [ -z "$again" ]; then
            again=1
            "offer_again_$way"
        fi
        sleep 0.2 2>/dev/null || sleep 1
        look
    done
    if [ -n "$hop" ]; then
        {
            say "  WRONG at hop: $hop"
            say "    reason: ${why:-none was told}"
            say "    remedy: $(remedy)"
            say "$program: it is installed and keeps trying, but the hub did not come through in $limit s."
            say "  Once the cause is removed, run the same command again to see; to undo all: $program --uninstall"
        } >&2
        exit 1
    fi
    say "  ok  filter   $filtered, with AppAPI's policy in front of $docker_socket"
    say "  ok  tunnel   logged in at $hub"
    say "  ok  port     $port at the hub is $name"
    say "  ok  way back the hub asked this host's Docker engine, and was answered"
}
