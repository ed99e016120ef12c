#!/usr/bin/env bats
# What headers number and what pages say of it is the same.

load formats

# constants FILE ENUM: `NAME VALUE` of each constant with a value.
constants() {
  sed -n "/^enum $2 {/,/^};/p" "$ROOT/$1" |
    sed -nE 's/^\t([A-Z0-9_]+) = ([0-9a-fx]+),.*/\1 \2/p'
}

# The page says `VALUE word`, `word VALUE` or `NAME = VALUE`.
told() {
  local page=$1 prefix=$2 name value word n=0
  while read -r name value; do
    word=$(tr 'A-Z_' 'a-z ' <<< "${name#"$prefix"}")
    grep -qiE "(^|[^0-9a-z])($value $word|$word $value)s?([^0-9a-z]|$)" \
      "$PAGES/$page" || grep -qE "^ +$name = $value\b" "$PAGES/$page" || {
      echo "$page does not say that $name is $value"
      return 1
    }
    n=$((n + 1))
  done
  [ $n -gt 0 ]
}

@test "kinds, flags and codecs are numbered alike in headers and pages" {
  constants lib/iter.h entry_kind | told wal.md ENTRY_
  constants lib/iter.h entry_kind | told idx.md ENTRY_
  constants formats/wal.h wal_flag | told wal.md WAL_
  constants formats/block.h block_kind | told sstable.md BLOCK_
  constants formats/block.h block_flag | told sstable.md BLOCK_
  constants formats/options.h codec | told sstable.md CODEC_
  constants formats/options.h codec | told version.md CODEC_
  constants formats/options.h maintenance | told version.md MAINTENANCE_
  constants formats/sstable.h sst_kind | sed 's/CHUNKS/CHUNK/; s/CHUNKMAP/CHUNK_MAP/' |
    told sstable.md SST_
  constants lib/lock.h lock_role | told state.md ROLE_
}

@test "cells hold at the same index what their pages say" {
  local name value page
  sed -nE 's/^\t((GENERATION|COUNTER|COMMIT|SYNC)_[A-Z_]+) = ([0-9]+),.*/\1 \3/p' \
    "$PAGES/state.h" > cells
  [ "$(wc -l < cells)" -ge 13 ]
  while read -r name value; do
    case $name in
      GENERATION_* | COUNTER_*) page=state.md ;;
      *) page=idx.md ;;
    esac
    grep -qE "^ +$name = $value " "$PAGES/$page"
  done < cells
}

# offsets FILE LETTER PAGE: each `LETTER_NAME = N,` is `N  name` in the page.
offsets() {
  local name value n=0
  while read -r name value; do
    grep -qE "^ +$value  ${name,,}[:0-9a-z_ ]" "$PAGES/$3" || {
      echo "$3 does not tell $name at $value"
      return 1
    }
    n=$((n + 1))
  done < <(sed -nE "s/^\t$2_([A-Z0-9_]+) = ([0-9]+),.*/\1 \2/p" "$PAGES/$1")
  [ $n -gt 0 ]
}

@test "fields lie at the offsets that the pages tell" {
  offsets wal.c H wal.md
  offsets wal.c B wal.md
  offsets wal.c E wal.md
  offsets versionpage.h H version.md
}

@test "sizes and magics are those of the pages" {
  grep -q '^    token, 456 bytes:' "$PAGES/state.md"
  grep -q 'sizeof(struct token) == 456' "$PAGES/state.h"
  grep -q '^    node, 32 bytes:' "$PAGES/idx.md"
  grep -q 'sizeof(struct tree_node) == 32' "$PAGES/state.h"
  grep -q '^#define STATE_MAGIC UINT64_C(0x0a65746174736d6c)' "$PAGES/state.h"
  grep -q '^#define IDX_MAGIC UINT64_C(0x0a786469206d736c)' "$PAGES/state.h"
  grep -q 'header, 64 bytes' "$PAGES/wal.md"
  grep -q '^#define WAL_HEADER 64u' "$PAGES/wal.h"
  grep -q '^#define WAL_BATCH_HEADER 40u' "$PAGES/wal.h"
  grep -q '^#define WAL_ENTRY_HEADER 12u' "$PAGES/wal.h"
  grep -q 'zeros up to a multiple of 32 KiB' "$PAGES/wal.md"
  grep -q '^#define WAL_ROOM (32u << 10)' "$PAGES/wal.h"
}

@test "a page of a format has at most 120 lines; each codec has one" {
  local page
  for page in wal idx state sstable version records; do
    [ "$(wc -l < "$PAGES/$page.md")" -le 120 ]
  done
  for page in wal state sstable version records manifest; do
    [ -e "$PAGES/$page.h" ]
    [ -e "$PAGES/$page.md" ]
  done
}
