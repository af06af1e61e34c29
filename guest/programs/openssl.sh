#!/bin/bash
# openssl: digests, ciphers and signatures against the published vectors, then with fresh keys.
. "$(dirname "$0")/lib.sh"

digest() { openssl dgst "-$1" -r | cut -d ' ' -f 1; }
# RFC 1321, FIPS 180-4, FIPS 202
expect md5 900150983cd24fb0d6963f7d28e17f72 "$(printf abc | digest md5)"
expect sha1 a9993e364706816aba3e25717850c26c9cd0d89d "$(printf abc | digest sha1)"
expect sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad "$(printf abc | digest sha256)"
expect sha384 "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7" \
    "$(printf abc | digest sha384)"
expect sha512 "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" \
    "$(printf abc | digest sha512)"
expect sha3-256 3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532 "$(printf abc | digest sha3-256)"
expect "sha256 of a million a" cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0 \
    "$(head -c 1000000 /dev/zero | tr '\0' a | digest sha256)"
# RFC 4231, test case 2
expect "hmac-sha256" 5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843 \
    "$(printf 'what do ya want for nothing?' | openssl dgst -sha256 -hmac Jefe -r | cut -d ' ' -f 1)"

cipher() {  # cipher NAME KEY IV PLAINTEXT-HEX, without padding
    local iv=()
    [ -n "$3" ] && iv=(-iv "$3")
    printf '%s' "$4" | xxd_r | openssl enc -"$1" -K "$2" "${iv[@]}" -nopad | od -A n -t x1 | tr -d ' \n'
}
xxd_r() { perl -e 'print pack("H*", <STDIN>)'; }
# FIPS 197, appendix C
expect aes-128-ecb 69c4e0d86a7b0430d8cdb78070b4c55a \
    "$(cipher aes-128-ecb 000102030405060708090a0b0c0d0e0f "" 00112233445566778899aabbccddeeff)"
expect aes-192-ecb dda97ca4864cdfe06eaf70a0ec0d7191 \
    "$(cipher aes-192-ecb 000102030405060708090a0b0c0d0e0f1011121314151617 "" 00112233445566778899aabbccddeeff)"
expect aes-256-ecb 8ea2b7ca516745bfeafc49904b496089 \
    "$(cipher aes-256-ecb 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f "" 00112233445566778899aabbccddeeff)"
# NIST SP 800-38A, F.2.1 and F.5.5
expect aes-128-cbc 7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2 \
    "$(cipher aes-128-cbc 2b7e151628aed2a6abf7158809cf4f3c 000102030405060708090a0b0c0d0e0f 6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51)"
expect aes-256-ctr 601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5 \
    "$(cipher aes-256-ctr 603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4 f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff 6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51)"
# RFC 8439, appendix A.1, test vector 1 (the key stream: encrypt zeros)
expect chacha20 76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7 \
    "$(cipher chacha20 "$(printf '0%.0s' {1..64})" "$(printf '0%.0s' {1..32})" "$(printf '0%.0s' {1..64})")"
# RFC 8032, section 7.1, test 2: Ed25519 signs the same bytes the same way.
{ printf '302e020100300506032b657004220420'; printf '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb'; } |
    xxd_r | openssl pkey -inform DER -out rfc8032.pem
printf 'r' > one-byte
expect "ed25519 test 2" "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" \
    "$(openssl pkeyutl -sign -inkey rfc8032.pem -rawin -in one-byte | od -A n -t x1 | tr -d ' \n')"
# RFC 6070-style PBKDF2 with SHA-256
expect pbkdf2 c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a \
    "$(openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt pass:password -kdfopt salt:salt -kdfopt iter:4096 -binary PBKDF2 | od -A n -t x1 | tr -d ' \n')"
expect "prime" "0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF is prime" \
    "$(openssl prime 170141183460469231731687303715884105727 | sed 's/^\(7F*\) (.*) is prime$/0x\1 is prime/')"

