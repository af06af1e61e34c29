// What the node tests run inside the guest, one program for all: /guest-program VERB ARGUMENT...
//
//   write DIR        appends records to DIR/synced, each with fsync, and to DIR/unsynced, without, for ever; says
//                    "synced N" when the Nth is safe and "wrote N" when the Nth is written
//   verify DIR       counts the whole records at the start of both: "synced N unsynced N"
//   threads N        N threads append to one log without a lock; prints a digest of who came when
//   spin             counts as fast as it can for 100 ms of CLOCK_MONOTONIC and says how far it got
//   clocks           CLOCK_MONOTONIC, CLOCK_REALTIME and the TSC, in nanoseconds, once
//   ticks N MS       sleeps N times MS milliseconds and says when it woke
//   disk PATH N      N times: writes 4 KiB with O_DIRECT, fsync, reads it back; says how long each took and what failed
//   pages PATH       says whether the 256 KiB page in the file is whole (of one write) or torn, then overwrites it with
//                    O_DIRECT and fdatasync, for ever
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

enum { kHeader = 16, kRecordMax = 4096 };

static _Noreturn void die(const char* what) {
    printf("guest-program: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static long long now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

// ---- Records ----

// Record `number`: its size (16 bytes to 3 KiB), its number, a checksum, then bytes that follow from the number.
static size_t make_record(uint64_t number, uint8_t* out) {
    size_t size = kHeader + mix(number) % 3000;
    uint64_t sum = number;
    for (size_t i = kHeader; i < size; ++i) {
        out[i] = (uint8_t)(mix(number * 4096 + i) & 0xFF);
        sum = mix(sum + out[i]);
    }
    memcpy(out, &number, 8);
    memcpy(out + 8, &sum, 8);
    return size;
}

static void append(int fd, uint64_t number) {
    uint8_t record[kRecordMax];
    size_t size = make_record(number, record);
    if (write(fd, record, size) != (ssize_t)size) {
        die("write");
    }
}

static int open_in(const char* folder, const char* name, int flags) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, flags, 0644);
    return fd;
}

static void set_value(const char* path, const char* value) {
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, value, strlen(value)) < 0) {
        die(path);
    }
    close(fd);
}

static _Noreturn void write_records(const char* folder) {
    // So that unsynced records reach the disk by themselves now and then, within the life of a test.
    set_value("/proc/sys/vm/dirty_writeback_centisecs", "1");
    set_value("/proc/sys/vm/dirty_expire_centisecs", "1");
    int synced = open_in(folder, "synced", O_WRONLY | O_CREAT | O_APPEND);
    int unsynced = open_in(folder, "unsynced", O_WRONLY | O_CREAT | O_APPEND);
    int directory = open(folder, O_RDONLY | O_DIRECTORY);
    if (synced < 0 || unsynced < 0 || directory < 0 || fsync(directory) != 0) {
        die("open");
    }
    for (uint64_t number = 1;; ++number) {
        append(unsynced, number);
        printf("wrote %llu\n", (unsigned long long)number);
        append(synced, number);
        if (fsync(synced) != 0) {
            die("fsync");
        }
        printf("synced %llu\n", (unsigned long long)number);
    }
}

static uint64_t count_records(int fd) {
    uint64_t number = 0;
    uint8_t expected[kRecordMax];
    uint8_t found[kRecordMax];
    for (;;) {
        size_t size = make_record(number + 1, expected);
        if (read(fd, found, size) != (ssize_t)size || memcmp(found, expected, size) != 0) {
            return number;
        }
        ++number;
    }
}

static int verify_records(const char* folder) {
    int synced = open_in(folder, "synced", O_RDONLY);
    int unsynced = open_in(folder, "unsynced", O_RDONLY);
    printf("verified synced %llu unsynced %llu\n", synced < 0 ? 0ULL : (unsigned long long)count_records(synced),
           unsynced < 0 ? 0ULL : (unsigned long long)count_records(unsynced));
    return 0;
}

// ---- Threads ----

enum { kLog = 16 << 20, kSteps = 1000000 };
static _Atomic unsigned g_next;
static uint8_t g_log[kLog];

static void* log_steps(void* name) {
    for (int i = 0; i < kSteps; ++i) {
        unsigned at = g_next;  // not atomic with the store below, on purpose: a lost update shows a preemption
        g_log[at % kLog] = (uint8_t)(uintptr_t)name;
        g_next = at + 1;
    }
    return NULL;
}

