// A matrix product and n-body, in double precision.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { kSize = 256, kBodies = 5, kSteps = 900000 };

static double g_a[kSize][kSize], g_b[kSize][kSize], g_c[kSize][kSize];

static double matrix(void) {
    for (int i = 0; i < kSize; ++i) {
        for (int j = 0; j < kSize; ++j) {
            g_a[i][j] = (i * 3 + j) % 17 / 4.0;
            g_b[i][j] = (i - 2 * j) % 13 / 8.0;
        }
    }
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < kSize; ++i) {
            for (int k = 0; k < kSize; ++k) {
                const double a = g_a[i][k];
                for (int j = 0; j < kSize; ++j) {
                    g_c[i][j] += a * g_b[k][j];
                }
            }
        }
    }
    double trace = 0;
    for (int i = 0; i < kSize; ++i) {
        trace += g_c[i][i];
    }
    return trace;
}

struct Body {
    double x[3], v[3], mass;
};

static double n_body(void) {
    struct Body body[kBodies];
    for (int i = 0; i < kBodies; ++i) {
        for (int k = 0; k < 3; ++k) {
            body[i].x[k] = i * (k + 1) + 0.25 * k;
            body[i].v[k] = 0.01 * (i - k);
        }
        body[i].mass = i == 0 ? 39.5 : 0.01 * i;
    }
    const double dt = 0.0005;
    for (int step = 0; step < kSteps / 4; ++step) {
        for (int i = 0; i < kBodies; ++i) {
            for (int j = i + 1; j < kBodies; ++j) {
                double d[3], square = 1e-3;
                for (int k = 0; k < 3; ++k) {
                    d[k] = body[i].x[k] - body[j].x[k];
                    square += d[k] * d[k];
                }
                const double pull = dt / (square * sqrt(square));
                for (int k = 0; k < 3; ++k) {
                    body[i].v[k] -= d[k] * body[j].mass * pull;
                    body[j].v[k] += d[k] * body[i].mass * pull;
                }
            }
        }
        for (int i = 0; i < kBodies; ++i) {
            for (int k = 0; k < 3; ++k) {
                body[i].x[k] += dt * body[i].v[k];
            }
        }
    }
    return body[0].x[0] + body[4].x[2];
}

static void show(const char* name, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    printf("%s %016llx\n", name, (unsigned long long)bits);
}

int main(void) {
    show("matrix", matrix());
    show("n-body", n_body());
    return 0;
}
