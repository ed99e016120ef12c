"""peers.py - the command lines of the programs that are compared.

{w} is the directory of data and stores, {tools} that of our own, {n} the number
of records, {key} a key that is there.  Each peer has its best setting that its program can be told.
"""

SQL_FAST = ('PRAGMA journal_mode=off; PRAGMA synchronous=off; '
            'PRAGMA cache_size=-524288; PRAGMA mmap_size=4294967296;')
# What a PRAGMA says is no answer.
SQL_READ = ("'.output /dev/null' 'PRAGMA cache_size=-524288' "
            "'PRAGMA mmap_size=4294967296' '.output'")
LDB = ('ldb --db={w}/%s --try_load_options=false --bloom_bits=10 '
       '--compression_type=lz4')
SQL_KEYS = ('sqlite3 {w}/kv.sqlite ' + SQL_READ +
            " 'CREATE TEMP TABLE ask(k TEXT)' '.mode tabs' "
            "'.import {w}/%s ask' "
            "'SELECT kv.k, kv.v FROM ask CROSS JOIN kv ON kv.k = ask.k'")

# How each was set, for people.
SETTINGS = {
    'lsm tools': 'defaults: durable, checksums, write buffer 64 MiB',
    'sort': 'LC_ALL=C sort -S2G --parallel=2',
    'ldb': 'rocksdb-tools, --bloom_bits=10 --compression_type=lz4; '
           '"ldb bulk" is ldb load --bulk_load --disable_wal --compact, and '
           'what it leaves is what ldb reads',
    'sqlite3': 'WITHOUT ROWID; load and reads: ' + SQL_FAST +
               ' puts: journal_mode=wal, synchronous=full',
    'mdb_load, mdb_dump': 'lmdb-utils, -n',
    'tkrzw': 'tkrzw_dbm_util, tree; puts with --sync_hard',
    'gdbmtool': '-s for puts',
    'cdb': 'tinycdb; writes once, cannot be changed',
}

# Contender -> the program that must be there, and the store it works on.
NEEDS = {
    'ours': ('lsm-put', 'kv.lsm'),
    'sort': ('sort', None),
    'ldb bulk': ('ldb', 'kv.bulk'),
    'ldb': ('ldb', 'kv.rocks'),
    'sqlite3': ('sqlite3', 'kv.sqlite'),
    'mdb_load': ('mdb_load', 'kv.mdb'),
    'mdb_dump': ('mdb_dump', 'kv.mdb'),
    'mdb_dump -p': ('mdb_dump', 'kv.mdb'),
    'tkrzw': ('tkrzw_dbm_util', 'kv.tkt'),
    'cdb': ('cdb', 'kv.cdb'),
    'gdbmtool': ('gdbmtool', None),
    'lsm-put, unsorted': ('lsm-put', None),
}

LOAD = {
    'ours': 'lsm-put -d {w}/kv.lsm < {w}/kv.tsv',
    'sort': 'LC_ALL=C sort -S2G --parallel=2 {w}/kv.tsv > /dev/null',
    'ldb bulk': LDB % 'kv.bulk' +
                ' --create_if_missing load --bulk_load --disable_wal '
                '--compact < {w}/kv.ldb',
    'ldb': LDB % 'kv.rocks' + ' --create_if_missing load < {w}/kv.ldb',
    'sqlite3': "sqlite3 {w}/kv.sqlite '" + SQL_FAST +
               "' 'CREATE TABLE kv(k TEXT PRIMARY KEY, v) WITHOUT ROWID' "
               "'.mode tabs' '.import {w}/kv.tsv kv'",
    'mdb_load': 'mdb_load -n -f {w}/kv.dump {w}/kv.mdb',
    'tkrzw': 'tkrzw_dbm_util import --tsv {w}/kv.tkt {w}/kv.tsv',
    'cdb': 'cdb -c {w}/kv.cdb {w}/kv.text',
}

GET = {
    'ours': 'lsm-get -d {w}/kv.lsm {key}',
    '/bin/true': '/bin/true',
    'nothing, static': '{tools}/nothing',
    'sqlite3': 'sqlite3 {w}/kv.sqlite '
               '"SELECT v FROM kv WHERE k=\'{key}\'"',
    'ldb': LDB % 'kv.bulk' + ' get {key}',
    'tkrzw': 'tkrzw_dbm_util get {w}/kv.tkt {key}',
    'cdb': 'cdb -q {w}/kv.cdb {key}',
}

