"""programs.py - the rows as programs: what a user types, timed."""
import shlex
import shutil
import subprocess
import time

import peers
from measure import Failed, Row, quiet_disk, say, shell, spawned, take_turns

GROUP = 'programs'
FILES = {'kv.tsv': 'tsv', 'kv.ldb': 'ldb', 'kv.dump': 'dump', 'kv.text': 'cdb'}


def settings(setup):
    return dict(peers.SETTINGS)


class Programs:
    def __init__(self, setup):
        self.setup, self.rows = setup, []
        self.w, self.env = setup.work, setup.env
        # As many gets by pipe as PEERS were measured with, or fewer.
        self.keys = min(1000000, setup.records // 2)
        self.spawns = 5 if setup.tiny else 60 if setup.quick else 300

    def text(self, command, **more):
        return command.format(w=self.w, tools=self.setup.tools,
                              n=self.setup.records, key=self.key, **more)

    def sh(self, command, **kw):
        return shell(self.text(command), env=self.env, **kw)

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
            stamp.write_text(made)
        with open(self.w / 'keys.present') as f:
            self.key = f.readline().strip()

    def remove(self, name):
        path = self.w / name
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()

    def there(self, name):
        """Can a contender take part: its program, and what it works on?"""
        program, store = peers.NEEDS.get(name, (name, None))
        return name == 'ours' or name.startswith(('/bin/true', 'nothing')) or (
            self.setup.has(program) and
            (store is None or (self.w / store).exists()))

    # ---- rows ----

    def load(self):
        row = Row(GROUP, 'load TSV', 's', bars=[('sort', 0.7),
                                               ('ldb bulk', 0.15)])

        def work(name, command):
            store = peers.NEEDS[name][1]

            def run():
                if store:
                    self.remove(store)
                    self.remove(store + '-lock')
                quiet_disk()
                return self.sh(command)
            return run

        self.rows.append(take_turns(
            row, [(name, work(name, command))
                  for name, command in peers.LOAD.items()
                  if name == 'ours' or self.setup.has(peers.NEEDS[name][0])],
            self.setup.rounds, self.setup.patience))

    def timed(self, name, commands, bars, statuses=(0,), **more):
        """Commands of the shell that change nothing, by turns."""
        row = Row(GROUP, name, 's', bars=bars)

        def work(command):
            return lambda: shell(self.text(command, **more), env=self.env,
                                 statuses=statuses)

        self.rows.append(take_turns(
            row, [(n, work(c)) for n, c in commands.items()
                  if self.there(n)],
            self.setup.rounds, self.setup.patience))
        return row

    def small(self, name, commands, bars, ours='ours'):
        """Commands of a millisecond, by turns, many times."""
        row = Row(GROUP, name, 'us', bars=bars, ours=ours)
        argv = {n: shlex.split(self.text(c)) for n, c in commands.items()
                if self.there(n)}
        self.rows.append(spawned(row, self.setup.tools / 'spawn',
                                 self.spawns, argv, self.env))
        return row

    def gets(self):
        for kind, status in (('present', 0), ('absent', 1), ('zipf', 0)):
            self.timed('gets by pipe, ' + kind, peers.GETS,
                       [('best', 0.2)], statuses=(0, status),
                       keys='keys.' + kind)


def run(setup):
    """All rows that are asked for."""
    p = Programs(setup)
    wanted = [name for name in (
        'start a process', 'load TSV', 'one get', 'gets by pipe',
        'full scan to a pipe') if setup.wants(GROUP, name)]
    if not wanted:
        return []
    p.data()
    p.load()
    p.sh('lsm-flush -q -d {w}/kv.lsm && lsm-compact -q -d {w}/kv.lsm')
    if 'one get' in wanted:
        p.small('one get', peers.GET, [('/bin/true', 0.85)])
    if 'gets by pipe' in wanted:
        p.gets()
    if 'full scan to a pipe' in wanted:
        p.timed('full scan to a pipe', peers.SCAN,
                [('best-cat-cdb', 0.4), ('cat', 2.0)])
    return p.rows
