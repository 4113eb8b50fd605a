/* i, f, o = sigmoid(x W_x + h W_h + b),  g = tanh(x W_xg + h W_hg + b_g)
   c      <- f c + i g
   h      <- o tanh(c) */
static inline void model_layer_(int depth, int n, const model_weights_* w, const float* x, float* h,
                                float* c, float* z) {
    const float *const i = z, *const f = z + n, *const g = z + 2 * n, *const o = z + 3 * n;
    model_start_(4 * n, w->b_h, z);
    model_multiply_(depth, 4 * n, x, w->W_xh, z);
    model_multiply_(n, 4 * n, h, w->W_hh, z);
    model_normalize_(4, n, w->g_h, w->b_h, z);
    for (int j = 0; j < 2 * n; ++j) z[j] = model_sigmoid_(z[j]);
    for (int j = 2 * n; j < 3 * n; ++j) z[j] = model_tanh_(z[j]);
    for (int j = 3 * n; j < 4 * n; ++j) z[j] = model_sigmoid_(z[j]);
    for (int j = 0; j < n; ++j) {
        c[j] = f[j] * c[j] + i[j] * g[j];
        h[j] = o[j] * model_tanh_(c[j]);
    }
}
