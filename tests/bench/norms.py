"""norms.py - what the peers are known to take, and whether they did.

A peer that is slower than it is known to be makes a comparison worthless.  So
each known figure is kept in units that follow the machine: how long `sort`
takes for a record of the same file, or /bin/true for a start.  A peer that
takes SLACK times as much, or more, makes the run invalid.  Known for
2,000,000 records of 16 and 100 bytes; with others nothing is judged.
"""

RECORDS = 2000000
SLACK = 1.5
SORT_US = 1.05   # a record, where the figures below come from
TRUE_US = 1800

# (group, row) -> {contender: figure in the row's unit}.
BY_SORT = {
    ('programs', 'load TSV'): {
        'ldb bulk': 10.6, 'ldb': 18.9, 'sqlite3': 23.5, 'mdb_load': 92,
        'tkrzw': 22.8},
    ('programs', 'gets by pipe, present'): {'sqlite3': 6.5, 'ldb': 10.9},
    ('programs', 'full scan to a pipe'): {
        'ldb': 0.93, 'mdb_dump -p': 0.92, 'mdb_dump': 1.56, 'sqlite3': 3.6},
    ('100 B', 'fillrandom, batches'): {'rocksdb': 2.3, 'lmdb': 6.0},
    ('100 B', 'fillrandom, single'): {'rocksdb': 10.4, 'leveldb': 3.4},
    ('100 B', 'fillseq, batches'): {'rocksdb': 0.69, 'leveldb': 0.41},
    ('100 B', 'overwrite, single'): {'rocksdb': 12.5, 'leveldb': 4.1},
    ('100 B', 'readrandom'): {
        'rocksdb': 3.8, 'rocksdb-mmap': 2.2, 'leveldb': 2.5, 'lmdb': 0.95},
    ('100 B', 'readseq'): {'rocksdb': 0.18, 'leveldb': 0.085, 'lmdb': 0.043},
    ('100 B', 'compact'): {'rocksdb': 1.7e6, 'leveldb': 1.55e6},
}
BY_TRUE = {
    ('programs', 'one get'): {'sqlite3': 4000, 'ldb': 40000},
    ('programs', 'one durable put'): {'sqlite3': 7000, 'ldb': 23000},
}


def judge(rows, setup):
    """Who was slower than he is: a list of texts, empty when all is well."""
    if setup.records != RECORDS:
        return []
    by_name = {(r.group, r.name): r for r in rows}
    wrong = []

    def compare(known, factor, unit):
        for key, peers in known.items():
            for peer, figure in peers.items():
                took = by_name[key].median(peer) if key in by_name else None
                if took is not None and took > SLACK * figure * factor:
                    wrong.append('%s, %s: %s took %.3g, known for %.3g '
                                 'where %s is as fast as here' % (
                                     *key, peer, took, figure * factor, unit))

    load = by_name.get(('programs', 'load TSV'))
    sort_s = load.median('sort') if load else None
    if sort_s:
        compare(BY_SORT, sort_s * 1e6 / RECORDS / SORT_US, 'sort')
    start = by_name.get(('programs', 'start a process'))
    true_us = start.median('/bin/true') if start else None
    if true_us:
        compare(BY_TRUE, true_us / TRUE_US, '/bin/true')
    return wrong
