"""Manual pages say of settings, options and commands what the programs themselves say."""
import re
import subprocess

import pytest

from harness import run_program
from harness.bare_fixtures import NAMES, make
from harness.programs import BUILD, ROOT

PAGES = {"harp-hub": "harp-hub.cfg", "harp-tunnel-client": "harp-tunnel.cfg", "harp-socket-filter": "harp-filter.cfg",
         "harp-audit-ship": "harp-audit-ship.cfg"}
ALL = [f"{name}.8" for name in NAMES] + [f"{name}.5" for name in PAGES.values()]


@pytest.fixture(scope="module", autouse=True)
def pages():
    make("man")
    assert sorted(path.name for path in (BUILD / "man").iterdir()) == sorted(ALL)


def shown(page):
    """As a reader sees it, in one line."""
    done = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=400", BUILD / "man" / page], check=True,
                          capture_output=True, text=True)
    text = re.sub(".\b", "", done.stdout)  # bold is a character, a backspace, and the character again
    return " ".join(text.split())


def words(text):
    return " ".join(text.split())


@pytest.mark.parametrize("page", ALL)
def test_mandoc_finds_nothing_wrong(page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", BUILD / "man" / page], check=False,
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def settings(name):
    """(line, meaning, shape) of each setting in --print-config."""
    text = run_program(name, "--print-config").stdout
    found = re.findall(r"((?:^# .*\n)+)^# Value: (.*)\n^#(\w+ = .*;)$", text, re.MULTILINE)
    assert len(found) == text.count("# Value: ") > 10
    return [(line, words(meaning.replace("# ", "")), shape) for meaning, shape, line in found]


@pytest.mark.parametrize("name", NAMES)
def test_each_setting_stands_there_with_default_meaning_and_unit(name):
    text = shown(f"{PAGES[name]}.5")
    for line, meaning, shape in settings(name):
        value, _, variable = shape.removesuffix(".").partition(". Environment: ")
        expected = f"{line} {meaning} Value: {value}. Environment: {variable}."
        assert expected in text, expected


@pytest.mark.parametrize("name", NAMES)
def test_lists_stand_there_as_in_the_example(name):
    """What is behind the last setting."""
    text = run_program(name, "--print-config").stdout
    last = text.rindex("# Value: ")
    rest = [words(re.sub(r"^# ?", "", line)) for line in text[last:].splitlines()[2:] if not line.startswith("# ----")]
    page = shown(f"{PAGES[name]}.5")
    for line in filter(None, rest):
        assert line in page, line


@pytest.mark.parametrize("name", NAMES)
def test_each_option_and_command_stands_there(name):
    """All that the help says before the settings, but for what the program is and how it is called."""
    text = run_program(name, "--help").stdout.partition("\n\n")[2].partition("\nSettings, by their name")[0]
    page = shown(f"{name}.8")
    lines = [line for line in text.splitlines() if line.startswith("  ")]
    assert len(lines) >= 5
    for line in lines:
        for part in re.split(r" {2,}", line.strip()):
            assert words(part) in page, part


def test_a_template_with_an_unknown_word_is_refused(tmp_path):
    (tmp_path / "page").write_text("@SETINGS@\n")
    done = subprocess.run(["awk", "-f", "deploy/man/render.awk", tmp_path / "page"], check=False, capture_output=True,
                          text=True, cwd=ROOT)
    assert done.returncode == 1 and "@SETINGS@: not known" in done.stderr
