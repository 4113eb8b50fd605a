/* exp(x) = 2^n exp(r) with x = n log 2 + r, |r| <= log(2) / 2; returns exp(r) - 1. */
static inline float model_split_exp_(float x, float *power_of_two)
{
    const float low = -87.0f, high = 88.0f;
    const float bounded = x > high ? high : x < low ? low : x; /* may be NaN, unlike what follows */
    const float number = x < high ? (x > low ? x : low) : high;
    const int32_t n = (int32_t)(number * 1.44269504f + (number < 0.0f ? -0.5f : 0.5f));
    const float r = (bounded - (float)n * 0.693359375f) - (float)n * -2.12194440e-4f;
    const uint32_t bits = (uint32_t)(n + 127) << 23;
    float q = 0.001392621346633f;
    q = q * r + 0.008363202971576f;
    q = q * r + 0.041666554437686f;
    q = q * r + 0.16666576845976f;
    q = q * r + 0.5f;
    memcpy(power_of_two, &bits, sizeof bits);
    return r * r * q + r;
}

static inline float model_exp_(float x)
{
    float power_of_two;
    const float p = model_split_exp_(x, &power_of_two);
    return power_of_two * p + power_of_two;
}

static inline float model_sigmoid_(float x) { return 1.0f / (1.0f + model_exp_(-x)); }

/* m / (m + 2) with m = exp(2 x) - 1 */
static inline float model_tanh_(float x)
{
    float power_of_two, m;
    const float bounded = x > 10.0f ? 10.0f : x < -10.0f ? -10.0f : x;
    const float p = model_split_exp_(bounded + bounded, &power_of_two);
    m = power_of_two * p + (power_of_two - 1.0f);
    return m / (m + 2.0f);
}

/* z[j] += sum over k of x[k] W[k][j]. W lies in panels of four columns, row after row, so that four
   sums stay in registers; columns that are left over lie one after the other. */
static inline void model_multiply_(int depth, int n, const float *x, const float *W, float *z)
{
    int j = 0;
    for (; j + 4 <= n; j += 4) {
        float z0 = z[j], z1 = z[j + 1], z2 = z[j + 2], z3 = z[j + 3];
        for (int k = 0; k < depth; ++k, W += 4) {
            z0 += x[k] * W[0];
            z1 += x[k] * W[1];
            z2 += x[k] * W[2];
            z3 += x[k] * W[3];
        }
        z[j] = z0;
        z[j + 1] = z1;
        z[j + 2] = z2;
        z[j + 3] = z3;
    }
    for (; j < n; ++j) {
        float z0 = z[j];
        for (int k = 0; k < depth; ++k) z0 += x[k] * *W++;
        z[j] = z0;
    }
}
