"""Coming from HaRP and going back to it, with ExApps that go on running.

exapp_tokens = false deploys as HaRP does: what an app has then, HaRP takes, too.
"""
import pytest

from conftest import open_site
from harness.ca_bundle import common_name, load
from harness.credentials import SHARED_KEY
from harness.docker_fixtures import connect, tidy
from harness.programs import hub_environment, run_program

AS_HARP = {"HP_EXAPP_TOKENS": "false", "HP_FRP_ACCEPT_SHARED_KEY": "all"}


@pytest.fixture(scope="module")
def file_daemon(tmp_path_factory, certs, engine):
    site = open_site(tmp_path_factory, certs, "from-harp")
    try:
        yield connect(site, engine, "local", settings=AS_HARP)
    finally:
        site.close()


def test_an_app_gets_what_harp_gives_and_comes_in_with_it(daemon):
    app = daemon.connected()
    assert daemon.token(app) == SHARED_KEY
    assert daemon.api.environment(app.container)[:len(daemon.environment(app))] == daemon.environment(app)
    files = daemon.api.files(app.container, "/certs/frp")
    for name in ("ca.crt", "client.crt", "client.key"):
        assert files[f"/certs/frp/{name}"] == (daemon.hub.certs / "frp" / name).read_bytes()
    assert common_name(load(files["/certs/frp/client.crt"])) == "harp.client.nc"


def test_apps_of_both_kinds_go_on_when_the_setting_changes(site, engine):
    """Those that HaRP deployed, or this hub with exapp_tokens = false, beside those with tokens."""
    daemon = connect(site, engine, "local", settings=AS_HARP)
    try:
        shared = daemon.connected()
        start_anew(site, daemon, {})
        own = daemon.connected()
        assert daemon.token(own) != SHARED_KEY
        for settings in ({}, AS_HARP):
            daemon.heartbeat(shared)
            daemon.heartbeat(own)
            for app in (shared, own):
                assert daemon.to_app(app, "GET", "/env").status == 200
            start_anew(site, daemon, settings)
    finally:
        tidy(engine)


def start_anew(site, daemon, settings):
    """Another hub in the place of the daemon's."""
    old = daemon.hub
    site.things.remove(old)
    old.stop()
    env = {"HP_DOCKER_SOCKET": old.env["HP_DOCKER_SOCKET"], **settings}
    daemon.hub = site.hub(nextcloud=old.nextcloud, ports=old.ports, settings=env)


def test_harps_way_needs_the_key_to_be_accepted(tmp_path):
    env = hub_environment(tmp_path, tmp_path / "certs", {name: 1 for name in
                                                         ("http", "https", "frp", "admin")},
                          {**AS_HARP, "HP_FRP_ACCEPT_SHARED_KEY": "engines",
                           "NC_INSTANCE_URL": "http://127.0.0.1:1"})
    env.update(HP_EXAPPS_HTTPS_ADDRESS="off", HP_FRP_ADDRESS="127.0.0.1:2", HP_ADMIN_ADDRESS="off")
    result = run_program("harp-hub", "--check-config", env=env)
    assert result.returncode == 1
    assert "HP_EXAPP_TOKENS: false, so ExApps log in with the shared key, but" in result.stderr
