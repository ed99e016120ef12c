"""scale.py - what commands cost the more tables a store has.

usage: scale.py [--most N] [--runs N] [--work DIR] [--readme]

Makes stores of 10, 100, 1,000... tables, at most N (100000), of about 4 KiB
each; starts one get, one put and one flush of them some times, by turns with
/bin/true, and prints the medians as a table.  Stores are made in
$BUILD/bench/scale, or DIR of --work, one after the other.  --readme puts the
table into tests/bench/README.md.

tests/bench/README.md tells what the columns are.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))
import table  # noqa: E402

PER_TABLE = 34  # records that fill a table of 4 KiB


class Scale:
    def __init__(self, args):
        self.args = args
        build = pathlib.Path(os.environ.get('BUILD', 'build')).resolve()
        self.tools = build / 'tests' / 'bench'
        self.work = pathlib.Path(args.work or build / 'bench' / 'scale')
        self.store = self.work / 'store'
        os.environ.update(LC_ALL='C', LSM_DIR=str(self.store),
                          PATH='%s:%s' % (build / 'bin', os.environ['PATH']))

    def run(self, *argv, **more):
        done = subprocess.run([str(a) for a in argv], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              **more)
        if done.returncode:
            sys.exit('scale: %s: status %d: %s' % (
                argv[0], done.returncode, done.stderr[-300:]))
        return done.stdout

    def make(self, tables):
        """A store of about so many tables; the key of its first record."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.run('lsm-init', '-q', 'maintenance=cron', 'table_bytes=4K',
                 'table_bytes_max=4K', 'block_bytes=4K', 'write_buffer=1G')
        tsv = self.work / 'tsv'
        with open(tsv, 'w') as f:
            subprocess.run([self.tools / 'data', 'tsv',
                            str(tables * PER_TABLE)], stdout=f, check=True)
        with open(tsv) as f:
            self.run('lsm-put', '-q', stdin=f)
        self.run('lsm-flush', '-q')
        with open(tsv) as f:
            key = f.readline().split('\t')[0]
        tsv.unlink()
        return key

    def spawn(self, *command):
        """(median us, times /bin/true, by turns)."""
        out = self.run(self.tools / 'spawn', self.args.runs, *command, '--',
                       '/bin/true').split()
        return float(out[1]), float(out[0])

    def flushes(self):
        """Seconds and memory of a flush of one record, and of an install."""
        took, memory = [], []
        for i in range(5):
            self.run('lsm-put', '-q', 'flushed %d' % i, 'value')
            began = time.monotonic()
            p = subprocess.Popen(['lsm-flush', '-q'])
            _, status, usage = os.wait4(p.pid, 0)
            took.append(time.monotonic() - began)
            memory.append(usage.ru_maxrss)
            if status:
                sys.exit('scale: lsm-flush: status %d' % status)
        return statistics.median(took), max(memory)

    def measure(self, tables):
        key = self.make(tables)
        levels = json.loads(self.run('lsm-dump'))['levels']
        row = {'tables': sum(len(run) for level in levels for run in level)}
        row['get_us'], row['get'] = self.spawn('lsm-get', key)
        row['put_us'], row['put'] = self.spawn('lsm-put', '-q', 'one', 'v')
        row['flush_s'], row['flush_kib'] = self.flushes()
        row['manifest'] = (self.store / 'MANIFEST.json').stat().st_size
        row['image'] = max(f.stat().st_size
                           for f in self.store.glob('*.ver'))
        print('%d tables' % row['tables'], file=sys.stderr, flush=True)
        return row


def render(rows):
    lines = ['| tables | one get | one durable put | one flush | its memory | '
             'manifest | version image |',
             '|---:|---:|---:|---:|---:|---:|---:|']
    for r in rows:
        lines.append('| {:,} | {:.2f} of /bin/true | {:.2f} of /bin/true | '
                     '{:.1f} ms | {:.1f} MiB | {:,} KiB | {:,} KiB |'.format(
                         r['tables'], r['get'], r['put'], r['flush_s'] * 1e3,
                         r['flush_kib'] / 1024, r['manifest'] // 1024,
                         r['image'] // 1024))
    return '\n'.join(lines) + '\n'


def main():
    p = argparse.ArgumentParser(usage=__doc__.split('usage: ')[1])
    p.add_argument('--most', type=int, default=100000)
    p.add_argument('--runs', type=int, default=200)
    p.add_argument('--work')
    p.add_argument('--readme', action='store_true')
    scale = Scale(p.parse_args())
    rows, n = [], 10
    try:
        while n <= scale.args.most:
            rows.append(scale.measure(n))
            n *= 10
    finally:
        shutil.rmtree(scale.work, ignore_errors=True)
    text = render(rows)
    print(text, end='')
    if scale.args.readme:
        table.into_readme(HERE / 'README.md', text, 'scale')


main()
