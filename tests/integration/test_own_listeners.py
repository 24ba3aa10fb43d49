"""The hub never connects to itself: an ExApp's address must not lead back to its own listeners."""
import socket

import pytest

from harness.client import fetch
from harness.programs import app, free_port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "127.8.8.8"])
def test_an_app_at_the_hubs_own_listener_is_a_503_that_says_so(site, host):
    """By address, by name, by wildcard, and by another loopback address."""
    port = free_port()
    site.hub(app(host=host, port=port), settings={"HP_EXAPPS_ADDRESS": f"0.0.0.0:{port}"})
    reply = fetch(("127.0.0.1", port), "/exapps/sample/")
    assert (reply.status, "own listeners" in reply.text) == (503, True), reply


def test_an_app_at_a_name_of_this_machine_never_reaches_the_hub(site):
    """Where the name can't be looked up the answer says that; the hub's own 404 never comes."""
    port = free_port()
    site.hub(app(host=socket.gethostname(), port=port),
             settings={"HP_EXAPPS_ADDRESS": f"0.0.0.0:{port}"})
    reply = fetch(("127.0.0.1", port), "/exapps/sample/exapps/sample/")
    assert reply.status == 503, reply
    assert "own listeners" in reply.text or "looked up" in reply.text, reply
