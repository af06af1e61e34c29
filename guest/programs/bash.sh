#!/bin/bash
# bash as a language and as a job controller.
. "$(dirname "$0")/lib.sh"

# Arrays and expansion.
list=(zero one two three)
list+=(four)
unset 'list[1]'
expect "indexed array" "4|0 2 3 4|zero two three four" "${#list[@]}|${!list[*]}|${list[*]}"
declare -A map=([alpha]=1 [beta]=2 [gamma]=3)
map[delta]=$((map[alpha] + map[gamma]))
expect "associative array" "4 4" "${#map[@]} ${map[delta]}"
text="the quick brown fox"
expect "substrings and patterns" "quick|brown fox|the|THE QUICK BROWN FOX|the-quick-brown-fox" \
    "${text:4:5}|${text#* * }|${text%% *}|${text^^}|${text// /-}"
expect "braces" "a1 a2 b1 b2 01 04 07 10" "$(echo {a,b}{1,2} {01..10..3})"
mapfile -t lines < <(printf 'x y\nz\n')
expect "mapfile and process substitution" "2:x y:z" "${#lines[@]}:${lines[0]}:${lines[1]}"
printf -v padded '%05d|%-5s|%x|%q' 42 ab 255 "a b"
expect "printf" '00042|ab   |ff|a\ b' "$padded"
version=v12.34-rc5
[[ $version =~ ^v([0-9]+)\.([0-9]+)(-rc([0-9]+))?$ ]]
expect "regular expression" "12 34 5" "${BASH_REMATCH[1]} ${BASH_REMATCH[2]} ${BASH_REMATCH[4]}"
expect "here-document" "2 lines, 6 x 7 = 42" "$(cat <<END | tr '\n' ' ' | sed 's/ $//'
2 lines,
6 x 7 = $((6 * 7))
END
)"
expect "here-string" 11 "$(wc -c <<< "ten chars!")"

# Arithmetic: 64 bits, two's complement.
expect "overflow wraps" "-9223372036854775808" "$((9223372036854775807 + 1))"
expect "operators" "-2 -1 1024 5 255 2748 1 -8" "$((-7 / 3)) $((-7 % 3)) $((2 ** 10)) $((7 & 13)) $((16#ff)) $((0xabc)) $((3 > 2 ? 1 : 0)) $((~7))"
collatz() {
    local n=$1 steps=0
    while ((n != 1)); do
        ((n = n % 2 ? 3 * n + 1 : n / 2, steps++))
    done
    echo $steps
}
expect "loop" "111 261" "$(collatz 27) $(collatz 6171)"
fibonacci() { if (($1 < 2)); then echo "$1"; else echo $(($(fibonacci $(($1 - 1))) + $(fibonacci $(($1 - 2))))); fi; }
expect "recursion through 176 subshells" 55 "$(fibonacci 10)"

# Pipes and processes.
false | true | (exit 3)
status=("${PIPESTATUS[@]}")
expect "pipe status" "1 0 3" "${status[*]}"
expect "long pipe" 1000 "$(seq 1000 | cat | cat | cat | cat | sort -n | tail -n 1)"
expect "exec and file descriptors" "to three" "$(exec 3>three; echo "to three" >&3; exec 3>&-; cat three)"
expect "named pipe" 50005000 "$(mkfifo pipe; seq 10000 > pipe & awk '{s += $1} END {print s}' < pipe)"
coproc adder { while read -r a b; do echo $((a + b)); done; }
echo "20 22" >&"${adder[1]}"
read -r sum <&"${adder[0]}"
eval "exec ${adder[1]}>&-"
wait
expect "coprocess" 42 "$sum"
expect "command not found" 127 "$(no_such_command_at_all 2>/dev/null; echo $?)"
expect "killed by a signal" 143 "$(bash -c 'kill -TERM $$' 2>/dev/null; echo $?)"
expect "trap" "usr1 exit" "$(bash -c 'trap "echo usr1" USR1; trap "echo exit" EXIT; kill -USR1 $$; :' | xargs)"

# Job control.
jobs_output=$(bash -c '
    set -m
    sleep 1000 &
    job=$!
    kill -STOP %1
    until [ "$(ps -o stat= -p $job | cut -c 1)" = T ]; do sleep 0.05; done
    kill -CONT %1
    until [ "$(ps -o stat= -p $job | cut -c 1)" = S ]; do sleep 0.05; done
    kill %1
    wait $job
    echo "status $?"
    (sleep 0.1; exit 7) & (sleep 1; exit 8) &
    wait -n; echo "first $?"
    wait -n; echo "second $?"
    sleep 0.2 & fg %% >/dev/null; echo "foreground $?"' 2>/dev/null | xargs)
expect "job control" "status 143 first 7 second 8 foreground 0" "$jobs_output"
for i in $(seq 1 20); do (exit "$i") & pids[i]=$!; done
total=0
for i in $(seq 1 20); do wait "${pids[i]}"; total=$((total + $?)); done
expect "wait for 20 children" 210 "$total"
expect "select and read with a time limit" 142 "$(read -r -t 0.2 _ < <(sleep 1); echo $?)"
finish
