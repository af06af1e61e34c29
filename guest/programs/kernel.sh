#!/bin/bash
# The kernel's own parts that programs lean on: namespaces, cgroups, overlays, virtual networks, loop devices, io_uring.
# It needs a guest of its own and root in it.
. "$(dirname "$0")/lib.sh"
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
    echo "this is no guest: there is no cgroup2 at /sys/fs/cgroup"
    why="not in a guest"
    finish
fi
expect "one processor" 1 "$(nproc)"
expect "bhvm's configuration" "y y" "$(zcat /proc/config.gz | sed -n 's/^CONFIG_\(IA32_EMULATION\|IO_URING\)=//p' | xargs)"
expect "controllers" "cpu hugetlb io memory pids" "$(tr ' ' '\n' < /sys/fs/cgroup/cgroup.controllers | sort | xargs)"
expect "pid namespace" 1 "$(unshare --pid --fork --mount-proc sh -c 'echo $$')"
expect "user namespace" "0 1" "$(unshare --user --map-root-user sh -c 'echo $(id -u) $(wc -l < /proc/self/uid_map)')"
expect "host name namespace" "inside outside" \
    "$(hostname outside; unshare --uts sh -c 'hostname inside; hostname') $(hostname)"
hostname bhvm

mkdir lower upper work merged
echo below > lower/file
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged
expect "overlay" "below above below" "$({ cat merged/file; echo above > merged/file; cat merged/file lower/file; } | xargs)"
umount merged

echo "+pids +memory +cpu" > /sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/test
echo 5 > /sys/fs/cgroup/test/pids.max
expect "pids controller" "refused" "$(sh -c 'echo 0 > /sys/fs/cgroup/test/cgroup.procs
    (sleep 2 & sleep 2 & sleep 2 & sleep 2 & sleep 2 & sleep 2 & wait) 2>&1' | grep -q -i 'fork' && echo refused)"
echo max > /sys/fs/cgroup/test/pids.max
echo 16M > /sys/fs/cgroup/test/memory.max
echo 0 > /sys/fs/cgroup/test/memory.swap.max 2>/dev/null
expect "memory controller" 137 "$(sh -c 'echo 0 > /sys/fs/cgroup/test/cgroup.procs
    perl -e "my \$x = chr(65) x (64 << 20); print length \$x"; echo $?' 2>/dev/null)"
wait_until 20 rmdir /sys/fs/cgroup/test

ip netns add one 2>/dev/null || { mkdir -p /run/netns; ip netns add one; }
ip link add left type veth peer name right netns one
ip address add 10.9.0.1/24 dev left
ip link set left up
ip -n one address add 10.9.0.2/24 dev right
ip -n one link set right up
ip -n one link set lo up
mkfifo silence # the listener would hang up at the end of its input
exec 5<>silence
expect "veth pair" "hello there" "$(
    ip netns exec one timeout 20 busybox nc -l -p 9000 <&5 > heard & listener=$!
    wait_until 20 sh -c 'ip netns exec one cat /proc/net/tcp /proc/net/tcp6 | grep -q :2328'
    echo hello there | busybox nc -w 5 10.9.0.2 9000
    wait $listener
    cat heard)"
ip link add bridge type bridge
ip link set left master bridge
expect "bridge" "left" "$(ls /sys/class/net/bridge/brif)"
ip link delete bridge
ip netns delete one

truncate -s 16M disk
mke2fs -q -t ext4 disk 2>/dev/null
mkdir disk.mounted
mount -o loop disk disk.mounted
seq 100000 > disk.mounted/numbers
sync
umount disk.mounted
mount -o loop disk disk.mounted
expect "ext4 in a loop device" "$(seq 100000 | sha256sum)" "$(sha256sum < disk.mounted/numbers)"
umount disk.mounted
expect_ok "the file system is clean" e2fsck -f -n disk

expect "POSIX message queues, SysV memory" "mqueue 1" \
    "$(stat -f -c %T /dev/mqueue | sed 's/.*/mqueue/') $(ipcmk -M 4096 >/dev/null && ipcs -m | grep -c '^0x')"
expect "pseudo-terminals" "/dev/pts/0" "$(script -q -c tty /dev/null </dev/null | tr -d '\r')"
expect_ok "system calls" "$programs/bin/syscalls"
finish
