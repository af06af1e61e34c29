// What the clients of the scenarios have in common: they write at a steady pace for a while, note what was acknowledged in a
// file, and read it all back when they are called again at the end.
#pragma once

#include <stdarg.h>

#include "tcp.h"

enum { kLostShown = 5 };  // of the lost writes, so many are named

static inline void say(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("client: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    fflush(stdout);
}

// Requests at a steady pace from `start_ms` on.
struct Pace {
    int64_t start_ms;
    int per_second;
};

static inline int64_t pace_elapsed_ms(const struct Pace* pace) { return now_ms() - pace->start_ms; }

static inline void pace_wait(const struct Pace* pace, long request) {
    sleep_until_ms(pace->start_ms + request * 1000 / pace->per_second);
}

// The request that is due by now: what was due while there was no answer is not made up for.
static inline long pace_due(const struct Pace* pace) { return (long)(pace_elapsed_ms(pace) * pace->per_second / 1000); }

// An acknowledged write: which, by whom, and when.
struct Note {
    long number;
    char by[64];
    long long at_ms;
};

// The file of notes for a run at `per_second`; NULL, and said, when there can be none. Each line is written at once.
static inline FILE* notes_begin(const char* path, int per_second) {
    if (per_second < 1 || per_second > 1000) {
        say("not 1 to 1000 requests a second: %d", per_second);
        return NULL;
    }
    FILE* notes = fopen(path, "w");
    if (notes == NULL) {
        say("cannot write %s", path);
        return NULL;
    }
    setvbuf(notes, NULL, _IOLBF, 0);
    return notes;
}

static inline void notes_add(FILE* notes, long number, const char* by, const struct Pace* pace) {
    fprintf(notes, "%ld %s %lld\n", number, by, (long long)pace_elapsed_ms(pace));
}

// The notes of an earlier run; NULL, and said, when there are none.
static inline FILE* notes_open(const char* path) {
    FILE* notes = fopen(path, "r");
    if (notes == NULL) {
        say("there is no %s: nothing was written", path);
    }
    return notes;
}

static inline bool notes_next(FILE* notes, struct Note* note) {
    return fscanf(notes, "%ld %63s %lld", &note->number, note->by, &note->at_ms) == 3;
}

// PROGRAM VERB SECONDS PER_SECOND FILE SERVER... | PROGRAM verify FILE SERVER...
struct Client {
    const char* name;
    const char* verb;
    const char* servers;  // what the servers are called in the usage
    int (*run)(int seconds, int per_second, const char* path, char** servers, int count);
    int (*verify)(const char* path, char** servers, int count);
};

static inline int client_main(const struct Client* client, int argc, char** argv) {
    if (argc >= 6 && strcmp(argv[1], client->verb) == 0) {
        return client->run(atoi(argv[2]), atoi(argv[3]), argv[4], argv + 5, argc - 5);
    }
    if (argc >= 4 && strcmp(argv[1], "verify") == 0) {
        return client->verify(argv[2], argv + 3, argc - 3);
    }
    say("usage: %s %s SECONDS PER_SECOND FILE %s... | verify FILE %s...", client->name, client->verb, client->servers,
        client->servers);
    return 2;
}
