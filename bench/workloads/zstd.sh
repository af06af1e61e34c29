# zstd there and back, of a program file.
prepare() { head -c 6000000 /usr/bin/python3.11 > file; }
work() {
    zstd -q -T1 -6 -c file > packed
    zstd -q -dc packed | cmp - file
    digest < packed
}
