// A client of etcd that checks what a single client may rely on: what was acknowledged stays, and a read shows the last
// write.
//
//   etcd-client run SECONDS PER_SECOND FILE ENDPOINT...   writes and reads in turn, notes acknowledged writes in FILE
//   etcd-client verify FILE ENDPOINT...                   every acknowledged key is there; all endpoints agree
//
// It speaks to etcd's JSON gateway (POST /v3/kv/put and /v3/kv/range; keys and values in base64), one endpoint at a time,
// and goes on to the next one when that does not answer. Beside a key of its own, each write sets "register" to its number, in
// one transaction; each read of "register" is linearizable.
// Exit status: 0 consistent, 1 not, 2 nobody to ask.
#include "client.h"

enum { kPort = 2379, kAnswerMs = 2000, kPatienceMs = 15000, kUnknownMost = 4096 };

static struct Connection g_server = {.fd = -1};
static const char* g_server_name = "";

static void base64(const char* text, char* out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i += 3) {
        uint32_t bits = 0;
        for (size_t j = 0; j < 3; ++j) {
            bits = bits << 8 | (i + j < length ? (unsigned char)text[i + j] : 0u);
        }
        for (size_t j = 0; j < 4; ++j) {
            *out++ = i + j <= length ? digits[bits >> (18 - 6 * j) & 63] : '=';
        }
    }
    *out = '\0';
}

static int base64_digit(char c) {
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

static void from_base64(const char* text, char* out, size_t size) {
    uint32_t bits = 0;
    int count = 0;
    size_t length = 0;
    for (; base64_digit(*text) >= 0 && length + 1 < size; ++text) {
        bits = bits << 6 | (uint32_t)base64_digit(*text);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[length++] = (char)(bits >> count & 255);
        }
    }
    out[length] = '\0';
}

