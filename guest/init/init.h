// What init.c and agent.c share: the request on the kernel command line and the steps to a running user space.
#pragma once

#include <stdbool.h>

enum {
    kMaxWords = 256,
    kExitInitError = 125,
    kExitCannotRun = 127,
};

// What the command line asks for. Texts point into a copy of it; NULL where nothing was said.
struct Request {
    const char* command_text;
    char* words[kMaxWords];  // after "--", ending in NULL
    const char* hostname;
    const char* ip;
    const char* gateway;
    const char* root;
    const char* root_type;
    const char* own_init;
    bool root_read_only;
    bool overlay;
    bool agent;
};

// Ends the machine with a sentence on the console.
void __attribute__((noreturn, format(printf, 1, 2))) fail(const char* format, ...);
// Stops the machine: status 0 is an ordinary power-off, any other goes through the exit port first.
void __attribute__((noreturn)) stop_machine(int status);
// Ends every other process, first politely, then not; leaves the disks unmounted or read-only.
void end_processes_and_disks(void);

// Mounts and enters the root that is asked for, if it is not the present one. Returns whether it was switched.
bool enter_root(const struct Request* request);
// Mounts a device that may still be on its way.
void mount_device(const char* device, const char* where, const char* type, bool read_only);
void mount_all(void);
// Host name, lo, and eth0's address and route.
void set_up_network(const struct Request* request);

void open_console(void);
void use_as_standard_streams(int fd);
void set_environment(void);
// In a child: runs the request's command on the console's terminal.
void __attribute__((noreturn)) run_command(struct Request* request);

// agent.c: the guest's side of the agent's channel; see there.
void __attribute__((noreturn)) run_agent(struct Request* request);
