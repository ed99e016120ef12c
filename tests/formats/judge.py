#!/usr/bin/env python3
"""Judge what a crash or damage may leave of a log twice: by lsm-scan, and by
formats/wal.md as wal.py reads it.

    judge.py STORE LOG [unsynced]

Cuts, zeroes and flips LOG in a copy of STORE at many places, and what can be
rebuilt is gone.  Either both give the same records, or lsm-scan ends with
status 65 and wal.py refuses.  Prints how often which; exits 1 where the two
differ, saying at what.  Of an unsynced log a power loss may keep any sectors:
that is never to be taken for damage.
"""

import base64
import json
import os
import shutil
import subprocess
import sys

import wal

SECTOR = 512


def cases(log):
    """(what was done, the bytes of the log then), again and again."""
    end = len(log)
    for n in (*range(64, end, 217), end - 1):
        yield "cut to %d" % n, log[:n]
    for start in range(0, end, SECTOR):
        for sectors in (1, 3):
            past = min(start + sectors * SECTOR, end)
            first = max(start, wal.HEADER)
            yield ("zeros from %d to %d%s" %
                   (first, past, ", whole sectors" if start else ""),
                   log[:first] + bytes(past - first) + log[past:])
    # A sector that arrived, but as it was before the batch at n came.
    for n, *_ in wal.batches(log, wal.header(log, "log"), end):
        past = min((n // SECTOR + 1) * SECTOR, end)
        if past - n <= wal.BATCH:
            yield ("zeros from %d to %d, whole sectors before that"
                   % (n, past), log[:n] + bytes(past - n) + log[past:])
    for n in (*range(0, end, 131), end - 1):
        yield ("flip at %d" % n,
               log[:n] + bytes([log[n] ^ 0x10]) + log[n + 1:])


def by_page(path):
    """Live records by key, or None when the page refuses the log."""
    try:
        entries = wal.read(path, True, None)
    except wal.Bad:
        return None
    return sorted((k, v) for k, v in dict(entries).items() if v is not None)


def field(record, name):
    if name in record:
        return record[name].encode()
    return base64.b64decode(record[name + "_base64"])


def by_store(store):
    p = subprocess.run(["lsm-scan", "-f", "jsonl", "-d", store],
                       capture_output=True, check=False)
    if p.returncode == 65:
        return None
    if p.returncode:
        sys.exit("judge.py: lsm-scan: status %d: %s"
                 % (p.returncode, p.stderr.decode()))
    records = map(json.loads, p.stdout.splitlines())
    return [(field(r, "key"), field(r, "value")) for r in records]


def main(store, name, unsynced=None):
    with open(os.path.join(store, name), "rb") as file:
        log = file.read()
    taken = refused = 0
    sys.stderr = open(os.devnull, "w", encoding="utf-8")
    for what, data in cases(log):
        case = store + ".case"
        shutil.rmtree(case, ignore_errors=True)
        shutil.copytree(store, case)
        for other in os.listdir(case):
            if other == "STATE" or other.endswith((".idx", ".ver")):
                os.unlink(os.path.join(case, other))
        path = os.path.join(case, name)
        with open(path, "wb") as file:
            file.write(data)
        page, mine = by_page(path), by_store(case)
        if unsynced and "whole sectors" in what and page is None:
            print(what, "- taken for damage")
            return 1
        if page != mine:
            print(what, "- the page: %s, the store: %s" %
                  ("refuses" if page is None else len(page),
                   "refuses" if mine is None else len(mine)))
            return 1
        taken += page is not None
        refused += page is None
    print("taken", taken, "refused", refused)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
