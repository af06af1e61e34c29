#!/bin/bash
# sqlite3: 100,000 rows created, indexed, queried, changed and checked, in a file with a write-ahead log.
. "$(dirname "$0")/lib.sh"
expect_output "sqlite.sql" sqlite.expected sqlite3 -batch -bail test.db ".read $programs/sqlite.sql"
expect "a second connection reads it" "90000 ok" \
    "$(sqlite3 test.db 'SELECT count(*) FROM item; PRAGMA integrity_check' | xargs)"
# Two processes count up together, under sqlite's file locks.
sqlite3 test.db 'CREATE TABLE counter (n INTEGER); INSERT INTO counter VALUES (0)'
count_up() { for _ in 1 2 3 4 5 6 7 8 9 10; do echo 'UPDATE counter SET n = n + 1;'; done | sqlite3 -cmd '.timeout 60000' test.db; }
count_up & count_up &
wait
expect "two writers at once" 20 "$(sqlite3 test.db 'SELECT n FROM counter')"
finish
