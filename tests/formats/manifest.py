#!/usr/bin/env python3
"""A second reader of MANIFEST.json, written from formats/manifest.md alone.

    manifest.py FILE...     check each file and print a summary

Of a page of documentation (.md) the indented example is checked.

It shares no line with the library: what both accept is what the page says.
Checks checksum, canonical form, types, bounds and invariants; exits 1 at the
first file that breaks one, saying which.
"""

import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from xxh3 import xxh3_64  # noqa: E402

COUNT_MAX = 2**53 - 1
KEY_MAX = 65535
MAX_BYTES = 64 << 20

K, M, G = 2**10, 2**20, 2**30
CODECS = ("none", "lz4", "zstd")
OPTIONS = {  # in order: bounds, or words
    "write_buffer": (4 * K, 1 * G),
    "tree_buffer": (4 * K, 16 * G),
    "sealed_logs": (1, 64),
    "level0_runs": (1, 1000),
    "level0_bytes": (4 * K, 1024 * G),
    "level0_hard": (1, 1000),
    "level_ratio": (2, 100),
    "table_bytes": (4 * K, 4 * G),
    "table_bytes_max": (4 * K, 4 * G),
    "block_bytes": (256, 1 * M),
    "restart_interval": (1, 1024),
    "compression": CODECS,
    "compression_last": CODECS,
    "filter_bits": (0, 32),
    "load_memory": (4 * K, 64 * G),
    "cache_bytes": (0, 64 * G),
    "job_bytes": (4 * K, 1024 * G),
    "queue_depth": (1, 1 * M),
    "maintenance": ("auto", "cron"),
}
MEMBERS = (
    "format", "major", "minor", "uuid", "generation", "next_number",
    "created_ms", "options", "strategy", "settings", "logs", "levels",
    "flushed_bytes", "compacted_bytes", "dropped", "may_ignore", "checksum",
)
TABLE = (
    "number", "age_first", "age_last", "bytes", "entries", "tombstones",
    "oldest_tombstone_ms", "created_ms", "checksum", "smallest", "largest",
)


class Bad(Exception):
    """Something the page says a reader must reject."""


def need(ok, why):
    if not ok:
        raise Bad(why)


def count(v, what):
    need(type(v) is int and 0 <= v <= COUNT_MAX, what + ": not a count")
    return v


def digits(v, n, what):
    need(isinstance(v, str) and re.fullmatch("[0-9a-f]{%d}" % n, v),
         "%s: not %d hexadecimal digits" % (what, n))
    return v


def printable(s):
    """No control character; that it is UTF-8 was seen when it was read."""
    return all(c >= " " and not "\x7f" <= c <= "\x9f" for c in s)


def members(o, names, what):
    need(isinstance(o, dict), what + ": not an object")
    need(tuple(o) == tuple(names), what + ": members " + json.dumps(list(o)))


def key_of(table, name):
    """The key's bytes, by whichever of the two names it stands."""
    if name in table:
        need(isinstance(table[name], str) and printable(table[name]),
             name + ": not printable")
        key = table[name].encode()
    else:
        text = table.get(name + "_hex")
        need(isinstance(text, str) and re.fullmatch("([0-9a-f]{2})+", text),
             name + "_hex: not hexadecimal")
        key = bytes.fromhex(text)
        try:
            need(not printable(key.decode()), name + "_hex: key is text")
        except UnicodeDecodeError:
            pass
    need(1 <= len(key) <= KEY_MAX, name + ": bad length")
    return key


# ---- canonical text ----

def dump(v):
    return json.dumps(v, ensure_ascii=False)


def lines(items, indent):
    """A list with one item a line; an empty one on the line of its name."""
    if not items:
        return "[]"
    pad = "\n" + " " * indent
    return "[" + ",".join(pad + " " + i for i in items) + pad + "]"


def level_text(level):
    return lines([lines([dump(t) for t in run], 3) for run in level], 2)


