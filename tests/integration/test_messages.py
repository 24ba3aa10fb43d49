"""Each message that a person can get from the programs stands on the troubleshooting pages, with what it means and
what to do; and each message on the pages is one that a program still has.

A new message fails here until it has an entry (deploy/TROUBLESHOOTING.md lists the pages; harness/messages.py says how one
looks). A text that nobody sees as a message belongs into the exceptions below, with the reason.
"""
import errno
import os
import re

import pytest

from harness import messages
from harness.messages import ROOT, Text

INDEX = ROOT / "deploy/TROUBLESHOOTING.md"
PAGES = [INDEX, *sorted((ROOT / "deploy/troubleshooting").glob("*.md"))]

# Texts that are arguments of these. Infos may have entries, but need none: they tell what goes as it should.
NOT_TOLD = {
    "log_info", "log_debug",                           # no trouble, or not written unless asked for
    "client_end", "admin_conn_end", "work_end",        # their reasons go to log_debug()
    "_Static_assert", "strstr", "strcmp", "BIO_meth_new",  # shown to nobody
    "HEADING", "ROW", "TEXT", "CHOICE",                # --help and --print-config
    "say", "echo",                                     # a script's progress
}
NOT_MESSAGES = {  # files
    "common/config/settings_print.c": "--help and --print-config",
    "hub/settings/settings_table.c": "the same",
    "tunnel-client/config_table.c": "the same",
    "socket-filter/policy/policy_built_in.c": "what `policy show` lists",
    "socket-filter/policy/policy_print.c": "the same",
    "socket-filter/client/metrics.c": "the metrics",
    "hub/command/command_status.c": "frames around what has entries",
    "common/http/reply.c": "HTTP's own words for statuses",
}
EXCEPTIONS = [  # whole texts
    (r".*\\r.*", "parts of HTTP"),
    (r"Content-Type: .*|(application|text)/.*|GET, HEAD|Authorization: Bearer", "the same"),
    (r"# .*|Usage: .*|%s {4}-c, .*|Commands, which .*|Settings, by .*|Exit codes: .*|--health .*|a command: else from|, if it is there|A command ends with 1.*",
     "--help and --print-config"),
    (r"(Lists|Checks|Asks|Says|Tells|Sends|Stands|Lets|Connects) .*|The same in one line.*|\[list.*|(show|verify) \[.*|where (to listen|the engine is).*",
     "what --help says of commands"),
    (r"harp-[a-z-]+: %s|uid %u|a local program|Read from|and others", "frames around texts that have entries"),
    (r"PRIVATE KEY|-----.*", "PEM"),
    (r"o such container|no such file", "looked for in answers of Docker engines"),
    (r"%-?\*.*|PORT .*CONTAINERS", "tables"),
    (r"and %lld more with fewer failures|the failures of %s are forgotten; it is not banned|container nc_app_%s",
     "what went well"),
    (r"%\w+ %s", "a number and its unit"),
    (r"(epoll_create1|timerfd_create|read write|accept4|open openat|faccessat2|rename renameat|munmap|exit exit_group"
     r"|rt_sigtimedwait|clock_gettime|getpid gettid|getcpu|execve|mount umount2|chroot|open_by_handle_at|swapon|iopl) .*"
     r"|other architectures|all threads|a tree", "system calls"),
    (r"\[ \"GET _ping\".*|\( \{ call = .*|\( \[ .*|\( \{ path.*|\( \{ key.*|\[ \"[a-z]+\".*",
     "examples inside of messages"),
    (r"(other_calls|commands|binds|create_more) = \(.*|(memory|cpus)_max =.*|; read_only = .*",
     "lines of a policy that the report mode tells"),
    (r"\{\"(status|version)\": .*", "what AppAPI asks for"),
    (r"%s: out of memory|out of memory|%s: more settings than expected", "cannot be mended by a setting"),
]
# What strerror() says may stand on the pages, too.
SYSTEM = [Text(ROOT, 0, (), os.strerror(number)) for number in errno.errorcode]


@pytest.fixture(scope="module")
def texts():
    return messages.texts_of_programs()


@pytest.fixture(scope="module")
def entries():
    return [(page, entry) for page in PAGES for entry in messages.entries_of(page)]


def is_message(text):
    """Two words at least, one of them not only a name."""
    if NOT_TOLD & set(text.calls) or str(text.path.relative_to(ROOT)) in NOT_MESSAGES:
        return False
    plain = text.text.strip()
    if not re.search(r"\S \S", plain) or not re.search(r"[a-z]{3}", text.longest):
        return False
    return not any(re.fullmatch(pattern, plain) for pattern, _reason in EXCEPTIONS)


def test_each_message_has_an_entry(texts, entries):
    told = [entry for _page, entry in entries]
    missing = [str(text) for text in texts
               if is_message(text) and not any(text.found(entry) for entry in told)]
    assert not missing, "no entry on the troubleshooting pages for:\n" + "\n".join(missing)


