#!/usr/bin/env python3
"""A second reader of write-ahead logs, written from formats/wal.md alone.

    wal.py [-t] [-s LENGTH CHECKSUM] FILE...

Prints `hexkey TAB hexvalue` of every entry in the order of the log, a delete
as `hexkey TAB -`.  It shares no line with the library: what both accept is
what the page says.  Checks every checksum, the grammar and the end of each
file; exits 1 at the first that breaks the page, saying where.

  -t  a torn tail may follow the last batch; it is told on stderr.  Without
      this option a log must end with its last batch.
  -s  the log is sealed: it ends at LENGTH, its last batch has CHECKSUM (hex)
"""

import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from xxh3 import xxh3_64  # noqa: E402

HEADER = 64
BATCH = 40
ENTRY = 12
PUT, DELETE = 1, 2
EXPIRES = 1
VALUE_MAX = 2**30
SECTOR = 512


class Bad(Exception):
    """Something the page says a reader must reject."""


def header(log, path):
    """The salt."""
    if len(log) < HEADER:
        raise Bad("0: too short for a header")
    magic, major, _minor, must, _uuid, number, salt, _may, checksum = \
        struct.unpack_from("<8sHHI16sQQQQ", log)
    if magic != b"lsm wal\n":
        raise Bad("0: not a write-ahead log")
    if checksum != xxh3_64(log[:56]):
        raise Bad("56: bad header checksum")
    if major != 1 or must:
        raise Bad("8: a newer format")
    name = os.path.basename(path)
    if name.endswith(".wal") and name != "%06d.wal" % number:
        raise Bad("32: another number than its name")
    return salt


def batch_header(log, off, end):
    """(checksum, length, synced, count), or None when there can be none."""
    if end - off < BATCH:
        return None
    checksum, length, synced, count, flags, reserved = \
        struct.unpack_from("<QQQIIQ", log, off)
    if (not count or not BATCH <= length <= end - off or flags or reserved
            or (length - BATCH) // ENTRY < count):
        return None
    return checksum, length, synced, count


def entry(log, off, end, salt):
    """(length, key, value or None); Bad when it is none."""
    if end - off < ENTRY:
        raise Bad("%d: entry is cut short" % off)
    checksum, kind, flags, key_len, value_len = \
        struct.unpack_from("<IBBHI", log, off)
    key = off + ENTRY + (8 if flags & EXPIRES else 0)
    value = key + key_len
    past = value + value_len
    if past > end:
        raise Bad("%d: entry is cut short" % off)
    if (kind not in (PUT, DELETE) or flags & ~EXPIRES or not key_len
            or value_len > VALUE_MAX
            or kind == DELETE and (value_len or flags)
            or flags & EXPIRES and log[off + ENTRY:key] == bytes(8)):
        raise Bad("%d: malformed entry" % off)
    if checksum != xxh3_64(log[off + 4:past], salt) & 0xFFFFFFFF:
        raise Bad("%d: bad entry checksum" % off)
    return (past - off, log[key:value],
            log[value:past] if kind == PUT else None)


def entries(log, off, end, count, salt):
    out = []
    for _ in range(count):
        length, key, value = entry(log, off, end, salt)
        out.append((key, value))
        off += length
    if off != end:
        raise Bad("%d: entries do not fill their batch" % off)
    return out


def batches(log, salt, end):
    """Yields (offset, length, checksum, synced, entries) while valid."""
    off, seed = HEADER, salt
    while True:
        b = batch_header(log, off, end)
        if not b:
            return
        checksum, length, synced, count = b
        if checksum != xxh3_64(log[off + 8:off + length], seed):
            return
        yield (off, length, checksum, synced,
               entries(log, off + BATCH, off + length, count, salt))
        off, seed = off + length, checksum


def batch_after(log, off, salt):
    """The largest `synced` of the batches behind `off`; None: there is none."""
    said, at = None, off + 1
    while at <= len(log) - BATCH:
        b = batch_header(log, at, len(log))
        if b and b[2] <= at:
            try:
                entries(log, at + BATCH, at + b[1], b[3], salt)
                said = max(said or 0, b[2])
                at += b[1]
                continue
            except Bad:
                pass
        at += 1
    return said


def zero_sector(log, at, end):
    """A sector that starts behind `at`, and as much as is before `end`."""
    for start in range(-(-at // SECTOR) * SECTOR, end, SECTOR):
        if not any(log[start:min(start + SECTOR, end)]):
            return True
    return False


def has_holes(log, off, salt, seed):
    first = min(-(-(off + 1) // SECTOR) * SECTOR, off + BATCH)
    front = not any(log[off:first])
    if first - off >= 8 and front:
        return True
    b = batch_header(log, off, len(log))
    if b and front:
        sum = struct.pack("<Q", xxh3_64(log[off + 8:off + b[1]], seed))
        if log[first:off + 8] == sum[first - off:]:
            return True
    if not b:
        end = -(-(off + BATCH) // SECTOR) * SECTOR
        return zero_sector(log, off + 1, min(end, len(log)))
    behind, at, end = off + 1, off + BATCH, off + b[1]
    try:
        while at < end:
            at += entry(log, at, end, salt)[0]
            behind = at
    except Bad:
        pass
    return zero_sector(log, behind, end)


def tail(log, off, known, salt, seed):
    """Is what lies behind the valid batches a torn tail?  Bad when not."""
    if known > off:
        raise Bad("%d: damage in what was synced" % off)
    if len(log) - off < BATCH:
        return len(log) - off
    said = batch_after(log, off, salt)
    if said is not None and (said > off or not has_holes(log, off, salt, seed)):
        raise Bad("%d: damage, valid batches follow" % off)
    return len(log) - off


def read(path, torn, sealed):
    """Every (key, value or None) of the log, in order."""
    with open(path, "rb") as file:
        log = file.read()
    salt = header(log, path)
    if sealed and sealed[0] > len(log):
        raise Bad("%d: a sealed log is cut short" % len(log))
    end, last, known, out = HEADER, salt, 0, []
    for off, length, last, synced, batch in batches(
            log, salt, sealed[0] if sealed else len(log)):
        end = off + length
        known = max(known, synced)
        out += batch
    if sealed:
        if (end, last) != sealed:
            raise Bad("%d: damage in a sealed log" % end)
    elif any(log[end:]):
        if not torn:
            raise Bad("%d: no valid batch" % end)
        print("%s: torn tail of %d bytes at %d"
              % (path, tail(log, end, known, salt, last), end), file=sys.stderr)
    elif known > end:
        raise Bad("%d: cut short, it was synced" % end)
    return out


def main(args):
    torn, sealed = False, None
    while args and args[0] in ("-t", "-s"):
        if args[0] == "-t":
            torn = True
            args = args[1:]
        else:
            sealed = int(args[1]), int(args[2], 16)
            args = args[3:]
    for path in args:
        try:
            for key, value in read(path, torn, sealed):
                print("%s\t%s"
                      % (key.hex(), "-" if value is None else value.hex()))
        except Bad as e:
            sys.exit("%s: offset %s" % (path, e))


if __name__ == "__main__":
    main(sys.argv[1:])
