/* i, f = sigmoid(x W_x + b)
   h   <- k h + (1 - k) (x W_xn + b_n),  k = f / (f + i)

   k is made of exp(s) / f and exp(s) / i with s = min(i's sum, f's sum, 0), of which one is not
   small, however far both gates are shut. */
static inline void model_layer_(int depth, int n, const model_weights_* w, const float* x, float* h,
                                float* z) {
    model_start_(3 * n, w->b_h, z);
    model_multiply_(depth, 3 * n, x, w->W_xh, z);
    model_normalize_(3, n, w->g_h, w->b_h, z);
    for (int j = 0; j < n; ++j) {
        const float i = z[j], f = z[n + j], candidate = z[2 * n + j];
        const float least = i < f ? i : f, s = least < 0.0f ? least : 0.0f;
        const float open = model_exp_(s);
        const float over_f = open + model_exp_(s - f), over_i = open + model_exp_(s - i);
        h[j] = over_i / (over_f + over_i) * (h[j] - candidate) + candidate;
    }
}
