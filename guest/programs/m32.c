// A 32-bit program (gcc -m32 -static): prints what it computed; m32.expected is what a right machine prints.
#define _FILE_OFFSET_BITS 64
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUN_TIME(type, value) (*(volatile type[]){value})

static void integers(void) {
    uint32_t u = RUN_TIME(uint32_t, 0x89abcdef);
    int32_t n = RUN_TIME(int32_t, -1000003);
    int64_t wide = RUN_TIME(int64_t, -7000000000000000007);
    printf("sizes: %zu %zu %zu %zu %zu\n", sizeof(void*), sizeof(long), sizeof(long double), sizeof(time_t), sizeof(off_t));
    printf("32 bits: %" PRIx32 " %d %d %" PRIx32 " %d\n", u << 7 | u >> 25, n / 97, n % 97, __builtin_bswap32(u), __builtin_clz(u >> 9));
    printf("64 bits: %" PRId64 " %" PRId64 " %" PRIx64 " %" PRIu64 "\n", wide / 1000003, wide % 1000003, (uint64_t)wide << 13,
           (uint64_t)u * u);
    uint32_t low, high;
    __asm__("mull %3" : "=a"(low), "=d"(high) : "a"(u), "r"(u) : "cc");
    printf("mul: %08" PRIx32 "%08" PRIx32 "\n", high, low);
    unsigned char decimal = 0x38;
    __asm__("addb $0x45, %%al; daa" : "+a"(decimal) : : "cc");
    printf("daa: %02x", decimal);
    unsigned short ascii = 0x0008;
    __asm__("addb $6, %%al; aaa" : "+a"(ascii) : : "cc");
    printf(", aaa: %04x", ascii);
    ascii = 0x0007;
    __asm__("movb $9, %%cl; mulb %%cl; aam" : "+a"(ascii) : : "ecx", "cc");
    printf(", aam: %04x", ascii);
    __asm__("aad" : "+a"(ascii) : : "cc");
    printf(", aad: %04x\n", ascii);
    int bounds[2] = {1, 10};
    __asm__ volatile("bound %0, %1" : : "r"(5), "m"(*(int(*)[2])bounds));
    unsigned flags = 0;
    __asm__("pushfl; popl %0" : "=r"(flags));
    unsigned short segments[3];
    __asm__("movw %%cs, %0; movw %%ss, %1; movw %%ds, %2" : "=m"(segments[0]), "=m"(segments[1]), "=m"(segments[2]));
    printf("flags: %#x, cs %#x, ss %#x, ds %#x\n", flags & 0x202, segments[0], segments[1], segments[2]);
    // PUSHA and POPA exist in 32-bit code alone.
    unsigned before = 0x11223344, after;
    __asm__("pushal; xorl %%ecx, %%ecx; popal; movl %%ecx, %0" : "=a"(after) : "c"(before));
    printf("pusha, popa: %#x\n", after);
}

static void floating_point(void) {
    volatile double sum = RUN_TIME(double, 0.1) + 0.2, third = 1.0 / RUN_TIME(double, 3.0);
    volatile float single = RUN_TIME(float, 1.0f) / 3.0f;
    printf("double: %a %a %a %.17g\n", sum, third, (double)single, sum);
    printf("long double: %La %La %La\n", RUN_TIME(long double, 0.1L) + 0.2L, 1.0L / RUN_TIME(long double, 3.0L),
           sqrtl(RUN_TIME(long double, 2.0L)));
    printf("library: %.14g %.14g %.14g %.14g\n", sin(RUN_TIME(double, 1.0)), exp(RUN_TIME(double, 1.0)), log(RUN_TIME(double, 10.0)),
           pow(RUN_TIME(double, 2.0), 0.5));
    printf("long library: %.17Lg %.17Lg %.17Lg %.17Lg\n", sinl(RUN_TIME(long double, 1.0L)), expl(RUN_TIME(long double, 1.0L)),
           logl(RUN_TIME(long double, 10.0L)), atan2l(RUN_TIME(long double, 1.0L), -1.0L));
    printf("rounding: %g %g %ld %lld %" PRIu64 "\n", rint(RUN_TIME(double, 2.5)), floor(RUN_TIME(double, -0.5)),
           lrint(RUN_TIME(double, 3.5)), (long long)RUN_TIME(double, -1e18), (uint64_t)RUN_TIME(double, 1.8446744073709550e19));
    printf("compare: %d %d %d\n", RUN_TIME(double, 1.0) < RUN_TIME(double, 2.0), RUN_TIME(double, NAN) == RUN_TIME(double, NAN),
           isunordered(RUN_TIME(double, NAN), 1.0));
    long double series = 0;
    for (int n = 20000; n >= 1; --n) {
        series += 1.0L / n;
    }
    printf("harmonic: %La\n", series);
}