def test_each_entry_is_a_message(texts, entries):
    stale = [f"{page.relative_to(ROOT)}: {entry}: {' '.join(words)}" for page, entry in entries
             if (words := messages.untold(entry, texts + SYSTEM))]
    assert not stale, "entries with words that no program says:\n" + "\n".join(stale)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_message_is_twice_on_a_page(page):
    """Two pages may have the same words, if two programs do."""
    told = messages.entries_of(page)
    assert sorted(told) == sorted(set(told))


@pytest.mark.parametrize("pattern, reason", EXCEPTIONS, ids=[reason for _pattern, reason in EXCEPTIONS])
def test_each_exception_is_needed(texts, pattern, reason):
    assert any(re.fullmatch(pattern, text.text.strip()) for text in texts), reason


# ---- the comparison itself ----

def page_of(tmp_path, text):
    path = tmp_path / "page.md"
    path.write_text(text)
    return messages.entries_of(path)


def source_of(tmp_path, text):
    path = tmp_path / "source.c"
    path.write_text(text)
    return list(messages.texts_of_c(path))


def test_neighbours_conversions_and_macros_are_read(tmp_path):
    texts = source_of(tmp_path, '#include "a b.h"\n/* "no text" */\nf(log_warning(x, 0, "took %" PRIu64 " ms, " NAME\n'
                                '    "not \\"%s\\"; more\\n", p), \'"\');\n')
    assert [(text.calls, text.text) for text in texts] == [
        (("f", "log_warning"), 'took %PRIu64 ms, %snot "%s"; more ')]
    assert texts[0].found('WHO: took N ms, NAMEnot "X"; more')
    assert not texts[0].found('took N ms, not "X"')


def test_what_scripts_say_is_read(tmp_path):
    path = tmp_path / "script.sh"
    path.write_text('[ -f "$1" ] || mistake "$certs/ca.crt is \\"not\\" ${word#"x"}there $(date "+%s")" \n    say \'done\'\n')
    assert [(text.calls, text.text, text.line) for text in messages.texts_of_shell(path)] == [
        (("mistake",), '$certs/ca.crt is "not" ${word#"x"}there $(date "+%s")', 1), (("say",), "done", 2)]


def test_a_text_needs_all_its_fixed_parts_in_order(tmp_path):
    text, = source_of(tmp_path, 'f("no tunnel offers port %u, and %s is gone");')
    assert text.found("no tunnel offers port PORT, and HOST is gone")
    assert not text.found("no tunnel offers port PORT")
    assert not text.found("HOST is gone, and no tunnel offers port PORT, and")


def test_words_that_no_text_has_are_found(tmp_path):
    texts = source_of(tmp_path, 'f("no tunnel offers port %u"); g("connection refused");')
    assert not messages.untold("no tunnel offers port PORT: connection refused", texts)
    assert messages.untold("no tunnel offers a port: connection refused", texts)
    assert messages.untold("no tunnel offers port PORT: connection reset", texts) == ["connection", "reset"]


def test_entries_are_the_spans_that_begin_an_item(tmp_path):
    assert page_of(tmp_path, "- `one X`, `two\n  words`,\n  ``a `b` c``: prose with `code`: and more\n\n"
                             "- prose with `code`: no entry\n`none`: no item\n") == ["one X", "two words", "a `b` c"]


# ---- what else the pages say ----

def anchors(page):
    return {re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")
            for title in re.findall(r"^#+ (.*)$", page.read_text(), re.M)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    lost = []
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        if not other.exists() or (anchor and anchor not in anchors(other)):
            lost.append(target)
    assert not lost


def test_the_index_names_every_page():
    for page in PAGES[1:]:
        assert f"(troubleshooting/{page.name})" in INDEX.read_text()


def test_settings_on_the_pages_are_settings(texts):
    """Each name in code spans that looks like a setting of ours is one that the programs know."""
    known = {"extra_hosts"}  # compose's
    known |= set(re.findall(r"\w+", " ".join(text.text for text in texts)))
    known |= set(re.findall(r"(\w+) = ", " ".join(path.read_text() for path in
                                                  (ROOT / "deploy/examples").glob("*.cfg"))))
    known |= set(re.findall(r"\w+", (ROOT / "socket-filter/POLICY.md").read_text()))
    for path in (ROOT / "hub/settings/settings_table.c", ROOT / "tunnel-client/config_table.c",
                 ROOT / "socket-filter/settings/settings_table.c"):
        known |= set(re.findall(r"\w+", path.read_text()))
    unknown = {f"{page.name}: {name}" for page in PAGES
               for span in re.findall(r"`[^`]+`", page.read_text())
               for name in re.findall(r"\b(?:(?:HP|NC)_[A-Z_]+|[a-z]+_(?:timeout|max|min|window|count|hosts|path)\b)",
                                      span)
               if name not in known}
    assert not unknown
