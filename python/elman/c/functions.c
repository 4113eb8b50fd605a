/* exp(x) = 2^n exp(r) with x = n log 2 + r, |r| <= log(2) / 2; returns exp(r) - 1.

   x is bounded by 87, as an integer, since compilers vectorise that more readily than a choice
   between floats; what is not finite is NaN in the end. */
static inline float model_split_exp_(float x, float* power_of_two) {
    const uint32_t limit = 0x42ae0000u, sign = 0x80000000u;
    uint32_t bits;
    float bounded;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits & ~sign) < limit ? bits : (bits & sign) | limit;
    memcpy(&bounded, &bits, sizeof bits);
    const int32_t n = (int32_t)(bounded * 1.44269504f + 127.5f) - 127;
    const float r = (bounded - (float)n * 0.693359375f) - (float)n * -2.12194440e-4f + 0.0f * x;
    float q = 0.001392621346633f;
    q = q * r + 0.008363202971576f;
    q = q * r + 0.041666554437686f;
    q = q * r + 0.16666576845976f;
    q = q * r + 0.5f;
    bits = (uint32_t)(n + 127) << 23;
    memcpy(power_of_two, &bits, sizeof bits);
    return r * r * q + r;
}

static inline float model_exp_(float x) {
    float power_of_two;
    const float p = model_split_exp_(x, &power_of_two);
    return power_of_two * p + power_of_two;
}

static inline float model_sigmoid_(float x) { return 1.0f / (1.0f + model_exp_(-x)); }

/* m / (m + 2) with m = exp(2 x) - 1 */
static inline float model_tanh_(float x) {
    float power_of_two;
    const float p = model_split_exp_(2.0f * x, &power_of_two);
    const float m = power_of_two * p + (power_of_two - 1.0f);
    return m / (m + 2.0f);
}

/* GCC would turn the loops over k below inside out, which takes four times as long. */
#if defined(__GNUC__)
#define MODEL_IN_ORDER_ __asm__ volatile("")
#else
#define MODEL_IN_ORDER_ (void)0
#endif

/* z[j] += sum over k of x[k] W[k][j]. W lies in panels of eight columns, row after row, so that
   eight sums stay in registers; columns that are left over in a panel of four, and one by one. */
static inline void model_multiply_(int depth, int n, const float* x, const float* W, float* z) {
    for (int panel = n / 8; panel > 0; --panel, z += 8) {
        float z0 = z[0], z1 = z[1], z2 = z[2], z3 = z[3], z4 = z[4], z5 = z[5], z6 = z[6],
              z7 = z[7];
        for (int k = 0; k < depth; ++k, W += 8) {
            MODEL_IN_ORDER_;
            z0 += x[k] * W[0];
            z1 += x[k] * W[1];
            z2 += x[k] * W[2];
            z3 += x[k] * W[3];
            z4 += x[k] * W[4];
            z5 += x[k] * W[5];
            z6 += x[k] * W[6];
            z7 += x[k] * W[7];
        }
        z[0] = z0;
        z[1] = z1;
        z[2] = z2;
        z[3] = z3;
        z[4] = z4;
        z[5] = z5;
        z[6] = z6;
        z[7] = z7;
    }
    if (n & 4) {
        float z0 = z[0], z1 = z[1], z2 = z[2], z3 = z[3];
        for (int k = 0; k < depth; ++k, W += 4) {
            MODEL_IN_ORDER_;
            z0 += x[k] * W[0];
            z1 += x[k] * W[1];
            z2 += x[k] * W[2];
            z3 += x[k] * W[3];
        }
        z[0] = z0;
        z[1] = z1;
        z[2] = z2;
        z[3] = z3;
        z += 4;
    }
    for (int column = n & 3; column > 0; --column, ++z) {
        float z0 = *z;
        for (int k = 0; k < depth; ++k) z0 += x[k] * *W++;
        *z = z0;
    }
}
