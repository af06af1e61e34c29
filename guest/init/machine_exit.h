// How a program in the guest ends the machine: one byte N, written to I/O port 0xF4, stops it and makes the bhvm
// process exit with status N. On any other machine the write does nothing and the caller goes on.
#ifndef BHVM_GUEST_MACHINE_EXIT_H
#define BHVM_GUEST_MACHINE_EXIT_H

enum { kExitPort = 0xF4 };

// Does not return inside bhvm. REQUIRES: root; file systems synced. Tries /dev/port, then the OUT instruction itself.
void write_exit_port(unsigned char status);

#endif
