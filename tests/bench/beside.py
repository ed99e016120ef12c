"""beside.py - rows of programs that work at the same time."""
import os
import shlex
import statistics
import subprocess
import threading
import time

import measure
import peers
from measure import Failed, Row, say, take_turns

WRITERS = 8
DELAY_US = 5000


def together(p, commands):
    """Seconds until all of these shell commands have ended well."""
    began = time.monotonic()
    running = [subprocess.Popen(['bash', '-c', c], env=p.env,
                                stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE) for c in commands]
    said = [r.communicate()[1] for r in running]
    took = time.monotonic() - began
    bad = [s for r, s in zip(running, said) if r.returncode]
    if bad:
        raise Failed('%d of %d fail: %s' % (
            len(bad), len(running), bad[0].decode()[-100:].strip()))
    return took


def xargs(p):
    """200 processes that put, 8 at a time."""
    row = Row(p.group, '200 puts by xargs -P8', 's',
              bars=[('one after another', 1.0)])

    def work(command):
        def run():
            p.put_stores()
            measure.quiet_disk()
            return p.sh(command)
        return run

    p.rows.append(take_turns(
        row, [(n, work(c)) for n, c in peers.XARGS.items()
              if p.there(n, store=False)], p.setup))
    p.put_stores()
    p.sh(peers.XARGS['ours'])
    count = subprocess.run(['lsm-scan', '-d', p.w / 'put.lsm', '--count'],
                           env=p.env, stdout=subprocess.PIPE, text=True)
    row.facts.append(('200 are kept', count.stdout.strip() == '201'))


def parts(p, puts):
    """The input of each writer, as records and as SQL."""
    for i in range(WRITERS):
        with open(p.w / ('part.%d' % i), 'w') as tsv, \
                open(p.w / ('part.%d.sql' % i), 'w') as sql:
            for k in range(puts):
                tsv.write('w%d-%d\tvalue\n' % (i, k))
                sql.write("INSERT OR REPLACE INTO kv "
                          "VALUES('w%d-%d','value');\n" % (i, k))


def writers(p):
    """Streams of durable puts: how many commits share an fdatasync."""
    puts = 20 if p.setup.tiny else 100 if p.setup.quick else 400
    trace = 'strace -f -qq --seccomp-bpf -o {w}/trace.{i} -e trace=fdatasync '
    slow = trace + '-e inject=fdatasync:delay_enter=%d ' % DELAY_US
    parts(p, puts)

    def work(name, n, prefix):
        def run():
            p.put_stores()
            p.remove('trace.*')
            measure.quiet_disk()
            took = together(p, [p.text(prefix + peers.STREAM[name], i=i)
                                for i in range(n)])
            return took * 1e3 / (n * puts)
        return run

    plain = Row(p.group, '8 durable writers', 'ms a put',
                bars=[('best-one writer', 1.0)])
    contenders = [('ours', work('ours', WRITERS, '')),
                  ('one writer', work('ours', 1, ''))]
    if p.there('sqlite3', store=False):
        contenders.append(('sqlite3', work('sqlite3', WRITERS, '')))
    p.rows.append(take_turns(plain, contenders, p.setup))

    shared = Row(p.group, '8 durable writers', 'commits a sync', higher=True)

    def commits_a_sync():
        work('ours', WRITERS, trace)()
        syncs = sum(f.read_text().count('fdatasync(')
                    for f in p.w.glob('trace.*'))
        return WRITERS * puts / syncs

    p.rows.append(take_turns(shared, [('ours', commits_a_sync)],
                             p.setup))
    shared.facts.append(('4 or more', shared.median('ours') >= 4))

    late = Row(p.group, '8 durable writers, a sync takes 5 ms', 'ms a put',
               bars=[('one writer', 0.25)])
    p.rows.append(take_turns(
        late, [('ours', work('ours', WRITERS, slow)),
               ('one writer', work('ours', 1, slow))],
        p.setup))
    p.remove('part.*')
    p.remove('trace.*')


class Load:
    """A load in the background, again and again until it is told to stop."""

    def __init__(self, p, command):
        self.p, self.command = p, p.text(command)
        self.stop, self.now = False, None
        self.thread = threading.Thread(target=self.work)

    def work(self):
        while not self.stop:
            self.now = subprocess.Popen(
                ['bash', '-c', self.command], env=self.p.env,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            self.now.wait()

    def __enter__(self):
        self.thread.start()
        time.sleep(0.3)
        return self

    def __exit__(self, *_):
        self.stop = True
        self.thread.join()


def get_each(p, argv, n):
    """Microseconds of each of n gets, and how many failed."""
    took, failed = [], 0
    null = os.open(os.devnull, os.O_RDWR)
    quiet = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]
    for _ in range(n):
        began = time.monotonic()
        pid = os.posix_spawnp(argv[0], argv, p.env, file_actions=quiet)
        status = os.waitpid(pid, 0)[1]
        took.append((time.monotonic() - began) * 1e6)
        failed += status != 0
    os.close(null)
    return took, failed


def gets_beside(p):
    """One get, and one get, and one get, beside a load of the same store."""
    n = 20 if p.setup.tiny else 100 if p.setup.quick else 400
    row = Row(p.group, 'gets beside a writer', 'us', bars=[('best-alone', 1.0)])
    failures = {}

    def work(name, load):
        argv = shlex.split(p.text(peers.GET[name]))

        def run():
            if not load:
                return statistics.median(get_each(p, argv, n)[0])
            with Load(p, peers.BESIDE_LOAD[name]):
                took, failed = get_each(p, argv, n)
            failures.setdefault(name, []).append(failed)
            if failed and name != 'ours':
                raise Failed('%d of %d gets fail' % (failed, n))
            return statistics.median(took)
        return run

    contenders = [(name, work(name, True)) for name in peers.BESIDE_LOAD
                  if p.there(name)]
    contenders.insert(1, ('alone', work('ours', False)))
    p.rows.append(take_turns(row, contenders, p.setup))
    row.facts.append(('no get fails', sum(failures['ours']) == 0))
    say('  gets that failed: %s' % failures)
