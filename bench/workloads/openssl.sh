# SHA-256, and AES-GCM there and back.
prepare() { cat /usr/bin/python3.11 /usr/bin/python3.11 > text; }
work() {
    openssl dgst -sha256 text
    local key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
    openssl cms -encrypt -aes-256-gcm -secretkey $key -secretkeyid 01 -binary -in text -outform DER -out sealed
    openssl cms -decrypt -secretkey $key -secretkeyid 01 -binary -in sealed -inform DER | cmp - text
    stat -c %s sealed
}
