"""HTTP/1.1 as bytes: a strict reader for what the hub sends, and helpers to write messages.

The reader judges: a bare LF, a space before a colon or a wrong chunk raises Malformed. Whatever
passes through the hub must come out in good form, so every test checks that on the way.
"""
import re

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9]) ([^\r\n\0]*)\Z")
REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^ \r\n]+) HTTP/1\.([01])\Z")


class Malformed(AssertionError):
    """Bytes that are not the HTTP they should be."""


class Head:
    """A start line and its fields, in order, names as sent (text, latin-1)."""

    def __init__(self, raw):
        self.raw = raw
        lines = raw[:-4].split(b"\r\n")
        self.start = lines[0]
        self.fields = []
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon or not TOKEN.match(name) or re.search(rb"[\r\n\0]", value):
                raise Malformed(f"bad field line {line!r} in {raw!r}")
            self.fields.append((name.decode(), value.strip(b" \t").decode("latin-1")))
        if b"\n" in self.start or b"\r" in self.start:
            raise Malformed(f"bad start line in {raw!r}")

    def all(self, name):
        """Every value of that field, in order."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name, default=None):
        """The value of a field that must not be there twice."""
        values = self.all(name)
        if len(values) > 1:
            raise Malformed(f"{name} is there {len(values)} times")
        return values[0] if values else default

    def has(self, name):
        return bool(self.all(name))

    def tokens(self, name):
        """The members of a list field, in lower case."""
        return [part.strip().lower() for value in self.all(name)
                for part in value.split(",") if part.strip()]

    def framing(self):
        """('chunked', None), ('length', n) or (None, None); both at once is malformed."""
        coding, length = self.all("Transfer-Encoding"), self.all("Content-Length")
        if coding and length:
            raise Malformed("Transfer-Encoding beside Content-Length")
        if coding:
            if [value.lower() for value in coding] != ["chunked"]:
                raise Malformed(f"Transfer-Encoding {coding}")
            return "chunked", None
        if length:
            if len(length) != 1 or not re.fullmatch("[0-9]+", length[0]):
                raise Malformed(f"Content-Length {length}")
            return "length", int(length[0])
        return None, None


class Response:
    """An answer read to its end. `interim` holds the heads of the 1xx answers before it."""

    def __init__(self, head, body=b"", trailers=(), interim=(), framing=None):
        match = STATUS.match(head.start)
        if not match:
            raise Malformed(f"bad status line {head.start!r}")
        self.head = head
        self.minor = int(match.group(1))
        self.status = int(match.group(2))
        self.reason = match.group(3).decode("latin-1")
        self.body = body
        self.trailers = list(trailers)
        self.interim = list(interim)
        self.framing = framing

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def __repr__(self):
        return f"<{self.status} {self.reason} {self.body[:200]!r}>"


def status_of(head):
    match = STATUS.match(head.start)
    if not match:
        raise Malformed(f"bad status line {head.start!r}")
    return int(match.group(2))


class Reader:
    """Reads messages from a source with recv(deadline) -> bytes, b'' at the end."""

    def __init__(self, recv):
        self.recv = recv
        self.held = b""
        self.ended = False

    def more(self, deadline):
        """Takes what comes next; False at the end."""
        if self.ended:
            return False
        piece = self.recv(deadline)
        if not piece:
            self.ended = True
            return False
        self.held += piece
        return True

    def until(self, mark, deadline, limit=1 << 20):
        """Bytes up to and with the mark; raises EOFError when the end comes first."""
        start = 0
        while True:
            at = self.held.find(mark, start)
            if at >= 0:
                at += len(mark)
                taken, self.held = self.held[:at], self.held[at:]
                return taken
            start = max(0, len(self.held) - len(mark) + 1)
            if len(self.held) > limit:
                raise Malformed(f"no {mark!r} within {limit} bytes")
            if not self.more(deadline):
                raise EOFError(f"ended before {mark!r}, held {self.held[:400]!r}")

    def exactly(self, count, deadline):
        pieces, left = [], count
        while left:
            if not self.held and not self.more(deadline):
                raise EOFError(f"ended {left} bytes before the end of a body of {count}")
            piece, self.held = self.held[:left], self.held[left:]
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def rest(self, deadline):
        """Everything to the end of the connection."""
        pieces = [self.held]
        self.held = b""
        while self.more(deadline):
            pieces.append(self.held)
            self.held = b""
        return b"".join(pieces)

    def head(self, deadline):
        return Head(self.until(b"\r\n\r\n", deadline))

    def chunks(self, deadline):
        """One chunked body: (body, trailer fields)."""
        body = []
        while True:
            line = self.until(b"\r\n", deadline)[:-2]
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}(?:[ \t]*;[^\r\n\0]*)?", line):
                raise Malformed(f"bad chunk line {line!r}")
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            body.append(self.exactly(size, deadline))
            if self.exactly(2, deadline) != b"\r\n":
                raise Malformed("a chunk does not end with CRLF")
        raw = b"trailers"
        while True:
            line = self.until(b"\r\n", deadline)
            raw += b"\r\n" + line[:-2]
            if line == b"\r\n":
                return b"".join(body), Head(raw + b"\r\n").fields

    def body(self, head, deadline, to_end=False):
        """The body a head announces: (body, trailers, framing)."""
        kind, length = head.framing()
        if kind == "chunked":
            return *self.chunks(deadline), kind
        if kind == "length":
            return self.exactly(length, deadline), [], kind
        if to_end:
            return self.rest(deadline), [], "end"
        return b"", [], None

    def response(self, deadline, method="GET"):
        """The next final answer, with the interim ones before it."""
        interim = []
        while True:
            head = self.head(deadline)
            status = status_of(head)
            if status == 101 or status >= 200:
                break
            interim.append(head)
        if method == "HEAD" or status in (101, 204, 304):
            return Response(head, interim=interim)
        body, trailers, framing = self.body(head, deadline, to_end=True)
        return Response(head, body, trailers, interim, framing)


def chunk(data, extension=b""):
    """One chunk; an empty one ends a body only together with the CRLF after its trailers."""
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


def response(body=b"ok", status=b"200 OK", *fields, version=b"HTTP/1.1"):
    """A whole answer with Content-Length; fields are raw lines without CRLF."""
    lines = [version + b" " + status, b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
