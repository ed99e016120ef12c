#!/usr/bin/env bats
# Plans and views as text: formats/plan.md

load helper

# store [N]: N overlapping runs (5) in level 0, and nobody else at work on them
store() {
  local i
  lsm-init maintenance=cron
  for ((i = 1; i <= ${1:-5}; i++)); do
    seq "$i" 200 | sed "s/\$/\t$i/" | lsm-put
    lsm-flush
  done
}

# Levels as numbers of runs: "5", "0 1"
shape() {
  lsm-dump | jq -r '[.levels[] | length] | join(" ")'
}

# not_done STATUS PATTERN: the plan on stdin, applied, ends so; nothing changes
not_done() {
  lsm-scan > scan.before
  lsm-dump | jq -c '[.generation, .levels]' > tree.before
  cat > given
  run "-$1" --separate-stderr lsm-compact --apply given
  one_message_of lsm-compact
  [[ $stderr == *$2* ]] || { echo "$stderr" && return 1; }
  lsm-scan | cmp - scan.before
  lsm-dump | jq -c '[.generation, .levels]' | cmp - tree.before
}

@test "plan: tells the jobs as JSON, and does none" {
  store
  shape > before
  lsm-compact --plan > plan
  shape | cmp - before
  jq -e --slurpfile dump <(lsm-dump) '
    .format == "lsm-plan" and .version == 1 and .store == $dump[0].uuid and
    .generation == $dump[0].generation and .strategy == "leveled" and
    .need > 0 and .drops == false and (.jobs | length) == 1' plan
  jq -e --slurpfile dump <(lsm-dump) '.jobs[0] |
    .kind == "merge" and .level == 1 and .run == "new" and .why != "" and
    (.inputs | sort) == ([$dump[0].levels[][][].number] | sort) and
    .bytes == ([$dump[0].levels[][][].bytes] | add)' plan
}

@test "plan: with nothing due is an empty list, and status 0" {
  lsm-init
  [ "$(lsm-compact --plan | jq -c '[.need, .jobs]')" = '[0,[]]' ]
  lsm-compact --plan | lsm-compact --apply - -v > said
  grep -q '^jobs=0 ' said
}

@test "plan: with --all tells what is left when the strategy is content" {
  store 2
  [ "$(lsm-compact --plan | jq '.jobs | length')" -eq 0 ]
  [ "$(lsm-compact --plan --all | jq '.jobs[0].inputs | length')" -eq 2 ]
  lsm-compact --plan --all | lsm-compact --apply -
  [ "$(shape)" = "0 1" ]
}

@test "plan: carried out does what the strategy would have done" {
  store
  cp -r data copy
  lsm-scan > want
  lsm-compact --plan | lsm-compact --apply -
  lsm-compact -d copy
  [ "$(shape)" = "$(LSM_DIR=copy shape)" ]
  [ "$(shape)" = "0 1" ]
  lsm-scan | cmp - want
  lsm-verify
}

@test "apply: takes a file, says what it did, and needs no strategy" {
  store
  lsm-compact --plan > plan
  mkdir none
  chmod go-w none
  LSM_PLUGINS=$PWD/none run -0 lsm-compact --apply plan -v
  [[ $output == "jobs=1 tables_in=5 tables_out=1 "*" busy=0 stopped=0" ]]
  run -66 --separate-stderr lsm-compact --apply nosuch
  one_message_of lsm-compact
}

@test "apply: a younger generation alone is no fault, a plan overtaken by it is" {
  store
  lsm-compact --plan > plan
  lsm-put later x
  lsm-flush
  lsm-compact --apply plan
  [ "$(shape)" = "1 1" ]
  not_done 78 "is not in the store" < plan
}

@test "apply: the same words, written by hand, are enough" {
  local uuid
  store 2
  uuid=$(lsm-dump | jq -r .uuid)
  lsm-dump | jq -c '[.levels[][][].number]' > numbers
  echo '{"format":"lsm-plan","version":1,"store":"'"$uuid"'","jobs":[
    {"kind":"merge","inputs":'"$(cat numbers)"',"level":3}]}' > plan
  lsm-compact --apply - < plan
  [ "$(shape)" = "0 0 0 1" ]
}

@test "apply: into a run that is named by one of its tables" {
  local low
  store 2
  lsm-compact --all
  low=$(lsm-compact --view | jq '.tables[0].number')
  printf 'a\t1\nb\t2\n' | lsm-put # above all of 1 to 200
  lsm-flush
  lsm-scan > want
  lsm-compact --plan | jq --argjson low "$low" --slurpfile v <(lsm-compact --view) '
    .jobs = [{kind: "move", inputs: [$v[0].tables[0].number], level: 1, run: $low}]' |
    lsm-compact --apply -
  [ "$(shape)" = "0 1" ]
  [ "$(lsm-dump | jq '.levels[1][0] | length')" -eq 2 ]
  lsm-scan | cmp - want
  lsm-verify
}

@test "apply: a plan for another store is refused" {
  store
  lsm-init -d other
  lsm-compact -d other --plan | not_done 78 "another store"
}

