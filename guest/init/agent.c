// The agent: what a node of a cluster runs as its first process. It waits on the channel, /dev/hvc1, for an identity,
// becomes that node, runs its command and does what else is asked.
//
// Lines of text, ended by \n. TEXT is escaped: \\ for a backslash, \n for a newline, \r for a carriage return.
//
//   to the guest, in any order, `go` last           from the guest
//     hostname NAME                                   ready              waits for the identity
//     mac 02:00:00:00:00:01      (eth0)               started            after `go`: the command runs, or there is none
//     address A.B.C.D/BITS       (eth0)               exited STATUS      the command ended
//     gateway A.B.C.D                                 killed SIGNAL
//     host A.B.C.D NAME...       (/etc/hosts)         error TEXT         the identity could not be taken on
//     env NAME=TEXT                                 later, for each ID
//     mount DEVICE PATH TYPE                          out ID TEXT        a line of what `run` wrote
//     seed HEX                   (random numbers)     done ID STATUS     0: done; 128+N: killed by signal N; for verbs
//     date SECONDS.NANOSECONDS   (since 1970)                            other than `run` an errno
//     command TEXT               (for /bin/sh -c)
//     go
//   later
//     run ID TEXT                a command, its output to the channel
//     clock ID NANOSECONDS       steps the wall clock (CLOCK_REALTIME) alone, forward or back
//     fill ID PATH               leaves no free space in the file system at PATH; unfill ID PATH gives it back
//     stop                       an orderly end
//
// Before `go` nothing on a disk has been looked at when init runs from an initramfs: one machine waiting there can be
// made into many, with other disks. After it, what tells machines apart has come with the identity.
#define _GNU_SOURCE
#include "agent_disk.h"
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
    kLineMax = 64 * 1024,
    kOutputLineMax = 4096,  // of a command: longer lines are cut
    kRunsMax = 32,
    kMountsMax = 16,
    kSeedMax = 64,
    kChannelWaitMs = 5000,
};

#define CHANNEL "/dev/hvc1"

struct Identity {
    struct Request request;
    char* mac;
    char* hosts;  // lines of /etc/hosts
    char* mounts[kMountsMax];
    int mount_count;
    unsigned char seed[kSeedMax];
    int seed_size;
    struct timespec date;
    bool dated;
};

// A command that `run` started.
struct Run {
    pid_t pid;  // 0: free
    int output;
    char* id;
    char line[kOutputLineMax];
    size_t length;
};

static int g_channel = -1;
static struct Run g_runs[kRunsMax];

// ---------------------------------------------------------------------------------------------------------------
// The channel

static void write_all(const char* bytes, size_t size) {
    while (size > 0) {
        ssize_t written = write(g_channel, bytes, size);
        if (written < 0 && errno != EINTR && errno != EAGAIN) {
            fail("cannot write to " CHANNEL ": %s.", strerror(errno));
        }
        if (written > 0) {
            bytes += written;
            size -= (size_t)written;
        }
    }
}

static void __attribute__((format(printf, 1, 2))) tell(const char* format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    size_t size = length < (int)sizeof line - 1 ? (size_t)length : sizeof line - 2;
    line[size++] = '\n';
    write_all(line, size);
}

static void __attribute__((noreturn, format(printf, 1, 2))) refuse(const char* format, ...) {
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    tell("error %s", text);
    fail("%s", text);
}

static void tell_output(const struct Run* run) {
    char text[2 * kOutputLineMax];
    size_t size = 0;
    for (size_t i = 0; i < run->length; ++i) {
        char c = run->line[i];
        if (c == '\\' || c == '\r') {
            text[size++] = '\\';
            c = c == '\r' ? 'r' : c;
        }
        text[size++] = c;
    }
    char head[128];
    int length = snprintf(head, sizeof head, "out %s ", run->id);
    write_all(head, (size_t)length < sizeof head ? (size_t)length : sizeof head - 1);
    write_all(text, size);
    write_all("\n", 1);
}

static void unescape(char* text) {
    char* out = text;
    for (; *text != '\0'; ++text) {
        if (*text == '\\' && text[1] != '\0') {
            ++text;
            *out++ = *text == 'n' ? '\n' : *text == 'r' ? '\r' : *text;
        } else {
            *out++ = *text;
        }
    }
    *out = '\0';
}

