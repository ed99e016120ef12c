"""measure.py - contenders take turns, and what is made of their times.

A row is one work.  Its contenders do it in turn, A B C A B C..., so that what
disturbs the machine disturbs all of them; a ratio is the median of the ratios
of each round, and its spread the lowest and the highest of them (where there
are more than ten rounds, the quartiles).
"""
import os
import statistics
import subprocess
import sys
import time


class Failed(Exception):
    """A contender could not do the work."""


class Row:
    """One work, what each contender took for it, and what is asked of us.

    values: of each contender, a figure a round (None: it did not take part).
    bars: (contender or 'best', limit): the ratio of ours to it, at most.
    Besides: notes (text), details (of a contender: anything that JSON can
    say), facts (what must be true: (text, True or False)).
    """

    def __init__(self, group, name, unit, ours='ours', bars=(), higher=False):
        self.group, self.name, self.unit, self.ours = group, name, unit, ours
        self.bars, self.higher = list(bars), higher
        self.values, self.details, self.notes, self.facts = {}, {}, [], []

    def add(self, contender, value):
        self.values.setdefault(contender, []).append(value)

    def median(self, contender):
        got = [v for v in self.values.get(contender, []) if v is not None]
        return statistics.median(got) if got else None

    def ratios(self, contender):
        """Of ours to the contender's, a round each; above 1 is slower."""
        pairs = zip(self.values.get(self.ours, []),
                    self.values.get(contender, []))
        if self.higher:
            pairs = [(b, a) for a, b in pairs]
        return [a / b for a, b in pairs if a is not None and b]

    def ratio(self, contender):
        """(median, lowest, highest), or None; of many rounds, quartiles."""
        r = self.ratios(contender)
        if len(r) > 10:
            low, _, high = statistics.quantiles(r, n=4)
            return statistics.median(r), low, high
        return (statistics.median(r), min(r), max(r)) if r else None

    def peers(self):
        return [c for c in self.values
                if c != self.ours and self.median(c) is not None]

    def verdicts(self):
        """(bar, limit, ratio or None, met or None) of each bar and fact."""
        out = []
        for against, limit in self.bars:
            names = against.split('|')
            if against.startswith('best'):
                skip = against.split('-')[1:]
                names = [p for p in self.peers() if p not in skip]
                against = 'best peer'
            found = [self.ratio(n) for n in names if self.ratio(n)]
            worst = max((f[0] for f in found), default=None)
            out.append((against.replace('|', ' and '), limit, worst,
                        None if worst is None else worst <= limit))
        return out + [(text, None, None, met) for text, met in self.facts]

    def as_json(self):
        peers = {c: {'median': self.median(c), 'rounds': self.values[c],
                     'ratio': self.ratio(c)}
                 for c in self.values}
        return {'group': self.group, 'row': self.name, 'unit': self.unit,
                'ours': self.ours, 'contenders': peers,
                'details': self.details, 'notes': self.notes,
                'verdicts': [{'bar': b, 'limit': l, 'ratio': r, 'met': m}
                             for b, l, r, m in self.verdicts()]}


def say(text):
    """Progress, for who waits."""
    print(text, file=sys.stderr, flush=True)


def take_turns(row, contenders, setup, rounds=None):
    """Fill row.values: contenders is a list of (name, function -> figure).

    One that would take longer than setup.patience seconds, all in all, sits
    out the rounds that are left; ours does only when the run is late.
    """
    spent = {name: 0.0 for name, _ in contenders}
    out = set()
    for i in range(rounds or setup.rounds):
        if i and setup.late():
            break
        for name, work in contenders:
            if name in out or (i and name != row.ours and
                               spent[name] * (i + 1) / i > setup.patience):
                continue
            began = time.monotonic()
            try:
                row.add(name, work())
            except Failed as e:
                say('  %s: %s: %s' % (row.name, name, e))
                row.notes.append('%s: %s' % (name, e))
                out.add(name)
            spent[name] += time.monotonic() - began
    parts = ['%s %.4g' % (n, row.median(n)) for n, _ in contenders
             if row.median(n) is not None]
    say('%-12s %-34s %s' % (row.group, row.name, ', '.join(parts)))
    return row


def shell(command, env=None):
    """Seconds that a command of the shell takes."""
    began = time.monotonic()
    done = subprocess.run(['bash', '-c', 'set -o pipefail; ' + command],
                          env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    took = time.monotonic() - began
    if done.returncode:
        raise Failed('status %d: %s' % (
            done.returncode,
            done.stderr.decode(errors='replace').strip()[-200:]))
    return took


def lines(command, env=None):
    """How many lines a command writes, if it ends well."""
    done = subprocess.run(['bash', '-c', 'set -o pipefail; ' + command +
                           ' | wc -l'], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return int(done.stdout) if done.returncode == 0 else None


def quiet_disk():
    """What others have left to be written shall not be in our way."""
    os.sync()


def spawned(row, spawn, runs, commands, env):
    """Fill row.values by spawn.c: commands is {contender: [argument...]}."""
    names, words = [], []
    for name, argv in commands.items():
        probe = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
        if probe.returncode:
            row.notes.append('%s: status %d: %s' % (
                name, probe.returncode, probe.stderr.decode()[-200:].strip()))
            continue
        names.append(name)
        words += (['--'] if words else []) + argv
    quiet_disk()
    out = subprocess.run([spawn, '-r', str(runs)] + words, env=env,
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    for line in out.splitlines():
        for name, us in zip(names, line.split()):
            row.add(name, None if us == '-' else float(us))
    say('%-12s %-34s %s' % (row.group, row.name, ', '.join(
        '%s %.0f' % (n, row.median(n)) for n in names)))
    return row