@test "apply: what is wrong for the store is status 78, said, and not done" {
  store
  lsm-compact --plan > plan
  jq '.jobs[0].inputs += [999]' plan | not_done 78 "job 1: input 999 is not in the store"
  jq '.jobs[0].inputs += .jobs[0].inputs[:1]' plan | not_done 78 "stands twice"
  jq '.jobs += .jobs' plan | not_done 78 "job 2: an input stands in another job"
  jq '.jobs[0].inputs |= .[1:]' plan | not_done 78 "would pass table"
  jq '.jobs[0].inputs |= [.[0], .[2]]' plan | not_done 78 "would pass table"
  jq '.jobs[0].inputs = []' plan | not_done 78 "no inputs"
  jq '.jobs[0].level = 4000000' plan | not_done 78 "there is no level 4000000"
  jq '.jobs[0].run = 77' plan | not_done 78 "the run it goes into is not there"
  jq '.jobs[0].table_bytes = 1' plan | not_done 78 "tables of 1 bytes"
  jq '.jobs[0] |= {kind: "move", inputs, level: 0}' plan | not_done 78 "overlap and cannot be one run"
}

@test "apply: what is no plan is status 65, and the message says why" {
  store
  lsm-compact --plan > plan
  : | not_done 65 "not JSON"
  head -c 100 plan | not_done 65 "not JSON"
  echo '[1]' | not_done 65 '"format"'
  echo '{"format":"lsm-view"}' | not_done 65 '"format"'
  jq '.version = 2' plan | not_done 65 "a version"
  jq '.colour = 1' plan | not_done 65 'unknown member "colour"'
  jq '.store = "abc"' plan | not_done 65 '"store"'
  jq 'del(.store)' plan | not_done 65 '"store"'
  jq '.drops = 1' plan | not_done 65 '"drops"'
  jq '.strategy = "../x"' plan | not_done 65 '"strategy"'
  jq 'del(.jobs)' plan | not_done 65 '"jobs" is not a list'
  jq '.jobs[0] = 7' plan | not_done 65 "job 1: is not an object"
  jq '.jobs += [.jobs[0] | .kind = "split"]' plan | not_done 65 'job 2: "kind"'
  jq '.jobs[0].colour = 1' plan | not_done 65 'job 1: unknown member "colour"'
  jq '.jobs[0].inputs[1] = "x"' plan | not_done 65 'job 1: "inputs": the 2.'
  jq '.jobs[0].inputs[1] = 1.5' plan | not_done 65 'job 1: "inputs": the 2.'
  jq '.jobs[0].inputs[0] = -1' plan | not_done 65 'job 1: "inputs": the 1.'
  jq '.jobs[0].level = "deep"' plan | not_done 65 'job 1: "level"'
  jq '.jobs[0].run = "old"' plan | not_done 65 'job 1: "run"'
  jq '.jobs[0].why = 1' plan | not_done 65 'job 1: "why"'
  sed 's/"version": 1/"version": 1, "version": 1/' plan | not_done 65 "stands twice"
  jq -c '.jobs = [range(4097) | {kind: "flush"}]' plan | not_done 65 "4097 jobs"
}

@test "apply: text without an end or a bottom is status 65, soon" {
  store 1
  { head -c 2000000 /dev/zero | tr '\0' '['; } | not_done 65 "not JSON"
  head -c 17000000 /dev/zero | tr '\0' ' ' | not_done 65 "over 16777216 bytes"
  yes '{' | head -c 40000000 > endless
  timeout 20 lsm-compact --apply - < endless 2> said || [ $? -eq 65 ]
  grep -q "over 16777216 bytes" said
}

@test "apply: a drop must be meant, and hide nothing" {
  local first
  store 3
  first=$(lsm-compact --view | jq '.tables[-1].number')
  lsm-compact --plan | jq ".jobs = [{kind: \"drop\", inputs: [$first]}]" > plan
  not_done 78 "does not say that it drops" < plan
  jq '.drops = true | .jobs[0].inputs = [11]' plan > wrong
  lsm-compact --view | jq '.tables[0].number' > newest
  jq --slurpfile n newest '.drops = true | .jobs[0].inputs = $n' plan | not_done 78 "would pass"
  jq '.drops = true' plan | lsm-compact --apply -
  [ "$(shape)" = 2 ]
  run -1 lsm-get 1 # was in the oldest run alone
  [ "$(lsm-get 2)" = 2 ]
  lsm-verify
}

@test "apply: a flush is a job, too" {
  store 1
  lsm-put k v
  [ "$(shape)" = 1 ]
  lsm-compact --plan | jq '.jobs = [{kind: "flush"}]' | lsm-compact --apply -
  [ "$(shape)" = 2 ]
}

@test "apply: a job of which another process has claimed an input is left, and the others done" {
  local table
  store
  lsm-compact --plan > plan
  table=$(jq '.jobs[0].inputs[0]' plan)
  hold_lock $((2 ** 32 + table))
  run -75 --separate-stderr lsm-compact --apply plan
  jq '.jobs += [{kind: "flush"}]' plan > both
  run -0 lsm-compact --apply both -v
  [[ $output == jobs=1\ *\ busy=1\ * ]]
  [ "$(lsm-compact --view | jq -c '[.tables[] | select(.claimed) | .number]')" = "[$table]" ]
  release_lock
  lsm-compact --apply plan
}

