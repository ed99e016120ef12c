"""nice.py - what gets cost beside a writer and a compactor that is nice.

usage: nice.py DIR KEYS

DIR holds a store with maintenance=cron and the keys of file KEYS, a line
each.  Looks all of them up, in one process, while one process overwrites
records of the store and another, under nice -19, runs lsm-compact over and
over; and, before and after that, while nobody else is at work.  The writer
keeps a steady rate, but for when the compactor cannot follow: what many runs
cost is another question.  So nice a compactor may not get a turn; then all
keys are looked up again, some times.  Prints user and system time of the
reader, in microseconds a get, and what the others did meanwhile:

    alone=N beside=N ratio=N written=N compacted_bytes=N rounds=N
"""
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

WRITES_PER_S = 20000
CHUNK = WRITES_PER_S // 50
PASSES = 5
RUNS = 5


def reader_cpu_us(directory, path, keys):
    """Of one get, by a process that makes all of them."""
    with open(path) as f:
        reader = subprocess.Popen(['lsm-get', '-d', directory], stdin=f,
                                  stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(reader.pid, 0)
    reader.returncode = os.waitstatus_to_exitcode(status)
    if reader.returncode:
        sys.exit('lsm-get: status %d' % reader.returncode)
    return (used.ru_utime + used.ru_stime) * 1e6 / len(keys)


class Beside:
    """A writer and a compactor, until the end of the block."""

    def __init__(self, directory, keys):
        self.directory, self.keys = directory, keys
        self.stop = threading.Event()
        self.written = self.rounds = 0
        self.compactor = None
        self.failed = []
        self.threads = [threading.Thread(target=t)
                        for t in (self.write, self.compact)]

    def write(self):
        put = subprocess.Popen(
            ['lsm-put', '-d', self.directory, '--batch-size', '100'],
            stdin=subprocess.PIPE)
        rnd, began = random.Random(3), time.monotonic()
        while not self.stop.is_set():
            for key in rnd.choices(self.keys, k=CHUNK):
                put.stdin.write(b'%s\t%0100d\n' % (key, self.written))
                self.written += 1
            put.stdin.flush()
            while level0_runs(self.directory) > RUNS and \
                    not self.stop.is_set():
                time.sleep(0.01)
            ahead = self.written / WRITES_PER_S - (time.monotonic() - began)
            time.sleep(max(ahead, 0))
        put.stdin.close()
        if put.wait():
            self.failed.append('lsm-put: status %d' % put.returncode)

    def compact(self):
        while not self.stop.is_set():
            self.compactor = subprocess.Popen(
                ['nice', '-n', '19', 'lsm-compact', '-q', '-d',
                 self.directory])
            status = self.compactor.wait()
            self.rounds += 1
            if status and not (self.stop.is_set() and
                               status == -signal.SIGKILL):
                self.failed.append('lsm-compact: status %d' % status)
                return
            time.sleep(0.01)

    def __enter__(self):
        for t in self.threads:
            t.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        self.stop.set()
        # Its next turn may be far away.
        while self.threads[1].is_alive():
            self.compactor.kill()
            self.threads[1].join(0.05)
        self.threads[0].join()
        if self.failed:
            sys.exit(self.failed[0])


def manifest(directory):
    with open(directory + '/MANIFEST.json') as f:
        return json.load(f)


def level0_runs(directory):
    levels = manifest(directory)['levels']
    return len(levels[0]) if levels else 0


def compacted_bytes(directory):
    return sum(manifest(directory)['compacted_bytes'])


def main():
    directory, path = sys.argv[1:]
    with open(path, 'rb') as f:
        keys = f.read().split()
    subprocess.check_call(['lsm-flush', '-q', '-d', directory])
    subprocess.check_call(['lsm-compact', '-q', '-d', directory])
    alone = reader_cpu_us(directory, path, keys)
    before = compacted_bytes(directory)
    beside = []
    with Beside(directory, keys) as others:
        while len(beside) < PASSES and (
                not beside or compacted_bytes(directory) == before):
            beside.append(reader_cpu_us(directory, path, keys))
    beside = sum(beside) / len(beside)
    alone = (alone + reader_cpu_us(directory, path, keys)) / 2
    print('alone=%.3f beside=%.3f ratio=%.3f written=%d compacted_bytes=%d '
          'rounds=%d' % (alone, beside, beside / alone, others.written,
                         compacted_bytes(directory) - before, others.rounds))


main()
