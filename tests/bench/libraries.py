"""libraries.py - the rows as libraries: one process a library and a row."""
import json
import shutil
import subprocess

import measure
from measure import Failed, Row, say, take_turns

# Other names are those of drive-NAME.
ENGINES = ['ours', 'rocksdb', 'rocksdb-mmap', 'leveldb', 'lmdb', 'sqlite',
           'wiredtiger']
LSM = [('rocksdb|rocksdb-mmap', 0.8), ('leveldb', 0.8)]
WRITES = LSM + [('sqlite|wiredtiger', 0.5)]
READS = LSM + [('lmdb', 1.0)]

# Name, key and value, cache, and of how many records one: the cache of the
# last does not hold them.
SMALL = '100 B, small cache'
SIZES = [
    ('100 B', 16, 100, 512 << 20, 1),
    ('1 KiB', 24, 1024, 768 << 20, 4),
    (SMALL, 16, 100, 16 << 20, 1),
]

BATCH, SINGLE = {'batch': 1000}, {'batch': 1}
# So many lookups that every block of any size was asked for.
WARM = {'warm': 500000}


class Work:
    """A row of drive.c: `ops` is a share of the records or a number."""

    def __init__(self, name, row, bars, ops=1.0, fresh=False, copy=False,
                 **settings):
        self.name, self.row, self.bars, self.ops = name, row, bars, ops
        self.fresh, self.copy, self.settings = fresh, copy, settings

    def arguments(self, records, quick):
        ops = self.ops if self.ops > 1 else int(records * self.ops)
        settings = dict(self.settings)
        if quick and settings.get('batch') == 1:
            ops //= 4
        if quick and 'warm' in settings:
            settings['warm'] = records
        return ['ops=%d' % max(1, min(ops, records))] + [
            '%s=%d' % kv for kv in settings.items()]


def fills():
    """Three works, in batches or single, durable or not."""
    for row, copy in (('fillseq', False), ('fillrandom', False),
                      ('overwrite', True)):
        how = {'fresh': not copy, 'copy': copy}
        yield Work(row + ', batches', row, WRITES, **how, **BATCH)
        yield Work(row + ', single', row, WRITES, **how, **SINGLE)
        yield Work(row + ', batches, sync', row, WRITES, ops=0.1, sync=1,
                   **how, **BATCH)
        yield Work(row + ', single, sync', row, WRITES, ops=0.001, sync=1,
                   **how, **SINGLE)


WORKS = list(fills()) + [
    Work('deleterandom', 'deleterandom', WRITES, copy=True, **SINGLE),
    Work('readrandom', 'readrandom', READS, **WARM),
    Work('readmissing', 'readmissing', LSM, **WARM),
    Work('readseq', 'readseq', READS),
    Work('readreverse', 'readreverse', LSM),
    Work('seekrandom, 50 nexts', 'seekrandom', LSM, ops=0.05, **WARM),
    Work('readwhilewriting', 'readwhilewriting', LSM, ops=0.5, copy=True,
         batch=100, **WARM),
    Work('compact', 'compact', LSM, fresh=True, **BATCH),
]
# Of the sizes after the first.
FEWER = {'fillrandom, batches', 'fillrandom, single', 'overwrite, batches',
         'readrandom', 'readmissing', 'readseq', 'readreverse',
         'seekrandom, 50 nexts', 'readwhilewriting', 'deleterandom',
         'compact'}


def bars(work, size):
    """LMDB reads from the page cache: what we keep in ours is compared."""
    return [b for b in work.bars
            if not (size[0] == SMALL and work.row == 'readrandom' and
                    b[0] == 'lmdb')]


def takes_part(engine, work, size):
    """Who can do the work, and not in hours."""
    if engine == 'lmdb' and work.row == 'compact':
        return False
    return not (engine == 'wiredtiger' and size[0] == SMALL)