# Fresh keys: what one signs, the other half verifies, and a changed message does not pass.
echo "the message" > message
echo "the massage" > forged
make_key() {
    case $1 in
        rsa-2048) openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 ;;
        p-256) openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 ;;
        ed25519) openssl genpkey -quiet -algorithm ED25519 ;;
    esac > "$1.pem" && openssl pkey -in "$1.pem" -pubout -out "$1.pub"
}
for kind in rsa-2048 p-256 ed25519; do
    expect_ok "$kind: generate" make_key "$kind"
    options=(-rawin)
    [ $kind = ed25519 ] || options=(-rawin -digest sha256)
    expect_ok "$kind: sign" openssl pkeyutl -sign -inkey $kind.pem "${options[@]}" -in message -out signature
    expect_ok "$kind: verify" openssl pkeyutl -verify -pubin -inkey $kind.pub "${options[@]}" -in message -sigfile signature
    expect "$kind: a forgery is seen" refused \
        "$(openssl pkeyutl -verify -pubin -inkey $kind.pub "${options[@]}" -in forged -sigfile signature >/dev/null 2>&1 || echo refused)"
done
head -c 32 /dev/urandom > secret
expect_ok "rsa: encrypt" openssl pkeyutl -encrypt -pubin -inkey rsa-2048.pub -pkeyopt rsa_padding_mode:oaep -in secret -out sealed
expect_ok "rsa: decrypt" openssl pkeyutl -decrypt -inkey rsa-2048.pem -pkeyopt rsa_padding_mode:oaep -in sealed -out opened
expect_ok "rsa: the same secret" cmp secret opened
openssl genpkey -algorithm X25519 -out one.pem
openssl genpkey -algorithm X25519 -out two.pem
openssl pkey -in one.pem -pubout -out one.pub
openssl pkey -in two.pem -pubout -out two.pub
openssl pkeyutl -derive -inkey one.pem -peerkey two.pub -out shared.one
openssl pkeyutl -derive -inkey two.pem -peerkey one.pub -out shared.two
expect_ok "x25519: one shared secret" cmp shared.one shared.two

# A certificate and a TLS 1.3 session over loopback.
openssl req -x509 -key p-256.pem -subj /CN=guest -days 36500 -out certificate.pem 2>/dev/null
openssl s_server -accept 127.0.0.1:7443 -cert certificate.pem -key p-256.pem -quiet -www >/dev/null 2>&1 &
server=$!
ask() { printf 'GET / HTTP/1.0\r\n\r\n' | openssl s_client -connect 127.0.0.1:7443 -tls1_3 -CAfile certificate.pem -verify_return_error -ign_eof; }
wait_until 60 ask
ask > session.txt 2>&1
kill $server
wait $server 2>/dev/null
expect "tls 1.3 session" "yes 1" \
    "$(grep -q 'Cipher is TLS_AES_256_GCM_SHA384' session.txt && echo yes) $(grep -c -m 1 'Verify return code: 0 (ok)' session.txt)"

# Bulk work, as `openssl speed` would do it, but with an answer to check: 2 MiB through each.
head -c 2097152 /dev/zero > zeros
expect "bulk sha256" 5647f05ec18958947d32874eeb788fa396a05d0bab7c1b71f112ceb7e9b31eee "$(digest sha256 < zeros)"
expect "bulk md5" b2d1236c286a3c0704224fe4105eca49 "$(digest md5 < zeros)"
key=$(printf '0%.0s' {1..64})
for name_of in aes-256-cbc aes-256-ctr chacha20; do
    openssl enc -$name_of -K "$key" -iv "${key:0:32}" -in zeros -out encrypted
    openssl enc -d -$name_of -K "$key" -iv "${key:0:32}" -in encrypted -out decrypted
    expect_ok "bulk $name_of there and back" cmp zeros decrypted
done
finish
