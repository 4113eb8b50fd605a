/* Reads a value a line and prints what comes next, by a network that was trained in Python:

       python export.py          writes model.h
       cc -std=c99 -O3 main.c -o forecast -lm
       ./forecast < values.txt
*/
#include <stdio.h>
#include <time.h>

#include "model.h"

/* Microseconds of a step, over a million of them. */
static double time_of_a_step(void) {
    const int n = 1000000;
    model_state state;
    float x = 0.5f, y = 0.0f;
    clock_t begin;
    model_init(&state);
    begin = clock();
    for (int i = 0; i < n; ++i) {
        model_step(&state, &x, &y);
        x = 0.5f * y; /* each step waits for the one before */
    }
    return 1e6 * (double)(clock() - begin) / CLOCKS_PER_SEC / n;
}

int main(void) {
    model_state state;
    float x, y;
    model_init(&state);
    while (scanf("%f", &x) == 1) {
        model_step(&state, &x, &y);
        printf("%.9g\n", y);
    }
    fprintf(stderr, "%zu bytes of state, %.2f us a step\n", sizeof state, time_of_a_step());
    return 0;
}
