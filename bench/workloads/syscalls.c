// System calls: a ping-pong between two processes over pipes, stat, small reads and writes.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kRounds = 40000, kStats = 150000, kReads = 250000 };

static void fail(const char* what) {
    perror(what);
    exit(1);
}

static unsigned ping_pong(void) {
    int there[2], back[2];
    if (pipe(there) != 0 || pipe(back) != 0) {
        fail("pipe");
    }
    const pid_t child = fork();
    if (child < 0) {
        fail("fork");
    }
    unsigned value = 0;
    if (child == 0) {
        close(there[1]);
        while (read(there[0], &value, sizeof value) == sizeof value) {
            value = value * 3 + 1;
            if (write(back[1], &value, sizeof value) != sizeof value) {
                _exit(1);
            }
        }
        _exit(0);
    }
    close(there[0]);
    for (int i = 0; i < kRounds; ++i) {
        if (write(there[1], &value, sizeof value) != sizeof value || read(back[0], &value, sizeof value) != sizeof value) {
            fail("pipe");
        }
    }
    close(there[1]);
    waitpid(child, NULL, 0);
    return value;
}

int main(int argc, char** argv) {
    if (argc != 2) {
        return 2;
    }
    printf("ping-pong %u\n", ping_pong());
    struct stat status;
    unsigned long sum = 0;
    for (int i = 0; i < kStats; ++i) {
        if (stat(argv[1], &status) != 0) {
            fail("stat");
        }
        sum += status.st_mode;
    }
    printf("stat %lu\n", sum);
    const int file = open(argv[1], O_RDONLY);
    const int null = open("/dev/null", O_WRONLY);
    char buffer[64];
    sum = 0;
    for (int i = 0; i < kReads; ++i) {
        const ssize_t got = pread(file, buffer, sizeof buffer, i % 256);
        if (got <= 0 || write(null, buffer, (size_t)got) != got) {
            fail("read");
        }
        sum += (unsigned char)buffer[0];
    }
    printf("read %lu\n", sum);
    return 0;
}
