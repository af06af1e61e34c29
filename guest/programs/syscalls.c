// System calls that shells and languages seldom make; exits with 0 if all do what they should, and says which do not.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int failures;
static void check(const char* what, int good) {
    if (!good) {
        printf("wrong: %s (errno %d: %s)\n", what, errno, strerror(errno));
        ++failures;
    }
    errno = 0;
}

static void event_files(void) {
    int poller = epoll_create1(0), event = eventfd(0, EFD_NONBLOCK), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct epoll_event interest = {.events = EPOLLIN, .data.fd = event}, ready[4];
    check("epoll_ctl", epoll_ctl(poller, EPOLL_CTL_ADD, event, &interest) == 0);
    interest.data.fd = timer;
    check("epoll_ctl timer", epoll_ctl(poller, EPOLL_CTL_ADD, timer, &interest) == 0);
    check("epoll_wait without events", epoll_wait(poller, ready, 4, 0) == 0);
    uint64_t value = 5;
    check("eventfd write", write(event, &value, 8) == 8);
    check("epoll_wait", epoll_wait(poller, ready, 4, 1000) == 1 && ready[0].data.fd == event);
    check("eventfd read", read(event, &value, 8) == 8 && value == 5);
    struct itimerspec when = {.it_value = {.tv_nsec = 5000000}, .it_interval = {.tv_nsec = 5000000}};
    check("timerfd_settime", timerfd_settime(timer, 0, &when, NULL) == 0);
    check("epoll_wait timer", epoll_wait(poller, ready, 4, 10000) == 1 && ready[0].data.fd == timer);
    check("timerfd read", read(timer, &value, 8) == 8 && value >= 1);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    int signals = signalfd(-1, &mask, 0);
    kill(getpid(), SIGUSR1);
    struct signalfd_siginfo info;
    check("signalfd", read(signals, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1);
    int watch = inotify_init1(0);
    char buffer[512];
    check("inotify_add_watch", inotify_add_watch(watch, ".", IN_CREATE) >= 0);
    close(open("noticed", O_CREAT | O_WRONLY, 0600));
    check("inotify", read(watch, buffer, sizeof buffer) > 0 && strcmp(((struct inotify_event*)buffer)->name, "noticed") == 0);
    unlink("noticed");
}

static void memory(void) {
    int fd = memfd_create("memory", MFD_ALLOW_SEALING);
    check("memfd", ftruncate(fd, 4096) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0 && ftruncate(fd, 0) < 0 && errno == EPERM);
    char* page = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[0] = 1;
    check("mprotect", mprotect(page + 4096, 4096, PROT_NONE) == 0);
    check("EFAULT", write(eventfd(0, 0), page + 4096, 8) < 0 && errno == EFAULT);
    check("mremap", (page = mremap(page, 4096, 8 * 4096, MREMAP_MAYMOVE)) != MAP_FAILED && page[0] == 1);
    check("madvise", madvise(page, 4096, MADV_DONTNEED) == 0 && page[0] == 0);
    unsigned char resident[8];
    check("mincore", mincore(page, 8 * 4096, resident) == 0 && (resident[0] & 1) == 1);
    char* huge = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check("transparent huge pages", madvise(huge, 4 << 20, MADV_HUGEPAGE) == 0);
    memset(huge, 7, 4 << 20);
    check("huge page content", huge[3 << 20] == 7);
    int faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    struct uffdio_api api = {.api = UFFD_API};
    check("userfaultfd", faults >= 0 && ioctl(faults, UFFDIO_API, &api) == 0);
}

static void* wake(void* word) {
    struct timespec nap = {0, 5000000};
    nanosleep(&nap, NULL);
    *(volatile int*)word = 1;
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
    return NULL;
}

static void futexes(void) {
    int word = 0;
    struct timespec limit = {0, 1000000};
    check("futex time limit", syscall(SYS_futex, &word, FUTEX_WAIT, 0, &limit, NULL, 0) < 0 && errno == ETIMEDOUT);
    check("futex EAGAIN", syscall(SYS_futex, &word, FUTEX_WAIT, 1, NULL, NULL, 0) < 0 && errno == EAGAIN);
    pthread_t other;
    pthread_create(&other, NULL, wake, &word);
    while (word == 0) {
        syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
    }
    pthread_join(other, NULL);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_t mutex;
    pthread_mutex_init(&mutex, &attributes);
    check("a robust mutex with priority inheritance", pthread_mutex_lock(&mutex) == 0 && pthread_mutex_unlock(&mutex) == 0);
    check("membarrier", syscall(SYS_membarrier, 0, 0, 0) >= 0);
}

static void io_uring(void) {
    struct io_uring_params p = {0};
    int ring = (int)syscall(SYS_io_uring_setup, 4, &p);
    check("io_uring_setup", ring >= 0);
    if (ring < 0) {
        return;
    }
    char* sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    char* cq = p.features & IORING_FEAT_SINGLE_MMAP ? sq : NULL;
    size_t cq_size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    if (cq == NULL || cq_size > p.sq_off.array + p.sq_entries * 4) {
        cq = mmap(NULL, cq_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
    }
    struct io_uring_sqe* entries = mmap(NULL, p.sq_entries * sizeof *entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    int fd = open("ring", O_RDWR | O_CREAT | O_TRUNC, 0600);
    memset(entries, 0, 2 * sizeof *entries);
    entries[0] = (struct io_uring_sqe){.opcode = IORING_OP_WRITE, .flags = IOSQE_IO_LINK, .fd = fd, .addr = (uintptr_t) "by ring", .len = 7, .user_data = 1};
    entries[1] = (struct io_uring_sqe){.opcode = IORING_OP_FSYNC, .fd = fd, .user_data = 2};
    unsigned* array = (unsigned*)(sq + p.sq_off.array);
    array[0] = 0;
    array[1] = 1;
    __atomic_store_n((unsigned*)(sq + p.sq_off.tail), 2, __ATOMIC_RELEASE);
    check("io_uring_enter", syscall(SYS_io_uring_enter, ring, 2, 2, IORING_ENTER_GETEVENTS, NULL, 0) == 2);
    struct io_uring_cqe* done = (struct io_uring_cqe*)(cq + p.cq_off.cqes);
    check("completions", done[0].user_data == 1 && done[0].res == 7 && done[1].user_data == 2 && done[1].res == 0);
    char text[8] = "";
    check("what the ring wrote", pread(fd, text, 7, 0) == 7 && strcmp(text, "by ring") == 0);
    unlink("ring");
}

static void filters(void) {
    pid_t child = fork();
    if (child == 0) {
        struct sock_filter code[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {sizeof code / sizeof code[0], code};
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
            _exit(1);
        }
        _exit(syscall(SYS_getppid) == -1 && errno == 77 ? 42 : 2);
    }
    int status;
    waitpid(child, &status, 0);
    check("seccomp", WIFEXITED(status) && WEXITSTATUS(status) == 42);
    union bpf_attr map = {.map_type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 8, .max_entries = 16};
    int fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map);
    check("bpf map", fd >= 0);
    uint32_t key = 1;
    uint64_t value = 99, back = 0;
    union bpf_attr element = {.map_fd = (uint32_t)fd, .key = (uintptr_t)&key, .value = (uintptr_t)&value};
    check("bpf update", syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &element, sizeof element) == 0);
    element.value = (uintptr_t)&back;
    check("bpf lookup", syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &element, sizeof element) == 0 && back == 99);
}