def canonical(m):
    """The text up to the digits of the checksum."""
    out = []
    for name in MEMBERS[:-1]:
        v = m[name]
        if name == "options":
            text = ",".join("\n  %s: %s" % (dump(k), dump(o))
                            for k, o in v.items())
            text = "{" + text + "\n }"
        elif name in ("logs", "dropped"):
            text = lines([dump(i) for i in v], 1)
        elif name == "levels":
            text = lines([level_text(level) for level in v], 1)
        else:
            text = dump(v)
        out.append(' "%s": %s,\n' % (name, text))
    return "{\n" + "".join(out) + ' "checksum": "'


# ---- parts ----

def check_head(m):
    need(m.get("format") == "lsm manifest", "not a manifest")
    need(count(m.get("major"), "major") == 1, "major version not 1")
    members(m, MEMBERS, "manifest")
    need(count(m["minor"], "minor") < 2**32, "minor: too large")
    digits(m["uuid"], 32, "uuid")
    need(count(m["generation"], "generation") > 0, "generation is 0")
    need(count(m["next_number"], "next_number") > 0, "next_number is 0")
    count(m["created_ms"], "created_ms")
    count(m["flushed_bytes"], "flushed_bytes")
    done = m["compacted_bytes"]
    need(isinstance(done, list) and len(done) <= 32, "compacted_bytes")
    for v in done:
        count(v, "compacted_bytes")
    need(not done or done[-1] != 0, "compacted_bytes ends with 0")


def check_options(o):
    members(o, OPTIONS, "options")
    for name, v in o.items():
        if isinstance(OPTIONS[name][0], str):
            need(v in OPTIONS[name], "option " + name)
        else:
            least, most = OPTIONS[name]
            need(least <= count(v, name) <= most, "option " + name)
    need(o["level0_hard"] >= o["level0_runs"], "option level0_hard")
    need(o["table_bytes_max"] >= o["table_bytes"], "option table_bytes_max")


def check_strategy(m):
    need(isinstance(m["strategy"], str) and
         re.fullmatch("[a-z0-9][a-z0-9_-]{0,31}", m["strategy"]), "strategy")
    s = m["settings"]
    need(isinstance(s, dict), "settings: not an object")
    need(sorted(s, key=str.encode) == list(s), "settings: not in order")
    for name, value in s.items():
        need(isinstance(value, str) and printable(name + value) and
             1 <= len(name.encode()) <= 64 and len(value.encode()) <= 1024,
             "setting: not short and printable")


def plain(v, depth=1):
    need(depth <= 16, "may_ignore: too deep")
    if isinstance(v, dict):
        for name, item in v.items():
            need(printable(name), "may_ignore: control character")
            plain(item, depth + 1)
    elif isinstance(v, list):
        for item in v:
            plain(item, depth + 1)
    elif isinstance(v, str):
        need(printable(v), "may_ignore: control character")
    elif isinstance(v, int):
        need(abs(v) <= COUNT_MAX, "may_ignore: number too large")
    else:
        need(v is None, "may_ignore: real number")


def check_logs(logs):
    need(isinstance(logs, list), "logs: not a list")
    before = 0
    for i, log in enumerate(logs):
        need(isinstance(log, dict), "log: not an object")
        if log.get("sealed") is True:
            members(log, ("number", "sealed", "created_ms", "length",
                          "checksum"), "log")
            count(log["length"], "log length")
            digits(log["checksum"], 16, "log checksum")
        else:
            members(log, ("number", "sealed", "created_ms"), "log")
            need(log["sealed"] is False, "sealed: not a boolean")
            need(i == len(logs) - 1, "an active log is not the last")
        count(log["created_ms"], "log created_ms")
        need(count(log["number"], "log number") > before, "logs: order")
        before = log["number"]


def check_table(t):
    need(isinstance(t, dict), "table: not an object")
    members(t, [n if n in t else n + "_hex" if n in ("smallest", "largest")
                else n for n in TABLE + (("trimmed",) if "trimmed" in t else ())],
            "table")
    need(t.get("trimmed", True) is True, "trimmed: not true")
    for name in TABLE[:8]:
        count(t[name], name)
    digits(t["checksum"], 16, "table checksum")
    what = "table %d: " % t["number"]
    need(0 < t["age_first"] <= t["age_last"], what + "ages")
    need(t["bytes"] > 0 and t["entries"] > 0 and
         t["tombstones"] <= t["entries"], what + "counts")
    smallest, largest = key_of(t, "smallest"), key_of(t, "largest")
    need(smallest <= largest, what + "key range")
    return smallest, largest


