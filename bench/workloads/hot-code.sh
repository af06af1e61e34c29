# 20 MiB of code, all of it hot: the argument says how often each function is called.
work() { "$here/bin/hot-code" "${1:-20}"; }
