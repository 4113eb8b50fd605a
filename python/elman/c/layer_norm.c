/* Sums start from zero, since the bias comes after normalisation. */
static inline void model_start_(int n, const float* b, float* z) {
    (void)b;
    for (int j = 0; j < n; ++j) z[j] = 0.0f;
}

/* Layer normalisation of each gate: z = g (s - mean(s)) / sqrt(var(s) + 1e-5) + b */
static inline void model_normalize_(int n_gates, int n, const float* g, const float* b, float* z) {
    for (int gate = 0; gate < n_gates; ++gate, z += n, g += n, b += n) {
        float mean = 0.0f, variance = 0.0f, scale;
        for (int j = 0; j < n; ++j) mean += z[j];
        mean /= (float)n;
        for (int j = 0; j < n; ++j) variance += (z[j] - mean) * (z[j] - mean);
        scale = 1.0f / sqrtf(variance / (float)n + 1e-5f);
        for (int j = 0; j < n; ++j) z[j] = g[j] * ((z[j] - mean) * scale) + b[j];
    }
}
