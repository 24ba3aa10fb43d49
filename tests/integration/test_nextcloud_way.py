"""The way to Nextcloud: over TLS with the right authorities, and through a proxy if one is set."""
import ssl

import pytest

from harness import assert_hubs_own, basic_field, fetch
from harness.credentials import PASSWORDS
from harness.programs import hub_environment, run_program
from harness.world import World

USER = basic_field("alice", PASSWORDS["alice"])


def over_tls(site, certs, host="localhost", **settings):
    """A world whose Nextcloud speaks TLS with that folder's certificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certs / "cert.pem")
    return World(site, settings, tls=tls, host=host)


def started_alone(folder, certs, *arguments, **settings):
    """harp-hub with these settings, which must not let it start."""
    ports = {"http": 1, "https": 2, "frp": 3, "admin": 4}
    env = hub_environment(folder, certs, ports,
                          {"NC_INSTANCE_URL": "https://localhost:1", **settings})
    return run_program("harp-hub", *arguments, env=env)


def test_nextcloud_over_tls_with_an_authority_of_its_own(site, https_certs):
    world = over_tls(site, https_certs, HP_NEXTCLOUD_CA_FILE=https_certs / "crt")
    assert world.status("/public") == 200
    assert world.status("/user", USER) == 200
    assert world.nc.refused == []


def test_without_that_authority_nothing_is_asked(site, https_certs):
    """The system's authorities did not sign it: the key must not go there."""
    world = over_tls(site, https_certs)
    assert_hubs_own(world.get("/public"), 503, "hop: Nextcloud", "certificate")
    assert world.nc.calls == []


def test_the_name_in_the_certificate_counts(site, https_certs):
    world = over_tls(site, https_certs, host="127.0.0.1",
                     HP_NEXTCLOUD_CA_FILE=https_certs / "crt")
    assert_hubs_own(world.get("/public"), 503, "hop: Nextcloud", "certificate")
    assert world.nc.calls == []


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_ca_file_that_can_not_be_used_ends_the_start(tmp_path, certs, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    done = started_alone(tmp_path, certs, HP_NEXTCLOUD_CA_FILE=path)
    assert done.returncode == 1
    assert "HP_NEXTCLOUD_CA_FILE" in done.stderr and str(path) in done.stderr


def proxied(site, credentials=""):
    """(hub, stand-in that plays the proxy, too: it gets the whole address of what is asked)."""
    nc = site.nextcloud(prefix="http://cloud.invalid/nc")
    nc.add_app("sample", port=site.origin().port, routes=(("^/public", 0),))
    proxy = f"http://{credentials}127.0.0.1:{nc.port}"
    return site.hub(nextcloud=nc, settings={"NC_INSTANCE_URL": "http://cloud.invalid/nc",
                                            "HP_NEXTCLOUD_PROXY": proxy}), nc


def test_a_proxy_is_used_when_it_is_configured(site):
    hub, nc = proxied(site)
    assert fetch(hub.http, "/exapps/sample/public").status == 200
    call, = nc.calls
    assert call.target.startswith("http://cloud.invalid/nc/index.php/apps/app_api/harp/exapp-meta?")
    assert call.head.get("Host") == "cloud.invalid"
    assert not call.head.has("Proxy-Authorization")


def test_a_proxy_is_sent_its_password_and_no_log_has_it(site):
    hub, nc = proxied(site, "who:hush-key@")
    assert fetch(hub.http, "/exapps/sample/public").status == 200
    assert nc.calls[0].head.has("Proxy-Authorization")
    nc.close()
    assert fetch(hub.http, "/exapps/other/public").status == 503
    assert b"hush-key" not in hub.output()


@pytest.mark.parametrize("proxy", ["socks5://h:1080", "h:3128", "http://", "http://h:3128/path",
                                   "https://h:3128", "http://h:x"])
def test_what_is_no_proxy_ends_the_start(tmp_path, certs, proxy):
    done = started_alone(tmp_path, certs, "--check-config", HP_NEXTCLOUD_PROXY=proxy)
    assert done.returncode == 1 and "HP_NEXTCLOUD_PROXY" in done.stderr
