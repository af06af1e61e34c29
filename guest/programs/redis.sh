#!/bin/bash
# redis-server and redis-benchmark over loopback: the commands, a script, a fork for the snapshot, a restart from disk.
. "$(dirname "$0")/lib.sh"
start() { redis-server --bind 127.0.0.1 ::1 --port 6390 --dir "$scratch" --save "" --appendonly no --daemonize no >>server.log 2>&1 & server=$!; }
cli() { redis-cli -h 127.0.0.1 -p 6390 "$@"; }
start
expect_ok "the server answers" wait_until 60 cli ping
expect "set and get" "OK value" "$(cli set key value) $(cli get key)"
expect "incr" "1 2 12" "$(cli incr n) $(cli incr n) $(cli incrby n 10)"
expect "list" "3 c b a" "$(cli rpush list a b c) $(cli lrange list 0 -1 | tac | xargs)"
expect "hash" "2 x 1 y 2" "$(cli hset h x 1 y 2) $(cli hgetall h | xargs)"
expect "sorted set" "3 one 1 two 2 pi 3.1400000000000001" "$(cli zadd z 2 two 1 one 3.14 pi) $(cli zrange z 0 -1 withscores | xargs)"
expect "set operations" "b c" "$(cli sadd s1 a b c >/dev/null; cli sadd s2 b c d >/dev/null; cli sinter s1 s2 | sort | xargs)"
cli set temporary 1 px 1000 >/dev/null
expect "a key with a time limit" 1 "$(cli exists temporary)"
sleep 1.5
expect "its end" 0 "$(cli exists temporary)"
expect "transaction" "OK QUEUED QUEUED 13 14" "$(printf 'multi\nincr n\nincr n\nexec\n' | cli | xargs)"
expect "lua" "500500" "$(cli eval 'local s = 0; for i = 1, 1000 do s = s + i end; return s' 0)"
expect "sha1 in lua" a9993e364706816aba3e25717850c26c9cd0d89d "$(cli eval 'return redis.sha1hex("abc")' 0)"
expect "hyperloglog" 3 "$(cli pfadd hll a b c a >/dev/null; cli pfcount hll)"
expect "bits" "0 1 1" "$(cli setbit bits 7 1) $(cli getbit bits 7) $(cli bitcount bits)"
expect "stream" "1-1 1" "$(cli xadd stream 1-1 field value) $(cli xlen stream)"
expect "IPv6" PONG "$(redis-cli -h ::1 -p 6390 ping)"
expect "publish and subscribe" "message news hello" "$(
    timeout 20 redis-cli -h 127.0.0.1 -p 6390 --csv subscribe news > heard & subscriber=$!
    wait_until 20 sh -c 'redis-cli -h 127.0.0.1 -p 6390 pubsub numsub news | grep -q -x 1'
    cli publish news hello >/dev/null
    wait_until 20 grep -q hello heard
    kill $subscriber
    grep hello heard | tr -d '"' | tr , ' ')"
redis-benchmark -h 127.0.0.1 -p 6390 -n 2000 -c 20 -q -t set,get,incr,lpush,zadd > benchmark.log 2>&1
expect "redis-benchmark: exit status" 0 $?
expect "redis-benchmark: tests" 5 "$(tr '\r' '\n' < benchmark.log | grep -c 'requests per second')"
expect "redis-benchmark: pipelined" 1 \
    "$(redis-benchmark -h 127.0.0.1 -p 6390 -n 5000 -c 10 -P 16 -r 1000 -q -t set 2>&1 | tr '\r' '\n' | grep -c 'requests per second')"
expect "bgsave" "Background saving started" "$(cli bgsave)"
expect_ok "the snapshot is written" wait_until 60 sh -c 'redis-cli -h 127.0.0.1 -p 6390 info persistence | grep -q rdb_bgsave_in_progress:0'
cli set key "another value" >/dev/null
cli shutdown nosave
wait $server
expect "shutdown" 0 $?
start
expect_ok "the server starts again" wait_until 60 cli ping
expect "what the snapshot held" "value 14 3" "$(cli get key) $(cli get n) $(cli llen list)"
kill -TERM $server
wait $server
expect "stopped by SIGTERM" 0 $?
finish
