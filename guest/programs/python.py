"""Prints the same text on every right machine; python.expected is that text."""

import asyncio
import bz2
import collections
import ctypes
import decimal
import fractions
import hashlib
import heapq
import hmac
import itertools
import json
import lzma
import math
import mmap
import multiprocessing
import os
import queue
import random
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
import zlib


def numbers():
    print("integers:", 3**200 % 10**20, (2**521 - 1).bit_length(), -7 // 2, -7 % 3, pow(3, -1, 1000003))
    print("mersenne:", hashlib.sha256(str(2**4423 - 1).encode()).hexdigest()[:16], len(str(2**4423 - 1)))
    print("repr:", 0.1 + 0.2, 1e22, 5e-324, 1.7976931348623157e308, 2.0**0.5, float("inf") - float("inf"))
    print("hex:", (0.1).hex(), math.pi.hex(), float.fromhex("0x1.8p+1"))
    print("fsum:", math.fsum([0.1] * 10), sum([0.1] * 10), math.fsum([1e100, 1.0, -1e100]))
    print("gamma, erf:", f"{math.gamma(10.5):.13g} {math.erf(0.5):.13g} {math.comb(60, 30)} {math.isqrt(10**30)}")
    print("round:", round(2.5), round(-3.5), round(2.675, 2), math.floor(-0.5), math.trunc(-1.9), math.ulp(1.0))
    print("fractions:", sum(fractions.Fraction(1, n) for n in range(1, 31)))
    print("statistics:", statistics.mean([1, 2, 3, 4, 10]), statistics.pstdev([2, 4, 4, 4, 5, 5, 7, 9]))
    decimal.getcontext().prec = 60
    # Machin's formula
    def arctan_inverse(x):
        total, term, n = decimal.Decimal(0), decimal.Decimal(1) / x, 1
        while abs(term) > decimal.Decimal(10) ** -58:
            total += term / n if n % 4 == 1 else -term / n
            term /= x * x
            n += 2
        return total
    print("pi:", str(4 * (4 * arctan_inverse(5) - arctan_inverse(239)))[:52])
    print("decimal:", decimal.Decimal("1.10") + decimal.Decimal("2.20"), decimal.Decimal(2).sqrt().quantize(decimal.Decimal("1e-30")))
    random.seed(42)
    print("random:", [random.randint(1, 100) for _ in range(8)], f"{random.random():.17g}")


def texts():
    value = {"list": [1, 2.5, None, True], "text": "caf\u00e9 \U0001f600", "nested": {"b": [], "a": {"x": -1e-7}}}
    text = json.dumps(value, sort_keys=True)
    print("json:", text, json.loads(text) == value)
    print("re:", re.sub(r"(?P<y>\d{4})-(?P<m>\d\d)", r"\g<m>/\g<y>", "2024-01 and 2025-12"),
          re.findall(r"\b\w*(\w)\1\w*\b", "a letter too good to pass"))
    print("unicode:", unicodedata.normalize("NFD", "\u00e9").encode(), "\u00df".upper(), unicodedata.name("\u20ac"))
    print("struct:", struct.pack("<IHd", 0xdeadbeef, 513, -2.5).hex(), struct.unpack(">q", b"\xff" * 8))
    words = "the cat and the dog and the bird".split()
    print("counter:", collections.Counter(words).most_common(2), sorted(set(words)))
    print("itertools:", len(list(itertools.permutations(range(6)))), list(itertools.accumulate(range(1, 8))),
          heapq.nsmallest(3, [5, 1, 4, 2, 3]))


def digests():
    for name, want in (("md5", "900150983cd24fb0d6963f7d28e17f72"),
                       ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
                       ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
                       ("sha3_256", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532")):
        print(f"{name}:", hashlib.new(name, b"abc").hexdigest() == want)
    print("blake2b:", hashlib.blake2b(b"abc").hexdigest()[:32])
    print("a million a:", hashlib.sha256(b"a" * 1000000).hexdigest())
    print("hmac:", hmac.new(b"Jefe", b"what do ya want for nothing?", "sha256").hexdigest())
    print("pbkdf2:", hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 4096).hex())
    print("scrypt:", hashlib.scrypt(b"password", salt=b"NaCl", n=1024, r=8, p=16, dklen=64).hex()[:32])
    print("crc32, adler32:", hex(zlib.crc32(b"123456789")), hex(zlib.adler32(b"Wikipedia")))
    data = bytes(range(256)) * 400
    for module in (zlib, bz2, lzma):
        packed = module.compress(data)
        print(f"{module.__name__}:", module.decompress(packed) == data, len(packed) < len(data) // 20)


def threads():
    total, lock, work = [0], threading.Lock(), queue.Queue()
    def worker():
        while (item := work.get()) is not None:
            with lock:
                total[0] += item
    crew = [threading.Thread(target=worker) for _ in range(8)]
    for thread in crew:
        thread.start()
    for n in range(5000):
        work.put(n)
    for _ in crew:
        work.put(None)
    for thread in crew:
        thread.join()
    print("threads:", total[0])
    ready, barrier = threading.Event(), threading.Barrier(4)
    order = []
    def waiter(n):
        ready.wait()
        barrier.wait()
        with lock:
            order.append(n)
    crew = [threading.Thread(target=waiter, args=(n,)) for n in range(4)]
    for thread in crew:
        thread.start()
    ready.set()
    for thread in crew:
        thread.join(30)
    print("barrier:", sorted(order))


def square(n):
    return n * n


def processes():
    with multiprocessing.get_context("fork").Pool(3) as pool:
        print("pool:", sum(pool.map(square, range(200))))
    done = subprocess.run(["sh", "-c", "read x; echo got $x; echo bad >&2; exit 3"], input="input\n", text=True,
                          capture_output=True)
    print("subprocess:", done.stdout.strip(), done.stderr.strip(), done.returncode)
    with tempfile.TemporaryFile() as file:
        file.truncate(8192)
        with mmap.mmap(file.fileno(), 8192) as shared:
            if os.fork() == 0:
                shared[4096:4101] = b"child"
                os._exit(0)
            os.wait()
            print("mmap:", bytes(shared[4096:4101]))
    seen = []
    signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    while len(seen) < 5:
        time.sleep(1)
    signal.setitimer(signal.ITIMER_REAL, 0)
    print("itimer:", len(seen) >= 5)
    before = time.monotonic_ns()
    time.sleep(0.05)
    print("sleep:", time.monotonic_ns() - before >= 50_000_000, time.time() > 0)


async def echo_server():
    async def serve(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()
    async def ask(port, n):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        replies = []
        for i in range(20):
            writer.write(f"client {n} line {i}\n".encode())
            replies.append(await reader.readline())
        writer.close()
        return replies[-1].decode().strip()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print("asyncio:", sorted(await asyncio.gather(*(ask(port, n) for n in range(5)))))
    server.close()


def sockets():
    asyncio.run(echo_server())
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as two:
        one.bind(("::1", 0))
        two.sendto(b"over IPv6", one.getsockname())
        print("udp:", one.recv(100))
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one.send(b"first")
    one.send(b"second")
    print("unix:", two.recv(100), two.recv(100))


def through_c():
    libc, libm = ctypes.CDLL("libc.so.6"), ctypes.CDLL("libm.so.6")
    libm.hypot.restype, libm.hypot.argtypes = ctypes.c_double, [ctypes.c_double, ctypes.c_double]
    print("hypot:", libm.hypot(3.0, 4.0), libm.hypot(5e-324, 0.0))
    libm.fmal.restype = ctypes.c_longdouble
    libm.fmal.argtypes = [ctypes.c_longdouble] * 3
    print("fmal:", libm.fmal(0.1, 10.0, -1.0))
    numbers_array = (ctypes.c_int * 10)(*[9, 3, 7, 1, 0, 8, 2, 6, 4, 5])
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    libc.qsort(numbers_array, 10, ctypes.sizeof(ctypes.c_int), compare(lambda a, b: a[0] - b[0]))
    print("qsort:", list(numbers_array))
    text = ctypes.create_string_buffer(64)
    libc.snprintf(text, ctypes.c_size_t(64), b"%d %s %.3f", 42, b"text", ctypes.c_double(2.5))
    print("snprintf:", text.value)

    class Div(ctypes.Structure):
        _fields_ = [("quot", ctypes.c_long), ("rem", ctypes.c_long)]
    libc.ldiv.restype = Div
    libc.ldiv.argtypes = [ctypes.c_long, ctypes.c_long]
    answer = libc.ldiv(-17, 5)
    print("ldiv:", answer.quot, answer.rem)


def loops():
    # n queens, a dictionary-heavy count and a Mandelbrot row: the interpreter itself.
    def queens(n, row=0, columns=0, left=0, right=0):
        if row == n:
            return 1
        total, free = 0, ~(columns | left | right) & ((1 << n) - 1)
        while free:
            bit = free & -free
            free ^= bit
            total += queens(n, row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1)
        return total
    print("queens:", [queens(n) for n in range(1, 9)])
    longest, cache = (0, 0), {1: 1}
    for start in range(1, 20000):
        n, path = start, []
        while n not in cache:
            path.append(n)
            n = n // 2 if n % 2 == 0 else 3 * n + 1
        length = cache[n]
        for n in reversed(path):
            length += 1
            cache[n] = length
        longest = max(longest, (cache[start], start))
    print("collatz:", longest)
    row = []
    for step in range(40):
        c, z, count = complex(-2 + step * 3 / 40, 0.3), 0j, 0
        while abs(z) <= 2 and count < 50:
            z, count = z * z + c, count + 1
        row.append(count)
    print("mandelbrot:", row)


print("python:", sys.version_info[:2])
for part in (numbers, texts, digests, threads, processes, sockets, through_c, loops):
    part()
