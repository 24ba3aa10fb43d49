"""The configuration of deploy/proxy for Traefik, which Debian does not have: read, not run."""
import re

import yaml
from harness.programs import ROOT

FILES = ROOT / "deploy/proxy"
STATIC = yaml.safe_load((FILES / "traefik.yml").read_text())
DYNAMIC = yaml.safe_load((FILES / "traefik-exapps.yml").read_text())
HTTP = DYNAMIC["http"]
EXAPPS = HTTP["routers"]["exapps"]
SERVICE = HTTP["services"][EXAPPS["service"]]["loadBalancer"]
ENTRY = STATIC["entryPoints"]["websecure"]


def seconds(text):
    """A duration of Traefik's."""
    number, unit = re.fullmatch(r"(-?[0-9]+)(ms|s)", text).groups()
    return int(number) / (1000 if unit == "ms" else 1)


def test_exapps_go_to_the_hub_and_all_else_to_nextcloud():
    assert "PathPrefix(`/exapps/`)" in EXAPPS["rule"]
    other = HTTP["routers"]["nextcloud"]
    assert "Path" not in other["rule"] and other["rule"] in EXAPPS["rule"]
    # Without a priority the length of the rule is one.
    assert EXAPPS["priority"] > other.get("priority", len(other["rule"]))
    assert SERVICE["servers"] == [{"url": "http://127.0.0.1:8780"}]
    for router in HTTP["routers"].values():
        assert router["entryPoints"] == ["websecure"] and router["service"] in HTTP["services"] and "tls" in router


def test_nothing_changes_or_buffers_requests():
    assert "middlewares" not in HTTP and not any("middlewares" in router for router in HTTP["routers"].values())
    assert "middlewares" not in ENTRY["http"]
    assert ENTRY["http"]["sanitizePath"] is False
    assert all(ENTRY["http"]["encodedCharacters"].values())
    assert "allowEncodedSlash" in ENTRY["http"]["encodedCharacters"]
    assert seconds(SERVICE["responseForwarding"]["flushInterval"]) < 0


def test_clients_are_not_believed():
    for entry in STATIC["entryPoints"].values():
        assert "forwardedHeaders" not in entry and "proxyProtocol" not in entry
    assert SERVICE["passHostHeader"] is True


def test_nothing_long_is_cut():
    timeouts = ENTRY["transport"]["respondingTimeouts"]
    assert seconds(timeouts["readTimeout"]) == seconds(timeouts["writeTimeout"]) == 0
    forwarding = HTTP["serversTransports"][SERVICE["serversTransport"]]["forwardingTimeouts"]
    assert seconds(forwarding["responseHeaderTimeout"]) == 0
    # The hub ends connections that are idle for 30 s.
    assert 0 < seconds(forwarding["idleConnTimeout"]) < 30


def test_http_is_sent_to_https():
    target = STATIC["entryPoints"]["web"]["http"]["redirections"]["entryPoint"]
    assert target["to"] == "websecure" and target["scheme"] == "https"


def test_the_dynamic_file_is_where_the_static_one_looks():
    assert STATIC["providers"]["file"] == {"directory": "/etc/traefik/conf.d", "watch": True}
    assert "Goes to /etc/traefik/conf.d/" in (FILES / "traefik-exapps.yml").read_text()
