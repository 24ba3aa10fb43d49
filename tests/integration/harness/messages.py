"""What the programs can say, read from their sources, and what the troubleshooting pages explain.

A text is a C string literal (neighbours joined) or a line that a shell script says, with its variable parts as
gaps. An entry is a message on a page: the code spans that begin an item of a list,

    - `no tunnel offers port PORT, and WHY`, `another with the same remedy`: what it means, what to do

with words in capitals for the variable parts. Both sides are compared by their fixed parts: a text is explained if
an entry has all of them in their order; an entry is true if each of its words is a fixed part of some text.
"""
import functools
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAMS = ("common", "hub", "socket-filter", "tunnel-client")

_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|\w+|\S', re.S)
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include.*$", re.M)
_RUN = r"\$\((?:[^()]|\([^()]*\))*\)"  # $(command), with parentheses in it
_GAP = re.compile(r"%[-+ #0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:PRI\w+|(?:hh|h|ll|l|z|j)?[diouxXcspgf])"
                  rf"|\$\{{[^}}]*\}}|\$\w+|{_RUN}")
_SAID = re.compile(rf"""\b(mistake|fail|note|say|echo) ("(?:\\.|{_RUN}|\$\{{[^}}]*\}}|[^"\\])*"|'[^']*')""")
_SPAN = r"(?:``\s?.+?\s?``|`[^`]+`)"
_ITEM = re.compile(rf"^[ ]*- ({_SPAN}(?:,\s+{_SPAN})*):\s", re.M | re.S)


class Text:
    """One text of the sources; `calls`: the names of the functions that it is an argument of, the innermost last."""

    def __init__(self, path, line, calls, text):
        self.path, self.line, self.calls, self.text = path, line, calls, text
        # What stands around a text differs with the program and the place.
        pieces = [piece for piece in _GAP.split(re.sub(" +", " ", text)) if re.search("[A-Za-z]", piece)]
        if pieces:
            pieces[0] = pieces[0].lstrip(" :")
            pieces[-1] = pieces[-1].rstrip(" :")
        self._pieces = pieces
        self.longest = max(pieces, key=len, default="")

    @functools.cached_property
    def _pattern(self):
        return re.compile((r"(?<![A-Za-z])" if self._pieces[0][0].isalpha() else "")
                          + r".*?".join(f"({re.escape(piece)})" for piece in self._pieces)
                          + (r"(?![A-Za-z])" if self._pieces[-1][-1].isalpha() else ""))

    def __str__(self):
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.text}"

    def found(self, entry):
        """Where the fixed parts stand in an entry: (from, to) of each; nothing if they are not all there."""
        if not self.longest or self.longest not in entry:
            return []
        return [match.span(group) for match in self._pattern.finditer(entry)
                for group in range(1, self._pattern.groups + 1)]


def _plain(literal):
    """What the literal prints, on one line."""
    text = re.sub(r"\\([\"'\\?])", r"\1", literal[1:-1].replace(r"\n", " ").replace(r"\t", " "))
    return text.replace("%%", "%")


def texts_of_c(path):
    """All string literals of a file, but for those of #include."""
    source = _INCLUDE.sub("", path.read_text())
    joined, calls, last, line = None, [], "", 0
    for match in _TOKEN.finditer(source):
        token = match.group()
        if token.startswith(("/*", "//")):
            continue
        if token[0] == '"':
            if joined is None:
                joined, line = "", source.count("\n", 0, match.start()) + 1
            joined += _plain(token)
            continue
        if joined is not None:
            if token.startswith("PRI") or (token[0].isalpha() and token.isupper()):
                # A macro between two literals: a conversion, or another text.
                joined += token if token.startswith("PRI") else "%s"
                continue
            yield Text(path, line, tuple(calls), joined)
            joined = None
        if token == "(":
            calls.append(last)
        elif token == ")" and calls:
            calls.pop()
        last = token


def texts_of_shell(path):
    """What a script says by functions of these names, each with one word in quotes."""
    source = path.read_text()
    for match in _SAID.finditer(source):
        command, word = match.groups()
        text = re.sub(r"\\(.)", r"\1", word[1:-1]) if word[0] == '"' else word[1:-1]
        yield Text(path, source.count("\n", 0, match.start()) + 1, (command,), text)


def texts_of_programs():
    """Those of all C sources of the programs, and of the scripts that an administrator runs."""
    sources = [path for folder in PROGRAMS for path in sorted((ROOT / folder).rglob("*.[ch]"))]
    scripts = sorted([*(ROOT / "deploy").glob("install-*.sh"), *(ROOT / "deploy/installer").glob("*.sh")])
    return ([text for path in sources for text in texts_of_c(path)]
            + [text for path in scripts for text in texts_of_shell(path)])


def entries_of(page):
    """The messages that a page explains, each on one line."""
    found = []
    for item in _ITEM.finditer(page.read_text()):
        for span in re.findall(_SPAN, item.group(1), re.S):
            found.append(" ".join(span.strip("`").split()))
    return found


def untold(entry, texts):
    """The words of an entry that are neither in capitals nor a fixed part of any text."""
    covered = [False] * len(entry)
    for text in texts:
        if text.longest not in entry:
            continue  # quickly, as there are some millions of pairs
        for begin, end in text.found(entry):
            covered[begin:end] = [True] * (end - begin)
    # A plural's s may be a gap.
    return [match.group() for match in re.finditer(r"([A-Za-z][\w'-]*?)s?(?![\w'-])", entry)
            if any(map(str.islower, match.group())) and not all(covered[match.start(1):match.end(1)])]
