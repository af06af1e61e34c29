// A client of Redis Sentinel that knows afterwards what it was promised.
//
//   redis-client write SECONDS PER_SECOND FILE SENTINEL...   writes keys, notes each acknowledged one in FILE
//   redis-client verify FILE SENTINEL...                     reads them all back from the present master
//
// With $REPLICAS = N a write counts as acknowledged only when N replicas have it too (WAIT), which Redis does not ask for by
// itself.
//
// It does what client libraries do: ask a Sentinel for the master, keep that connection for as long as it answers, and ask
// again when it does not. Every key is written once, so a key that was acknowledged and is gone was lost.
// Exit status of verify: 0 nothing lost, 1 something lost, 2 no master to ask.
#include "client.h"

enum { kSentinelPort = 26379, kAnswerMs = 500, kVerifyPatienceMs = 10000 };

static struct Connection g_master = {.fd = -1};
static char g_master_name[64];

// Copies what fits.
static void copy_text(char* to, size_t size, const char* from) {
    size_t length = strlen(from);
    length = length < size ? length : size - 1;
    memcpy(to, from, length);
    to[length] = '\0';
}

// Reads one RESP answer: its text, or of an array its texts with blanks between. False: none, or an error answer.
static bool read_answer(struct Connection* c, char* text, size_t size) {
    char line[512];
    text[0] = '\0';
    if (!tcp_line(c, line, sizeof line)) {
        return false;
    }
    long count = atol(line + 1);
    switch (line[0]) {
        case '+':
        case ':':
            copy_text(text, size, line + 1);
            return true;
        case '$':
            return count >= 0 && tcp_bytes(c, text, size, (size_t)count) && tcp_line(c, line, sizeof line);
        case '*':
            for (long i = 0; i < count; ++i) {
                char part[256];
                if (!read_answer(c, part, sizeof part)) {
                    return false;
                }
                size_t used = strlen(text);
                copy_text(text + used, size - used, i == 0 ? "" : " ");
                used = strlen(text);
                copy_text(text + used, size - used, part);
            }
            return count >= 0;
        default:
            copy_text(text, size, line + 1);
            return false;
    }
}

static bool ask(struct Connection* c, const char* command, char* text, size_t size) {
    c->deadline_ms = now_ms() + kAnswerMs;
    text[0] = '\0';
    return tcp_send(c, command, strlen(command)) && read_answer(c, text, size);
}

// Asks the Sentinels in turn, beginning after the one that was asked last, and connects to the master that one names.
static bool find_master(char** sentinels, int count) {
    static int next = 0;
    static struct Connection sentinel = {.fd = -1};
    for (int i = 0; i < count; ++i, ++next) {
        const char* name = sentinels[next % count];
        char answer[128];
        char host[64];
        int port = 0;
        if (tcp_connect(&sentinel, name, kSentinelPort, now_ms() + kAnswerMs) &&
            ask(&sentinel, "SENTINEL get-master-addr-by-name mymaster\r\n", answer, sizeof answer) &&
            sscanf(answer, "%63s %d", host, &port) == 2 &&
            tcp_connect(&g_master, host, port, now_ms() + kAnswerMs) && ask(&g_master, "ROLE\r\n", answer, sizeof answer) &&
            strncmp(answer, "master", 6) == 0) {
            if (strcmp(host, g_master_name) != 0) {
                say("the master is %s, says the Sentinel on %s", host, name);
            }
            snprintf(g_master_name, sizeof g_master_name, "%s", host);
            tcp_close(&sentinel);
            ++next;
            return true;
        }
        tcp_close(&g_master);
    }
    tcp_close(&sentinel);
    return false;
}

// Has the last write reached as many replicas as $REPLICAS says?
static bool replicated(char* text, size_t size) {
    const char* replicas = getenv("REPLICAS");
    char command[64];
    if (replicas == NULL || atoi(replicas) == 0) {
        return true;
    }
    snprintf(command, sizeof command, "WAIT %d %d\r\n", atoi(replicas), kAnswerMs / 2);
    if (ask(&g_master, command, text, size) && atoi(text) >= atoi(replicas)) {
        return true;
    }
    snprintf(text, size, "too few replicas have it");
    return false;
}

static int write_keys(int seconds, int per_second, const char* path, char** sentinels, int count) {
    FILE* notes = notes_begin(path, per_second);
    if (notes == NULL) {
        return 2;
    }
    const struct Pace pace = {now_ms(), per_second};
    long acknowledged = 0;
    long refused = 0;
    long unanswered = 0;
    bool trouble = false;
    for (long n = 0; pace_elapsed_ms(&pace) < seconds * 1000LL; ++n) {
        pace_wait(&pace, n);
        if (g_master.fd < 0 && !find_master(sentinels, count)) {
            if (!trouble) {
                say("no master answers");
            }
            trouble = true;
            n = pace_due(&pace);
            continue;
        }
        char command[64];
        char answer[256];
        snprintf(command, sizeof command, "SET key:%ld %ld\r\n", n, n);
        if (ask(&g_master, command, answer, sizeof answer) && strcmp(answer, "OK") == 0 &&
            replicated(answer, sizeof answer)) {
            notes_add(notes, n, g_master_name, &pace);
            if (acknowledged++ == 0) {
                say("the first write is acknowledged");
            }
            trouble = false;
            continue;
        }
        if (!trouble) {
            say("key:%ld was not acknowledged by %s: %s", n, g_master_name, answer[0] != '\0' ? answer : "no answer");
        }
        trouble = true;
        answer[0] != '\0' ? ++refused : ++unanswered;
        tcp_close(&g_master);
        n = pace_due(&pace);
    }
    fclose(notes);
    say("%ld writes acknowledged, %ld refused, %ld without an answer", acknowledged, refused, unanswered);
    return acknowledged > 0 ? 0 : 1;
}

static int verify(const char* path, char** sentinels, int count) {
    FILE* notes = notes_open(path);
    if (notes == NULL) {
        return 2;
    }
    const int64_t end = now_ms() + kVerifyPatienceMs;
    while (!find_master(sentinels, count)) {
        if (now_ms() > end) {
            say("no master answers, %d s into the verification", kVerifyPatienceMs / 1000);
            return 2;
        }
        sleep_until_ms(now_ms() + 200);
    }
    struct Note note;
    long total = 0;
    long lost = 0;
    while (notes_next(notes, &note)) {
        char command[64];
        char answer[256];
        char want[32];
        snprintf(command, sizeof command, "GET key:%ld\r\n", note.number);
        snprintf(want, sizeof want, "%ld", note.number);
        ++total;
        if (ask(&g_master, command, answer, sizeof answer) && strcmp(answer, want) == 0) {
            continue;
        }
        if (now_ms() >= g_master.deadline_ms) {
            say("the master stopped answering during the verification");
            return 2;
        }
        if (++lost <= kLostShown) {
            say("LOST key:%ld, acknowledged by %s at %lld ms", note.number, note.by, note.at_ms);
        }
    }
    fclose(notes);
    say("verified %ld acknowledged writes at %s: %ld lost", total, g_master_name, lost);
    return lost == 0 ? 0 : 1;
}

int main(int argc, char** argv) {
    static const struct Client client = {"redis-client", "write", "SENTINEL", write_keys, verify};
    return client_main(&client, argc, argv);
}