def drive(setup, engine, row, where, *arguments):
    """What drive.c says of one run."""
    done = subprocess.run(
        [setup.tools / ('drive-' + engine), row, where, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failed(done.stderr.strip()[-200:] or
                     'status %d' % done.returncode)
    return json.loads(done.stdout)


def engines(setup):
    """Those that are built and wanted, ours first."""
    wanted = setup.args.peers.split(',') if setup.args.peers else ENGINES
    if setup.tiny:
        wanted = []
    return [e for e in ENGINES if (e == 'ours' or e in wanted) and
            (setup.tools / ('drive-' + e)).exists()]


def settings(setup):
    out = {}
    for e in engines(setup):
        out['lib' + e if e != 'ours' else 'ours, as a library'] = \
            subprocess.run([setup.tools / ('drive-' + e), '--settings'],
                           stdout=subprocess.PIPE, text=True).stdout.strip()
    return out


def one(setup, engine, work, size, base, details):
    """A function that does the work once and returns microseconds a call."""
    _, key, value, cache, share = size
    records = setup.records // share
    where = setup.work / 'lib' / ('%s.now' % engine)

    def run():
        shutil.rmtree(where, ignore_errors=True)
        if work.fresh:
            where.mkdir(parents=True)
        elif work.copy:
            # cp leaves holes as they are: LMDB's file is little else.
            subprocess.run(['cp', '-r', base / engine, where], check=True)
        measure.quiet_disk()
        got = drive(setup, engine, work.row,
                    base / engine if not (work.fresh or work.copy) else where,
                    'records=%d' % records, 'key_len=%d' % key,
                    'value_len=%d' % value, 'cache_bytes=%d' % cache,
                    *work.arguments(records, setup.quick))
        shutil.rmtree(where, ignore_errors=True)
        if work.row == 'readrandom' and got['found'] != got['done']:
            raise Failed('%d of %d found' % (got['found'], got['done']))
        details.setdefault(engine, []).append(got)
        return got['us_per_op']

    return run


# What is told of each row besides: text, field of drive.c, factor, bars.
RESOURCES = [
    ('peak memory, MiB', 'peak_kib', 1 / 1024, [('rocksdb', 1.0)]),
    ('on disk, MiB', 'disk_bytes', 1 / 1048576, [('rocksdb', 1.0)]),
    ('written, MiB', 'written_bytes', 1 / 1048576, []),
    ('CPU, s', 'cpu_s', 1, []),
]
WAITS = [('p50', 'p50_us'), ('p99', 'p99_us'), ('p99.9', 'p999_us'),
         ('max', 'max_us')]


def further(row, work):
    """Rows of what a row used, and of how long its writes waited."""
    out = []

    def add(group, name, unit, field, factor, bars):
        more = Row('%s: %s' % (row.group, group), name, unit, bars=bars)
        for engine, runs in row.details.items():
            for got in runs:
                if field in got:
                    more.add(engine, got[field] * factor)
        if more.values:
            out.append(more)

    for group, field, factor, bars in RESOURCES:
        add(group, row.name, group.split(', ')[1], field, factor, bars)
    if work.settings.get('batch') == 1 or work.row == 'readwhilewriting':
        for name, field in WAITS:
            add('how long a write takes, us', '%s, %s' % (row.name, name),
                'us', field, 1, [])
    return out


def build(setup, names, size, base):
    """The databases that most rows begin with."""
    label, key, value, cache, share = size
    records = setup.records // share
    for e in names:
        if e == 'wiredtiger' and label == SMALL:
            continue
        shutil.rmtree(base / e, ignore_errors=True)
        (base / e).mkdir(parents=True)
        got = drive(setup, e, 'build', base / e, 'batch=1000',
                    'records=%d' % records, 'key_len=%d' % key,
                    'value_len=%d' % value, 'cache_bytes=%d' % cache)
        say('%-12s %-34s %s %.1f s' % (label, 'build', e, got['seconds']))


def run(setup, rows):
    """All rows that are asked for, each put behind `rows` when it is there."""
    names = engines(setup)
    for n, size in enumerate(SIZES):
        works = [w for w in WORKS if setup.wants(size[0], w.name) and
                 (n == 0 or w.name in FEWER)]
        if not works or (n and setup.quick and not setup.args.only):
            continue
        base = setup.work / 'lib' / ('base%d' % n)
        if not all(w.fresh for w in works):
            build(setup, names, size, base)
        for w in works:
            row = Row(size[0], w.name, 'us', bars=bars(w, size))
            rows.append(take_turns(
                row, [(e, one(setup, e, w, size, base, row.details))
                      for e in names if takes_part(e, w, size)],
                setup))
            rows += further(row, w)
        shutil.rmtree(base, ignore_errors=True)