static void open_channel(void) {
    for (int waited = 0; access(CHANNEL, F_OK) != 0; waited += 10) {
        if (waited >= kChannelWaitMs) {
            fail("bhvm.agent=1 needs the agent's channel, " CHANNEL ", and this machine has none.");
        }
        nanosleep(&(struct timespec){0, 10 * 1000000}, NULL);
    }
    g_channel = open(CHANNEL, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios settings;
    if (g_channel < 0 || tcgetattr(g_channel, &settings) != 0) {
        fail("cannot open " CHANNEL ": %s.", strerror(errno));
    }
    cfmakeraw(&settings);
    tcsetattr(g_channel, TCSANOW, &settings);
}

// Reads what is there. Returns the next whole line without its end, or NULL when there is none yet.
static char* next_line(bool wait) {
    static char buffer[kLineMax];
    static size_t length = 0;
    static size_t consumed = 0;
    for (;;) {
        char* start = buffer + consumed;
        char* end = memchr(start, '\n', length - consumed);
        if (end != NULL) {
            *end = '\0';
            consumed = (size_t)(end - buffer) + 1;
            return start;
        }
        memmove(buffer, start, length - consumed);
        length -= consumed;
        consumed = 0;
        if (!wait) {
            struct pollfd ready = {.fd = g_channel, .events = POLLIN};
            if (poll(&ready, 1, 0) <= 0) {
                return NULL;
            }
        }
        if (length == sizeof buffer) {
            refuse("a line on the agent's channel is longer than %d bytes.", kLineMax);
        }
        ssize_t got = read(g_channel, buffer + length, sizeof buffer - length);
        if (got < 0 && errno != EINTR && errno != EAGAIN) {
            fail("cannot read from " CHANNEL ": %s.", strerror(errno));
        }
        length += got > 0 ? (size_t)got : 0;
    }
}

// Cuts the first word off a line.
static char* cut_word(char** rest) {
    char* word = *rest;
    char* end = strchr(word, ' ');
    if (end != NULL) {
        *end = '\0';
        *rest = end + 1;
    } else {
        *rest = word + strlen(word);
    }
    return word;
}

static char* keep(const char* text) {
    char* copy = strdup(text);
    if (copy == NULL) {
        refuse("there is no memory for the identity.");
    }
    return copy;
}

// ---------------------------------------------------------------------------------------------------------------
// The identity

static void take_seed(struct Identity* identity, const char* hex) {
    identity->seed_size = 0;
    for (; hex[0] != '\0' && identity->seed_size < kSeedMax; hex += 2) {
        unsigned byte;
        if (hex[1] == '\0' || sscanf(hex, "%2x", &byte) != 1) {
            refuse("the seed is not hexadecimal.");
        }
        identity->seed[identity->seed_size++] = (unsigned char)byte;
    }
}

static void take_date(struct Identity* identity, const char* text) {
    long long seconds;
    long nanoseconds;
    if (sscanf(text, "%lld.%9ld", &seconds, &nanoseconds) != 2) {
        refuse("the date '%s' is not of the form SECONDS.NANOSECONDS.", text);
    }
    identity->date = (struct timespec){seconds, nanoseconds};
    identity->dated = true;
}

static void add_host(struct Identity* identity, const char* line) {
    char* hosts;
    if (asprintf(&hosts, "%s%s\n", identity->hosts, line) < 0) {
        refuse("there is no memory for the identity.");
    }
    free(identity->hosts);
    identity->hosts = hosts;
}

// Takes one line of the identity; false: it was `go`.
static bool take_line(struct Identity* identity, char* rest) {
    const char* verb = cut_word(&rest);
    if (strcmp(verb, "go") == 0) {
        return false;
    }
    if (strcmp(verb, "hostname") == 0) {
        identity->request.hostname = keep(rest);
    } else if (strcmp(verb, "mac") == 0) {
        identity->mac = keep(rest);
    } else if (strcmp(verb, "address") == 0) {
        identity->request.ip = keep(rest);
    } else if (strcmp(verb, "gateway") == 0) {
        identity->request.gateway = keep(rest);
    } else if (strcmp(verb, "host") == 0) {
        add_host(identity, rest);
    } else if (strcmp(verb, "env") == 0) {
        unescape(rest);
        putenv(keep(rest));
    } else if (strcmp(verb, "mount") == 0) {
        if (identity->mount_count == kMountsMax) {
            refuse("there are more than %d mounts.", kMountsMax);
        }
        identity->mounts[identity->mount_count++] = keep(rest);
    } else if (strcmp(verb, "seed") == 0) {
        take_seed(identity, rest);
    } else if (strcmp(verb, "date") == 0) {
        take_date(identity, rest);
    } else if (strcmp(verb, "command") == 0) {
        unescape(rest);
        identity->request.command_text = keep(rest);
    } else {
        refuse("the agent does not know '%s' in an identity.", verb);
    }
    return true;
}

// Machines made of one have the same random pool; this makes theirs their own.
static void seed_random_numbers(const struct Identity* identity) {
    if (identity->seed_size == 0) {
        return;
    }
    struct {
        struct rand_pool_info info;
        unsigned char bytes[kSeedMax];
    } entropy;
    entropy.info.entropy_count = 8 * identity->seed_size;
    entropy.info.buf_size = identity->seed_size;
    memcpy(entropy.info.buf, identity->seed, (size_t)identity->seed_size);
    int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, RNDADDENTROPY, &entropy) != 0) {
        refuse("cannot seed the random numbers: %s.", strerror(errno));
    }
    (void)!ioctl(fd, RNDRESEEDCRNG);  // fails only while the pool has never been ready: then the seed has just made it so
    close(fd);
}

