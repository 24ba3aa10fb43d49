"""One engine that two hubs use: each leaves alone what the other one's Nextcloud owns."""
import pytest

from harness.deploy import ExAppSpec, assert_told
from harness.docker_fixtures import connect, tidy
from harness.docker_images import PLAIN

CALLS = ["start", "stop", "remove", "install_certificates"]


@pytest.fixture(scope="module")
def two(tmp_path_factory, certs, engine):
    """The daemons of two hubs, each with a Nextcloud of its own."""
    from conftest import open_site
    site = open_site(tmp_path_factory, certs, "instances")
    try:
        yield connect(site, engine, "local"), connect(site, engine, "local")
    finally:
        site.close()


@pytest.fixture
def pair(two, engine):
    yield two
    tidy(engine)


def everything(daemon, app):
    """What must not change."""
    found = daemon.api.inspect(app.container)
    return found["Id"], found["State"], daemon.api.volumes(), \
        daemon.api.files(app.container, "/certs/frp")


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("call", CALLS)
def test_the_container_of_another_nextcloud_is_left_alone(pair, call, runs):
    ours, theirs = pair
    app = theirs.running() if runs else theirs.created()
    before = everything(theirs, app)
    reply = ours.call(call, app, remove_data=True)
    assert_told(reply, 409, f"Container '{app.container}' ", theirs.hub.nextcloud.url)
    assert everything(theirs, app) == before


def test_its_name_is_taken(pair):
    ours, theirs = pair
    app = theirs.created()
    before = everything(theirs, app)
    reply = ours.call("create", app, **ours.create_body(app))
    assert_told(reply, 409, f"Container '{app.container}' ", theirs.hub.nextcloud.url)
    assert everything(theirs, app) == before


def test_its_volume_is_not_used_for_a_container_of_ours(pair):
    ours, theirs = pair
    app = theirs.created()
    theirs.expect(204, "remove", app)
    reply = ours.call("create", app, **ours.create_body(app))
    assert_told(reply, 409, f"Volume '{app.volume}' ", theirs.hub.nextcloud.url)
    assert ours.api.containers() == [] and ours.api.volumes() == [app.volume]


def test_its_volume_is_not_removed(pair):
    ours, theirs = pair
    app = theirs.created()
    theirs.expect(204, "remove", app)
    assert_told(ours.call("remove", app, remove_data=True), 409, f"Volume '{app.volume}' ",
                theirs.hub.nextcloud.url)
    assert ours.api.volumes() == [app.volume]
    assert theirs.expect(204, "remove", app, remove_data=True) == ""
    assert ours.api.volumes() == []


def test_labels_tell_the_two_apart(pair):
    labels = []
    for daemon in pair:
        app = daemon.created()
        labels.append(daemon.api.inspect(app.container)["Config"]["Labels"])
    assert labels[0].keys() == labels[1].keys() == {"harp.instance", "harp.nextcloud"}
    assert labels[0] != labels[1]


def test_each_goes_on_with_its_own(pair):
    for daemon in pair:
        app = daemon.created()
        daemon.start(app)
        daemon.install(app)
        assert daemon.expect(204, "stop", app) == ""
        assert daemon.expect(204, "remove", app, remove_data=True) == ""


@pytest.mark.parametrize("which", [0, 1])
def test_what_has_no_label_belongs_to_whoever_asks(pair, which):
    """HaRP, whose place this hub takes, sets none."""
    daemon = pair[which]
    app = daemon.register(ExAppSpec())
    daemon.api.call("POST", "/volumes/create", {"Name": app.volume})
    daemon.api.create(app.container, PLAIN, Env=["A=b"], HostConfig={
        "Mounts": [{"Type": "volume", "Source": app.volume, "Target": f"/{app.volume}"}]})
    assert daemon.expect(200, "exists", app) == {"exists": True, "image_ref": PLAIN}
    daemon.install(app)
    daemon.start(app)
    assert daemon.wait_for_start(app)["started"] is True
    assert daemon.expect(204, "stop", app) == ""
    assert daemon.expect(204, "remove", app, remove_data=True) == ""
    assert daemon.api.containers() == [] and daemon.api.volumes() == []


def test_another_hub_of_the_same_nextcloud_may_go_on(pair, site, engine):
    """As the same one, started again."""
    app = pair[0].created()
    again = connect(site, engine, "local", nextcloud=pair[0].hub.nextcloud)
    again.start(app)
    assert again.expect(204, "remove", app, remove_data=True) == ""
    assert again.api.volumes() == []


def test_a_label_that_the_administrator_names_is_ours(pair, site, engine):
    """After a change of Nextcloud's address, or of the key."""
    app = pair[0].created()
    label = pair[0].api.inspect(app.container)["Config"]["Labels"]["harp.instance"]
    heir = connect(site, engine, "local", settings={"HP_INSTANCE_ALIASES": f"0123abc, {label}"})
    assert_told(pair[1].call("start", app), 409, f"Container '{app.container}' ", label)
    heir.start(app)
    assert heir.expect(204, "remove", app, remove_data=True) == ""
