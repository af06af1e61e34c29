# The file system on a virtio disk: many small files, one large one, rename, remove, sync.
work() {
    local i file
    for i in $(seq 1 20); do
        mkdir -p "tree/$i"
        for file in a b c d e f g h i j k l m n o p; do echo "$i$file" > "tree/$i/$file"; done
    done
    dd if=/dev/zero of=large bs=64K count=512 conv=fsync 2>/dev/null
    sync
    cp -r tree copy
    mv copy/7 copy/seven
    sync
    echo 3 > /proc/sys/vm/drop_caches
    cat copy/*/* | digest
    digest < large
    tar cf all.tar tree && tar tf all.tar | wc -l
    rm -r tree copy large all.tar
    sync
}