@test "apply: the plan says what is done, so no switch may" {
  store 1
  lsm-compact --plan > plan
  run -64 lsm-compact --apply plan --all
  run -64 lsm-compact --apply plan --strategy tiered
  run -64 lsm-compact --apply plan --from a
  run -64 lsm-compact --plan --apply plan
  run -64 lsm-compact --plan --view
  run -64 lsm-compact --plan --to b
}

# The counts of struct lsm_view in the installed header, but not its arrays.
counts_of_view() {
  sed -n '/^struct lsm_view {/,/^};/p' "$ROOT/plugins/strategy.h" |
    sed 's,/\*.*,,' | grep -oE '^\s(uint64_t|size_t) [a-z0-9_, ]+;' |
    sed -E 's/(uint64_t|size_t)//' | tr -cs 'a-z0-9_' '\n' | grep . |
    grep -v '^n_'
}

@test "view: has every number that a plugin is shown, and the page names it" {
  local name
  lsm-put k v
  lsm-flush
  lsm-compact --view > view
  [ "$(counts_of_view | wc -l)" -ge 15 ]
  for name in $(counts_of_view); do
    jq -e --arg name "$name" 'has($name)' view > has || { echo "$name"; false; }
    grep -qw "$name" "$ROOT/formats/plan.md" || { echo "$name"; false; }
  done
  jq -e '.flushed_bytes > 0 and .compacted_bytes == 0' view > right
}

@test "view: tells what a strategy sees" {
  store 3
  lsm-compact
  lsm-compact --all
  seq 150 170 | lsm-del
  lsm-flush
  lsm-put -x 00ff 00
  lsm-compact --view > view
  jq -e --slurpfile dump <(lsm-dump) '
    .format == "lsm-view" and .version == 1 and .store == $dump[0].uuid and
    .generation == $dump[0].generation and .trigger == "due" and
    .now_ms > 1600000000000 and .free_disk > 0 and .oldest_pin == null and
    .log_bytes > 0 and .log_created_ms > 0 and .max_levels == 32 and
    .level0_runs == 4 and .strategy == "leveled" and (.options | type) == "object"' view
  jq -e --slurpfile dump <(lsm-dump) '
    [.tables[] | .number] == [$dump[0].levels[][][].number] and
    [.tables[] | .bytes] == [$dump[0].levels[][][].bytes] and
    .tables[0].tombstones == 21 and .tables[0].level == 0 and
    .tables[0].overlap_below == .tables[1].bytes and
    .tables[1].level == 1 and .tables[1].run == 0 and
    .tables[0].smallest == "150" and .tables[0].largest == "170" and
    (.tables[0] | .age_first > 0 and .age_last >= .age_first and .entries == 21
      and .created_ms > 0 and .oldest_tombstone_ms > 0 and .claimed == false)' view
  [ "$(lsm-compact --view --all --strategy tiered |
    jq -c '[.trigger, .strategy, .options.min_runs]')" = '["all","tiered",4]' ]
}

# The strategy of formats/plan.md, as it stands there
two_levels() {
  sed -n '/<!-- two-levels.jq -->/,/^```$/p' "$ROOT/formats/plan.md" |
    sed '1,2d;$d' > two-levels.jq
  [ -s two-levels.jq ]
}

@test "apply: the strategy in jq of formats/plan.md keeps two levels" {
  local i
  two_levels
  lsm-init maintenance=cron
  for i in {1..9}; do
    seq "$i" 7 300 | sed "s/\$/\t$i/" | lsm-put
    lsm-flush
    lsm-scan > want
    lsm-compact --view --strategy leveled | jq -f two-levels.jq | lsm-compact --apply -
    lsm-scan | cmp - want
    shape >> shapes
  done
  [ "$(paste -sd, shapes)" = "1,2,3,0 1,1 1,2 1,3 1,0 1,1 1" ]
  lsm-verify
}

@test "apply: the strategy in README merges the small runs above a large one" {
  sed -n '/^    lsm-compact --view | jq/,/--apply -$/p' "$ROOT/README.md" > recipe
  [ -s recipe ]
  lsm-init maintenance=cron compression=none
  seq 100000 | sed 's/$/\tlarge/' | lsm-put
  lsm-flush
  seq 2000 | sed 's/$/\tsmall/' | lsm-put
  lsm-flush
  bash -e recipe # nothing to do for one
  [ "$(shape)" = 2 ]
  lsm-put 1 smaller
  lsm-flush
  lsm-put 2 smallest
  lsm-flush
  lsm-scan > want
  bash -e recipe
  [ "$(shape)" = 2 ]
  [ "$(lsm-compact --view | jq '.tables | first | .entries')" -eq 2000 ]
  lsm-scan | cmp - want
  lsm-verify
}
