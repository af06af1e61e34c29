// TCP with a time limit on everything, for the clients of the scenarios: a server behind a partition must cost a
// client its patience and not its life.
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void sleep_until_ms(int64_t moment) {
    struct timespec t = {moment / 1000, moment % 1000 * 1000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

// One connection; fd < 0: there is none. What was received and not yet read lies in buffer[begin, end).
struct Connection {
    int fd;
    int64_t deadline_ms;  // of the exchange under way
    size_t begin, end;
    char buffer[65536];
};

static inline void tcp_close(struct Connection* c) {
    if (c->fd >= 0) {
        close(c->fd);
    }
    c->fd = -1;
    c->begin = c->end = 0;
}

static inline bool tcp_wait(struct Connection* c, short events) {
    for (;;) {
        int64_t left = c->deadline_ms - now_ms();
        if (left <= 0) {
            return false;
        }
        struct pollfd poll_for = {c->fd, events, 0};
        int ready = poll(&poll_for, 1, (int)left);
        if (ready > 0) {
            return true;
        }
        if (ready == 0 || errno != EINTR) {
            return false;
        }
    }
}

// An address, or a name that /etc/hosts has. (A static program does without the C library's resolver.)
static inline bool tcp_resolve(const char* host, struct in_addr* address) {
    if (inet_pton(AF_INET, host, address) == 1) {
        return true;
    }
    FILE* hosts = fopen("/etc/hosts", "re");
    char line[512];
    bool found = false;
    while (hosts != NULL && !found && fgets(line, sizeof line, hosts) != NULL) {
        char* rest = NULL;
        const char* number = strtok_r(line, " \t\n", &rest);
        for (char* name; !found && number != NULL && (name = strtok_r(NULL, " \t\n", &rest)) != NULL;) {
            found = strcmp(name, host) == 0 && inet_pton(AF_INET, number, address) == 1;
        }
    }
    if (hosts != NULL) {
        fclose(hosts);
    }
    return found;
}

// Connects to host:port before the deadline.
static inline bool tcp_connect(struct Connection* c, const char* host, int port, int64_t deadline_ms) {
    tcp_close(c);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (!tcp_resolve(host, &address.sin_addr)) {
        return false;
    }
    c->deadline_ms = deadline_ms;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool connected = false;
    if (c->fd >= 0) {
        int one = 1;
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        int error = 0;
        socklen_t size = sizeof error;
        if (connect(c->fd, (struct sockaddr*)&address, sizeof address) == 0) {
            connected = true;
        } else if (errno == EINPROGRESS && tcp_wait(c, POLLOUT)) {
            connected = getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
        }
    }
    if (!connected) {
        tcp_close(c);
    }
    return connected;
}

static inline bool tcp_send(struct Connection* c, const char* text, size_t length) {
    while (length > 0) {
        ssize_t sent = send(c->fd, text, length, MSG_NOSIGNAL);
        if (sent > 0) {
            text += sent;
            length -= (size_t)sent;
        } else if (errno != EAGAIN || !tcp_wait(c, POLLOUT)) {
            return false;
        }
    }
    return true;
}

// Makes sure that there is at least one more byte in the buffer.
static inline bool tcp_fill(struct Connection* c) {
    if (c->begin == c->end) {
        c->begin = c->end = 0;
    } else if (c->end == sizeof c->buffer) {
        memmove(c->buffer, c->buffer + c->begin, c->end - c->begin);
        c->end -= c->begin;
        c->begin = 0;
        if (c->end == sizeof c->buffer) {
            return false;
        }
    }
    for (;;) {
        ssize_t got = recv(c->fd, c->buffer + c->end, sizeof c->buffer - c->end, 0);
        if (got > 0) {
            c->end += (size_t)got;
            return true;
        }
        if (got == 0 || errno != EAGAIN || !tcp_wait(c, POLLIN)) {
            return false;
        }
    }
}

// Reads a line without its CR LF into `line`.
static inline bool tcp_line(struct Connection* c, char* line, size_t size) {
    size_t length = 0;
    for (;;) {
        if (c->begin == c->end && !tcp_fill(c)) {
            return false;
        }
        char byte = c->buffer[c->begin++];
        if (byte == '\n') {
            line[length] = '\0';
            return true;
        }
        if (byte != '\r' && length + 1 < size) {
            line[length++] = byte;
        }
    }
}

// Reads exactly `length` bytes and ends them with a zero; what does not fit into `size` is read and dropped.
static inline bool tcp_bytes(struct Connection* c, char* out, size_t size, size_t length) {
    size_t kept = 0;
    for (size_t i = 0; i < length; ++i) {
        if (c->begin == c->end && !tcp_fill(c)) {
            return false;
        }
        char byte = c->buffer[c->begin++];
        if (kept + 1 < size) {
            out[kept++] = byte;
        }
    }
    out[kept] = '\0';
    return true;
}
