// The guest's first process: prepares a minimal Linux user space, runs one command, and hands its exit status to the
// machine. It is /init of an initramfs and /sbin/bhvm-init of a disk; docs/GUEST.md lists its parameters.
//
// What it reads from the kernel command line (/proc/cmdline, quoted as the kernel quotes: "..." around spaces):
//   -- WORD...              the command and its arguments
//   bhvm.command="TEXT"     the command as one text for /bin/sh -c
//   bhvm.hostname=NAME      bhvm.ip=A.B.C.D/BITS    bhvm.gateway=A.B.C.D    (eth0)
//   root=DEV, bhvm.root=DEV (from an initramfs) mount DEV and go on in there; rootfstype=, ro, rw as for the kernel
//   bhvm.overlay=1          lay a tmpfs over the root, which stays read-only: nothing reaches the disk
//   bhvm.agent=1            do what the agent's channel says (agent.c) instead of the above; a root is mounted then
//   init=PATH               (with a root switched to) run the image's own init as process 1 instead
//
// A mistake is one sentence on the console and exit status 125. A command that cannot be run is 127, one killed by
// signal N is 128+N, as in a shell.
#define _GNU_SOURCE
#include "init.h"
#include "machine_exit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    kDiskWaitMs = 5000,   // a disk that is not there after this long will not come
    kGraceMs = 2000,      // between SIGTERM and SIGKILL at the end
    kTmpfsMagic = 0x01021994,
    kRamfsMagic = 0x858458f6,
};

static char g_cmdline[8192];

static void sleep_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

// ---------------------------------------------------------------------------------------------------------------
// The end

void stop_machine(int status) {
    sync();
    if (status != 0) {
        write_exit_port((unsigned char)status);
    }
    reboot(RB_POWER_OFF);
    for (;;) {
        pause();
    }
}

void fail(const char* format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "bhvm-init: %s\n", text);
    stop_machine(kExitInitError);
}

void end_processes_and_disks(void) {
    kill(-1, SIGTERM);
    for (int waited = 0; waited < kGraceMs; waited += 10) {
        pid_t pid;
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        }
        if (pid < 0) {
            break;  // no child is left, and orphans are children of process 1
        }
        sleep_ms(10);
    }
    kill(-1, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0) {
    }
    sync();
    // Other disks first: latest mounts before earlier ones, so read the table once and go backwards.
    FILE* mounts = fopen("/proc/mounts", "re");
    if (mounts != NULL) {
        static char points[64][256];
        int count = 0;
        char line[1024];
        while (count < 64 && fgets(line, sizeof line, mounts) != NULL) {
            if (strncmp(line, "/dev/", 5) == 0 && sscanf(line, "%*s %255s", points[count]) == 1) {
                ++count;
            }
        }
        fclose(mounts);
        while (count-- > 0) {
            if (strcmp(points[count], "/") != 0) {
                umount2(points[count], 0);
            }
        }
    }
    mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
}

// ---------------------------------------------------------------------------------------------------------------
// The kernel command line

// Cuts the next word off *rest in place, as the kernel's next_arg() does: blanks separate, double quotes group and
// vanish. Returns NULL at the end.
static char* next_word(char** rest) {
    char* in = *rest;
    while (*in == ' ' || *in == '\t' || *in == '\n') {
        ++in;
    }
    if (*in == '\0') {
        *rest = in;
        return NULL;
    }
    char* word = in;
    char* out = in;
    bool quoted = false;
    while (*in != '\0' && (quoted || (*in != ' ' && *in != '\t' && *in != '\n'))) {
        if (*in == '"') {
            quoted = !quoted;
        } else {
            *out++ = *in;
        }
        ++in;
    }
    *rest = *in == '\0' ? in : in + 1;
    *out = '\0';
    return word;
}

static const char* value_of(const char* word, const char* name) {
    size_t length = strlen(name);
    return strncmp(word, name, length) == 0 ? word + length : NULL;
}

