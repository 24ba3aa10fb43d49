"""A tar archive of one file as PHP's PharData writes it (ext/phar, tar.c), byte by byte.

Owner and group stay NUL, numbers are octal digits up to the field's last byte, which is a NUL, but
for the checksum's, which is a space; two empty blocks end it."""

BLOCK = 512


def octal(value, size):
    return b"%0*o" % (size - 1, value) + b"\0"


def php_header(name, size, kind=b"0", mode=0o666, mtime=1700000000, link=""):
    head = bytearray(BLOCK)
    for at, value in ((0, name.encode()), (100, octal(mode, 8)), (124, octal(size, 12)),
                      (136, octal(mtime, 12)), (156, kind), (157, link.encode()),
                      (257, b"ustar\0"), (263, b"00")):
        head[at:at + len(value)] = value
    head[148:156] = b" " * 8
    head[148:155] = b"%07o" % sum(head)
    assert len(head) == BLOCK and len(name) <= 100
    return bytes(head)


def php_tar(name, content, **fields):
    padding = bytes(-len(content) % BLOCK)
    return php_header(name, len(content), **fields) + content + padding + bytes(2 * BLOCK)
