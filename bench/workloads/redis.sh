# redis-benchmark over loopback.
prepare() {
    redis-server --bind 127.0.0.1 --port 6390 --save "" --appendonly no >/dev/null 2>&1 &
    until redis-cli -p 6390 ping >/dev/null 2>&1; do sleep 0.05; done
}
work() {
    redis-benchmark -p 6390 -n 6000 -c 20 -q -t set,get,incr,lpush > log 2>&1
    tr '\r' '\n' < log | grep -c 'requests per second'
    redis-benchmark -p 6390 -n 20000 -c 10 -P 16 -r 1000 -q -t set,get > log 2>&1
    tr '\r' '\n' < log | grep -c 'requests per second'
    redis-cli -p 6390 get counter:__rand_int__
    redis-cli -p 6390 shutdown nosave >/dev/null 2>&1
}
