// bhvm-exit [N]: syncs the disks and stops the machine at once with exit status N (default 0). Elsewhere than in bhvm
// it powers the machine off.
#include "machine_exit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

int main(int argc, char** argv) {
    long status = 0;
    if (argc > 2) {
        fprintf(stderr, "bhvm-exit: give one exit status, 0 to 255.\n");
        return 2;
    }
    if (argc == 2) {
        char* end = NULL;
        status = strtol(argv[1], &end, 10);
        if (end == argv[1] || *end != '\0' || status < 0 || status > 255) {
            fprintf(stderr, "bhvm-exit: '%s' is no exit status; give a number from 0 to 255.\n", argv[1]);
            return 2;
        }
    }
    sync();
    write_exit_port((unsigned char)status);
    reboot(RB_POWER_OFF);
    fprintf(stderr, "bhvm-exit: could not power off: %s.\n", strerror(errno));
    return 1;
}
