/* u  = sigmoid(x W_xu + b_u)
   h <- (1 - u) h + u (x W_xn + b_n) */
static inline void model_layer_(int depth, int n, const model_weights_* w, const float* x, float* h,
                                float* z) {
    model_start_(2 * n, w->b_h, z);
    model_multiply_(depth, 2 * n, x, w->W_xh, z);
    model_normalize_(2, n, w->g_h, w->b_h, z);
    for (int j = 0; j < n; ++j) h[j] += model_sigmoid_(z[j]) * (z[n + j] - h[j]);
}
