#!/usr/bin/env python3
"""Read a table (.sst) by formats/sstable.md alone, and print its records.

    sstable.py FILE      one line a record: hex key TAB hex value, or "-" for
                         a tombstone, in key order

Checks every checksum, that no byte belongs to nothing, that the index and the
filter tell the truth, and that keys ascend.  LZ4 is decoded here; a block
packed with Zstandard is refused.  Exit status 0, or 1 with a message.
"""

import json
import struct
import sys

from xxh3 import xxh3_64

FOOTER = struct.Struct("<8sHHIII16s12Q")
M64 = (1 << 64) - 1
DATA, CHUNK, CHUNK_MAP, INDEX, PROPERTIES = 1, 2, 3, 4, 5
MOST = {DATA: 2 << 20, CHUNK: 65536, CHUNK_MAP: 65544, INDEX: 2 << 20,
        PROPERTIES: 16 << 20}


class Damaged(Exception):
    pass


def need(truth, off, what):
    if not truth:
        raise Damaged(f"offset {off}: {what}")


def varint(p, i):
    v = 0
    for n in range(10):
        need(i + n < len(p), i, "a varint is cut short")
        v |= (p[i + n] & 0x7F) << 7 * n
        if p[i + n] < 0x80:
            need(v <= M64, i, "a varint beyond 64 bits")
            return v, i + n + 1
    raise Damaged(f"offset {i}: a varint is too long")


def lz4(src, length):
    """An LZ4 raw block: literals and matches, a token before each pair."""
    out, i = bytearray(), 0

    def more(n, i):
        if n == 15:
            while True:
                n, i = n + src[i], i + 1
                if src[i - 1] != 255:
                    break
        return n, i

    try:
        while True:
            token, i = src[i], i + 1
            n, i = more(token >> 4, i)
            need(i + n <= len(src), i, "LZ4: literals beyond the block")
            out += src[i:i + n]
            i += n
            if i == len(src):
                break
            back, i = src[i] | src[i + 1] << 8, i + 2
            n, i = more(token & 15, i)
            need(0 < back <= len(out), i, "LZ4: a match before the block")
            for _ in range(n + 4):
                out.append(out[-back])
    except IndexError:
        raise Damaged("LZ4: cut short") from None
    need(len(out) == length, 0, "LZ4: another length than told")
    return bytes(out)


