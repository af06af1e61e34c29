#!/bin/bash
# Many of busybox's applets, each called by name through the one static binary.
. "$(dirname "$0")/lib.sh"
bb=$(command -v busybox) || { expect "busybox is there" yes no; finish; }

seq 1 1000 > numbers
expect seq "1000 1000 3893" "$($bb wc numbers | $bb awk '{print $1, $2, $3 }')"
expect "awk sum" 500500 "$($bb awk '{s += $1} END {print s}' numbers)"
expect "awk float" "0.333333333333333 1e+100" "$($bb awk 'BEGIN {printf "%.15f %g", 1 / 3, 1e50 * 1e50}')"
expect "sort -rn, head, tail" "1000 999 998|3 2 1" \
    "$($bb sort -rn numbers | $bb head -n 3 | $bb xargs)|$($bb sort -rn numbers | $bb tail -n 3 | $bb xargs)"
expect "sort -u, uniq -c" "3 a 2 b 1 c" "$(printf 'b\na\nc\na\nb\na\n' | $bb sort | $bb uniq -c | $bb xargs)"
expect "sed" "1-one 2-two" "$(printf 'one 1\ntwo 2\n' | $bb sed -E 's/(\w+) ([0-9])/\2-\1/' | $bb xargs)"
expect "grep -c -E" 272 "$($bb grep -c -E '1' numbers)"
expect "tr, rev, fold" "CBA FED" "$(echo abcdef | $bb tr a-z A-Z | $bb fold -w 3 | $bb rev | $bb xargs)"
expect "cut, paste, tac" "3:6 2:5 1:4" \
    "$($bb paste -d : <(printf '1\n2\n3\n') <(printf '4\n5\n6\n') | $bb tac | $bb xargs)"
expect "expr, factor" "42 1000036000099: 1000003 1000033" "$($bb expr 6 '*' 7) $($bb factor 1000036000099)"
expect "dc" 1267650600228229401496703205376 "$($bb dc -e '2 100 ^ p')"
expect "bc" 3.14159265358979323844 "$(echo 'scale=20; 4*a(1)' | $bb bc -l)"
expect "od" "000000 41 42 43 0a 000004" "$(echo ABC | $bb od -A x -t x1 | $bb xargs)"
expect "hexdump" "0000000 4142 0a43 0000004" "$(printf 'BACA\n' | $bb tr -d A | $bb sed s/BC/BAC/ | $bb hexdump | $bb xargs)"
expect "base64" "aGVsbG8sIHdvcmxkCg== hello, world" \
    "$(echo 'hello, world' | $bb base64) $(echo aGVsbG8sIHdvcmxkCg== | $bb base64 -d)"
expect "cal" "1 2 14 15 16" "$($bb cal 9 1752 | $bb sed -n 3p | $bb xargs)"
expect "date" "2001-09-09T01:46:40" "$($bb date -u -d @1000000000 +%Y-%m-%dT%H:%M:%S)"
expect md5sum 900150983cd24fb0d6963f7d28e17f72 "$(printf abc | $bb md5sum | $bb cut -d ' ' -f 1)"
expect sha1sum a9993e364706816aba3e25717850c26c9cd0d89d "$(printf abc | $bb sha1sum | $bb cut -d ' ' -f 1)"
expect sha256sum ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad \
    "$(printf abc | $bb sha256sum | $bb cut -d ' ' -f 1)"
expect sha512sum "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" \
    "$(printf abc | $bb sha512sum | $bb cut -d ' ' -f 1)"
expect "sha3sum -a 256" 3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532 \
    "$(printf abc | $bb sha3sum -a 256 | $bb cut -d ' ' -f 1)"
expect crc32 cbf43926 "$(printf 123456789 | $bb crc32)"

mkdir -p tree/a/b
for i in 1 2 3 4 5 6 7 8 9 10; do
    $bb dd if=/dev/zero of=tree/a/file$i bs=1024 count=$i 2>/dev/null
done
ln -s file1 tree/a/link
$bb cp numbers tree/a/b/numbers
expect "find" "10 1 3" \
    "$($bb find tree -name 'file*' | $bb wc -l) $($bb find tree -type l | $bb wc -l) $($bb find tree -type d | $bb wc -l)"
expect "find -size, xargs, stat" 55 "$($bb find tree -name 'file*' -print0 | $bb xargs -0 $bb stat -c %s | $bb awk '{s += $1} END {print s / 1024}')"
for method in gzip bzip2 xz; do
    case $method in
        xz) $bb tar -c tree | xz > tree.tar.$method ;;
        *) $bb tar -c tree | $bb $method > tree.tar.$method ;;
    esac
    rm -rf back && mkdir back
    $bb $method -dc tree.tar.$method | $bb tar -x -C back
    expect_ok "tar and $method there and back" $bb diff -r tree back/tree
done
(cd tree && $bb find . | $bb cpio -o -H newc 2>/dev/null) > tree.cpio
rm -rf back && mkdir back
(cd back && $bb cpio -i -d 2>/dev/null < ../tree.cpio)
expect_ok "cpio there and back" $bb diff -r tree back
expect_ok "cmp finds files equal" $bb cmp tree/a/b/numbers numbers
expect "diff" "500c500" "$($bb sed 's/^500$/five hundred/' numbers | $bb diff -U 0 numbers - >/dev/null; \
    $bb sed 's/^500$/five hundred/' numbers | diff numbers - | $bb head -n 1)"

expect "sh: primes below 1000" "168 997" "$($bb sh -c '
    count=0; last=0; n=2
    while [ $n -lt 1000 ]; do
        prime=1; d=2
        while [ $((d * d)) -le $n ]; do
            if [ $((n % d)) = 0 ]; then prime=0; break; fi
            d=$((d + 1))
        done
        if [ $prime = 1 ]; then count=$((count + 1)); last=$n; fi
        n=$((n + 1))
    done
    echo $count $last')"
expect "sh: pipes, subshells and traps" "in out 3 trapped" "$($bb sh -c '
    trap "echo trapped" EXIT
    (echo in); echo out; sh -c "exit 3" || echo $?' | $bb xargs)"
# The listener reads from a pipe that stays silent: at the end of its input it would hang up.
mkfifo silence
exec 5<>silence
expect "nc over loopback" "ping" "$(
    $bb timeout 20 $bb nc -l -p 7007 <&5 > received &
    listener=$!
    wait_until 20 sh -c 'cat /proc/net/tcp /proc/net/tcp6 | grep -q :1B5F'
    echo ping | $bb nc -w 5 127.0.0.1 7007
    wait $listener
    cat received)"
finish
