#!/bin/bash
# etcd: a Go program with threads, timers, a log on disk and gRPC over loopback.
. "$(dirname "$0")/lib.sh"
export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=http://127.0.0.1:23790
start() {
    etcd --name one --data-dir "$scratch/data" --listen-client-urls http://127.0.0.1:23790 \
        --advertise-client-urls http://127.0.0.1:23790 --listen-peer-urls http://127.0.0.1:23800 \
        --initial-advertise-peer-urls http://127.0.0.1:23800 --initial-cluster one=http://127.0.0.1:23800 \
        >>server.log 2>&1 &
    server=$!
}
healthy() { etcdctl --command-timeout=5s endpoint health; }
expect "etcdctl version" "API version: 3.4" "$(etcdctl version | grep API)"
start
expect_ok "the server is healthy" wait_until 120 healthy
expect "put" OK "$(etcdctl put greeting hello)"
expect "get" "greeting hello" "$(etcdctl get greeting | xargs)"
for i in 1 2 3 4 5; do etcdctl put "list/$i" "value $i" >/dev/null; done
expect "get by prefix" "list/1 value 1 list/2 value 2 list/3 value 3 list/4 value 4 list/5 value 5" \
    "$(etcdctl get --prefix list/ | xargs)"
expect "delete" "1 4" "$(etcdctl del list/3) $(etcdctl get --prefix --keys-only list/ | grep -c .)"
expect "transaction" "SUCCESS OK" \
    "$(printf 'value("greeting") = "hello"\n\nput greeting changed\n\nput greeting wrong\n\n' | etcdctl txn | xargs)"
expect "an older revision" "hello" "$(etcdctl get greeting --rev=2 --print-value-only)"
expect "watch" "PUT greeting watched" "$(
    timeout 60 etcdctl watch greeting > seen & watcher=$!
    wait_until 60 sh -c 'etcdctl put greeting watched >/dev/null; sleep 0.2; [ -s seen ]'
    kill $watcher
    head -n 3 seen | xargs)"
kill -TERM $server
wait $server
start
expect_ok "healthy after a restart" wait_until 120 healthy
expect "what the log held" "watched value 5" "$(etcdctl get greeting --print-value-only) $(etcdctl get list/5 --print-value-only)"
kill -TERM $server
wait $server 2>/dev/null
expect "stopped" 0 "$(pgrep -x etcd | grep -c .)"
finish
