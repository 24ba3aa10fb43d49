"""A remote Docker host by deploy/install-tunnel-client.sh --with compose: the same two programs as containers,
from images of `make image`."""
import pytest

from conftest import open_site
from harness.credentials import RECORDED_KEY
from harness.deploy_host import build_images
from harness.docker_host import HUB, NAME, PORT, SCRIPT, docker_host
from harness.missing import skip_or_fail
from test_deploy_installer import OTHER, UNCHANGED, good


@pytest.fixture(scope="module")
def host(tmp_path_factory, certs):
    with docker_host(tmp_path_factory.mktemp("compose-host"),
                     open_site(tmp_path_factory, certs, "compose-host-site"), certs) as host:
        if host.machine.run("docker-compose", "version").returncode != 0:
            skip_or_fail("there is no docker-compose (Debian package docker-compose)")
        host.images = host.folder / "image"
        build_images(host.images, DOCKER_HOST="unix:///nobody-is-here.sock")
        yield host


def run(host, *more, port=PORT, certs=None):
    return host.machine.run(SCRIPT, "--hub", HUB, "--name", NAME, "--port", port, "--certs",
                            certs or host.keys, "--with", "compose", "--images", host.images, *more)


def test_installed_used_changed_and_gone(host, tmp_path):
    before, images = host.machine.files(), host.api.images()
    done = run(host, "--images", tmp_path)
    assert done.returncode == 1 and f"there is no {tmp_path}/harp-socket-filter.tar" in done.stderr, done
    assert host.machine.files() == before

    text = good(run(host))
    assert "ok  way back" in text and "restarted" not in text
    # docker-compose joins the words of names by _, docker compose by -.
    ids = {name.split(name[4])[1]: host.api.inspect(name)["Id"] for name in host.api.containers()}
    assert set(ids) == {"client", "filter"}
    assert f"  {UNCHANGED}\n" in good(run(host))
    for exchange, reply in host.play("app-register"):
        assert reply.status == exchange["response"]["status"], (exchange["seq"], reply)
    for exchange, reply in host.play("app-unregister-rm-data"):
        assert reply.status == exchange["response"]["status"], (exchange["seq"], reply)
    assert all(host.api.inspect(number) for number in ids.values())

    text = good(run(host, port=OTHER))
    assert "file /etc/harp/compose/.env" in text and f"ok  port     {OTHER}" in text
    assert host.api.inspect(ids["filter"]) and not host.api.inspect(ids["client"])
    key = tmp_path / "key"
    key.write_text(RECORDED_KEY + "\n")
    assert "ok  way back" in good(run(host, "--key-file", key, port=OTHER, certs=host.certs / "frp"))

    host.reboot()
    host.wait_engine(OTHER)

    good(host.uninstall())
    assert host.machine.files() == before
    assert host.api.containers() == [] and host.api.volumes() == [] and host.api.images() == images