static void read_request(struct Request* request) {
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fail("cannot read /proc/cmdline: %s.", strerror(errno));
    }
    ssize_t length = read(fd, g_cmdline, sizeof g_cmdline - 1);
    close(fd);
    g_cmdline[length > 0 ? length : 0] = '\0';

    const char* kernel_root = NULL;
    char* rest = g_cmdline;
    char* word;
    while ((word = next_word(&rest)) != NULL && strcmp(word, "--") != 0) {
        const char* value;
        if ((value = value_of(word, "bhvm.command="))) {
            request->command_text = value;
        } else if ((value = value_of(word, "bhvm.hostname="))) {
            request->hostname = value;
        } else if ((value = value_of(word, "bhvm.ip="))) {
            request->ip = value;
        } else if ((value = value_of(word, "bhvm.gateway="))) {
            request->gateway = value;
        } else if ((value = value_of(word, "bhvm.root="))) {
            request->root = value;
        } else if ((value = value_of(word, "bhvm.overlay="))) {
            if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0) {
                fail("bhvm.overlay=%s is neither 0 nor 1.", value);
            }
            request->overlay = strcmp(value, "1") == 0;
        } else if ((value = value_of(word, "bhvm.agent="))) {
            if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0) {
                fail("bhvm.agent=%s is neither 0 nor 1.", value);
            }
            request->agent = strcmp(value, "1") == 0;
        } else if ((value = value_of(word, "bhvm."))) {
            fail("the kernel command line has the unknown parameter '%s'.", word);
        } else if ((value = value_of(word, "root="))) {
            kernel_root = value;
        } else if ((value = value_of(word, "rootfstype="))) {
            request->root_type = value;
        } else if ((value = value_of(word, "init="))) {
            request->own_init = value;
        } else if (strcmp(word, "ro") == 0 || strcmp(word, "rw") == 0) {
            request->root_read_only = word[1] == 'o';
        }
    }
    if (request->root == NULL) {
        request->root = kernel_root;
    }
    int count = 0;
    while (word != NULL && (word = next_word(&rest)) != NULL) {
        if (count == kMaxWords - 1) {
            fail("the command has more than %d words.", kMaxWords - 1);
        }
        request->words[count++] = word;
    }
    request->words[count] = NULL;
    if (count > 0 && request->command_text != NULL) {
        fail("both bhvm.command= and words after ' -- ' give a command; give one.");
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Mounts

struct Mount {
    const char* type;
    const char* where;
    unsigned long flags;
    const char* data;
    bool essential;
};

static const struct Mount kEarlyMounts[] = {
    {"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
    {"devtmpfs", "/dev", MS_NOSUID, "mode=0755", true},
};
static const struct Mount kMounts[] = {
    {"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
    {"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666", false},
    {"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777", false},
    {"mqueue", "/dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, false},
    {"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755", false},
    {"tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777", false},
    {"cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, false},
};

static void mount_one(const struct Mount* m) {
    mkdir(m->where, 0755);
    if (mount(m->type, m->where, m->type, m->flags, m->data) != 0 && errno != EBUSY && m->essential) {
        fail("cannot mount %s on %s: %s.", m->type, m->where, strerror(errno));
    }
}

// A kernel without one of these, or a read-only root without the folder, still runs most commands.
void mount_all(void) {
    for (size_t i = 0; i < sizeof kMounts / sizeof kMounts[0]; ++i) {
        mount_one(&kMounts[i]);
    }
    (void)!symlink("/proc/self/fd", "/dev/fd");
    (void)!symlink("/proc/self/fd/0", "/dev/stdin");
    (void)!symlink("/proc/self/fd/1", "/dev/stdout");
    (void)!symlink("/proc/self/fd/2", "/dev/stderr");
}

static void mount_early(void) {
    for (size_t i = 0; i < sizeof kEarlyMounts / sizeof kEarlyMounts[0]; ++i) {
        mount_one(&kEarlyMounts[i]);
    }
}

static bool in_initramfs(void) {
    struct statfs root;
    return statfs("/", &root) == 0 && (root.f_type == kTmpfsMagic || root.f_type == kRamfsMagic);
}

void mount_device(const char* device, const char* where, const char* type, bool read_only) {
    for (int waited = 0; access(device, F_OK) != 0; waited += 10) {
        if (waited >= kDiskWaitMs) {
            fail("the root device %s is not there; is the disk attached?", device);
        }
        sleep_ms(10);
    }
    if (mount(device, where, type, read_only ? MS_RDONLY : 0, NULL) != 0) {
        fail("cannot mount %s as %s: %s.", device, type, strerror(errno));
    }
}

// Makes `where` the root of this and all later processes. What was mounted below the old root is out of sight; the
// caller mounts /proc and the rest anew.
static void switch_root(const char* where) {
    if (chdir(where) != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 || chdir("/") != 0) {
        fail("cannot switch to the new root: %s.", strerror(errno));
    }
    mount_early();
}

// Lays a tmpfs over `lower` and switches to the result. The tmpfs lives on /run, the one folder every image has that
// is meant to be covered.
static void switch_to_overlay(const char* lower, const char* staging) {
    char upper[64];
    char work[64];
    char merged[64];
    char options[256];
    snprintf(upper, sizeof upper, "%s/upper", staging);
    snprintf(work, sizeof work, "%s/work", staging);
    snprintf(merged, sizeof merged, "%s/merged", staging);
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work);
    if (mount("tmpfs", staging, "tmpfs", 0, "mode=0755") != 0) {
        fail("cannot mount a tmpfs for the overlay on %s: %s.", staging, strerror(errno));
    }
    if (mkdir(upper, 0755) != 0 || mkdir(work, 0755) != 0 || mkdir(merged, 0755) != 0) {
        fail("cannot make the overlay's folders: %s.", strerror(errno));
    }
    if (mount("overlay", merged, "overlay", 0, options) != 0) {
        fail("cannot mount the overlay: %s.", strerror(errno));
    }
    switch_root(merged);
}

bool enter_root(const struct Request* request) {
    if (!in_initramfs()) {
        if (request->overlay) {
            switch_to_overlay("/", "/run");
        }
        return false;
    }
    if (request->root == NULL) {
        return false;
    }
    mkdir("/newroot", 0755);
    mount_device(request->root, "/newroot", request->root_type != NULL ? request->root_type : "ext4",
                 request->root_read_only || request->overlay);
    if (request->overlay) {
        mkdir("/run", 0755);
        switch_to_overlay("/newroot", "/run");
    } else {
        switch_root("/newroot");
    }
    return true;
}

// ---------------------------------------------------------------------------------------------------------------
// Names and networks

static struct sockaddr* ipv4(struct ifreq* request, struct in_addr address) {
    struct sockaddr_in* in = (struct sockaddr_in*)&request->ifr_addr;
    in->sin_family = AF_INET;
    in->sin_addr = address;
    return (struct sockaddr*)in;
}

static void bring_up(int fd, const char* name) {
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &request) != 0) {
        fail("cannot bring up %s: %s.", name, strerror(errno));
    }
}

static void configure_eth0(int fd, const struct Request* request) {
    char text[32];
    snprintf(text, sizeof text, "%s", request->ip);
    char* slash = strchr(text, '/');
    struct in_addr address;
    long bits = -1;
    if (slash != NULL) {
        char* end = NULL;
        *slash = '\0';
        bits = strtol(slash + 1, &end, 10);
        bits = end == slash + 1 || *end != '\0' ? -1 : bits;
    }
    if (bits < 1 || bits > 32 || inet_pton(AF_INET, text, &address) != 1) {
        fail("bhvm.ip=%s is not of the form A.B.C.D/BITS.", request->ip);
    }
    struct ifreq interface = {0};
    strcpy(interface.ifr_name, "eth0");
    ipv4(&interface, address);
    if (ioctl(fd, SIOCSIFADDR, &interface) != 0) {
        fail("cannot give eth0 the address %s: %s.", text, strerror(errno));
    }
    struct in_addr mask = {htonl(0xFFFFFFFFu << (32 - bits))};
    ipv4(&interface, mask);
    if (ioctl(fd, SIOCSIFNETMASK, &interface) != 0) {
        fail("cannot give eth0 the network mask /%ld: %s.", bits, strerror(errno));
    }
    bring_up(fd, "eth0");
    if (request->gateway == NULL) {
        return;
    }
    struct in_addr gateway;
    if (inet_pton(AF_INET, request->gateway, &gateway) != 1) {
        fail("bhvm.gateway=%s is no IPv4 address.", request->gateway);
    }
    struct rtentry route = {0};
    struct sockaddr_in any = {.sin_family = AF_INET};
    struct sockaddr_in via = {.sin_family = AF_INET, .sin_addr = gateway};
    memcpy(&route.rt_dst, &any, sizeof any);
    memcpy(&route.rt_genmask, &any, sizeof any);
    memcpy(&route.rt_gateway, &via, sizeof via);
    route.rt_flags = RTF_UP | RTF_GATEWAY;
    if (ioctl(fd, SIOCADDRT, &route) != 0) {
        fail("cannot route through %s: %s.", request->gateway, strerror(errno));
    }
}

void set_up_network(const struct Request* request) {
    if (request->hostname != NULL && sethostname(request->hostname, strlen(request->hostname)) != 0) {
        fail("cannot set the host name '%s': %s.", request->hostname, strerror(errno));
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        if (request->ip != NULL) {
            fail("this kernel has no IPv4 for bhvm.ip=.");
        }
        return;
    }
    bring_up(fd, "lo");
    if (request->ip != NULL) {
        configure_eth0(fd, request);
    } else if (request->gateway != NULL) {
        fail("bhvm.gateway= needs bhvm.ip=.");
    }
    close(fd);
}

// ---------------------------------------------------------------------------------------------------------------
// The console and the command

void use_as_standard_streams(int fd) {
    for (int i = 0; i < 3; ++i) {
        dup2(fd, i);
    }
    if (fd > 2) {
        close(fd);
    }
}

void open_console(void) {
    int fd = open("/dev/console", O_RDWR);
    if (fd >= 0) {
        use_as_standard_streams(fd);
    }
    setvbuf(stderr, NULL, _IOLBF, 0);
}

// /dev/console cannot be a controlling terminal, without which a shell has no job control and Ctrl-C does nothing:
// the child gets the terminal behind it, the last word of /sys/class/tty/console/active.
static void take_terminal(void) {
    char names[128] = "";
    int fd = open("/sys/class/tty/console/active", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    ssize_t length = read(fd, names, sizeof names - 1);
    close(fd);
    while (length > 0 && (names[length - 1] == '\n' || names[length - 1] == ' ')) {
        names[--length] = '\0';
    }
    if (length <= 0) {
        return;
    }
    const char* last = strrchr(names, ' ');
    char path[160];
    snprintf(path, sizeof path, "/dev/%s", last != NULL ? last + 1 : names);
    fd = open(path, O_RDWR | O_NOCTTY);
    if (fd >= 0 && ioctl(fd, TIOCSCTTY, 1) == 0) {
        use_as_standard_streams(fd);
    } else if (fd >= 0) {
        close(fd);
    }
}

void set_environment(void) {
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", "/root", 1);
    setenv("USER", "root", 1);
    setenv("LOGNAME", "root", 1);
    setenv("SHELL", "/bin/sh", 1);
    setenv("LANG", "C.UTF-8", 0);
    const char* term = getenv("TERM");
    if (term == NULL || strcmp(term, "linux") == 0) {
        setenv("TERM", "vt220", 1);  // the kernel's own default is for a screen, and this is a serial line
    }
    if (chdir("/root") != 0) {
        (void)!chdir("/");
    }
}

void run_command(struct Request* request) {
    char* shell_command[] = {"/bin/sh", "-c", (char*)request->command_text, NULL};
    char* interactive[] = {"/bin/sh", "-i", NULL};
    char** command = request->words;
    if (request->command_text != NULL) {
        command = shell_command;
    } else if (command[0] == NULL) {
        command = interactive;
    }
    setsid();
    take_terminal();
    set_environment();
    execvp(command[0], command);
    fprintf(stderr, "bhvm-init: cannot run '%s': %s.\n", command[0], strerror(errno));
    _exit(kExitCannotRun);
}

// Waits for the command and meanwhile reaps whatever else ends.
static int wait_for(pid_t command) {
    for (;;) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, 0);
        if (pid == command) {
            return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        }
        if (pid < 0 && errno != EINTR) {
            fail("lost the command's process: %s.", strerror(errno));
        }
    }
}

int main(void) {
    if (getpid() != 1) {
        fprintf(stderr, "bhvm-init: this is the first process of a machine, not a command; see bhvm-exit.\n");
        return 2;
    }
    umask(022);
    mount_early();
    open_console();
    static struct Request request;
    read_request(&request);
    if (request.agent) {
        run_agent(&request);
    }
    bool switched = enter_root(&request);
    open_console();
    if (switched && request.own_init != NULL) {
        execl(request.own_init, request.own_init, (char*)NULL);
        fail("cannot run init=%s from the root: %s.", request.own_init, strerror(errno));
    }
    mount_all();
    set_up_network(&request);

    pid_t command = fork();
    if (command < 0) {
        fail("cannot fork: %s.", strerror(errno));
    }
    if (command == 0) {
        run_command(&request);
    }
    int status = wait_for(command);
    end_processes_and_disks();
    stop_machine(status);
}
