# groupsync.bats - one fdatasync for all the writers it covers, timed.

load ../tools/helper

@test "groupsync: eight writers share their syncs, and gets do not wait for them" {
  needs_strace
  local start took alone beside w try
  # Only fdatasync stops for strace; the rest runs as fast as ever.
  slowly() {
    strace -f -qq --seccomp-bpf -o /dev/null -e trace=fdatasync \
      -e inject=fdatasync:delay_enter=20000 "$@"
  }
  lsm-put x 1
  # A busy machine only ever adds time: the best of three counts.
  for try in 1 2 3; do
    start=$(date +%s%N)
    for w in {1..8}; do
      ( seq -f "s$try$w-%g" 1 25 | sed 's/$/\tv/' |
        slowly lsm-put --batch-size 1 || echo "$w" >> failed ) 3>&- &
    done
    wait
    took=$((($(date +%s%N) - start) / 1000000))
    echo "200 durable puts with a 20 ms sync took $took ms"
    [ ! -e failed ]
    [ "$(lsm-scan --prefix "s$try" --count)" -eq 200 ]
    [ "$took" -ge 1000 ] || break
  done
  [ "$took" -lt 1000 ]
  # Gets beside one that always syncs.
  median() {
    for _ in {1..21}; do
      local t0; t0=$(date +%s%N); lsm-get x > /dev/null
      echo $((($(date +%s%N) - t0) / 1000))
    done | sort -n | sed -n 11p
  }
  alone=$(median)
  ( seq 1 100 | sed 's/$/\tv/' | slowly lsm-put --batch-size 1 ) 3>&- &
  beside=$(median)
  wait
  echo "a get: $alone us alone, $beside us beside a syncing writer"
  [ "$beside" -lt $((alone * 3 + 3000)) ]
}
