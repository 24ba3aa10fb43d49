"""The demo, as `make demo` runs it: all of it must go well, and leave nothing behind."""
import os
import subprocess

from harness import BUILD
from harness.programs import ROOT


def run_demo(folder, **settings):
    env = {**os.environ, "BUILD": str(BUILD), "TMPDIR": str(folder), "DEMO_ONCE": "1", **settings}
    return subprocess.run([ROOT / "deploy/demo/demo.sh"], env=env, capture_output=True, text=True,
                          timeout=120, check=False)


def test_the_demo_goes_well_whatever_its_caller_has_set(tmp_path):
    result = run_demo(tmp_path, HP_LOG_LEVEL="nonsense", HP_SHARED_KEY_FILE="/absent",
                      NC_INSTANCE_URL="nonsense", http_proxy="http://127.0.0.1:1")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    for words in ("200 /page", "403 /user", "told: alice", "told: admin", "echoes 'hello"):
        assert words in result.stdout
    assert not list(tmp_path.iterdir())


def test_the_demo_fails_loudly_without_a_tunnel_client(tmp_path):
    build = tmp_path / "build"
    build.mkdir()
    for name in ("harp-hub", "harp-socket-filter"):
        (build / name).symlink_to(BUILD / name)
    client = build / "harp-tunnel-client"
    client.write_text("#!/bin/sh\necho 'no tunnel today'\nexit 3\n")
    client.chmod(0o755)
    rest = tmp_path / "rest"
    rest.mkdir()
    result = run_demo(rest, BUILD=str(build))
    assert result.returncode == 1
    assert "the tunnel client ended before it was ready" in result.stderr
    assert "no tunnel today" in result.stderr
    assert not list(rest.iterdir())
