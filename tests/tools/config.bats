#!/usr/bin/env bats
# What lsm-config(1) promises.

load helper

@test "config: shows every option with value, default, bounds and meaning" {
  local name
  lsm-init write_buffer=8M
  lsm-config > shown
  grep -Eq '^write_buffer +8M +64M +4K\.\.1G +size of the log' shown
  for name in $(jq -r '.options | keys[]' data/MANIFEST.json); do
    grep -q "^$name " shown
  done
  grep -q '^strategy  *leveled' shown
  [ "$(grep -cv '^OPTION\|^strategy' shown)" -ge \
    "$(jq '.options | length' data/MANIFEST.json)" ]
}

@test "config: a name alone prints its value, which it takes back as it is" {
  local value
  lsm-init --strategy tiered min_runs=5 compression=none
  [ "$(lsm-config min_runs strategy compression level0_runs)" = \
    $'5\ntiered\nnone\n4' ]
  value=$(lsm-config table_bytes)
  lsm-config table_bytes=1M
  [ "$(lsm-config table_bytes)" = 1M ]
  lsm-config "table_bytes=$value"
  [ "$(lsm-config table_bytes)" = 64M ]
  run -78 --separate-stderr lsm-config nosuch
  one_message_of lsm-config
}

@test "config: --json is the manifest's configuration, with types and bounds" {
  lsm-init --strategy tiered min_runs=5 write_buffer=1M
  lsm-config --json > shown.json
  [ "$(jq -r '.strategy, .settings.min_runs' shown.json | xargs)" = "tiered 5" ]
  jq -e '.options | map({(.name): .value}) | add' shown.json > shown
  jq -e '.options' data/MANIFEST.json | diff <(jq -S . shown) <(jq -S . -)
  jq -e '.strategy_options[] | select(.name == "min_runs") |
    .value == 5 and .default == 4 and .min == 2 and .type == "count"' shown.json
  jq -e '.options[] | select(.name == "maintenance") |
    .words == ["auto", "cron"]' shown.json
}

@test "config: several changes are one generation, and none if one is wrong" {
  local before
  lsm-init
  before=$(jq .generation data/MANIFEST.json)
  lsm-config write_buffer=1M level0_hard=20 maintenance=cron
  [ "$(jq .generation data/MANIFEST.json)" -eq $((before + 1)) ]
  [ "$(jq -c '[.options | .write_buffer, .level0_hard, .maintenance]' \
    data/MANIFEST.json)" = '[1048576,20,"cron"]' ]
  cp data/MANIFEST.json before
  for bad in level0_runs=0 nosuch=1 compression=rar level0_hard=1 ; do
    run -78 --separate-stderr lsm-config write_buffer=2M "$bad"
    one_message_of lsm-config
  done
  lsm-config write_buffer=1M
  cmp before data/MANIFEST.json
  run -0 lsm-verify
}

@test "config: default takes a setting back" {
  lsm-init --strategy tiered min_runs=5 write_buffer=1M
  lsm-config min_runs=default write_buffer=default
  [ "$(lsm-config min_runs write_buffer)" = $'4\n64M' ]
  [ "$(jq -c .settings data/MANIFEST.json)" = '{}' ]
}

@test "config: another strategy begins with its defaults, the same keeps its own" {
  lsm-init --strategy tiered min_runs=5
  lsm-config --strategy tiered max_space_percent=50
  [ "$(jq -c .settings data/MANIFEST.json)" = \
    '{"max_space_percent":"50","min_runs":"5"}' ]
  lsm-config --strategy leveled
  [ "$(jq -c .settings data/MANIFEST.json)" = '{}' ]
  lsm-config --strategy tiered min_runs=6
  [ "$(jq -c '[.strategy, .settings]' data/MANIFEST.json)" = \
    '["tiered",{"min_runs":"6"}]' ]
  run -0 lsm-verify
}

@test "config: what the strategy refuses is refused with 78, in its words" {
  lsm-init
  cp data/MANIFEST.json before
  run -78 --separate-stderr lsm-config --strategy nosuch
  one_message_of lsm-config
  run -78 --separate-stderr lsm-config --strategy ../../tmp/x
  one_message_of lsm-config
  run -78 --separate-stderr lsm-config --strategy tiered min_runs=1
  one_message_of lsm-config
  [[ $stderr == *'min_runs'*'2 to 64'* ]]
  run -78 --separate-stderr lsm-init -d other --strategy tiered min_runs=1
  one_message_of lsm-init
  [ ! -e other ]
  cmp before data/MANIFEST.json
}

@test "config: a setting is taken with a warning where lsm-compact is not" {
  [ "$(id -u)" -eq 0 ] || skip "needs root"
  lsm-init
  cat > without.sh <<'SH'
mount --bind /dev/null "$(command -v lsm-compact)" || exit 99
lsm-config --strategy elsewhere how=fast
SH
  run --separate-stderr unshare -m bash without.sh
  [ "$status" -ne 99 ] || skip "cannot mount"
  [ "$status" -eq 0 ]
  one_message_of lsm-config
  [[ $stderr == *warning*lsm-compact* ]]
  [ "$(jq -c '[.strategy, .settings]' data/MANIFEST.json)" = \
    '["elsewhere",{"how":"fast"}]' ]
  # what is there works on, and says so
  lsm-put k v
  [ "$(lsm-get k)" = v ]
  run -0 --separate-stderr lsm-config how
  [ "$output" = fast ]
  one_message_of lsm-config
}

# Are there N records?
records_are() {
  [ "$(lsm-scan --count)" = "$1" ]
}

@test "config: a running writer goes by a changed write buffer" {
  local pid
  lsm-init maintenance=cron
  mkfifo in
  lsm-put < in 3>&- & pid=$!
  exec 9> in
  seq 1000 | sed 's/$/\tsome value of some length/' >&9
  eventually records_are 1000
  [ "$(find data -name '*.sst' | wc -l)" -eq 0 ]
  lsm-config write_buffer=16K
  seq 1001 2000 | sed 's/$/\tsome value of some length/' >&9
  exec 9>&-
  wait "$pid"
  [ "$(find data -name '*.sst' | wc -l)" -ge 1 ]
  [ "$(lsm-scan --count)" = 2000 ]
}

@test "config: usage: showing and changing do not mix" {
  lsm-init
  run -64 --separate-stderr lsm-config write_buffer table_bytes=1M
  one_message_of lsm-config
  run -64 lsm-config --strategy tiered write_buffer
  run -64 lsm-config --json write_buffer
  run -64 lsm-config =1
}

@test "compact: --options tells what a strategy takes, and judges settings" {
  lsm-compact --options tiered min_runs=7 > lines
  [ "$(jq -r 'select(.strategy) | .strategy' lines)" = tiered ]
  [ "$(jq -r 'select(.name == "min_runs") | .value' lines)" = 7 ]
  run -78 --separate-stderr lsm-compact --options tiered min_runs=many
  [ -z "$output" ]
  one_message_of lsm-compact
  run -78 lsm-compact --options nosuch
  [ ! -e data ]
}
