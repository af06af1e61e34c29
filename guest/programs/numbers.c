// Computes, and prints what it computed; numbers.expected is what a right machine prints. Only operations whose result
// IEEE 754 or the C standard fixes are printed in full; library functions that may be off in the last place are
// rounded to fewer digits.
#include <fenv.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// Keeps the compiler from computing at compile time.
#define RUN_TIME(type, value) (*(volatile type[]){value})

static void doubles(void) {
    double tenth = RUN_TIME(double, 0.1), three = RUN_TIME(double, 3.0), huge = RUN_TIME(double, DBL_MAX);
    double tiny = RUN_TIME(double, 5e-324), zero = RUN_TIME(double, 0.0);
    volatile double sum = tenth + 0.2, third = 1.0 / three, product = third * three, over = huge * 2;
    printf("double: %a %a %a %.17g %a\n", sum, third, product, sum, sqrt(RUN_TIME(double, 2.0)));
    printf("edges: %a %g %g %g %a %d\n", tiny, over, -1 / zero, tiny / 2, nextafter(1.0, 2.0), zero / zero == zero / zero);
    printf("round: %g %g %g %g %g %ld\n", rint(RUN_TIME(double, 2.5)), round(RUN_TIME(double, 2.5)), floor(-0.5),
           ceil(RUN_TIME(double, -0.5)), trunc(RUN_TIME(double, -7.9)), lrint(RUN_TIME(double, -3.5)));
    printf("fmod, fma: %a %a %a\n", fmod(RUN_TIME(double, 1e17), 7.0), fma(tenth, 10.0, -1.0), remainder(RUN_TIME(double, 29.0), 3.0));
    printf("convert: %d %u %" PRId64 " %" PRIu64 " %g %a\n", (int)RUN_TIME(double, -2147483648.9), (unsigned)RUN_TIME(double, 4294967295.0),
           (int64_t)RUN_TIME(double, -9.2233720368547748e18), (uint64_t)RUN_TIME(double, 1.8446744073709550e19),
           (double)RUN_TIME(uint64_t, UINT64_MAX), (double)RUN_TIME(float, 0.1f));
    volatile float f = RUN_TIME(float, 16777216.0f) + 1.0f, g = RUN_TIME(float, 1.0f) / 3.0f, root = sqrtf(RUN_TIME(float, 2.0f));
    printf("float: %.9g %a %a\n", (double)f, (double)g, (double)root);
    printf("library: %.13g %.13g %.13g %.13g %.13g %.13g\n", sin(RUN_TIME(double, 1.0)), exp(RUN_TIME(double, 1.0)),
           log(RUN_TIME(double, 10.0)), pow(RUN_TIME(double, 2.0), 0.5), atan2(RUN_TIME(double, 1.0), -1.0), sin(RUN_TIME(double, 1e22)));
    int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    for (int i = 0; i < 4; ++i) {
        fesetround(modes[i]);
        volatile double up = RUN_TIME(double, 1.0) / RUN_TIME(double, 3.0), down = RUN_TIME(double, -1.0) / RUN_TIME(double, 3.0);
        volatile long double wide = RUN_TIME(long double, 1.0L) / RUN_TIME(long double, 3.0L);
        volatile double inexact_integer = rint(RUN_TIME(double, -1.5));
        fesetround(FE_TONEAREST);
        printf("mode %d: %a %a %La %g\n", i, up, down, wide, inexact_integer);
    }
    feclearexcept(FE_ALL_EXCEPT);
    volatile double one_third = RUN_TIME(double, 1.0) / RUN_TIME(double, 3.0);
    int after_third = fetestexcept(FE_ALL_EXCEPT);
    volatile double infinite = RUN_TIME(double, 1.0) / RUN_TIME(double, 0.0);
    int after_division = fetestexcept(FE_ALL_EXCEPT);
    volatile double not_a_number = RUN_TIME(double, 0.0) * infinite;
    printf("exceptions: %d %d %d\n", after_third == FE_INEXACT, after_division == (FE_INEXACT | FE_DIVBYZERO),
           fetestexcept(FE_INVALID) == FE_INVALID);
    feclearexcept(FE_ALL_EXCEPT);
    (void)one_third;
    (void)not_a_number;
}

