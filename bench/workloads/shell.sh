# What a build script does: fork, exec, wait, pipes between programs.
work() {
    local total=0 i
    for i in $(seq 1 220); do
        /bin/true
        total=$((total + $(echo "$i" | cat | wc -c)))
    done
    echo $total
    for i in $(seq 1 150); do (: "$i"); done
    seq 1 2000 | sort -r | head -n 50 | tail -n 1
    find /usr/bin -name 'p*' -type f -exec test -x {} \; -print | wc -l
}
