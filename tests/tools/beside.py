"""beside.py - writers, readers and compactors of one store, killed at random.

usage: beside.py DIR SEED SECONDS

Four writers, four readers and two compactors work on the store until at least
SECONDS have passed and twelve of each kind were ended by kill -9. A writer
knows what it was told is done; of what it was at when it was killed it looks
up what came of it: all or nothing. A reader must see of each key what was last
done when it began, or something newer. At the end a scan must be just what
was done, before and after the rest of the compaction.

Prints what was done, or what was wrong, with status 1.
"""
import os
import random
import signal
import subprocess
import sys
import threading
import time

KEYS = 200        # of a writer, put and deleted one by one; as many in batches
BATCH = 40
KILLS = 12        # of each kind, at least
JOBS = 5          # of the compactors that were left alone
PATIENCE = 120    # seconds for all of that
KINDS = 'writer', 'reader', 'compactor'

directory, seed, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
stop = threading.Event()
wrong, lock = [], threading.Lock()
running = {kind: set() for kind in KINDS}
count = dict.fromkeys(('acknowledged', 'in doubt', 'reads', 'jobs',
                       *('killed ' + kind for kind in KINDS)), 0)


def fail(text):
    wrong.append(text)
    stop.set()


def add(what, n=1):
    with lock:
        count[what] += n