class Table:
    def __init__(self, data):
        need(len(data) >= 160, 0, "too short for a table")
        self.data = data
        at = len(data) - 160
        raw = data[at:]
        (magic, major, _, must, _, self.depth, self.uuid, self.number,
         self.salt, size, self.data_bytes, self.filter_off,
         self.filter_blocks, self.index_off, self.root_off, lens,
         self.properties_off, self.data_blocks, self.entries,
         self.tombstones) = (FOOTER.unpack(raw[:FOOTER.size]) +
                             struct.unpack("<Q", raw[136:144]))
        self.root_len, self.properties_len = lens & 0xFFFFFFFF, lens >> 32
        need(magic == b"lsm sst\n", at, "bad magic")
        need(struct.unpack("<Q", raw[152:])[0] == xxh3_64(raw[:152]), at,
             "bad footer checksum")
        need(major == 1 and must == 0, at, "a newer version")
        need(size == len(data), at, "another file length")
        need(raw[144:152] == bytes(8), at, "reserved bytes")
        need(1 <= self.depth <= 32, at, "bad depth")
        pad = data[self.data_bytes:self.filter_off]
        need(self.data_bytes + len(pad) == self.filter_off and
             len(pad) < 4096 and not any(pad), self.data_bytes, "padding")
        need(self.root_off + self.root_len == self.properties_off and
             self.properties_off + self.properties_len == at, at,
             "parts do not follow each other")
        self.pages = [self.page(p) for p in
                      range((self.filter_blocks + 62) // 63)]
        need(self.filter_off + 64 * (self.filter_blocks + len(self.pages)) ==
             self.index_off, at, "the index does not follow the filter")

    def page(self, p):
        blocks = min(63, self.filter_blocks - 63 * p)
        off = self.filter_off + 4096 * p
        page = self.data[off:off + 64 * blocks + 64]
        need(len(page) == 64 * blocks + 64, off, "a page beyond the file")
        need(struct.unpack("<Q", page[-8:])[0] ==
             xxh3_64(page[:-8], self.salt ^ p), off, "bad page checksum")
        need(not any(page[-64:-8]), off, "a page's tail is not zero")
        return page

    def may_hold(self, key):
        if not self.filter_blocks:
            return True
        h = xxh3_64(key)
        block = h * self.filter_blocks >> 64
        at = block % 63 * 64
        bits = int.from_bytes(self.pages[block // 63][at:at + 64], "little")
        m = (h ^ h >> 32) * 0x9E3779B97F4A7C15 & M64
        g = m ^ m >> 29
        return all(bits >> (g >> 9 * i & 511) & 1 for i in range(6))

    def block(self, off, stored, kind):
        """The decoded payload of the block at `off`."""
        raw = self.data[off:off + stored]
        need(len(raw) == stored and stored >= 14, off, "bad block length")
        codec, is_kind, decoded, checksum = struct.unpack("<BBIQ", raw[-14:])
        need(checksum == xxh3_64(raw[:-8], self.salt ^ off), off,
             "bad checksum")
        need(is_kind == kind, off, "another kind of block")
        need(stored - 14 <= decoded <= MOST[kind], off, "bad decoded length")
        payload = bytes(raw[:-14])
        if codec == 0:
            need(len(payload) == decoded, off, "another length than told")
            return payload
        if codec == 1:
            return lz4(payload, decoded)
        need(codec == 2, off, "unknown codec")
        raise Damaged(f"offset {off}: packed with Zstandard, which this "
                      "reader does not decode")

    def in_block(self, off, stored, kind):
        """Yield (key, tag, expires, value) of a data or index block."""
        p = self.block(off, stored, kind)
        count = struct.unpack("<I", p[-4:])[0]
        end = len(p) - 4 - 4 * count
        need(count > 0 and end > 0, off, "bad restarts")
        restarts = set(struct.unpack(f"<{count}I", p[end:-4]))
        need(0 in restarts and len(restarts) == count, off, "bad restarts")
        i, key = 0, b""
        while i < end:
            at_restart = i in restarts
            restarts.discard(i)
            shared, i = varint(p, i)
            unshared, i = varint(p, i)
            tag, i, expires = p[i], i + 1, 0
            if tag & 0x10:
                expires, i = varint(p, i)
            length, i = varint(p, i)
            suffix, value = p[i:i + unshared], p[i + unshared:
                                                 i + unshared + length]
            i += unshared + length
            need(i <= end, off, "an entry is cut short")
            need(shared <= len(key) and not (at_restart and shared), off,
                 "bad shared length")
            now = key[:shared] + suffix
            need(now > key, off, "keys out of order")
            need(at_restart or key[shared:shared + 1] != suffix[:1], off,
                 "shares less than it could")
            key = now
            yield key, tag, expires, value
        need(not restarts, off, "a restart that is no entry")

    def level(self, n):
        """The blocks named by index level n: (separator, offset, length)."""
        if n < 0:
            return [(None, self.root_off, self.root_len)]
        found = []
        for upper, off, stored in self.level(n - 1):
            for key, tag, _, value in self.in_block(off, stored, INDEX):
                need(tag == 3, off, "no index entry")
                child, i = varint(value, 0)
                length, i = varint(value, i)
                need(i == len(value), off, "bad index entry")
                found.append((key, child, length))
            need(upper in (None, found[-1][0]), off, "levels disagree")
        return found

    def check_index_places(self):
        pos = self.index_off
        for n in range(self.depth - 2, -2, -1):
            for _, off, stored in self.level(n):
                need(off == pos, pos, "bytes that belong to nothing")
                pos += stored
        need(pos == self.properties_off, pos, "index and properties")

    def chunks(self, value, pos):
        """A chunked value, and where its chunk map ends."""
        total, i = varint(value, 0)
        map_off, i = varint(value, i)
        map_len, i = varint(value, i)
        need(i == len(value) and 32768 < total <= 1 << 30, map_off,
             "bad chunked value")
        m = self.block(map_off, map_len, CHUNK_MAP)
        n = (total + 65535) // 65536
        need(len(m) == 8 + 4 * n, map_off, "bad chunk map")
        need(struct.unpack("<Q", m[:8])[0] == pos, pos, "chunks elsewhere")
        out = []
        for i, stored in enumerate(struct.unpack(f"<{n}I", m[8:])):
            out.append(self.block(pos, stored, CHUNK))
            need(len(out[-1]) == min(65536, total - 65536 * i), pos,
                 "bad chunk length")
            pos += stored
        need(pos == map_off, pos, "the map does not follow its chunks")
        return b"".join(out), pos + map_len

    def records(self):
        """Yield (key, value or None, expires) of the whole table."""
        pos, last, border, blocks, count, dead = 0, b"", b"", 0, 0, 0
        for separator, off, stored in self.level(self.depth - 1):
            for key, tag, expires, value in self.in_block(off, stored, DATA):
                need(key > last and key > border, off, "keys out of order")
                need(tag & 15 in (1, 2) and (tag & 15 == 1 or not value),
                     off, "bad tag")
                need(self.may_hold(key), off, "the filter denies a key")
                if tag & 0x20:
                    value, pos = self.chunks(value, pos)
                else:
                    need(len(value) <= 32768, off, "a value too long")
                last, count = key, count + 1
                dead += tag == 2
                yield key, None if tag == 2 else value, expires
            need(off == pos, pos, "bytes that belong to nothing")
            need(last <= separator, off, "a separator below its keys")
            pos, border, blocks = off + stored, separator, blocks + 1
        need((pos, blocks, count, dead) ==
             (self.data_bytes, self.data_blocks, self.entries,
              self.tombstones), pos, "counts disagree")

    def properties(self):
        text = self.block(self.properties_off, self.properties_len,
                          PROPERTIES)
        p = json.loads(text)
        need(json.dumps(p, sort_keys=True, separators=(",", ":")).encode()
             == text, self.properties_off, "not canonical")
        need((p["uuid"], p["number"], p["entries"], p["tombstones"]) ==
             (self.uuid.hex(), self.number, self.entries, self.tombstones),
             self.properties_off, "properties and footer disagree")
        return p


def main(argv):
    if len(argv) != 2:
        sys.exit(f"usage: {argv[0]} FILE")
    try:
        with open(argv[1], "rb") as f:
            table = Table(f.read())
        table.check_index_places()
        props = table.properties()
        first = last = None
        for key, value, _ in table.records():
            first, last = first or key, key
            print(key.hex(), "-" if value is None else value.hex(), sep="\t")
        need((first.hex(), last.hex()) ==
             (props["smallest"], props["largest"]), 0, "another key range")
    except (Damaged, OSError, ValueError, KeyError) as e:
        sys.exit(f"sstable.py: {argv[1]}: {e}")


if __name__ == "__main__":
    main(sys.argv)
