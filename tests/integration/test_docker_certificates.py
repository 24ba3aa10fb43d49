"""install_certificates: what is in a container afterwards, and that it runs, or not, as before."""
import json
import subprocess

import pytest

from harness.ca_bundle import common_name, load, pems
from harness.deploy import assert_told
from harness.docker_fixtures import ways
from harness.docker_images import ALPINE, BARE, FEDORA, PLAIN, UNKNOWN

# With a filter run only those that differ in what is asked of the engine.
through_a_filter_too = ways("local", "tunnel", "filter")
ANCHORS = {PLAIN: "/usr/local/share/ca-certificates", ALPINE: "/usr/local/share/ca-certificates",
           FEDORA: "/etc/pki/ca-trust/source/anchors"}
UPDATED = {PLAIN: "/etc/ssl/certs/ca-certificates.crt",
           ALPINE: "/etc/ssl/certs/ca-certificates.crt",
           FEDORA: "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"}
FRP_FILES = {"/certs/frp/ca.crt", "/certs/frp/client.crt", "/certs/frp/client.key"}
STATES = ["created", "running", "exited"]


def in_state(daemon, state, image=PLAIN):
    """An app whose container is in that state."""
    app = daemon.created(image=image)
    if state != "created":
        daemon.start(app)
    if state == "exited":
        daemon.expect(204, "stop", app)
    assert daemon.api.status(app.container) == state
    return app


def frp_files(daemon, app):
    return daemon.api.files(app.container, "/certs/frp")


def system_files(daemon, app, image):
    """The texts of the certificates in the system's folder."""
    return sorted(content.decode().strip()
                  for content in daemon.api.files(app.container, ANCHORS[image]).values())


def installed(bundle):
    return sorted(pem.strip() for pem in bundle.pems)


def is_as_before(daemon, app, state, started):
    """Running, without a new start, or not running."""
    found = daemon.api.inspect(app.container)["State"]
    if state == "running":
        return found["Status"] == "running" and found["StartedAt"] == started
    return found["Status"] == "exited"


@through_a_filter_too
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("image", [PLAIN, ALPINE, FEDORA], ids=["debian", "alpine", "fedora"])
def test_certificates_are_where_the_system_wants_them(daemon, ca_bundle, image, state):
    app = in_state(daemon, state, image)
    started = daemon.api.inspect(app.container)["State"]["StartedAt"]
    daemon.install(app, ca_bundle.text)
    assert is_as_before(daemon, app, state, started)
    assert system_files(daemon, app, image) == installed(ca_bundle)
    for path in daemon.api.files(app.container, ANCHORS[image]):
        assert path.endswith(".crt"), path  # what update-ca-certificates takes
    updated = daemon.api.files(app.container, UPDATED[image])[UPDATED[image]].decode()
    assert sorted(pems(updated)) == installed(ca_bundle)
    assert set(frp_files(daemon, app)) == FRP_FILES


def test_files_belong_to_root_and_are_read_by_whoever_the_app_runs_as(daemon, ca_bundle):
    app = daemon.created()
    daemon.install(app, ca_bundle.text)
    modes = {**daemon.api.file_modes(app.container, "/certs/frp"),
             **daemon.api.file_modes(app.container, ANCHORS[PLAIN])}
    assert len(modes) == 5 and set(modes.values()) == {(0o644, 0, 0)}, modes


def test_the_client_certificate_is_the_apps_own_and_signed_by_the_hub(daemon, tmp_path):
    app = daemon.created()
    daemon.install(app)
    files = frp_files(daemon, app)
    for path, content in files.items():
        (tmp_path / path.rpartition("/")[2]).write_bytes(content)
    assert (tmp_path / "ca.crt").read_bytes() == (daemon.hub.certs / "frp/ca.crt").read_bytes()
    assert common_name(load(files["/certs/frp/client.crt"])) == app.container
    for command in (["verify", "-purpose", "sslclient", "-CAfile", "ca.crt", "client.crt"],
                    ["pkey", "-in", "client.key", "-check", "-noout"]):
        subprocess.run(["openssl", *command], cwd=tmp_path, check=True, capture_output=True)
    public = [subprocess.run(["openssl", *command], cwd=tmp_path, check=True,
                             capture_output=True).stdout
              for command in (["x509", "-in", "client.crt", "-pubkey", "-noout"],
                              ["pkey", "-in", "client.key", "-pubout"])]
    assert public[0] == public[1]
    wrong = subprocess.run(["openssl", "verify", "-purpose", "sslserver", "-CAfile", "ca.crt",
                            "client.crt"], cwd=tmp_path, check=False, capture_output=True)
    assert wrong.returncode != 0  # it can't play the hub


