# sqlite3 on a file: inserts in transactions, an index, a join, an aggregate.
work() {
    sqlite3 test.db <<'END'
PRAGMA synchronous = OFF;
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, class INTEGER, price REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
  INSERT INTO item SELECT i, 'item ' || (i * 7919 % 60013), i * 31 % 499, (i * 17 % 1000) / 8.0 FROM n;
CREATE INDEX by_class ON item(class);
CREATE INDEX by_name ON item(name);
SELECT count(*), sum(price), max(name) FROM item;
SELECT class, count(*), avg(price) FROM item GROUP BY class ORDER BY 3 DESC, 1 LIMIT 3;
SELECT count(*) FROM item a JOIN item b ON a.class = b.class AND a.id < b.id AND a.id < 3000;
UPDATE item SET price = price * 2 WHERE class < 100;
DELETE FROM item WHERE name LIKE '%77%';
SELECT count(*), sum(price) FROM item;
END
}