static void long_doubles(void) {
    long double tenth = RUN_TIME(long double, 0.1L), three = RUN_TIME(long double, 3.0L);
    printf("long double: %La %La %La\n", tenth, 1.0L / three, tenth + RUN_TIME(long double, 0.2L));
    printf("sqrtl: %La %.20Lg\n", sqrtl(RUN_TIME(long double, 2.0L)), sqrtl(RUN_TIME(long double, 2.0L)));
    printf("limits: %La %La %La %d %d\n", LDBL_MAX, LDBL_MIN, RUN_TIME(long double, 3.6451995318824746025e-4951L), LDBL_MANT_DIG, LDBL_MAX_EXP);
    printf("over, under: %Lg %La\n", RUN_TIME(long double, LDBL_MAX) * 2, RUN_TIME(long double, LDBL_MIN) / 4);
    printf("integers: %" PRId64 " %.0Lf %.0Lf %lld\n", (int64_t)RUN_TIME(long double, -9223372036854775807.0L),
           (long double)RUN_TIME(uint64_t, UINT64_MAX), RUN_TIME(long double, 9007199254740993.0L), llrintl(RUN_TIME(long double, 2.5L)));
    printf("narrow: %a %a\n", (double)tenth, (double)(float)tenth);
    printf("fmodl: %La %La\n", fmodl(RUN_TIME(long double, 1e30L), 7.0L), remainderl(RUN_TIME(long double, 29.0L), 3.0L));
    printf("parts: %La %La %Lg\n", scalbnl(RUN_TIME(long double, 1.5L), -16000), logbl(RUN_TIME(long double, 1e4000L)),
           frexpl(RUN_TIME(long double, 48.0L), (int[1]){0}));
    long double series = 0;
    for (int n = 100000; n >= 1; --n) {
        series += 1.0L / n;
    }
    printf("harmonic: %La\n", series);
    printf("library: %.17Lg %.17Lg %.17Lg %.17Lg\n", sinl(RUN_TIME(long double, 1.0L)), expl(RUN_TIME(long double, 1.0L)),
           logl(RUN_TIME(long double, 10.0L)), powl(RUN_TIME(long double, 2.0L), 0.5L));
    printf("library: %.17Lg %.17Lg %.17Lg %.17Lg\n", atan2l(RUN_TIME(long double, 1.0L), -1.0L), tanhl(RUN_TIME(long double, 0.5L)),
           log2l(RUN_TIME(long double, 10.0L)), cbrtl(RUN_TIME(long double, 2.0L)));
    printf("text: %La %.21Lg %d\n", strtold("1.18973149535723176502e+4932", NULL), strtold("0.1", NULL),
           strtold("1e5000", NULL) == HUGE_VALL);
}

// The x87 by hand: what compilers seldom write.
static void x87_by_hand(void) {
    unsigned short control;
    __asm__ volatile("fnstcw %0" : "=m"(control));
    double result, angle = 0.5;
    __asm__ volatile("fldl %1; fsin; fstpl %0" : "=m"(result) : "m"(angle));
    printf("x87: control %#x, fsin %.15g", control, result);
    __asm__ volatile("fldl %1; fptan; fstp %%st(0); fstpl %0" : "=m"(result) : "m"(angle));
    printf(", fptan %.15g", result);
    __asm__ volatile("fldln2; fldl %1; fyl2x; fstpl %0" : "=m"(result) : "m"(angle));
    printf(", fyl2x %.15g", result);
    __asm__ volatile("fldl %1; f2xm1; fstpl %0" : "=m"(result) : "m"(angle));
    printf(", f2xm1 %.15g", result);
    unsigned char decimal[10];
    long double big = -123456789012345678.0L;
    __asm__ volatile("fldt %1; fbstp %0" : "=m"(decimal) : "m"(big));
    printf(", fbstp ");
    for (int i = 9; i >= 0; --i) {
        printf("%02x", decimal[i]);
    }
    unsigned short status;
    double seven = 7.5, again = 7.5, two = 2.0;
    __asm__ volatile("fldl %2; fldl %1; fprem; fnstsw %0; fstpl %1; fstp %%st(0)" : "=m"(status), "+m"(seven) : "m"(two));
    __asm__ volatile("fldl %1; fldl %0; fprem1; fstpl %0; fstp %%st(0)" : "+m"(again) : "m"(two));
    printf(", fprem %g quotient %d, fprem1 %g\n", seven, (status >> 8 & 1) << 2 | (status >> 14 & 1) << 1 | (status >> 9 & 1),
           again);
}

static void integers(void) {
    int64_t n = RUN_TIME(int64_t, -7000000000000000007);
    uint64_t u = RUN_TIME(uint64_t, 0xfedcba9876543210u);
    __int128 wide = (__int128)n * n;
    printf("integers: %" PRId64 " %" PRId64 " %" PRIx64 " %" PRIx64 "%016" PRIx64 "\n", n / 1000003, n % 1000003, u << 13 | u >> 51,
           (uint64_t)(wide >> 64), (uint64_t)wide);
    printf("128 bits: %" PRIu64 " %" PRIu64 "\n", (uint64_t)(wide / 1000000007), (uint64_t)(wide % 1000000007));
    printf("bits: %d %d %d %" PRIx64 " %d\n", __builtin_popcountll(u), __builtin_clzll(u >> 5), __builtin_ctzll(u), __builtin_bswap64(u),
           __builtin_parityll(u));
    uint32_t crc = ~0u;
    for (const char* p = "123456789"; *p; ++p) {
        crc ^= (unsigned char)*p;
        for (int i = 0; i < 8; ++i) {
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        }
    }
    uint64_t state = 88172645463325252u, sum = 0;
    for (int i = 0; i < 1000000; ++i) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        sum += state >> 40;
    }
    printf("crc %x, xorshift %016" PRIx64 " %" PRIu64 "\n", ~crc, state, sum);
}

