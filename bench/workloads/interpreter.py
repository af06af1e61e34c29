# What python programs do most: dictionaries, attribute access, strings, generators, method calls.
import zlib


class Account:
    def __init__(self, name):
        self.name = name
        self.balance = 0

    def deposit(self, amount):
        self.balance += amount
        return self.balance


def primes(limit):
    sieve = bytearray([1]) * limit
    for i in range(2, limit):
        if sieve[i]:
            yield i
            sieve[i * i :: i] = bytes(len(range(i * i, limit, i)))


def words(n):
    state = 1
    for _ in range(n):
        state = state * 48271 % 2147483647
        yield f"k{state % 2003:04d}"


accounts = {}
for i, word in enumerate(words(120000)):
    account = accounts.get(word)
    if account is None:
        account = accounts[word] = Account(word)
    account.deposit(i % 17)
print(len(accounts), sum(a.balance for a in accounts.values()))
print(sum(primes(200000)))
text = " ".join(sorted(accounts))
print(len(text), zlib.crc32(text.encode()), text.count("k1"))
matrix = [[(i * j) % 7 for j in range(90)] for i in range(90)]
product = [[sum(a * b for a, b in zip(row, column)) for column in zip(*matrix)] for row in matrix]
print(sum(map(sum, product)))
