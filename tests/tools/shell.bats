#!/usr/bin/env bats
# lsm-shell.1: the conversation, to the letter

load helper

# Talk: commands from stdin, the answers in `got`
banner='LSM Storage Engine CLI
Commands: get <key>, put <key> <value>, delete <key>, exit'

@test "shell: the conversation is this, to the letter" {
  printf '%s\n' 'put foo bar' 'get foo' 'delete foo' 'get foo' exit |
    lsm-shell > got
  printf '%s\n' "$banner" '> Put Key: foo, Value: bar' \
    '> Key: foo, Value: bar' '> Deleted Key: foo' '> Key not found' \
    '> Exiting CLI.' > want
  cmp got want
}

@test "shell: the end of the input is exit without its word" {
  printf 'put a b\n' | lsm-shell > got
  printf '%s\n> Put Key: a, Value: b\n> ' "$banner" > want
  cmp got want
  lsm-shell < /dev/null > got
  printf '%s\n> ' "$banner" > want
  cmp got want
}

@test "shell: a last line without LF is a line" {
  printf 'exit' | lsm-shell > got
  printf '%s\n> Exiting CLI.\n' "$banner" > want
  cmp got want
}

@test "shell: the value is the rest of the line" {
  printf 'put k  a  b \nget k\n' | lsm-shell > got
  printf '%s\n> Put Key: k, Value:  a  b \n> Key: k, Value:  a  b \n> ' \
    "$banner" > want
  cmp got want
  [ "$(lsm-get k | od -An -c)" = "       a           b    " ]
}

@test "shell: blank lines are skipped" {
  printf '\n  \n\t\nexit\n' | lsm-shell > got
  printf '%s\n> > > > Exiting CLI.\n' "$banner" > want
  cmp got want
}

@test "shell: errors are said, and it goes on" {
  local bad
  lsm-put k v
  for bad in 'sing' 'get' 'get a b' 'put' 'put k' 'delete' 'delete a b' \
    'exit now'; do
    printf '%s\nget k\nexit\n' "$bad" | lsm-shell > got
    [ "$(sed -n 3p got)" != "> " ]
    [[ $(sed -n 3p got) == "> Error: "* ]]
    [ "$(sed -n 4p got)" = "> Key: k, Value: v" ]
    [ "$(sed -n 5p got)" = "> Exiting CLI." ]
  done
}

@test "shell: get and delete need no store, the first put creates it" {
  printf 'get a\ndelete a\n' | lsm-shell > got
  printf '%s\n> Key not found\n> Deleted Key: a\n> ' "$banner" > want
  cmp got want
  [ ! -e data ]
  printf 'put a b\n' | lsm-shell > got
  [ "$(lsm-get a)" = b ]
}

@test "shell: a foreign directory is an error it goes on after" {
  mkdir data
  : > data/mine
  printf 'put a b\nexit\n' | lsm-shell > got
  [[ $(sed -n 3p got) == "> Error: "* ]]
  [ "$(sed -n 4p got)" = "> Exiting CLI." ]
  [ "$(files)" = mine ]
}

@test "shell: a key over its limit is an error and creates no store" {
  { printf 'put '; head -c 65536 /dev/zero | tr '\0' k; printf ' v\nexit\n'; } |
    lsm-shell > got
  [[ $(sed -n 3p got) == "> Error: "* ]]
  [ ! -e data ]
}

@test "shell: answers each command before it reads the next" {
  local line
  mkfifo ask answer
  lsm-shell < ask > answer 3>&- &
  exec 4> ask 5< answer
  read -r line <&5
  read -r line <&5
  echo 'put a 1' >&4
  read -r line <&5
  [ "$line" = "> Put Key: a, Value: 1" ]
  [ "$(lsm-get a)" = 1 ]
  lsm-put a 2
  echo 'get a' >&4
  read -r line <&5
  [ "$line" = "> Key: a, Value: 2" ]
  exec 4>&-
  wait $!
  exec 5<&-
}

@test "shell: ten thousand commands in one go" {
  seq 10000 | sed 's/.*/get &/' | lsm-shell > got
  [ "$(grep -c 'Key not found' got)" -eq 10000 ]
}