def test_no_private_key_of_the_hub_gets_into_the_container(daemon):
    app = daemon.created()
    daemon.install(app)
    everything = b"".join(frp_files(daemon, app).values())
    for path in (daemon.hub.certs / "frp").glob("*.key"):
        assert path.read_bytes().strip() not in everything, path


def test_each_install_gives_a_new_certificate(daemon):
    app, other = daemon.created(), daemon.created()
    seen = []
    for one in (app, app, other):
        daemon.install(one)
        files = frp_files(daemon, one)
        seen.append((load(files["/certs/frp/client.crt"]).serial_number,
                     files["/certs/frp/client.key"]))
    assert len(set(serial for serial, _ in seen)) == len(set(key for _, key in seen)) == 3


def test_the_app_comes_in_with_its_own_certificate_and_token(daemon, ca_bundle):
    app = daemon.created()
    daemon.install(app, ca_bundle.text)
    daemon.start(app)
    daemon.heartbeat(app)
    config = json.dumps(daemon.api.files(app.container, "/frpc.toml")["/frpc.toml"].decode())
    assert "/certs/frp/client.crt" in config and daemon.token(app) in config


def test_a_running_app_stays_connected_while_certificates_are_installed(daemon):
    app = daemon.connected()
    daemon.install(app)
    assert daemon.to_app(app, "GET", "/heartbeat").status == 200


# ---- what is left out ----

@through_a_filter_too
def test_an_unknown_system_gets_no_system_certificates_but_those_of_the_tunnel(daemon, ca_bundle):
    app = daemon.created(image=UNKNOWN)
    before = len(daemon.hub.output())
    daemon.install(app, ca_bundle.text)
    for folder in {*ANCHORS.values()}:
        assert daemon.api.files(app.container, folder) is None, folder
    assert set(frp_files(daemon, app)) == FRP_FILES
    warnings = [line for line in daemon.hub.output()[before:].splitlines() if b" warning " in line]
    assert any(app.container.encode() in line for line in warnings), warnings


@through_a_filter_too
@pytest.mark.parametrize("state", ["created", "running"])
def test_an_image_without_shell_and_cat_gets_the_tunnels_certificates(daemon, ca_bundle, state):
    app = in_state(daemon, state, BARE)
    started = daemon.api.inspect(app.container)["State"]["StartedAt"]
    daemon.install(app, ca_bundle.text)
    assert is_as_before(daemon, app, state, started)
    assert set(frp_files(daemon, app)) == FRP_FILES
    for folder in {*ANCHORS.values()}:
        assert daemon.api.files(app.container, folder) is None, folder


def test_without_install_frp_certs_the_tunnel_gets_none(daemon, ca_bundle):
    app = daemon.created()
    daemon.install(app, ca_bundle.text, frp=False)
    assert frp_files(daemon, app) is None
    assert system_files(daemon, app, PLAIN) == installed(ca_bundle)


@pytest.mark.parametrize("bundle", [None, ""])
def test_without_a_bundle_the_system_gets_none(daemon, bundle):
    app = daemon.created()
    daemon.install(app, bundle)
    assert daemon.api.files(app.container, ANCHORS[PLAIN]) is None
    assert set(frp_files(daemon, app)) == FRP_FILES


def test_a_bundle_without_certificates_installs_none(daemon):
    app = daemon.created()
    daemon.install(app, "# nothing here\n")
    assert not daemon.api.files(app.container, ANCHORS[PLAIN])
    assert daemon.api.files(app.container, UPDATED[PLAIN]) is None


def test_the_body_may_leave_out_all_but_the_name(daemon):
    """install_frp_certs is true then."""
    app = daemon.created()
    assert daemon.expect(204, "install_certificates", app) == ""
    assert set(frp_files(daemon, app)) == FRP_FILES


@through_a_filter_too
def test_a_bundle_as_big_as_nextclouds_arrives_whole(daemon, ca_bundle):
    """190 KiB; more certificates, as these are small."""
    app = daemon.created()
    many = [ca_bundle.pems[number % 2] for number in range(400)]
    text = "\n".join(f"\nAuthority {number}\n{pem}" for number, pem in enumerate(many))
    assert len(text) > 190000
    daemon.install(app, text)
    assert len(daemon.api.files(app.container, ANCHORS[PLAIN])) == 400
    updated = daemon.api.files(app.container, UPDATED[PLAIN])[UPDATED[PLAIN]].decode()
    assert len(pems(updated)) == 400


def test_a_container_that_can_not_start_is_told(daemon):
    app = daemon.created(changes={"network_mode": "ncnet"})
    reply = daemon.call("install_certificates", app, system_certs_bundle=None)
    assert_told(reply, 503, f"Failed to start container '{app.container}' for its certificates",
                "network ncnet not found")
    assert frp_files(daemon, app) is None