# Stores of one record, and a put into them.
PUT_SETUP = {
    'ours': 'lsm-put -d {w}/put.lsm first value',
    'sqlite3': "sqlite3 {w}/put.sqlite 'PRAGMA journal_mode=wal' "
               "'CREATE TABLE kv(k TEXT PRIMARY KEY, v) WITHOUT ROWID'",
    'ldb': LDB % 'put.rocks' + ' --create_if_missing put first value',
    'tkrzw': 'tkrzw_dbm_util create {w}/put.tkt',
    'gdbmtool': 'gdbmtool -q -n {w}/put.gdbm store first value',
}
PUT = {
    'ours': 'lsm-put -d {w}/put.lsm {key} value',
    '/bin/true, append, fdatasync': '{tools}/append {w}/put.appended',
    'sqlite3': 'sqlite3 {w}/put.sqlite "PRAGMA synchronous=full" '
               '"INSERT OR REPLACE INTO kv VALUES(\'{key}\',\'value\')"',
    'ldb': LDB % 'put.rocks' + ' put {key} value',
    'tkrzw': 'tkrzw_dbm_util set --sync_hard {w}/put.tkt {key} value',
    'gdbmtool': 'gdbmtool -q -s {w}/put.gdbm store {key} value',
}

# 200 such puts by xargs, 8 at a time.
XARGS = {
    'ours': 'seq 200 | xargs -P8 -I% lsm-put -d {w}/put.lsm % value',
    'one after another': 'seq 200 | xargs -I% lsm-put -d {w}/put.lsm % value',
    'tkrzw': 'seq 200 | xargs -P8 -I% '
             'tkrzw_dbm_util set --sync_hard {w}/put.tkt % value',
    'sqlite3': 'seq 200 | xargs -P8 -I% sqlite3 {w}/put.sqlite '
               '".timeout 60000" '
               '"INSERT OR REPLACE INTO kv VALUES(\'%\',\'value\')"',
}

# A stream of puts, each durable before the next: part {i} of {parts}.
STREAM = {
    'ours': 'lsm-put -d {w}/put.lsm --batch-size 1 < {w}/part.{i}',
    'sqlite3': "sqlite3 {w}/put.sqlite '.timeout 60000' "
               "'PRAGMA synchronous=full' '.read {w}/part.{i}.sql'",
}

# A load that runs while one gets; and the get.
BESIDE_LOAD = {
    'ours': 'lsm-put -q -d {w}/kv.lsm < {w}/kv.tsv && '
            'lsm-flush -q -d {w}/kv.lsm && lsm-compact -q -d {w}/kv.lsm',
    'sqlite3': "sqlite3 {w}/kv.sqlite '.timeout 60000' "
               "'PRAGMA journal_mode=wal' '.mode tabs' "
               "'CREATE TEMP TABLE t(k, v)' '.import {w}/kv.tsv t' "
               "'INSERT OR REPLACE INTO kv SELECT * FROM t'",
    'ldb': LDB % 'kv.bulk' + ' load < {w}/kv.ldb',
}

# {keys}: the file of keys.
GETS = {
    'ours': '(lsm-get -d {w}/kv.lsm -f tsv < {w}/{keys} || [ $? = 1 ]) | '
            'cat > /dev/null',
    'sqlite3': SQL_KEYS % '{keys}' + ' | cat > /dev/null',
    'ldb': 'sed "s/^/get /" {w}/{keys} | ' + LDB % 'kv.bulk' +
           ' query | cat > /dev/null',
}

SCAN = {
    'ours': 'lsm-scan -d {w}/kv.lsm | cat > /dev/null',
    'cat': 'cat {w}/kv.tsv | cat > /dev/null',
    'ldb': LDB % 'kv.bulk' + ' scan | cat > /dev/null',
    'mdb_dump -p': 'mdb_dump -n -p {w}/kv.mdb | cat > /dev/null',
    'mdb_dump': 'mdb_dump -n {w}/kv.mdb | cat > /dev/null',
    'sqlite3': "sqlite3 {w}/kv.sqlite " + SQL_READ + " '.mode tabs' "
               "'SELECT k, v FROM kv ORDER BY k' | cat > /dev/null",
    'tkrzw': 'tkrzw_dbm_util list --items {n} {w}/kv.tkt | cat > /dev/null',
    'cdb': 'cdb -d {w}/kv.cdb | cat > /dev/null',
}

RANGE = {
    'ours': 'lsm-scan -d {w}/kv.lsm --from {key} --limit 100',
    'ldb': LDB % 'kv.bulk' + ' scan --from={key} --max_keys=100',
    'sqlite3': 'sqlite3 {w}/kv.sqlite "SELECT k, v FROM kv '
               'WHERE k >= \'{key}\' ORDER BY k LIMIT 100"',
    'tkrzw': 'tkrzw_dbm_util list --move jump --jump_key {key} --items 100 '
             '{w}/kv.tkt',
}

DUMP = {
    'ours': 'lsm-dump --records -d {w}/kv.lsm > {w}/out',
    'ldb': LDB % 'kv.bulk' + ' dump > {w}/out',
    'mdb_dump': 'mdb_dump -n -p {w}/kv.mdb > {w}/out',
    'sqlite3': "sqlite3 {w}/kv.sqlite " + SQL_READ + " .dump > {w}/out",
    'tkrzw': 'rm -f {w}/out && tkrzw_dbm_util export --tsv {w}/kv.tkt {w}/out',
    'cdb': 'cdb -d {w}/kv.cdb > {w}/out',
}
