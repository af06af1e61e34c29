# An interpreter's loop: gawk counting words and splitting fields.
work() {
    awk 'BEGIN {
        x = 12345
        for (i = 0; i < 60000; i++) {
            x = (x * 1103515245 + 12345) % 2147483648
            word = "w" (x % 977)
            count[word] += length(word)
            n = split(word "," i "," x, field, ",")
            sum += field[2] % 7 + n
        }
        for (word in count) { words++; total += count[word] }
        print words, total, sum
    }'
}