static int run_threads(int count) {
    pthread_t threads[16];
    for (int i = 0; i < count; ++i) {
        pthread_create(&threads[i], NULL, log_steps, (void*)(uintptr_t)(i + 1));
    }
    for (int i = 0; i < count; ++i) {
        pthread_join(threads[i], NULL);
    }
    uint64_t digest = g_next;
    int switches = 0;
    for (unsigned i = 0; i < g_next; ++i) {
        if (i > 0 && g_log[i] != g_log[i - 1]) {
            digest = mix(digest + i * 16ULL + g_log[i]);
            ++switches;
        }
    }
    printf("interleaving %016llx steps %u lost %u switches %d\n", (unsigned long long)digest, g_next,
           (unsigned)count * kSteps - g_next, switches);
    return 0;
}

// ---- Clocks ----

static int spin(void) {
    long long end = now_ns(CLOCK_MONOTONIC) + 100000000;
    unsigned long long rounds = 0;
    while (now_ns(CLOCK_MONOTONIC) < end) {
        ++rounds;
    }
    printf("spun %llu\n", rounds);
    return 0;
}

static int show_clocks(void) {
    printf("monotonic %lld realtime %lld tsc %llu\n", now_ns(CLOCK_MONOTONIC), now_ns(CLOCK_REALTIME),
           (unsigned long long)__rdtsc());
    return 0;
}

static int tick(int count, int ms) {
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000L};
    printf("tick 0 %lld\n", now_ns(CLOCK_MONOTONIC));
    for (int i = 1; i <= count; ++i) {
        nanosleep(&pause, NULL);
        printf("tick %d %lld\n", i, now_ns(CLOCK_MONOTONIC));
    }
    return 0;
}

// ---- Disk ----

static int use_disk(const char* path, int count) {
    static uint8_t bytes[4096] __attribute__((aligned(4096)));
    int fd = open(path, O_RDWR | O_CREAT | O_DIRECT, 0644);
    if (fd < 0) {
        die(path);
    }
    for (int i = 0; i < count; ++i) {
        long long start = now_ns(CLOCK_MONOTONIC);
        memset(bytes, (int)(start / 1024), sizeof bytes);  // another value each time
        int write_error = pwrite(fd, bytes, sizeof bytes, i * 4096L) == sizeof bytes ? 0 : errno;
        long long written = now_ns(CLOCK_MONOTONIC);
        int sync_error = fsync(fd) == 0 ? 0 : errno;
        long long synced = now_ns(CLOCK_MONOTONIC);
        int read_error = pread(fd, bytes, sizeof bytes, i * 4096L) == sizeof bytes ? 0 : errno;
        long long end = now_ns(CLOCK_MONOTONIC);
        printf("write %d %lld sync %d %lld read %d %lld\n", write_error, written - start, sync_error, synced - written,
               read_error, end - synced);
    }
    return 0;
}

static _Noreturn void write_pages(const char* path) {
    enum { kPage = 256 * 1024 };
    static uint8_t page[kPage] __attribute__((aligned(4096)));
    int fd = open(path, O_RDWR | O_CREAT | O_DIRECT, 0644);
    if (fd < 0) {
        die(path);
    }
    if (pread(fd, page, kPage, 0) == kPage) {
        int whole = memcmp(page, page + 1, kPage - 1) == 0;
        printf("page %s %d %d\n", whole ? "whole" : "torn", page[0], page[kPage - 1]);
    }
    for (int value = 1;; value = value % 255 + 1) {
        memset(page, value, kPage);
        if (pwrite(fd, page, kPage, 0) != kPage || fdatasync(fd) != 0) {
            die("write");
        }
        if (value == 1) {
            printf("page begun\n");
        }
    }
}

int main(int count, char** words) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char* verb = count > 1 ? words[1] : "";
    if (strcmp(verb, "write") == 0 && count == 3) {
        write_records(words[2]);
    }
    if (strcmp(verb, "verify") == 0 && count == 3) {
        return verify_records(words[2]);
    }
    if (strcmp(verb, "threads") == 0 && count == 3) {
        return run_threads(atoi(words[2]));
    }
    if (strcmp(verb, "spin") == 0) {
        return spin();
    }
    if (strcmp(verb, "clocks") == 0) {
        return show_clocks();
    }
    if (strcmp(verb, "ticks") == 0 && count == 4) {
        return tick(atoi(words[2]), atoi(words[3]));
    }
    if (strcmp(verb, "disk") == 0 && count == 4) {
        return use_disk(words[2], atoi(words[3]));
    }
    if (strcmp(verb, "pages") == 0 && count == 3) {
        write_pages(words[2]);
    }
    printf("guest-program: give a verb\n");
    return 2;
}
