/* r, u = sigmoid(x W_x + h W_h + b)
   n    = tanh(x W_xn + b_n + r (h W_hn + b_hn))
   h   <- (1 - u) n + u h */
static inline void model_layer_(int depth, int n, const model_weights_* w, const float* x, float* h,
                                float* z) {
    float *const r = z, *const u = z + n, *const of_state = z + 2 * n, *const of_input = z + 3 * n;
    model_start_(3 * n, w->b_h, z);
    model_multiply_(depth, 3 * n, x, w->W_xh, z);
    memcpy(of_input, of_state, (size_t)n * sizeof *z);
    model_start_(n, w->b_hn, of_state);
    model_multiply_(n, 3 * n, h, w->W_hh, z);
    model_normalize_(2, n, w->g_h, w->b_h, z);
    model_normalize_(1, n, w->g_hn, w->b_hn, of_state);
    model_normalize_(1, n, w->g_h + 2 * n, w->b_h + 2 * n, of_input);
    for (int j = 0; j < 2 * n; ++j) z[j] = model_sigmoid_(z[j]);
    for (int j = 0; j < n; ++j) {
        const float candidate = model_tanh_(r[j] * of_state[j] + of_input[j]);
        h[j] = u[j] * (h[j] - candidate) + candidate;
    }
}
