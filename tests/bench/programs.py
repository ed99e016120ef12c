"""programs.py - the rows as programs: what a user types, timed."""
import json
import shlex
import shutil
import subprocess

import beside
import measure
import peers
from measure import Failed, Row, lines, say, shell, spawned, take_turns

GROUP = 'programs'
FILES = {'kv.tsv': 'tsv', 'kv.ldb': 'ldb', 'kv.dump': 'dump', 'kv.text': 'cdb'}
PER_TABLE = 34  # records that fill a table of 4 KiB


def settings(setup):
    return dict(peers.SETTINGS)


class Programs:
    """What the rows share: the files, the stores that a load leaves."""

    def __init__(self, setup, rows):
        self.setup, self.rows = setup, rows
        self.w, self.env, self.group = setup.work, setup.env, GROUP
        self.keys = min(1000000, setup.records // 2)
        self.spawns = 5 if setup.tiny else 60 if setup.quick else 300
        self.key = None

    def text(self, command, **more):
        return command.format(w=self.w, tools=self.setup.tools,
                              n=self.setup.records, key=self.key, **more)

    def sh(self, command):
        return shell(self.text(command), env=self.env)

    def remove(self, pattern):
        for path in self.w.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def there(self, name, store=True):
        """Can a contender take part: its program, and what it works on?"""
        program, kept = peers.NEEDS.get(name, (name, None))
        if name in ('ours', 'one after another', 'one writer', 'alone',
                    'ten tables', 'lsm-put, unsorted', 'nothing, static') or \
                name.startswith('/bin/true'):
            return True
        return self.setup.has(program) and (
            not store or kept is None or (self.w / kept).exists())

    def data(self):
        """The files of records and keys, the same in every run."""
        tool, n = self.setup.tools / 'data', str(self.setup.records)
        stamp = self.w / 'data.stamp'
        made = '%s %d %d' % (n, self.keys, tool.stat().st_mtime)
        if not (stamp.exists() and stamp.read_text() == made):
            for name, kind in FILES.items():
                with open(self.w / name, 'wb') as f:
                    subprocess.run([tool, kind, n], stdout=f, check=True)
            for kind in ('present', 'absent', 'zipf'):
                with open(self.w / ('keys.' + kind), 'wb') as f:
                    subprocess.run([tool, kind, n, str(self.keys)], stdout=f,
                                   check=True)
            self.sh('LC_ALL=C sort -S2G {w}/kv.tsv > {w}/sorted.tsv')
            stamp.write_text(made)
        with open(self.w / 'keys.present') as f:
            self.key = f.readline().strip()

    def turns(self, name, commands, bars, fresh=None, expect=None, **more):
        """Commands of the shell, by turns.

        fresh: the store that each begins without.  expect: how many lines
        each must write when all is well; who does not takes no part.
        """
        row = Row(GROUP, name, 's', bars=bars)

        def work(contender, command):
            def run():
                if fresh:
                    self.remove(fresh(contender))
                    measure.quiet_disk()
                return shell(command, env=self.env)
            return run

        contenders = []
        for contender, command in commands.items():
            command = self.text(command, **more)
            if not self.there(contender, store=not fresh):
                continue
            if expect is not None:
                got = lines(command.replace(' | cat > /dev/null', ''),
                            self.env)
                if got != expect:
                    row.notes.append('%s: %s, should be %d lines' % (
                        contender, 'fails' if got is None else
                        '%d lines' % got, expect))
                if contender == row.ours:
                    row.facts.append(('the answer is whole', got == expect))
                elif got != expect:
                    continue
            contenders.append((contender, work(contender, command)))
        self.rows.append(take_turns(row, contenders, self.setup))
        return row

    def small(self, name, commands, bars, ours='ours', store=True):
        """Commands of a millisecond, by turns, many times."""
        row = Row(GROUP, name, 'us', bars=bars, ours=ours)
        argv = {n: shlex.split(self.text(c)) for n, c in commands.items()
                if self.there(n, store)}
        self.rows.append(spawned(row, self.setup.tools / 'spawn',
                                 self.spawns, argv, self.env))
        return row

    # ---- rows ----

    def start(self):
        self.small('start a process', {
            'nothing, static': '{tools}/nothing', '/bin/true': '/bin/true'},
            [], ours='nothing, static')

    def load(self):
        self.turns('load TSV', peers.LOAD,
                   [('sort', 0.7), ('ldb bulk', 0.15)],
                   fresh=lambda name: peers.NEEDS[name][1] + '*'
                   if peers.NEEDS[name][1] else 'nothing')
        self.sh('lsm-flush -q -d {w}/kv.lsm && lsm-compact -q -d {w}/kv.lsm')

    def load_sorted(self):
        unsorted = {'lsm-put, unsorted': 'lsm-put -d {w}/s.lsm < {w}/kv.tsv'}
        fresh = {'fresh': lambda name: 's.lsm'}
        self.turns('load TSV, sorted', {
            'ours': 'lsm-put -d {w}/s.lsm < {w}/sorted.tsv', **unsorted},
            [('lsm-put, unsorted', 1.0)], **fresh)
        self.turns('load TSV, sort | lsm-put', {
            'ours': 'LC_ALL=C sort -S2G --parallel=2 {w}/kv.tsv | '
                    'lsm-put -d {w}/s.lsm', **unsorted,
            'sort': peers.LOAD['sort']}, [], **fresh)
        self.remove('s.lsm')

    def get(self):
        row = self.small('one get', peers.GET, [('/bin/true', 0.85)])
        got = subprocess.run(shlex.split(self.text(peers.GET['ours'])),
                             env=self.env, stdout=subprocess.PIPE).stdout
        row.facts.append(('the value is right', len(got) == 100))

    def get_many_tables(self):
        many = 100 if self.setup.tiny else 1000 if self.setup.quick else 10000
        counts = {}
        for store, size in (('many', '4K'), ('ten', str(46 * many * 10))):
            records = many * PER_TABLE
            self.remove('tables.' + store)
            self.sh('lsm-init -d {w}/tables.%s maintenance=cron '
                    'table_bytes=%s block_bytes=4K write_buffer=1G && '
                    'head -n %d {w}/kv.tsv | lsm-put -d {w}/tables.%s && '
                    'lsm-flush -d {w}/tables.%s' % (
                        store, size, records, store, store))
            stat = subprocess.run(
                ['lsm-dump', '-d', self.w / ('tables.' + store)],
                env=self.env, stdout=subprocess.PIPE, check=True).stdout
            counts[store] = sum(len(run) for level in
                                json.loads(stat)['levels'] for run in level)
        with open(self.w / 'kv.tsv') as f:
            key = f.readline().split('\t')[0]
        get = 'lsm-get -d {w}/tables.%s ' + key
        row = self.small('one get, %d tables' % many, {
            'ours': get % 'many', 'ten tables': get % 'ten'},
            [('ten tables', 1.2)])
        row.notes.append('%d and %d tables' % (counts['many'], counts['ten']))
        row.facts.append(('as many tables as that',
                          counts['many'] >= 0.9 * many or
                          self.setup.records < many * PER_TABLE))
        self.remove('tables.*')

    def put_stores(self):
        self.remove('put.*')
        for name, command in peers.PUT_SETUP.items():
            if self.there(name, store=False):
                self.sh(command)

    def put(self):
        self.put_stores()
        self.small('one durable put', peers.PUT,
                   [('/bin/true, append, fdatasync', 1.1)], store=False)

    def gets(self):
        for kind in ('present', 'absent', 'zipf'):
            self.turns('gets by pipe, ' + kind, peers.GETS, [('best', 0.2)],
                       expect=0 if kind == 'absent' else self.keys,
                       keys='keys.' + kind)

    def scan(self):
        self.turns('full scan to a pipe', peers.SCAN,
                   [('best-cat-cdb', 0.4), ('cat', 2.0)])

    def range(self):
        self.small('range of 100', peers.RANGE, [('best', 1.0)])

    def dump(self):
        self.turns('dump', peers.DUMP, [('best-cdb', 1.0)])
        self.remove('out')


ROWS = [
    ('start a process', Programs.start),
    ('load TSV', Programs.load),
    ('load TSV, sorted', Programs.load_sorted),
    ('one get', Programs.get),
    ('one get, many tables', Programs.get_many_tables),
    ('gets by pipe', Programs.gets),
    ('full scan to a pipe', Programs.scan),
    ('range of 100', Programs.range),
    ('dump', Programs.dump),
    ('one durable put', Programs.put),
    ('200 puts by xargs', beside.xargs),
    ('8 durable writers', beside.writers),
    ('gets beside a writer', beside.gets_beside),
]
# Those that need what the load leaves.
LOADED = {'one get', 'gets by pipe', 'full scan to a pipe', 'range of 100',
          'dump', 'gets beside a writer'}


def run(setup, rows):
    """All rows that are asked for, each put behind `rows` when it is there."""
    p = Programs(setup, rows)
    wanted = [name for name, _ in ROWS if setup.wants(GROUP, name)]
    if LOADED & set(wanted) and 'load TSV' not in wanted:
        wanted.append('load TSV')
    if not wanted:
        return
    p.data()
    for name, work in ROWS:
        if name in wanted:
            try:
                work(p)
            except (Failed, subprocess.SubprocessError) as e:
                row = Row(GROUP, name, '')
                row.facts.append(('failed: %s' % e, False))
                say('%s: %s' % (name, e))
                p.rows.append(row)
    p.remove('put.*')