// A traced child, stepped over a few instructions and written into.
static void tracing(void) {
    pid_t child = fork();
    if (child == 0) {
        volatile int answer = 1;
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        for (volatile int i = 0; i < 1000; ++i) {
        }
        _exit(answer);
    }
    int status;
    waitpid(child, &status, 0);
    struct user_regs_struct registers;
    int steps = 0;
    while (steps < 200 && ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0 && waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        ++steps;
    }
    check("single steps", steps == 200 && ptrace(PTRACE_GETREGS, child, NULL, &registers) == 0 && registers.rip != 0);
    static volatile int watched;
    pid_t writer;
    ptrace(PTRACE_KILL, child, NULL, NULL);
    waitpid(child, &status, 0);
    if ((writer = fork()) == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        watched = 5;
        _exit(0);
    }
    waitpid(writer, &status, 0);
    // A hardware watchpoint: DR0 holds the address, DR7 enables a 4-byte write watch.
    check("DR0", ptrace(PTRACE_POKEUSER, writer, offsetof(struct user, u_debugreg[0]), &watched) == 0);
    check("DR7", ptrace(PTRACE_POKEUSER, writer, offsetof(struct user, u_debugreg[7]), 0xd0001L) == 0);
    ptrace(PTRACE_CONT, writer, NULL, NULL);
    waitpid(writer, &status, 0);
    check("watchpoint", WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP &&
                            (ptrace(PTRACE_PEEKUSER, writer, offsetof(struct user, u_debugreg[6]), NULL) & 1) == 1);
    ptrace(PTRACE_CONT, writer, NULL, NULL);
    waitpid(writer, &status, 0);
    check("the writer ends", WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void on_timer(int number) { (void)number; }
static sigjmp_buf refused;
static void on_refusal(int number) {
    (void)number;
    siglongjmp(refused, 1);
}

static void timers_and_queues(void) {
    signal(SIGUSR2, on_timer);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    struct itimerspec when = {.it_value = {.tv_nsec = 3000000}};
    check("timer_create", timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &when, NULL) == 0);
    struct timespec nap = {20, 0};
    check("the timer interrupts a sleep", nanosleep(&nap, NULL) < 0 && errno == EINTR);
    timer_delete(timer);
    struct timespec start, cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    for (volatile int i = 0; i < 1000000; ++i) {
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    check("CPU time runs", cpu.tv_sec > start.tv_sec || cpu.tv_nsec > start.tv_nsec);
    struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 64};
    mqd_t queue = mq_open("/check", O_CREAT | O_RDWR, 0600, &attributes);
    char text[64];
    unsigned priority = 0;
    check("mq_send", queue >= 0 && mq_send(queue, "low", 4, 1) == 0 && mq_send(queue, "high", 5, 9) == 0);
    check("mq_receive", mq_receive(queue, text, sizeof text, &priority) == 5 && priority == 9 && strcmp(text, "high") == 0);
    mq_unlink("/check");
    struct sched_param param = {.sched_priority = 1};
    check("SCHED_FIFO", sched_setscheduler(0, SCHED_FIFO, &param) == 0 && sched_getscheduler(0) == SCHED_FIFO);
    param.sched_priority = 0;
    sched_setscheduler(0, SCHED_OTHER, &param);
    int allowed = ioperm(0x80, 1, 1) == 0;
    check("ioperm", allowed);
    if (allowed) {
        outb(0x5a, 0x80);
        ioperm(0x80, 1, 0);
        if (sigsetjmp(refused, 1) == 0) {
            signal(SIGSEGV, on_refusal);
            outb(0x5a, 0x80);
            check("a port taken away is refused", 0);
        }
        signal(SIGSEGV, SIG_DFL);
    }
}

static void descriptor_passing(void) {
    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    int fd = memfd_create("passed", 0);
    write(fd, "through a socket", 16);
    char control[CMSG_SPACE(sizeof(int))] = {0}, byte = 'x';
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    check("sendmsg", sendmsg(pair[0], &message, 0) == 1);
    close(fd);
    memset(control, 0, sizeof control);
    check("recvmsg", recvmsg(pair[1], &message, 0) == 1);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    char text[17] = "";
    check("the passed descriptor", pread(fd, text, 16, 0) == 16 && strcmp(text, "through a socket") == 0);
    int from = memfd_create("from", 0), to = memfd_create("to", 0);
    write(from, text, 16);
    loff_t at = 0;
    check("copy_file_range", copy_file_range(from, &at, to, NULL, 16, 0) == 16);
    check("vmsplice, tee, splice", pipe(pair) == 0 && splice(from, (at = 0, &at), pair[1], NULL, 16, 0) == 16 &&
                                      read(pair[0], text, 16) == 16);
    check("pidfd_open", syscall(SYS_pidfd_open, getpid(), 0) >= 0);
    check("getrandom", syscall(SYS_getrandom, text, 16, 0) == 16);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    event_files();
    memory();
    futexes();
    io_uring();
    filters();
    tracing();
    timers_and_queues();
    descriptor_passing();
    return failures != 0;
}