static double matrix[64][64], inverse[64][64];
static void linear_algebra(void) {
    // The inverse of the 8 x 8 Hilbert matrix has integer entries; Gauss-Jordan in long double comes near them.
    long double a[8][16];
    for (int i = 0; i < 8; ++i) {
        for (int j = 0; j < 8; ++j) {
            a[i][j] = 1.0L / (i + j + 1);
            a[i][j + 8] = i == j;
        }
    }
    for (int k = 0; k < 8; ++k) {
        long double pivot = a[k][k];
        for (int j = 0; j < 16; ++j) {
            a[k][j] /= pivot;
        }
        for (int i = 0; i < 8; ++i) {
            long double factor = a[i][k];
            for (int j = 0; i != k && j < 16; ++j) {
                a[i][j] -= factor * a[k][j];
            }
        }
    }
    printf("hilbert: %.0Lf %.0Lf %.0Lf\n", a[0][8], a[7][15], a[5][14]);
    // Exact in double: small integers.
    for (int i = 0; i < 64; ++i) {
        for (int j = 0; j < 64; ++j) {
            matrix[i][j] = (i * 31 + j * 17) % 23 - 11;
        }
    }
    double trace = 0;
    for (int i = 0; i < 64; ++i) {
        for (int j = 0; j < 64; ++j) {
            for (int k = 0; k < 64; ++k) {
                inverse[i][j] += matrix[i][k] * matrix[k][j];
            }
        }
        trace += inverse[i][i];
    }
    printf("matrix: %g %g %g\n", trace, inverse[0][63], inverse[63][1]);
}

static jmp_buf escape;
static volatile sig_atomic_t got, alternate;
static char signal_stack[65536];
static void on_fault(int number, siginfo_t* info, void* context) {
    char here;
    (void)context;
    got = number * 1000 + info->si_code;
    alternate = &here >= signal_stack && &here < signal_stack + sizeof signal_stack;
    siglongjmp(escape, 1);
}

static void signals(void) {
    sigaltstack(&(stack_t){.ss_sp = signal_stack, .ss_size = sizeof signal_stack}, NULL);
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    int numbers[] = {SIGSEGV, SIGFPE, SIGILL, SIGTRAP};
    for (int i = 0; i < 4; ++i) {
        sigaction(numbers[i], &action, NULL);
    }
    for (volatile int i = 0; i < 5; ++i) {
        if (sigsetjmp(escape, 1) == 0) {
            if (i == 0) *(volatile int*)RUN_TIME(uintptr_t, 8) = 1;
            if (i == 1) printf("%d\n", 7 / RUN_TIME(int, 0));
            if (i == 2) __asm__ volatile("ud2");
            if (i == 3) __asm__ volatile("int3");
            if (i == 4) *(volatile char*)(uintptr_t)signals = 0;  // the program's text is read-only
        }
        printf("signal: %d code %d, on its own stack %d\n", (int)got / 1000, (int)got % 1000, (int)alternate);
    }
}

static atomic_long counter;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long guarded;
static __thread long mine;
static void* count(void* argument) {
    for (int i = 0; i < 20000; ++i) {
        atomic_fetch_add(&counter, 1);
        pthread_mutex_lock(&mutex);
        ++guarded;
        pthread_mutex_unlock(&mutex);
        ++mine;
    }
    return (void*)((intptr_t)argument * mine);
}

static void threads(void) {
    pthread_t crew[4];
    long total = 0;
    for (intptr_t i = 0; i < 4; ++i) {
        pthread_create(&crew[i], NULL, count, (void*)i);
    }
    for (int i = 0; i < 4; ++i) {
        void* result;
        pthread_join(crew[i], &result);
        total += (intptr_t)result;
    }
    printf("threads: %ld %ld %ld\n", atomic_load(&counter), guarded, total);
}

static int by_value(const void* a, const void* b) {
    return *(const int*)a < *(const int*)b ? -1 : *(const int*)a > *(const int*)b;
}

static void library(void) {
    static int values[20000];
    uint32_t state = 1;
    for (int i = 0; i < 20000; ++i) {
        state = state * 1664525u + 1013904223u;
        values[i] = (int)(state >> 8);
    }
    qsort(values, 20000, sizeof values[0], by_value);
    int sorted = 1;
    for (int i = 1; i < 20000; ++i) {
        sorted &= values[i - 1] <= values[i];
    }
    char text[256];
    snprintf(text, sizeof text, "%-8s|%+.3e|%#o|%5.1f%%|%*d", "left", 12345.678, 511, 99.95, 6, 42);
    struct tm tm;
    time_t when = 951782399;
    gmtime_r(&when, &tm);
    char date[64];
    strftime(date, sizeof date, "%F %T %a", &tm);
    printf("library: %d %d %s %s\n", sorted, values[10000], text, date);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    doubles();
    long_doubles();
    x87_by_hand();
    integers();
    linear_algebra();
    signals();
    threads();
    library();
    return 0;
}
