#!/usr/bin/env python3
"""XXH3, 64 bits, in plain Python: the checksum of every format here.

    from xxh3 import xxh3_64
    xxh3_64(data, seed=0)           data: bytes, bytearray or memoryview

The format readers beside this file are written from formats/*.md alone and
use nothing but Python's standard library, so they need their own XXH3.  Run
as a program it prints the checksum of each FILE; --test compares known
vectors, and libxxhash too where the machine has it.
"""

import struct
import sys
from operator import xor

M32 = (1 << 32) - 1
M64 = (1 << 64) - 1
P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F
P64_3, P64_4 = 0x165667B19E3779F9, 0x85EBCA77C2B2AE63
P64_5 = 0x27D4EB2F165667C5
PMX1, PMX2 = 0x165667919E3779F9, 0x9FB21C651E98DF25

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")

STRIPE = 64
STRIPES = (len(SECRET) - STRIPE) // 8  # in a block: 16
BLOCK = STRIPE * STRIPES


def u32(p, off):
    return struct.unpack_from("<I", p, off)[0]


def u64(p, off):
    return struct.unpack_from("<Q", p, off)[0]


def rotl(v, n):
    return (v << n | v >> (64 - n)) & M64


def swap64(v):
    return int.from_bytes(v.to_bytes(8, "little"), "big")


def fold(a, b):
    """The 128-bit product, its halves xored."""
    v = (a & M64) * (b & M64)
    return (v & M64) ^ (v >> 64)


def avalanche(h):
    h &= M64
    h ^= h >> 37
    h = h * PMX1 & M64
    return h ^ h >> 32


def avalanche64(h):
    h &= M64
    h ^= h >> 33
    h = h * P64_2 & M64
    h ^= h >> 29
    h = h * P64_3 & M64
    return h ^ h >> 32


def mix16(p, off, secret_off, seed):
    return fold(u64(p, off) ^ (u64(SECRET, secret_off) + seed & M64),
                u64(p, off + 8) ^ (u64(SECRET, secret_off + 8) - seed & M64))


def hash_0_16(p, n, seed):
    if n > 8:
        lo = u64(p, 0) ^ ((u64(SECRET, 24) ^ u64(SECRET, 32)) + seed & M64)
        hi = u64(p, n - 8) ^ ((u64(SECRET, 40) ^ u64(SECRET, 48)) - seed & M64)
        return avalanche(n + swap64(lo) + hi + fold(lo, hi))
    if n >= 4:
        low = (seed & M32).to_bytes(4, "little")
        seed ^= int.from_bytes(low, "big") << 32
        flip = (u64(SECRET, 8) ^ u64(SECRET, 16)) - seed & M64
        h = (u32(p, n - 4) + (u32(p, 0) << 32)) ^ flip
        h ^= rotl(h, 49) ^ rotl(h, 24)
        h = h * PMX2 & M64
        h ^= (h >> 35) + n
        h = h * PMX2 & M64
        return h ^ h >> 28
    if n:
        both = p[0] << 16 | p[n >> 1] << 24 | p[n - 1] | n << 8
        return avalanche64(both ^ ((u32(SECRET, 0) ^ u32(SECRET, 4)) + seed))
    return avalanche64(seed ^ u64(SECRET, 56) ^ u64(SECRET, 64))


