"""bench.py - the comparison: ours and its peers, side by side in one run.

usage: bench.py [--quick | --tiny] [--records N] [--rounds N] [--minutes N]
                [--only WORD]... [--peers NAMES] [--work DIR] [--out DIR]
                [--readme]

Prints one table, and leaves it in $BUILD/bench, or DIR of --out, as table.md
and result.json.  Data and stores are in $BUILD/bench/work, or DIR of --work.
--quick is under five minutes, --tiny (ours alone, a thousand records) under
twenty seconds.  After --minutes each row that is left has one round; after an
interrupt the table has the rows that there are.  --only keeps rows whose
"group name" holds WORD; --peers a comma-separated list of libraries to set
ours beside (none: ours alone).  --readme puts the table into
tests/bench/README.md.

tests/bench/README.md tells what the rows are.
"""
import argparse
import json
import os
import pathlib
import shutil
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import libraries  # noqa: E402
import measure  # noqa: E402
import norms  # noqa: E402
import programs  # noqa: E402
import table  # noqa: E402
from measure import say  # noqa: E402


class Setup:
    """What every row needs to know."""

    def __init__(self, args):
        self.args = args
        self.root = pathlib.Path(__file__).resolve().parents[2]
        self.build = pathlib.Path(os.environ.get('BUILD', 'build')).resolve()
        self.tools = self.build / 'tests' / 'bench'
        self.work = pathlib.Path(args.work or self.build / 'bench' / 'work')
        self.tiny, self.quick = args.tiny, args.quick or args.tiny
        self.records = args.records or (
            1000 if args.tiny else 200000 if args.quick else 2000000)
        self.rounds = args.rounds or (
            1 if args.tiny else 3 if args.quick else 5)
        # After these each row has one round.
        self.minutes = args.minutes or (2.5 if self.quick else 600)
        # Seconds that one contender may take for one row.
        self.patience = 1 if self.quick else 40
        self.began = time.monotonic()
        if args.tiny:
            measure.quiet_disk = lambda: None
        os.environ.update(LC_ALL='C', PATH='%s:%s' % (
            self.build / 'bin', os.environ['PATH']))
        self.env = dict(os.environ)

    def late(self):
        """Is there no time left for more than one round of each row?"""
        return time.monotonic() - self.began > 60 * self.minutes

    def wants(self, group, name):
        """Is this row asked for?"""
        only = self.args.only
        return not only or any(w in '%s %s' % (group, name) for w in only)

    def has(self, program):
        """Is this program here, and wanted?"""
        return not self.args.tiny and \
            shutil.which(program) is not None


def arguments():
    p = argparse.ArgumentParser(usage=__doc__.split('usage: ')[1])
    p.add_argument('--quick', action='store_true')
    p.add_argument('--tiny', action='store_true')
    p.add_argument('--records', type=int)
    p.add_argument('--rounds', type=int)
    p.add_argument('--minutes', type=float)
    p.add_argument('--only', action='append')
    p.add_argument('--peers')
    p.add_argument('--work')
    p.add_argument('--out')
    p.add_argument('--readme', action='store_true')
    return p.parse_args()


def main():
    setup = Setup(arguments())
    setup.work.mkdir(parents=True, exist_ok=True)
    rows = []
    try:
        programs.run(setup, rows)
        libraries.run(setup, rows)
    except KeyboardInterrupt:
        say('stopped: the table has what there is')
    wrong = norms.judge(rows, setup)
    result = {
        'records': setup.records, 'rounds': setup.rounds,
        'took_s': round(time.monotonic() - setup.began),
        'invalid': wrong,
        'settings': {**programs.settings(setup), **libraries.settings(setup)},
        'rows': [r.as_json() for r in rows],
    }
    out = pathlib.Path(setup.args.out or setup.build / 'bench')
    out.mkdir(parents=True, exist_ok=True)
    text = table.render(rows, result)
    (out / 'result.json').write_text(json.dumps(result, indent=1) + '\n')
    (out / 'table.md').write_text(text)
    print(text, end='')
    if setup.args.readme:
        table.into_readme(setup.root / 'tests/bench/README.md', text)
    say('took %d s; %s' % (result['took_s'], out))
    return 1 if wrong else 0


sys.exit(main())
