/* r, u = sigmoid(x W_x + h W_h + b)
   n    = tanh(x W_xn + (r h) W_hn + b_n)
   h   <- (1 - u) n + u h */
static inline void model_layer_(int depth, int n, const model_weights_* w, const float* x, float* h,
                                float* z) {
    float *const r = z, *const u = z + n, *const candidate = z + 2 * n;
    model_start_(3 * n, w->b_h, z);
    model_multiply_(depth, 3 * n, x, w->W_xh, z);
    model_multiply_(n, 2 * n, h, w->W_hh, z);
    model_normalize_(2, n, w->g_h, w->b_h, z);
    for (int j = 0; j < 2 * n; ++j) z[j] = model_sigmoid_(z[j]);
    for (int j = 0; j < n; ++j) r[j] *= h[j];
    model_multiply_(n, n, r, w->W_hn, candidate);
    model_normalize_(1, n, w->g_h + 2 * n, w->b_h + 2 * n, candidate);
    for (int j = 0; j < n; ++j) {
        candidate[j] = model_tanh_(candidate[j]);
        h[j] = u[j] * (h[j] - candidate[j]) + candidate[j];
    }
}
