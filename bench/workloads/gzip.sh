# gzip there and back, of a program file.
prepare() { head -c 3000000 /usr/bin/python3.11 > file; }
work() {
    gzip -n -6 -c file > packed
    gzip -dc packed | cmp - file
    digest < packed
}
