"""smooth.py - how long puts take while compaction runs beside them.

usage: smooth.py DIR PUTS SIZE

Types PUTS puts of SIZE bytes into lsm-shell, each after the answer to the one
before, and looks meanwhile at the claims in LOCK: a claim on a table that is
there is a compaction's.  Prints, in milliseconds and runs:

    put_max=N put_median=N job_max=N tables_merged=N runs_max=N
"""
import fcntl
import json
import multiprocessing
import os
import random
import struct
import subprocess
import sys
import time

F_OFD_GETLK = 36
CLAIM, PIN = 1 << 32, 1 << 62
FLOCK = '@hhqqi4x'


def claims(fd):
    """The numbers of the files that anyone claims."""
    found, todo = [], [(CLAIM, PIN)]
    while todo:
        start, end = todo.pop()
        if start >= end:
            continue
        ask = struct.pack(FLOCK, fcntl.F_WRLCK, 0, start, end - start, 0)
        kind, _, at, length, _ = struct.unpack(
            FLOCK, fcntl.fcntl(fd, F_OFD_GETLK, ask))
        if kind == fcntl.F_UNLCK:
            continue
        first, last = max(at, start), min(at + length, end)
        found += range(first - CLAIM, last - CLAIM)
        todo += [(start, first), (last, end)]
    return found


def watch(directory, stop, out):
    """Follow claims and level 0 until told to stop."""
    fd = os.open(directory + '/LOCK', os.O_RDONLY)
    since, longest, jobs, runs = {}, 0.0, 0, 0
    while not stop.is_set():
        now = time.monotonic()
        held = {n for n in claims(fd)
                if n in since or
                os.path.exists('%s/%06d.sst' % (directory, n))}
        for n in [n for n in since if n not in held]:
            del since[n]
        for n in held:
            jobs += n not in since
            longest = max(longest, now - since.setdefault(n, now))
        try:
            with open(directory + '/MANIFEST.json') as f:
                levels = json.load(f)['levels']
            runs = max(runs, len(levels[0]) if levels else 0)
        except (OSError, ValueError):
            pass
        time.sleep(0.002)
    out.send((longest, jobs, runs))


def put_all(directory, puts, size):
    """The time each took, in seconds."""
    shell = subprocess.Popen(['lsm-shell', '-d', directory],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    rnd, took = random.Random(5), []

    def answer():
        """Up to the next prompt."""
        text = b''
        while not text.endswith(b'\n> ') and text != b'> ':
            text = text[-2:] + os.read(shell.stdout.fileno(), 65536)

    answer()
    for _ in range(puts):
        line = b'put %08d %s\n' % (rnd.randrange(10 ** 8), b'v' * size)
        began = time.monotonic()
        os.write(shell.stdin.fileno(), line)
        answer()
        took.append(time.monotonic() - began)
    shell.stdin.write(b'exit\n')
    shell.stdin.close()
    if shell.wait():
        sys.exit('lsm-shell: status %d' % shell.returncode)
    return sorted(took)


def main():
    directory, puts, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    ours, theirs = multiprocessing.Pipe()
    stop = multiprocessing.Event()
    watcher = multiprocessing.Process(target=watch,
                                      args=(directory, stop, theirs))
    watcher.start()
    took = put_all(directory, puts, size)
    stop.set()
    longest, jobs, runs = ours.recv()
    watcher.join()
    print('put_max=%.1f put_median=%.3f job_max=%.1f tables_merged=%d runs_max=%d' %
          (took[-1] * 1e3, took[len(took) // 2] * 1e3, longest * 1e3, jobs,
           runs))


main()
