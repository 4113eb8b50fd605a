static inline float model_fading_(float a) { return a > 0.0f ? model_exp_(-a) : 1.0f; }

/* Missing values fade from the last one to the mean, the state of the first layer with them:

   g_x = exp(-max(0, w_x since + b_x)),  x <- g_x last + (1 - g_x) mean  where x is NaN
   g_h = exp(-max(0, since W_h + b_h)),  h <- g_h h

   inputs are the values, then which of them were there. */
static inline void model_decay_(int n_channels, int n, const float* x, float* last, float* since,
                                float* h, float* inputs, float* z) {
    memcpy(z, model_decay_b_h_, (size_t)n * sizeof *z);
    model_multiply_(n_channels, n, since, model_decay_W_h_, z);
    for (int j = 0; j < n; ++j) h[j] *= model_fading_(z[j]);
    for (int c = 0; c < n_channels; ++c) {
        const int is_there = x[c] == x[c];
        const float g = model_fading_(model_decay_w_x_[c] * since[c] + model_decay_b_x_[c]);
        const float mean = model_decay_mean_[c];
        inputs[c] = is_there ? x[c] : mean + g * (last[c] - mean);
        inputs[n_channels + c] = is_there ? 1.0f : 0.0f;
        last[c] = is_there ? x[c] : last[c];
        since[c] = is_there ? 1.0f : since[c] + 1.0f;
    }
}