def start(kind, *argv):
    """A tool on the store, for the killer to find."""
    p = subprocess.Popen([argv[0], '-d', directory, *argv[1:]],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    with lock:
        if kind:
            running[kind].add(p)
    return p


def ended(kind, p, *statuses):
    """Its status, or None if it was killed."""
    with lock:
        status = p.wait()
        if kind:
            running[kind].discard(p)
    if kind and status == -signal.SIGKILL:
        add('killed ' + kind)
        return None
    if status not in statuses:
        fail('%s: status %d: %s' % (p.args, status, p.stderr.read()))
    p.stderr.close()
    return status


def run(kind, argv, text='', statuses=(0,), pause=0):
    """Status (None: killed) and output of a tool with this input.

    With a pause it has to wait in the middle until we read on.
    """
    p = start(kind, *argv)
    said = []

    def read():
        begin = os.read(p.stdout.fileno(), 1024)
        time.sleep(pause)
        said.append(begin + p.stdout.read())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        p.stdin.write(text.encode())
        p.stdin.close()
    except BrokenPipeError:
        pass
    reader.join()
    return ended(kind, p, *statuses), said[0].decode()


def records(text):
    return dict(line.split('\t') for line in text.splitlines())


class Key:
    """What was done to it: numbered, as the writer asked for it."""

    def __init__(self):
        self.done = 0
        self.history = [(0, None)]

    def value(self):
        return self.history[-1][1]

    def ask(self, n, value):
        self.history = self.history[-30:] + [(n, value)]

    def settle(self, was_done):
        if was_done:
            self.done = self.history[-1][0]
        else:
            self.history = self.history[:-1]

    def may_be(self, value, since):
        return any(v == value for n, v in self.history if n >= since)


class Writer(threading.Thread):
    def __init__(self, i):
        super().__init__()
        self.rnd = random.Random(seed * 10 + i)
        self.name = 'w%d-' % i
        self.single = {'%sa%03d' % (self.name, k): Key() for k in range(KEYS)}
        self.batched = {'%sb%03d' % (self.name, k): Key() for k in range(KEYS)}
        self.keys = {**self.single, **self.batched}
        self.n = 0

    def run(self):
        while not stop.is_set():
            self.batch()
            self.talk()

    def next_value(self):
        self.n += 1
        return '%d-%s' % (self.n, 'v' * self.rnd.randrange(600))

    def look_up(self, keys):
        """What came of the last thing asked, which nobody answered."""
        add('in doubt')
        _, out = run(None, ['lsm-get', '-f', 'tsv'], '\n'.join(keys) + '\n',
                     (0, 1))
        got = records(out)
        new = [self.keys[k].value() == got.get(k) for k in keys]
        for k in keys:
            self.keys[k].settle(all(new))
            if self.keys[k].value() != got.get(k):
                fail('%s: %r after kill -9, which is neither old nor new, '
                     'or a part of a batch' % (k, got.get(k)))

    def batch(self):
        keys = self.rnd.sample(sorted(self.batched), BATCH)
        value = self.next_value()
        for k in keys:
            self.keys[k].ask(self.n, value)
        status, _ = run('writer', ['lsm-put', '--atomic'],
                        ''.join('%s\t%s\n' % (k, value) for k in keys))
        if status is None:
            self.look_up(keys)
            return
        for k in keys:
            self.keys[k].settle(True)
        add('acknowledged', len(keys))

    def talk(self):
        """Puts and deletes to a shell, each after the answer to the last."""
        shell = start('writer', 'lsm-shell')

        def answer():
            text = b''
            while not text.endswith(b'\n> ') and text != b'> ':
                more = os.read(shell.stdout.fileno(), 65536)
                if not more:
                    return None
                text += more
            return text

        k = None
        said = answer()
        for _ in range(20):
            if said is None or stop.is_set():
                break
            k = self.rnd.choice(sorted(self.single))
            value = self.next_value() if self.rnd.random() < .7 else None
            self.n += value is None
            line = 'put %s %s\n' % (k, value) if value else 'delete %s\n' % k
            self.keys[k].ask(self.n, value)
            try:
                os.write(shell.stdin.fileno(), line.encode())
                said = answer()
            except BrokenPipeError:
                said = None
            if said and not said.startswith((b'Put Key: ', b'Deleted Key: ')):
                fail('%s: %s' % (line[:40], said))
            elif said:
                self.keys[k].settle(True)
                add('acknowledged')
        shell.stdin.close()
        ended('writer', shell, 0)
        if said is None and k:
            self.look_up([k])


class Reader(threading.Thread):
    def __init__(self, i, writers):
        super().__init__()
        self.i, self.writers = i, writers
        self.rnd = random.Random(seed * 10 + 5 + i)

    def read(self, w):
        """Some way to read what writer w has written, if not more."""
        if self.i == 0: # slowly: its tables must stay where they are
            return run('reader', ['lsm-scan'], pause=.3)
        if self.i == 1:
            return run('reader', ['lsm-get', '-f', 'tsv'],
                       ''.join(k + '\n' for k in w.keys), (0, 1))
        return run('reader', ['lsm-scan', '--prefix', w.name] +
                   ['--reverse'] * (self.i - 2))

    def run(self):
        while not stop.is_set():
            w = self.rnd.choice(self.writers)
            since = {k: key.done for k, key in w.keys.items()}
            status, out = self.read(w)
            if status is None:
                continue
            got = records(out)
            add('reads', len(got))
            for k, n in since.items():
                if not w.keys[k].may_be(got.get(k), n):
                    fail('%s: read as %.20r, older than number %d' % (
                        k, got.get(k), n))


class Compactor(threading.Thread):
    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def run(self):
        while not stop.is_set():
            # 75: the other one is at all that is due
            status, out = run('compactor', ['lsm-compact', '-v', *self.rate],
                              '', (0, 75))
            if status == 0:
                add('jobs', int(out.split()[0][5:]))


def enough():
    return count['jobs'] >= JOBS and all(
        count['killed ' + kind] >= KILLS for kind in KINDS)


def kill_at_random():
    rnd = random.Random(seed)
    began = time.monotonic()
    while not stop.is_set():
        time.sleep(rnd.random() * .1)
        with lock:
            some = [p for p in running[rnd.choice(KINDS)] if p.poll() is None]
            if some:
                rnd.choice(some).kill()
        took = time.monotonic() - began
        if took > seconds and enough():
            stop.set()
        elif took > PATIENCE:
            fail('not enough within %d s' % PATIENCE)


def main():
    writers = [Writer(i) for i in range(4)]
    threads = writers + [Reader(i, writers) for i in range(4)]
    threads += [Compactor([]), Compactor(['--rate', '500K'])]
    for t in threads:
        t.start()
    kill_at_random()
    for t in threads:
        t.join()
    want = {k: key.value() for w in writers for k, key in w.keys.items()}
    want = {k: v for k, v in want.items() if v is not None}
    for argv in ['lsm-verify', '-q'], ['lsm-compact', '--all'], ['lsm-verify', '-q']:
        if records(run(None, ['lsm-scan'])[1]) != want:
            fail('before %s: a scan is not what was done' % argv)
        run(None, argv)
    if records(run(None, ['lsm-scan'])[1]) != want:
        fail('a scan is not what was done')
    print(', '.join('%s: %d' % c for c in count.items()))
    print('\n'.join(wrong[:10]))
    sys.exit(bool(wrong))


main()
