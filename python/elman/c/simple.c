/* h <- f(x W_xh + h W_hh + b) */
static inline void model_layer_(int depth, int n, const model_weights_* w, const float* x, float* h,
                                float* z) {
    model_start_(n, w->b_h, z);
    model_multiply_(depth, n, x, w->W_xh, z);
    model_multiply_(n, n, h, w->W_hh, z);
    model_normalize_(1, n, w->g_h, w->b_h, z);
    for (int j = 0; j < n; ++j) h[j] = ACTIVATION;
}