def check_run(run):
    """The run as (smallest, largest, table), ascending and disjoint."""
    need(isinstance(run, list) and run, "run: empty or not a list")
    out = [(*check_table(t), t) for t in run]
    for a, b in zip(out, out[1:]):
        need(a[1] < b[0], "tables %d and %d of one run overlap"
             % (a[2]["number"], b[2]["number"]))
    return out


def check_ages(runs):
    """Of two tables that overlap, the one searched first is the newer."""
    for i, first in enumerate(runs):
        for second in runs[i + 1:]:
            j = 0
            for lo, hi, a in first:
                while j < len(second) and second[j][1] < lo:
                    j += 1
                k = j
                while k < len(second) and second[k][0] <= hi:
                    b = second[k][2]
                    need(a["age_first"] > b["age_last"],
                         "table %d is searched before %d and not newer"
                         % (a["number"], b["number"]))
                    k += 1


def check_numbers(m, tables):
    named = [t["number"] for t in tables]
    named += [log["number"] for log in m["logs"]]
    dropped = []
    need(isinstance(m["dropped"], list), "dropped: not a list")
    for d in m["dropped"]:
        members(d, ("number", "last"), "dropped")
        dropped.append(count(d["number"], "dropped number"))
        need(0 < count(d["last"], "last") <= m["generation"], "dropped: last")
    need(dropped == sorted(set(dropped)), "dropped: order")
    every = named + dropped
    need(len(set(every)) == len(every), "a number stands twice")
    need(all(0 < n < m["next_number"] for n in every), "number never drawn")


def check(data):
    """Check the bytes of a MANIFEST.json; returns what it says."""
    need(len(data) <= MAX_BYTES, "too large")
    need(data.endswith(b'"\n}\n') and len(data) > 20, "end is missing")
    sum_text = data[-20:-4].decode("ascii", "replace")
    need(sum_text == "%016x" % xxh3_64(data[:-20]), "bad checksum")
    try:
        m = json.loads(data.decode())
        dump(m).encode()  # a lone surrogate fails here
    except (ValueError, RecursionError) as e:
        raise Bad("not JSON: %s" % e) from e
    need(isinstance(m, dict), "not an object")
    check_head(m)
    check_options(m["options"])
    check_strategy(m)
    need(isinstance(m["may_ignore"], dict), "may_ignore: not an object")
    plain(m["may_ignore"])
    check_logs(m["logs"])

    need(isinstance(m["levels"], list) and len(m["levels"]) <= 32, "levels")
    need(all(isinstance(level, list) for level in m["levels"]), "levels")
    need(not m["levels"] or m["levels"][-1], "the last level is empty")
    runs = [check_run(run) for level in m["levels"] for run in level]
    tables = [t for run in runs for _, _, t in run]
    need(len(runs) <= 16384, "too many runs")
    check_ages(runs)
    check_numbers(m, tables)
    for t in tables:
        need(t["age_last"] < m["next_number"], "age never drawn")
        need(not m["logs"] or m["logs"][0]["number"] > t["age_last"],
             "a log is older than table %d" % t["number"])
    need((canonical(m) + sum_text + '"\n}\n').encode() == data,
         "not canonical")
    return m


def summary(path, m):
    print("%s: generation %d, %d logs, %d levels" %
          (path, m["generation"], len(m["logs"]), len(m["levels"])))
    for i, level in enumerate(m["levels"]):
        tables = [t for run in level for t in run]
        print("  level %d: %d runs, %d tables, %d bytes, %d entries" %
              (i, len(level), len(tables), sum(t["bytes"] for t in tables),
               sum(t["entries"] for t in tables)))


def example(page):
    """The first object that a page shows, without its indentation."""
    shown = re.search(rb"(?m)^    \{\n(    .*\n)*?    \}\n", page)
    need(shown, "no example")
    return re.sub(rb"(?m)^    ", b"", shown[0])


def main():
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        try:
            if path.endswith(".md"):
                data = example(data)
            summary(path, check(data))
        except Bad as e:
            sys.exit("%s: %s" % (path, e))


if __name__ == "__main__":
    main()
