# System calls: two processes at both ends of two pipes, stat, small reads and writes, in C.
work() { "$here/bin/syscalls" "$here/run"; }
