# What every check shares. A check is a bash script NAME.sh that sources this file, calls expect, expect_ok and the like,
# and ends with finish, which prints "PASS NAME" or "FAIL NAME: why". It runs in an empty folder of its own, and prints
# the same text in every run: no times, no addresses, no process ids.
# shellcheck shell=bash
set -u
export LC_ALL=C
programs=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=$(basename "$0" .sh)
why=
checks=0
scratch=${TMPDIR:-/tmp}/programs.$name
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch" || exit 1

# expect WHAT WANT GOT: the texts are equal.
expect() {
    checks=$((checks + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $1"
    else
        echo "not ok $1"
        printf '  want: %s\n  got:  %s\n' "$2" "$3"
        why=${why:-$1}
    fi
}

# expect_ok WHAT COMMAND...: the command exits with 0; its output is shown only if it does not.
expect_ok() {
    local what=$1
    shift
    if "$@" >expect_ok.log 2>&1; then
        expect "$what" 0 0
    else
        local status=$?
        tail -n 20 expect_ok.log
        expect "$what" 0 "$status"
    fi
}

# expect_output WHAT FILE COMMAND...: the command's whole output is that of the file beside the checks.
expect_output() {
    local what=$1 file=$programs/$2
    shift 2
    "$@" >got.txt 2>&1
    expect "$what: exit status" 0 $?
    if diff "$file" got.txt >diff.txt; then
        expect "$what: output" same same
    else
        cat diff.txt
        expect "$what: output" same different
    fi
}

# wait_until SECONDS COMMAND...: tries the command until it succeeds.
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

sha256_of() { sha256sum "$@" | cut -d ' ' -f 1; }

# Leaves the scratch folder; the last call of a check.
finish() {
    cd /
    rm -rf "$scratch"
    if [ -z "$why" ]; then
        echo "PASS $name"
        exit 0
    fi
    echo "FAIL $name: $why"
    exit 1
}