// One request to the server of the present connection; true for status 200. The body of the answer goes to `answer`.
static bool post(const char* path, const char* body, char* answer, size_t size) {
    char request[2048];
    char line[1024];
    g_server.deadline_ms = now_ms() + kAnswerMs;
    answer[0] = '\0';
    int length = snprintf(request, sizeof request,
                          "POST %s HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                          path, strlen(body), body);
    if (!tcp_send(&g_server, request, (size_t)length) || !tcp_line(&g_server, line, sizeof line)) {
        return false;
    }
    int status = atoi(strchr(line, ' ') != NULL ? strchr(line, ' ') : "0");
    long content = -1;
    while (tcp_line(&g_server, line, sizeof line) && line[0] != '\0') {
        if (strncasecmp(line, "Content-Length:", 15) == 0) {
            content = atol(line + 15);
        }
    }
    return content >= 0 && tcp_bytes(&g_server, answer, size, (size_t)content) && status == 200;
}

static bool connect_to_next(char** endpoints, int count) {
    static int next = 0;
    for (int i = 0; i < count; ++i) {
        g_server_name = endpoints[next++ % count];
        if (tcp_connect(&g_server, g_server_name, kPort, now_ms() + 500)) {
            return true;
        }
    }
    return false;
}

static bool put(long number, char* answer, size_t size) {
    char key[64], key64[128], register64[64], value[32], value64[64], body[1024];
    snprintf(key, sizeof key, "write/%ld", number);
    snprintf(value, sizeof value, "%ld", number);
    base64(key, key64);
    base64("register", register64);
    base64(value, value64);
    snprintf(body, sizeof body,
             "{\"success\":[{\"requestPut\":{\"key\":\"%s\",\"value\":\"%s\"}},"
             "{\"requestPut\":{\"key\":\"%s\",\"value\":\"%s\"}}]}",
             key64, value64, register64, value64);
    return post("/v3/kv/txn", body, answer, size) && strstr(answer, "\"succeeded\":true") != NULL;
}

// Reads a key; "" for one that is not there. False: no answer.
static bool get(const char* key, bool serializable, char* value, size_t size) {
    char key64[128], body[256], answer[4096];
    base64(key, key64);
    snprintf(body, sizeof body, "{\"key\":\"%s\"%s}", key64, serializable ? ",\"serializable\":true" : "");
    if (!post("/v3/kv/range", body, answer, sizeof answer)) {
        return false;
    }
    const char* found = strstr(answer, "\"value\":\"");
    from_base64(found != NULL ? found + 9 : "", value, size);
    return true;
}

// What the register may hold. A write without an answer may still take effect, once, at any later time: so a read may show
// the value that the register was last known to have, or that of a write whose fate is unknown, and nothing else.
struct Register {
    long known;
    long unknown[kUnknownMost];
    int unknown_count;
};

static bool may_be_read(struct Register* r, long value) {
    if (value == r->known) {
        return true;
    }
    for (int i = 0; i < r->unknown_count; ++i) {
        if (r->unknown[i] == value) {
            r->unknown[i] = r->unknown[--r->unknown_count];
            r->known = value;
            return true;
        }
    }
    return false;
}

static int run(int seconds, int per_second, const char* path, char** endpoints, int count) {
    FILE* notes = notes_begin(path, per_second);
    if (notes == NULL) {
        return 2;
    }
    static struct Register expected = {.known = -1};
    const struct Pace pace = {now_ms(), per_second};
    long writes = 0, reads = 0, failures = 0, wrong = 0;
    bool trouble = false;
    int64_t trouble_since = 0;
    long n = 0;
    while (pace_elapsed_ms(&pace) < seconds * 1000LL) {
        pace_wait(&pace, n);
        char answer[4096] = "";
        bool done = false;
        if (g_server.fd >= 0 || connect_to_next(endpoints, count)) {
            if (n % 2 == 0) {
                if ((done = put(n, answer, sizeof answer))) {
                    expected.known = n;
                    notes_add(notes, n, g_server_name, &pace);
                    if (writes++ == 0) {
                        say("the first write is acknowledged");
                    }
                } else if (expected.unknown_count < kUnknownMost) {
                    expected.unknown[expected.unknown_count++] = n;
                }
            } else if ((done = get("register", false, answer, sizeof answer))) {
                ++reads;
                long value = answer[0] == '\0' ? -1 : atol(answer);
                long known = expected.known;
                if (!may_be_read(&expected, value)) {
                    ++wrong;
                    say("STALE register is %ld at %s, and was %ld; %d writes without an answer", value, g_server_name, known,
                        expected.unknown_count);
                } else if (value < known) {
                    say("write %ld took effect late, behind %ld", value, known);
                }
            }
        }
        if (!done) {
            ++failures;
            if (!trouble) {
                say("request %ld failed at %s: %s", n, g_server_name, answer[0] != '\0' ? answer : "no answer");
                trouble_since = now_ms();
            }
            trouble = true;
            tcp_close(&g_server);
        } else if (trouble) {
            trouble = false;
            say("requests are answered again, by %s, after %lld ms", g_server_name, (long long)(now_ms() - trouble_since));
        }
        ++n;
        long due = pace_due(&pace);
        n = n < due ? due : n;
    }
    fclose(notes);
    say("%ld writes acknowledged, %ld reads, %ld failures, %ld stale reads", writes, reads, failures, wrong);
    return wrong != 0 || writes == 0 ? 1 : 0;
}

// Asks one endpoint, with patience; true when it answered.
static bool get_from(char* endpoint, const char* key, bool serializable, char* value, size_t size) {
    const int64_t end = now_ms() + kPatienceMs;
    while (now_ms() < end) {
        if ((g_server.fd >= 0 || tcp_connect(&g_server, endpoint, kPort, now_ms() + 500)) &&
            get(key, serializable, value, size)) {
            return true;
        }
        tcp_close(&g_server);
        sleep_until_ms(now_ms() + 200);
    }
    say("%s does not answer", endpoint);
    return false;
}

static int verify(const char* path, char** endpoints, int count) {
    long lost = 0, total = 0;
    for (int i = 0; i < count; ++i) {
        FILE* notes = notes_open(path);
        if (notes == NULL) {
            return 2;
        }
        tcp_close(&g_server);
        char value[64];
        // A linearizable read first: the endpoint has then caught up, and what it has itself can be read.
        if (!get_from(endpoints[i], "register", false, value, sizeof value)) {
            return 2;
        }
        struct Note note;
        while (notes_next(notes, &note)) {
            char key[64];
            snprintf(key, sizeof key, "write/%ld", note.number);
            ++total;
            if (!get_from(endpoints[i], key, true, value, sizeof value)) {
                return 2;
            }
            if (value[0] == '\0' || atol(value) != note.number) {
                if (++lost <= kLostShown) {
                    say("LOST %s at %s, acknowledged by %s at %lld ms", key, endpoints[i], note.by, note.at_ms);
                }
            }
        }
        fclose(notes);
    }
    say("verified %ld acknowledged writes at %d endpoints: %ld lost", total / count, count, lost);
    return lost == 0 ? 0 : 1;
}

int main(int argc, char** argv) {
    static const struct Client client = {"etcd-client", "run", "ENDPOINT", run, verify};
    return client_main(&client, argc, argv);
}
