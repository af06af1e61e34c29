#!/bin/bash
# gzip, xz and zstd: there and back at several levels, and files that were packed elsewhere.
. "$(dirname "$0")/lib.sh"

# 400 KB that pack well, of known digest, and 64 KB that do not pack (AES in counter mode over zeros).
seq 1 60000 | awk '{printf "%d %d\n", $1, ($1 * 7919) % 65537}' | head -c 400000 > text
openssl enc -aes-128-ctr -K 000102030405060708090a0b0c0d0e0f -iv 00000000000000000000000000000000 \
    -in <(head -c 65536 /dev/zero) -out noise
: > empty
text_digest=b00e2d89f49d574054f295369b7444e9fbc6a7e130318d398631a9dedbe2202d
noise_digest=8397d6e745b2710bc2da47f2e22f36830bed183bf34006a3dec6689eba316e78
expect "the text" $text_digest "$(sha256_of text)"
expect "the noise" $noise_digest "$(sha256_of noise)"

for how in "gzip -1" "gzip -9" "xz -0" "xz -2 --check=sha256" "zstd -q -1" "zstd -q -9" "zstd -q -12"; do
    tool=${how%% *}
    for file in text noise empty; do
        # shellcheck disable=SC2086 # the words of $how are the command
        $how -c < $file > packed
        $tool -dc < packed > back
        expect_ok "$how, $file: there and back" cmp $file back
    done
    # shellcheck disable=SC2086
    $how -c < text > packed
    expect_ok "$how: test" bash -c "$tool -t < packed"
    expect "$how: half the size at most" yes "$([ "$(stat -c %s packed)" -lt 200000 ] && echo yes)"
    printf 'X' | dd of=packed bs=1 seek=3000 conv=notrunc 2>/dev/null
    expect "$how: damage is seen" seen "$($tool -dc < packed 2>/dev/null | cmp -s - text || echo seen)"
done

# 100 lines, packed on another machine.
want=$(yes 'packed elsewhere' | head -n 100 | sha256sum)
expect "gzip from elsewhere" "$want" "$(base64 -d <<< 'H4sIAAAAAAACAytITM5OTVFIzSlOLc9ILUrlKhgVGBUYFRgVGBUYFRgcAgDKxNqUpAYAAA==' | gzip -dc | sha256sum)"
expect "xz from elsewhere" "$want" \
    "$(base64 -d <<< '/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4AajACJdADgYSJnNXBwlD+63R7enLZ+PUEn4L6n158keYtu30bumgAAAAADA18eNHDM8cgABPqQNAAAAi1PoirHEZ/sCAAAAAARZWg==' | xz -dc | sha256sum)"
expect "zstd from elsewhere" "$want" "$(base64 -d <<< 'KLUv/QRozQAAiHBhY2tlZCBlbHNld2hlcmUKAQAhpX8uAfbI2ZI=' | zstd -dc | sha256sum)"
finish
