"""The last test of a run: what all programs of all tests wrote, at their most talkative level."""
from harness.credentials import leaked


def test_no_log_of_this_run_holds_a_secret(tmp_path_factory):
    """Keys, tokens, cookies, passwords, Authorization: in no line at any level, whatever happened."""
    logs = [path for path in tmp_path_factory.getbasetemp().rglob("*.log") if path.is_file()]
    found = {str(path): names for path in logs if (names := leaked(path.read_bytes()))}
    assert found == {}


def test_secrets_would_be_found():
    assert leaked(b"... harp-shared-key: integration-test-key ...")
    assert leaked(b"AUTHORIZATION-APP-API: OmFwcC10b2tlbi1vZi1zYW1wbGUtN2QxYw==")
    assert not leaked(b"an ordinary line about sample")
