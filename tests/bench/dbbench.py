"""dbbench.py - a RocksDB that db_bench fills, compacts and looks up in."""
import json
import os
import re
import subprocess
import time

IDLE_S = 8


class DbBench:
    """One database; settings are options of db_bench for all calls."""

    def __init__(self, directory, settings):
        self.directory, self.settings = directory, settings

    def command(self, benchmarks, *options):
        return ['db_bench', '--benchmarks=' + benchmarks,
                '--db=%s' % self.directory, '--statistics',
                # A replay wants a list of families, made from two on only.
                '--num_column_families=2', *self.settings, *options]

    def run(self, benchmarks, *options):
        """Work on a database that is there: the counters, by name."""
        said = subprocess.run(
            self.command(benchmarks, '--use_existing_db=1', *options),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, check=True, text=True).stdout
        return {name: int(n) for name, n in re.findall(
            r'^rocksdb\.([a-z0-9.]+) COUNT : (\d+)', said, re.M)}

    def events(self):
        """What its log tells, one by one."""
        found = []
        with open(self.directory / 'LOG') as f:
            for line in f:
                if 'EVENT_LOG_v1' in line and line.endswith('}\n'):
                    found.append(json.loads(line.split('EVENT_LOG_v1')[1]))
        return found

    def state(self, pid):
        """Changes as long as it is at work."""
        with open('/proc/%d/stat' % pid) as f:
            ticks = sum(int(n) for n in f.read().split(')')[1].split()[11:13])
        return (ticks // 20, os.stat(self.directory / 'LOG').st_size)

    def compacts(self):
        kinds = [e['event'] for e in self.events()]
        return (kinds.count('compaction_started') >
                kinds.count('compaction_finished'))

    def fill(self, trace):
        """Replay a trace, flush, wait: (bytes flushed, compacted).

        Universal compaction may find nothing to do where as many runs are
        left as trigger it; waitforcompaction then waits for ever.  So when
        nothing has been done for a while, that is the end.
        """
        process = subprocess.Popen(
            self.command('replay,flush,waitforcompaction',
                         '--trace_file=%s' % trace),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        last, since = None, time.monotonic()
        while process.poll() is None:
            time.sleep(0.5)
            try:
                now = self.state(process.pid)
            except FileNotFoundError:
                continue
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > IDLE_S and not self.compacts():
                process.kill()
                process.wait()
                break
        else:
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode,
                                                    'db_bench')
        return self.written()

    def written(self):
        """(bytes flushed, compacted), of tables that were made."""
        flushes, flushed, compacted = set(), 0, 0
        for e in self.events():
            if e['event'] == 'flush_started':
                flushes.add(e['job'])
            elif e['event'] == 'table_file_creation':
                if e['job'] in flushes:
                    flushed += e['file_size']
                else:
                    compacted += e['file_size']
        return flushed, compacted