static int add_all(int count, ...) {
    va_list arguments;
    va_start(arguments, count);
    double total = 0;
    for (int i = 0; i < count; ++i) {
        total += i % 2 ? va_arg(arguments, double) : va_arg(arguments, int);
    }
    va_end(arguments);
    return (int)total;
}

static void texts(int argc, char** argv) {
    char buffer[128], copy[128];
    snprintf(buffer, sizeof buffer, "%d arguments: '%s' '%s'", argc, argv[1], argv[2]);
    memset(copy, 'x', sizeof copy);
    memmove(copy + 3, buffer, strlen(buffer) + 1);
    printf("%s %zu %d %s %ld\n", copy, strlen(copy), memcmp(copy + 3, buffer, 10), strchr(buffer, '\''), strtol("-7fff", NULL, 16));
    printf("varargs: %d\n", add_all(4, 1, 2.5, 3, 4.5));
    char* text = strdup("b,a,,c");
    for (char *part, *rest = text; (part = strsep(&rest, ",")) != NULL;) {
        printf("[%s]", part);
    }
    printf("\n");
    free(text);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static int turn;
static long counted;
static __thread int mine;
static void* take_turns(void* argument) {
    int me = (int)(intptr_t)argument;
    for (int i = 0; i < 500; ++i) {
        pthread_mutex_lock(&mutex);
        while (turn != me) {
            pthread_cond_wait(&turn_changed, &mutex);
        }
        turn = (turn + 1) % 3;
        counted += ++mine;
        pthread_cond_broadcast(&turn_changed);
        pthread_mutex_unlock(&mutex);
    }
    return (void*)(intptr_t)mine;
}

static void threads(void) {
    pthread_t crew[3];
    intptr_t total = 0;
    for (intptr_t i = 0; i < 3; ++i) {
        pthread_create(&crew[i], NULL, take_turns, (void*)i);
    }
    for (int i = 0; i < 3; ++i) {
        void* result;
        pthread_join(crew[i], &result);
        total += (intptr_t)result;
    }
    printf("threads: %ld %ld\n", counted, (long)total);
}

static sigjmp_buf escape;
static void on_signal(int number, siginfo_t* info, void* context) {
    (void)context;
    printf("signal: %d code %d at %#lx\n", number, info->si_code, number == SIGSEGV ? (unsigned long)info->si_addr : 0);
    siglongjmp(escape, 1);
}

static void system_calls(void) {
    struct utsname name;
    uname(&name);
    printf("uname: %s\n", name.sysname);
    long pid;
    __asm__ volatile("int $0x80" : "=a"(pid) : "0"(SYS_getpid) : "memory");
    printf("int 0x80: %d\n", pid == getpid());
    int fd = open("m32.file", O_RDWR | O_CREAT | O_TRUNC, 0644);
    off_t far_away = 5000000000;
    ssize_t written = pwrite(fd, "end", 3, far_away);
    struct stat status;
    fstat(fd, &status);
    printf("large file: %zd %lld\n", written, (long long)status.st_size);
    ftruncate(fd, 8192);
    pwrite(fd, "mapped", 6, 4096);
    char* map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
    printf("mmap: %.6s %d\n", map, (uintptr_t)map < 0xffffffffu);
    munmap(map, 4096);
    close(fd);
    unlink("m32.file");
    int none = open("/nowhere/at/all", O_RDONLY);
    printf("errno: %d %s\n", none, strerror(errno));
    int pipes[2];
    pipe(pipes);
    pid_t child = fork();
    if (child == 0) {
        dup2(pipes[1], 1);
        execl("/bin/sh", "sh", "-c", "echo from a 64-bit child; exit 9", (char*)NULL);
        _exit(1);
    }
    close(pipes[1]);
    char text[64] = "";
    ssize_t length = read(pipes[0], text, sizeof text - 1);
    int state;
    waitpid(child, &state, 0);
    printf("child: %.*s, status %d\n", (int)length - 1, text, WEXITSTATUS(state));
    struct timespec before, after, nap = {0, 20000000};
    clock_gettime(CLOCK_MONOTONIC, &before);
    nanosleep(&nap, NULL);
    clock_gettime(CLOCK_MONOTONIC, &after);
    int64_t slept = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
    printf("sleep: %d %d\n", slept >= 20000000, time(NULL) > 0);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    if (sigsetjmp(escape, 1) == 0) {
        *(volatile int*)RUN_TIME(uintptr_t, 0xc0de) = 1;
    }
    if (sigsetjmp(escape, 1) == 0) {
        printf("%d\n", 7 / RUN_TIME(int, 0));
    }
    if (sigsetjmp(escape, 1) == 0) {
        struct itimerval timer = {.it_value = {.tv_usec = 10000}};
        setitimer(ITIMER_REAL, &timer, NULL);
        for (;;) {
            pause();
        }
    }
}

int main(int argc, char** argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    integers();
    floating_point();
    texts(argc, argv);
    threads();
    system_calls();
    return 0;
}
