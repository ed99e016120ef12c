#!/usr/bin/env python3
"""Print the bytes of a page's worked example.

    example.py PAGE [LENGTH]

The example is the lines `    OFFSET  BYTES  meaning` behind the page's last
heading, all in hex, at most 16 bytes a line.  What they leave out is zeros,
up to LENGTH.
"""

import re
import sys

LINE = re.compile(r"    ([0-9a-f]{4})  ((?:[0-9a-f]{2} {1,2}){0,15}"
                  r"[0-9a-f]{2})(?:   .*)?$")


def example(page):
    out = bytearray()
    for line in page[page.rindex("\n## "):].split("\n"):
        m = LINE.match(line)
        if m:
            off, data = int(m[1], 16), bytes.fromhex(m[2])
            if off < len(out):
                sys.exit("example.py: the line of %s overlaps" % m[1])
            out += bytes(off - len(out)) + data
    return out


def main(args):
    with open(args[0]) as file:
        out = example(file.read())
    if len(args) > 1:
        out += bytes(int(args[1]) - len(out))
    sys.stdout.buffer.write(out)


if __name__ == "__main__":
    main(sys.argv[1:])
