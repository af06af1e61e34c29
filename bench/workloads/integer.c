// Sieve, sort, CRC and hash table: integer code as compilers make it.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t g_state = 88172645463325252ULL;

static uint64_t next(void) {
    g_state ^= g_state << 13;
    g_state ^= g_state >> 7;
    g_state ^= g_state << 17;
    return g_state;
}

static unsigned sieve(unsigned limit) {
    unsigned char* composite = calloc(limit, 1);
    unsigned count = 0;
    for (unsigned i = 2; i < limit; ++i) {
        if (composite[i]) {
            continue;
        }
        ++count;
        for (uint64_t j = (uint64_t)i * i; j < limit; j += i) {
            composite[j] = 1;
        }
    }
    free(composite);
    return count;
}

static int compare(const void* a, const void* b) {
    uint32_t x = *(const uint32_t*)a;
    uint32_t y = *(const uint32_t*)b;
    return x < y ? -1 : x > y;
}

static uint32_t sort(unsigned count) {
    uint32_t* numbers = malloc(count * sizeof *numbers);
    for (unsigned i = 0; i < count; ++i) {
        numbers[i] = (uint32_t)next();
    }
    qsort(numbers, count, sizeof *numbers, compare);
    uint32_t sum = 0;
    for (unsigned i = 0; i < count; i += 1000) {
        sum = sum * 31 + numbers[i];
    }
    free(numbers);
    return sum;
}

static uint32_t crc(unsigned bytes) {
    uint32_t table[256];
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t c = i;
        for (int k = 0; k < 8; ++k) {
            c = c & 1 ? 0xEDB88320u ^ c >> 1 : c >> 1;
        }
        table[i] = c;
    }
    unsigned char* data = malloc(bytes);
    for (unsigned i = 0; i < bytes; ++i) {
        data[i] = (unsigned char)(i * 7 + (i >> 8));
    }
    uint32_t c = ~0u;
    for (int round = 0; round < 8; ++round) {
        for (unsigned i = 0; i < bytes; ++i) {
            c = table[(c ^ data[i]) & 255] ^ c >> 8;
        }
    }
    free(data);
    return ~c;
}

static uint64_t hash_table(unsigned count) {
    enum { kSlots = 1 << 17 };
    uint64_t* keys = calloc(kSlots, sizeof *keys);
    uint64_t* values = calloc(kSlots, sizeof *values);
    for (unsigned i = 0; i < count; ++i) {
        uint64_t key = next() % 60000 + 1;
        uint64_t slot = key * 0x9E3779B97F4A7C15ULL >> 47;
        while (keys[slot] != 0 && keys[slot] != key) {
            slot = (slot + 1) & (kSlots - 1);
        }
        keys[slot] = key;
        values[slot] += i;
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < kSlots; ++i) {
        sum = sum * 3 + (keys[i] ^ values[i]);
    }
    free(keys);
    free(values);
    return sum;
}

int main(void) {
    printf("sieve %u\n", sieve(6000000));
    printf("sort %08x\n", sort(700000));
    printf("crc %08x\n", crc(4000000));
    printf("hash %016llx\n", (unsigned long long)hash_table(4000000));
    return 0;
}