def hash_17_128(p, n, seed):
    acc = n * P64_1
    for i in range((n - 1) // 32, -1, -1):
        acc += mix16(p, 16 * i, 32 * i, seed)
        acc += mix16(p, n - 16 * (i + 1), 32 * i + 16, seed)
    return avalanche(acc)


def hash_129_240(p, n, seed):
    acc = n * P64_1
    for i in range(8):
        acc += mix16(p, 16 * i, 16 * i, seed)
    acc = avalanche(acc)
    for i in range(8, n // 16):
        acc += mix16(p, 16 * i, 16 * (i - 8) + 3, seed)
    acc += mix16(p, n - 16, 136 - 17, seed)
    return avalanche(acc)


def accumulate(acc, data, keys):
    """Add whole stripes, 8 words each; the sums wrap only at the end."""
    mul = [(k & M32) * (k >> 32) for k in map(xor, data, keys)]
    for i in range(8):
        acc[i] = (acc[i] + sum(data[i ^ 1::8]) + sum(mul[i::8])) & M64


def hash_long(p, n, seed):
    secret = SECRET
    if seed:
        secret = b"".join(
            struct.pack("<QQ", u64(SECRET, i) + seed & M64,
                        u64(SECRET, i + 8) - seed & M64)
            for i in range(0, len(SECRET), 16))
    words = struct.unpack("<24Q", secret)
    keys = [words[s + i] for s in range(STRIPES) for i in range(8)]
    last_keys = struct.unpack_from("<8Q", secret, len(secret) - STRIPE - 7)
    acc = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1]

    blocks = (n - 1) // BLOCK
    unpack = struct.Struct("<%dQ" % (BLOCK // 8)).unpack_from
    for b in range(blocks):
        accumulate(acc, unpack(p, b * BLOCK), keys)
        for i in range(8):
            a = acc[i] ^ acc[i] >> 47 ^ words[16 + i]
            acc[i] = a * P32_1 & M64
    stripes = (n - 1 - blocks * BLOCK) // STRIPE
    accumulate(acc, struct.unpack_from("<%dQ" % (8 * stripes), p,
                                       blocks * BLOCK), keys)
    accumulate(acc, struct.unpack_from("<8Q", p, n - STRIPE), last_keys)

    h = n * P64_1
    for i in range(0, 8, 2):
        h += fold(acc[i] ^ u64(secret, 11 + 8 * i),
                  acc[i + 1] ^ u64(secret, 19 + 8 * i))
    return avalanche(h)


def xxh3_64(data, seed=0):
    """XXH3-64 of `data`, with `seed`, as an integer below 2**64."""
    p = memoryview(data).cast("B")
    n = len(p)
    if n <= 16:
        return hash_0_16(p, n, seed)
    if n <= 128:
        return hash_17_128(p, n, seed)
    if n <= 240:
        return hash_129_240(p, n, seed)
    return hash_long(p, n, seed)


def pattern(n):
    """n bytes that any language makes alike."""
    return bytes((i * 131 + (i >> 8) * 7 + 5) & 255 for i in range(n))


# length, seed, XXH3-64 of pattern(length), as libxxhash 0.8.1 gives it
VECTORS = (
    (0, 0x0, 0x2d06800538d394c2),
    (0, 0x123456789abcdef, 0xcc1ca35a1b089c5c),
    (1, 0x0, 0x929e358d27ae3ee2),
    (1, 0x123456789abcdef, 0xbae297dd2a98effc),
    (3, 0x0, 0x30069c90b99182f2),
    (3, 0x123456789abcdef, 0x6ef3416d5b6882cc),
    (4, 0x0, 0xd829f6f5a95030dd),
    (4, 0x123456789abcdef, 0x2d659b5e804173a1),
    (8, 0x0, 0x69a0b1f9db1af9ca),
    (8, 0x123456789abcdef, 0xf51b8bf769f9a6da),
    (9, 0x0, 0xa15196770bf453d4),
    (9, 0x123456789abcdef, 0x3223798e9d4f0113),
    (16, 0x0, 0x98ea59f608d94941),
    (16, 0x123456789abcdef, 0x3291836f32a3ff6e),
    (17, 0x0, 0xa08e9bdf66b32953),
    (17, 0x123456789abcdef, 0x2e0c5a71d9d2e557),
    (64, 0x0, 0xc54ff9dff4f295f0),
    (64, 0x123456789abcdef, 0x007cd73b08c84933),
    (65, 0x0, 0xe6e445df4b0e396e),
    (65, 0x123456789abcdef, 0x11b7f7ab07203a48),
    (128, 0x0, 0x99c2e662da058357),
    (128, 0x123456789abcdef, 0x4e46557a848c1e73),
    (129, 0x0, 0x77e63534a29d0607),
    (129, 0x123456789abcdef, 0x5f250c3246355d48),
    (240, 0x0, 0xb4d1329d95cf1b74),
    (240, 0x123456789abcdef, 0x7c53803dc23c5d0d),
    (241, 0x0, 0x8bd3aa0d9f127af5),
    (241, 0x123456789abcdef, 0xdb0d21b4627eb06f),
    (256, 0x0, 0x59b1a9b44acd9f1a),
    (256, 0x123456789abcdef, 0x421cf3e0eaeb5a47),
    (1024, 0x0, 0x3fa1d4d42c21189e),
    (1024, 0x123456789abcdef, 0x6b4143edf9aca05a),
    (1025, 0x0, 0xc3b964f69630a13c),
    (1025, 0x123456789abcdef, 0xd38d596bb416ed38),
    (5000, 0x0, 0x5e6781a934ef554f),
    (5000, 0x123456789abcdef, 0x0ffcbc49b7430248),
)


def test():
    for n, seed, want in VECTORS:
        got = xxh3_64(pattern(n), seed)
        if got != want:
            sys.exit("xxh3.py: length %d seed %#x: %016x is not %016x"
                     % (n, seed, got, want))
    print("xxh3.py: %d vectors ok" % len(VECTORS))
    try:
        import ctypes
        lib = ctypes.CDLL("libxxhash.so.0")
    except (ImportError, OSError):
        return
    f = lib.XXH3_64bits_withSeed
    f.restype = ctypes.c_uint64
    f.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64)
    lengths = (*range(520), 1023, 1024, 1025, 2048, 2049, 4095, 4096, 100001)
    for n in lengths:
        for seed in (0, 1, 0x9E3779B185EBCA87, M64):
            if xxh3_64(pattern(n), seed) != f(pattern(n), n, seed):
                sys.exit("xxh3.py: length %d seed %#x differs from libxxhash"
                         % (n, seed))
    print("xxh3.py: %d lengths agree with libxxhash" % len(lengths))


if __name__ == "__main__":
    if sys.argv[1:] == ["--test"]:
        test()
    else:
        for path in sys.argv[1:]:
            with open(path, "rb") as file:
                print("%016x  %s" % (xxh3_64(file.read()), path))
