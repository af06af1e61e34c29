#include "machine_exit.h"

#include <fcntl.h>
#include <sys/io.h>
#include <unistd.h>

void write_exit_port(unsigned char status) {
    int fd = open("/dev/port", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!pwrite(fd, &status, 1, kExitPort);
        close(fd);
    }
    // No /dev/port (a kernel without it, a container's /dev): ask for the port and write it from user mode.
    if (ioperm(kExitPort, 1, 1) == 0) {
        outb(status, kExitPort);
    }
}
