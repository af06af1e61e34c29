# Sieve, sort, CRC, hash table, in C.
work() { "$here/bin/integer"; }
