# groupsync.bats - one fdatasync for all the writers it covers, timed.

load ../tools/helper

@test "groupsync: eight writers share their syncs, and gets do not wait for them" {
  needs_strace
  local start took single alone beside syncs w try
  # Only fdatasync stops for strace; the rest runs as fast as ever.
  slowly() {
    strace -f -qq --seccomp-bpf -o "$1" -e trace=fdatasync \
      -e inject=fdatasync:delay_enter=20000 "${@:2}"
  }
  since() { echo $((($(date +%s%N) - $1) / 1000000)); }
  lsm-put x 1
  # A busy machine only ever adds time: the best of five counts, each beside
  # one writer that pays for a quarter of the syncs, alone, on the same disk.
  for try in 1 2 3 4 5; do
    start=$(date +%s%N)
    seq -f "one$try-%g" 1 50 | sed 's/$/\tv/' |
      slowly /dev/null lsm-put --batch-size 1
    single=$(since "$start")
    start=$(date +%s%N)
    for w in {1..8}; do
      ( seq -f "s$try$w-%g" 1 25 | sed 's/$/\tv/' |
        slowly "trace.$w" lsm-put --batch-size 1 || echo "$w" >> failed ) 3>&- &
    done
    wait
    took=$(since "$start")
    syncs=$(cat trace.* | grep -c 'fdatasync(.*= 0')
    echo "200 durable puts of 8 writers: $syncs syncs, $took ms;" \
      "50 of one writer: $single ms"
    [ ! -e failed ]
    [ "$(lsm-scan --prefix "s$try" --count)" -eq 200 ]
    [ "$took" -ge "$single" ] || break
  done
  [ "$took" -lt "$single" ]
  [ "$syncs" -ge 25 ] && [ "$syncs" -le 50 ]
  # Gets beside one that always syncs.
  median() {
    for _ in {1..21}; do
      local t0; t0=$(date +%s%N); lsm-get x > /dev/null
      echo $((($(date +%s%N) - t0) / 1000))
    done | sort -n | sed -n 11p
  }
  alone=$(median)
  ( seq 1 100 | sed 's/$/\tv/' | slowly /dev/null lsm-put --batch-size 1 ) 3>&- &
  beside=$(median)
  wait
  echo "a get: $alone us alone, $beside us beside a syncing writer"
  [ "$beside" -lt $((alone * 3 + 3000)) ]
}
