#!/usr/bin/env bats
# files.bats - what the files of a store are to the system: modes and owners,
# and what is no file, or is cut short, in the place of one.

load helper

needs_root() {
  [ "$(id -u)" -eq 0 ] || skip "needs root to be somebody else"
}

# modes UMASK TABLES OTHERS: of a store made, filled, flushed and merged.
modes() {
  rm -rf data
  ( umask "$1"
    lsm-put a 1
    lsm-flush
    lsm-put b 2
    lsm-flush
    lsm-compact --all
    rm data/STATE data/*.idx data/*.ver
    lsm-put c 3 )
  stat -c '%a %n' data/*.sst data/*.wal data/*.idx data/*.ver data/LOCK \
    data/STATE data/MANIFEST.json > modes
  echo "umask $1:"
  cat modes
  [ "$(grep sst modes | cut -d' ' -f1 | sort -u)" = "$2" ]
  [ "$(grep -v sst modes | cut -d' ' -f1 | sort -u)" = "$3" ]
}

@test "files: tables are made 0444, all others 0666, less the umask" {
  modes 0000 444 666
  modes 0022 444 644
  modes 0027 440 640
  modes 0077 400 600
}

@test "files: what root makes and rebuilds belongs to the store's owner" {
  needs_root
  umask 0027
  lsm-put a 1
  lsm-flush
  chown -R 1234:2345 data
  rm data/STATE data/*.idx data/*.ver
  lsm-put b 2
  lsm-flush
  lsm-put c 3
  stat -c '%u:%g %a %n' data/* > there
  cat there
  [ "$(grep -v sst there | cut -d' ' -f1-2 | sort -u)" = "1234:2345 640" ]
  [ "$(grep sst there | cut -d' ' -f1-2 | sort -u)" = "1234:2345 440" ]
  [ "$(lsm-scan)" = $'a\t1\nb\t2\nc\t3' ]
}

@test "files: who may not give rebuilt files to the owner does without, and reads right" {
  needs_root
  umask 0000
  lsm-put a 1
  lsm-flush
  lsm-put b 2
  rm data/STATE data/*.idx data/*.ver
  chmod a+rx "$PWD"
  chmod a+rwx data
  # The tools are where only root may go.
  cp "$(command -v lsm-scan)" /proc/self/cwd/lsm-scan
  [ "$(setpriv --reuid 4321 --regid 4321 --clear-groups ./lsm-scan -d data)" = $'a\t1\nb\t2' ]
  [ -z "$(find data -user 4321 -size +0)" ]
  lsm-put c 3
  lsm-flush
  lsm-verify -q --strict
}

@test "files: a FIFO, a directory or a link in the place of a file is status 65" {
  local f name
  lsm-put a 1
  lsm-flush
  lsm-put b 2
  for f in data/*.sst data/*.wal data/MANIFEST.json data/LOCK; do
    name=${f##*/}
    mv data data.sound
    for kind in fifo directory link; do
      cp -a data.sound data
      rm data/STATE data/*.idx data/*.ver "$f"
      case $kind in
      fifo) mkfifo "$f" ;;
      directory) mkdir "$f" ;;
      link) ln -s "$PWD/data.sound/$name" "$f" ;;
      esac
      echo "$name as a $kind"
      run -65 --separate-stderr timeout 10 lsm-scan
      one_message_of lsm-scan
      [[ $stderr == *"$name"* ]]
      run -65 --separate-stderr timeout 10 lsm-put c 3
      one_message_of lsm-put
      run -65 timeout 10 lsm-verify
      rm -r data
    done
    mv data.sound data
  done
}

@test "files: a FIFO in the place of living memory keeps nobody" {
  local f
  lsm-put a 1
  lsm-flush
  lsm-put b 2
  for f in data/STATE data/*.idx data/*.ver; do
    rm "$f"
    mkfifo "$f"
    echo "${f##*/}"
    status=0
    timeout 10 lsm-scan > out 2> message || status=$?
    case $status in
    0) [ "$(cat out)" = $'a\t1\nb\t2' ] ;;
    65) grep -q "${f##*/}" message ;;
    *) false ;;
    esac
    rm "$f"
    lsm-put b 2
  done
  lsm-verify -q
}

# Ask until the tree is mapped, cut it, ask for all of it.
cut_short() {
  local reader k got
  lsm-get < ask > answer 2> message 3>&- & reader=$!
  exec 7> ask 8< answer
  # After some hundred reads it maps the tree.
  for k in {1..400}; do
    echo "$((k * 49))" >&7
    read -r got <&8
    [ "$got" = "$((k * 49))"$'\tvalue' ]
  done
  # Pages that it has not touched yet are gone now.
  truncate -s 4096 data/*.idx
  { seq 20000 >&7; } 2> /dev/null || true
  exec 7>&-
  cat <&8 > /dev/null
  exec 8<&-
  status=0
  wait $reader || status=$?
  cat message
}

@test "files: a mapped file that is cut short is status 74, not a crash" {
  local turn
  mkfifo ask answer
  # Two threads look up: either may meet the end first, or both at once.
  for turn in {1..6}; do
    seq 20000 | sed 's/$/\tvalue/' | lsm-put
    cut_short
    [ "$status" -eq 74 ]
    grep -q '^lsm-get: .*a mapped file was cut short' message
    [ "$(wc -l < message)" -eq 1 ]
    rm data/*.idx
    [ "$(lsm-scan --count)" -eq 20000 ]
  done
}