static void set_mac(const char* text) {
    struct ifreq request = {0};
    strcpy(request.ifr_name, "eth0");
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    unsigned char* m = (unsigned char*)request.ifr_hwaddr.sa_data;
    if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6) {
        refuse("'%s' is no MAC address.", text);
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFHWADDR, &request) != 0) {
        refuse("cannot give eth0 the address %s: %s.", text, strerror(errno));
    }
    close(fd);
}

static bool write_file(const char* path, const char* text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        return false;
    }
    ssize_t written = write(fd, text, strlen(text));
    close(fd);
    return written == (ssize_t)strlen(text);
}

static void write_hosts(const struct Identity* identity) {
    if (*identity->hosts == '\0') {
        return;
    }
    char* text;
    if (asprintf(&text, "127.0.0.1 localhost\n::1 localhost ip6-localhost\n%s", identity->hosts) < 0) {
        refuse("there is no memory for /etc/hosts.");
    }
    mkdir("/etc", 0755);
    if (!write_file("/etc/hosts", text)) {
        // A root that is read-only: lay the file over the one that is there.
        if (!write_file("/run/hosts", text) || mount("/run/hosts", "/etc/hosts", NULL, MS_BIND, NULL) != 0) {
            refuse("cannot write /etc/hosts: %s.", strerror(errno));
        }
    }
    free(text);
}

