#define _GNU_SOURCE
#include "agent_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

static void balloon_name(const char* path, char* name, size_t size) {
    snprintf(name, size, "%s/.bhvm-balloon", path);
}

int fill_file_system(const char* path) {
    char name[1024];
    balloon_name(path, name, sizeof name);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    // The free blocks are what root may use; the file's own metadata takes some of them, so the last ones are tried for
    // in ever smaller pieces.
    int error = 0;
    off_t size = lseek(fd, 0, SEEK_END);
    struct statvfs free_space;
    if (size < 0 || fstatvfs(fd, &free_space) != 0) {
        error = errno;
    } else {
        off_t piece = (off_t)(free_space.f_bfree * free_space.f_frsize);
        while (piece >= (off_t)free_space.f_frsize) {
            if (fallocate(fd, 0, size, piece) == 0) {
                size += piece;
            } else if (errno == ENOSPC || errno == EFBIG) {
                piece /= 2;
            } else if (errno != EINTR) {
                error = errno;
                break;
            }
        }
    }
    close(fd);
    return error;
}

int unfill_file_system(const char* path) {
    char name[1024];
    balloon_name(path, name, sizeof name);
    if (unlink(name) != 0 && errno != ENOENT) {
        return errno;
    }
    return 0;
}
