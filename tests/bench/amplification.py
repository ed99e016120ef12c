"""amplification.py - what each strategy makes of the same writes.

usage: amplification.py [--records N] [--lookups N] [--write-buffer N]
                        [--only WORKLOAD]... [--work DIR] [--out DIR]
                        [--readme]

Writes the four workloads of stream.h under each strategy and, where db_bench
is there, into RocksDB; prints write, space and read amplification as a table
with our bars, and leaves it in $BUILD/bench, or DIR of --out, as
amplification.md and amplification.json.  Stores are made in
$BUILD/bench/amplification, or DIR of --work, one after the other.  --readme
puts the table into tests/bench/README.md.  Status 1: a bar is not met.

tests/bench/README.md tells what the columns are.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))
import dbbench  # noqa: E402
import table  # noqa: E402

WORKLOADS = ['uniform', 'zipf', 'delete-heavy', 'overwrite']
STRATEGIES = ['leveled', 'tiered', 'lazy-leveled', 'unified', 'fifo']
ROCKSDB = {'RocksDB leveled': '0', 'RocksDB universal': '1'}
# Ours, theirs: write amplification at most theirs.
PAIRS = {'leveled': 'RocksDB leveled', 'tiered': 'RocksDB universal'}
SPACE = {'leveled': 1.15}
RATIO, FILTER_BITS = 10, 10
# Compaction is due; writers are held up.
LEVEL0_RUNS, LEVEL0_HARD = 4, 20


def run(*argv):
    """What a command prints; it must end well."""
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    if done.returncode:
        sys.exit('amplification: %s: status %d: %s' % (
            ' '.join(str(a) for a in argv), done.returncode,
            done.stderr[-500:]))
    return done.stdout


def table_bytes(directory):
    return sum(f.stat().st_size for f in directory.glob('*.sst'))


class Bench:
    def __init__(self, args):
        self.args = args
        build = pathlib.Path(os.environ.get('BUILD', 'build')).resolve()
        self.tools = build / 'tests' / 'bench'
        self.out = pathlib.Path(args.out or build / 'bench')
        self.work = pathlib.Path(args.work or
                                 build / 'bench' / 'amplification')
        os.environ.update(LC_ALL='C', PATH='%s:%s' % (
            build / 'bin', os.environ['PATH']))
        self.store = self.work / 'store'
        self.rows = []

    def begin(self):
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.out.mkdir(parents=True, exist_ok=True)

    def drop_store(self):
        shutil.rmtree(self.store, ignore_errors=True)

    # ---- ours ----

    def ours(self, strategy, workload):
        """The figures of one workload under one of our strategies."""
        buffer = self.args.write_buffer
        run('lsm-init', '-q', '-d', self.store, '--strategy', strategy,
            '--compression', 'lz4', 'write_buffer=%d' % buffer,
            'table_bytes=%d' % buffer, 'table_bytes_max=%d' % buffer,
            'level_ratio=%d' % RATIO, 'level0_runs=%d' % LEVEL0_RUNS,
            'level0_hard=%d' % LEVEL0_HARD,
            'filter_bits=%d' % FILTER_BITS, 'block_bytes=4K')
        reads = json.loads(run(self.tools / 'fill', self.store, workload,
                               self.args.records, self.args.lookups))
        manifest = json.loads((self.store / 'MANIFEST.json').read_text())
        stat = json.loads(run('lsm-stat', '-q', '-d', self.store, '--json'))
        row = self.figures(
            strategy, workload, manifest['flushed_bytes'],
            sum(manifest['compacted_bytes']), reads)
        row['due'] = stat['need'].get('bytes') != 0
        row['runs'] = sum(len(level['runs']) for level in stat['levels'])
        self.measure_space(row, lambda: run('lsm-compact', '-q', '-d',
                                            self.store, '--all'))
        return row

    # ---- RocksDB ----

    def trace(self, *what):
        """A file that db_bench replays, made once a workload."""
        path = self.work / ('trace.' + str(what[0]))
        if not path.exists():
            with open(path, 'wb') as f:
                subprocess.run([self.tools / 'trace'] + [str(w) for w in what],
                               stdout=f, check=True)
        return path

    def db_bench(self, style):
        buffer = self.args.write_buffer
        return dbbench.DbBench(self.store, [
            '--compaction_style=' + style, '--compression_type=lz4',
            '--write_buffer_size=%d' % buffer,
            '--target_file_size_base=%d' % buffer,
            '--max_bytes_for_level_base=%d' % (buffer * LEVEL0_RUNS),
            '--max_bytes_for_level_multiplier=%d' % RATIO,
            '--level_compaction_dynamic_level_bytes=1',
            '--level0_file_num_compaction_trigger=%d' % LEVEL0_RUNS,
            '--level0_slowdown_writes_trigger=%d' % LEVEL0_HARD,
            '--max_background_compactions=1', '--max_background_flushes=1',
            '--subcompactions=1', '--bloom_bits=%d' % FILTER_BITS])

    def db_bench_lookups(self, db, kind):
        trace = self.trace(kind, self.args.records, self.args.lookups)
        c = db.run('replay', '--trace_file=%s' % trace,
                   '--disable_auto_compactions=1')
        positive = c['bloom.filter.full.positive']
        return {'lookups': self.args.lookups,
                'found': c['memtable.hit'] + c['l0.hit'] + c['l1.hit'] +
                c['l2andup.hit'],
                'asked': c['bloom.filter.useful'] + positive,
                'read': positive}

    def rocksdb(self, name, workload):
        db = self.db_bench(ROCKSDB[name])
        flushed, compacted = db.fill(self.trace(workload, self.args.records))
        row = self.figures(name, workload, flushed, compacted, {
            kind: self.db_bench_lookups(db, kind)
            for kind in ('present', 'absent')})
        self.measure_space(row, lambda: db.run('compact'))
        return row

    # ---- both ----

    def figures(self, name, workload, flushed, compacted, reads):
        n = self.args.lookups
        if reads['present']['found'] != n or reads['absent']['found'] != 0:
            sys.exit('amplification: %s, %s: found %d and %d of %d' % (
                name, workload, reads['present']['found'],
                reads['absent']['found'], n))
        return {'name': name, 'workload': workload, 'flushed': flushed,
                'compacted': compacted,
                'write': (flushed + compacted) / flushed, 'reads': reads,
                'asked': reads['absent']['asked'] / n,
                'read_absent': reads['absent']['read'] / n,
                'read_present': reads['present']['read'] / n}

    def measure_space(self, row, compact_all):
        row['bytes'] = table_bytes(self.store)
        compact_all()
        row['one_run_bytes'] = table_bytes(self.store)
        row['space'] = row['bytes'] / row['one_run_bytes']

    def measure(self, work, name, workload):
        began = time.monotonic()
        self.drop_store()
        row = work(name, workload)
        row['seconds'] = time.monotonic() - began
        self.drop_store()
        self.rows.append(row)
        print('%-13s %-17s write %.2f space %.3f asked %.2f '
              'read %.3f %.3f (%.0f s)' % (
                  workload, name, row['write'], row['space'], row['asked'],
                  row['read_absent'], row['read_present'], row['seconds']),
              file=sys.stderr, flush=True)

    def all(self):
        peers = ROCKSDB if shutil.which('db_bench') else []
        for workload in self.args.only or WORKLOADS:
            for strategy in STRATEGIES:
                # It never merges: one workload shows that.
                if strategy != 'fifo' or workload == 'uniform':
                    self.measure(self.ours, strategy, workload)
            for name in peers:
                self.measure(self.rocksdb, name, workload)
            for trace in self.work.glob('trace.*'):
                trace.unlink()
            self.report()

    # ---- what is said of it ----

    def verdicts(self):
        """(bar, ours, limit, met) for each workload."""
        out = []
        by = {(r['workload'], r['name']): r for r in self.rows}
        for (workload, name), row in by.items():
            theirs = by.get((workload, PAIRS.get(name)))
            if theirs:
                out.append(('%s, %s: write amplification of %s' % (
                    workload, name, theirs['name']), row['write'],
                    theirs['write']))
            if name in SPACE:
                out.append(('%s, %s: space%s' % (
                    workload, name, ' (work is due)' if row['due'] else ''),
                    row['space'], SPACE[name]))
        return [(*v, v[1] <= v[2]) for v in out]

    def table(self):
        lines = ['| workload | strategy | write | space | filters asked, '
                 'absent | blocks read, absent | blocks read, present |',
                 '|---|---|---:|---:|---:|---:|---:|']
        for r in self.rows:
            lines.append('| %s | %s | %.2f | %.3f | %.2f | %.3f | %.3f |' % (
                r['workload'], r['name'], r['write'], r['space'], r['asked'],
                r['read_absent'], r['read_present']))
        lines += ['', '| bar | ours | at most | |', '|---|---:|---:|---|']
        for bar, ours, limit, met in self.verdicts():
            lines.append('| %s | %.3f | %.3f | %s |' % (
                bar, ours, limit, 'met' if met else '**not met**'))
        return '\n'.join(lines) + '\n'

    def heading(self):
        return '%s records, write buffer and tables of %d KiB; %s, %s.\n\n' % (
            format(self.args.records, ','), self.args.write_buffer >> 10,
            time.strftime('%Y-%m-%d'), machine())

    def report(self):
        (self.out / 'amplification.md').write_text(
            self.heading() + self.table())
        (self.out / 'amplification.json').write_text(json.dumps({
            'records': self.args.records, 'rows': self.rows,
            'verdicts': self.verdicts()}, indent=1) + '\n')


def machine():
    name = re.search('^PRETTY_NAME="(.*)"',
                     pathlib.Path('/etc/os-release').read_text(), re.M)
    return '%d cores, %s' % (os.cpu_count(), name.group(1) if name else '?')


def main():
    p = argparse.ArgumentParser(usage=__doc__.split('usage: ')[1])
    p.add_argument('--records', type=int, default=2000000)
    p.add_argument('--lookups', type=int, default=100000)
    p.add_argument('--write-buffer', type=int, default=2 << 20)
    p.add_argument('--only', action='append', choices=WORKLOADS)
    p.add_argument('--work')
    p.add_argument('--out')
    p.add_argument('--readme', action='store_true')
    bench = Bench(p.parse_args())
    bench.begin()
    try:
        bench.all()
    finally:
        shutil.rmtree(bench.work)
    text = bench.heading() + bench.table()
    print(text, end='')
    if bench.args.readme:
        table.into_readme(HERE / 'README.md', text, 'amplification')
    return 0 if all(met for *_, met in bench.verdicts()) else 1


if __name__ == '__main__':
    sys.exit(main())
