#!/bin/bash
# gzip, xz and zstd: there and back at several levels, and files that were packed elsewhere.
. "$(dirname "$0")/lib.sh"

# 2 MB that packs well, of known digest, and 256 KB that does not pack (AES in counter mode over zeros).
seq 1 300000 | awk '{printf "%d %d\n", $1, ($1 * 7919) % 65537}' | head -c 2000000 > text
openssl enc -aes-128-ctr -K 000102030405060708090a0b0c0d0e0f -iv 00000000000000000000000000000000 \
    -in <(head -c 262144 /dev/zero) -out noise
: > empty
text_digest=8e1acb530fb657c59980a4c35a5ec8bcd95031edd015b12edbb85569a45bd3ef
noise_digest=e58cf0247f09c6168897ea91c96d8a6814de051bf5d13c09d61c7746bef0e344
expect "the text" $text_digest "$(sha256_of text)"
expect "the noise" $noise_digest "$(sha256_of noise)"

for how in "gzip -1" "gzip -9" "xz -0" "xz -3 --check=sha256" "zstd -q -1" "zstd -q -9" "zstd -q -15"; do
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
    expect "$how: half the size at most" yes "$([ "$(stat -c %s packed)" -lt 1000000 ] && echo yes)"
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