static void make_folders(const char* path) {
    char partial[1024];
    snprintf(partial, sizeof partial, "%s", path);
    for (char* slash = strchr(partial + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(partial, 0755);
        *slash = '/';
    }
    mkdir(partial, 0755);
}

static void mount_data(char* rest) {
    const char* device = cut_word(&rest);
    const char* path = cut_word(&rest);
    const char* type = *rest != '\0' ? cut_word(&rest) : "ext4";
    make_folders(path);
    mount_device(device, path, type, false);
}

// What goes wrong in a program or in the kernel is to be seen on the console.
static void report_trouble(void) {
    write_file("/proc/sys/kernel/printk", "7");
    write_file("/proc/sys/kernel/print-fatal-signals", "1");
    write_file("/proc/sys/kernel/hung_task_timeout_secs", "30");
}

static void become(struct Identity* identity) {
    seed_random_numbers(identity);
    if (identity->dated && clock_settime(CLOCK_REALTIME, &identity->date) != 0) {
        refuse("cannot set the date: %s.", strerror(errno));
    }
    enter_root(&identity->request);
    open_console();
    mount_all();
    report_trouble();
    write_hosts(identity);
    if (identity->mac != NULL) {
        set_mac(identity->mac);
    }
    set_up_network(&identity->request);
    for (int i = 0; i < identity->mount_count; ++i) {
        mount_data(identity->mounts[i]);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Processes

static void free_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void start_run(const char* id, const char* text) {
    struct Run* run = g_runs;
    while (run < g_runs + kRunsMax && run->pid != 0) {
        ++run;
    }
    int ends[2];
    if (run == g_runs + kRunsMax || pipe2(ends, O_CLOEXEC) != 0) {
        tell("done %s %d", id, kExitCannotRun);
        return;
    }
    pid_t pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        tell("done %s %d", id, kExitCannotRun);
        return;
    }
    if (pid == 0) {
        free_signals();
        setsid();
        int null = open("/dev/null", O_RDONLY);
        dup2(null, 0);
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        set_environment();
        execl("/bin/sh", "sh", "-c", text, (char*)NULL);
        _exit(kExitCannotRun);
    }
    close(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    run->pid = pid;
    run->output = ends[0];
    run->id = keep(id);
    run->length = 0;
}

// Passes on what the command has written by now.
static void drain(struct Run* run) {
    char bytes[4096];
    ssize_t got;
    while (run->output >= 0 && (got = read(run->output, bytes, sizeof bytes)) != 0) {
        if (got < 0) {
            return;  // nothing more for now
        }
        for (ssize_t i = 0; i < got; ++i) {
            if (bytes[i] == '\n') {
                tell_output(run);
                run->length = 0;
            } else if (run->length < sizeof run->line) {
                run->line[run->length++] = bytes[i];
            }
        }
    }
    if (run->output >= 0) {
        close(run->output);
        run->output = -1;
    }
}

static void end_run(struct Run* run, int status) {
    drain(run);
    if (run->length > 0) {
        tell_output(run);
    }
    if (run->output >= 0) {
        close(run->output);  // a process that the command left behind holds the other end
    }
    tell("done %s %d", run->id, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
    free(run->id);
    run->pid = 0;
}

static void reap(pid_t command) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == command) {
            if (WIFSIGNALED(status)) {
                tell("killed %d", WTERMSIG(status));
            } else {
                tell("exited %d", WEXITSTATUS(status));
            }
            continue;
        }
        for (struct Run* run = g_runs; run < g_runs + kRunsMax; ++run) {
            if (run->pid == pid) {
                end_run(run, status);
            }
        }
    }
}

static int step_wall_clock(const char* text) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    long long total = now.tv_sec * 1000000000LL + now.tv_nsec + strtoll(text, NULL, 10);
    struct timespec then = {total / 1000000000LL, total % 1000000000LL};
    return clock_settime(CLOCK_REALTIME, &then) == 0 ? 0 : errno;
}

static void do_what_is_asked(char* rest) {
    const char* verb = cut_word(&rest);
    if (strcmp(verb, "stop") == 0) {
        end_processes_and_disks();
        stop_machine(0);
    }
    const char* id = cut_word(&rest);
    unescape(rest);
    if (strcmp(verb, "run") == 0) {
        start_run(id, rest);
    } else if (strcmp(verb, "clock") == 0) {
        tell("done %s %d", id, step_wall_clock(rest));
    } else if (strcmp(verb, "fill") == 0) {
        tell("done %s %d", id, fill_file_system(rest));
    } else if (strcmp(verb, "unfill") == 0) {
        tell("done %s %d", id, unfill_file_system(rest));
    } else {
        tell("error the agent does not know '%s'.", verb);
    }
}

void run_agent(struct Request* request) {
    static struct Identity identity;
    identity.request = *request;
    identity.hosts = keep("");
    open_channel();
    tell("ready");
    while (take_line(&identity, next_line(true))) {
    }
    become(&identity);

    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    int ended = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    pid_t command = -1;
    if (identity.request.command_text != NULL) {
        command = fork();
        if (command < 0) {
            refuse("cannot fork: %s.", strerror(errno));
        }
        if (command == 0) {
            free_signals();
            run_command(&identity.request);
        }
    }
    tell("started");

    for (;;) {
        struct pollfd waits[2 + kRunsMax] = {{.fd = g_channel, .events = POLLIN}, {.fd = ended, .events = POLLIN}};
        for (int i = 0; i < kRunsMax; ++i) {
            waits[2 + i].fd = g_runs[i].pid != 0 ? g_runs[i].output : -1;
            waits[2 + i].events = POLLIN;
        }
        if (poll(waits, 2 + kRunsMax, -1) < 0 && errno != EINTR) {
            fail("cannot wait: %s.", strerror(errno));
        }
        for (int i = 0; i < kRunsMax; ++i) {
            if (g_runs[i].pid != 0 && waits[2 + i].revents != 0) {
                drain(&g_runs[i]);
            }
        }
        struct signalfd_siginfo signals[8];
        while (read(ended, signals, sizeof signals) > 0) {
        }
        reap(command);
        char* line;
        while ((line = next_line(false)) != NULL) {
            do_what_is_asked(line);
        }
    }
}
