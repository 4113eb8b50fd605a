// Weights in fewer bits than the arithmetic has: a single sequence through a large layer waits for
// its weights, which are read once a step.
//
//     float16     w to 11 bits
//     int8        w = q s, with an integer |q| <= 127 and a scale s for each column of a gate
//
// Registers are filled with w in float, so that results are those of a network whose weights have
// been rounded; round() does that, and rounding twice is rounding once: s has 17 bits, so that the
// largest weight of a column, 127 s, and s from that again are exact.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

#include "elman/memory.hpp"

#if defined(__F16C__) || defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace elman {

enum class Storage { full, float16, int8 };

inline Storage storage_of(const std::string& name) {
    if (name == "full") return Storage::full;
    if (name == "float16") return Storage::float16;
    if (name == "int8") return Storage::int8;
    throw std::invalid_argument("elman: there is no storage '" + name + "'");
}

struct Half {
    std::uint16_t bits;
};
struct Int8 {
    std::int8_t q;
};

inline Half to_half(float w) { return {Eigen::half_impl::float_to_half_rtne(w).x}; }
inline float to_float(Half h) {
    return Eigen::half_impl::half_to_float(Eigen::half_impl::raw_uint16_to_half(h.bits));
}

// A register of weights; scale is that of its columns, where there is one.
template <class T>
inline Vec<T> load_weights(const T* from, const Vec<T>&) {
    return Vec<T>::load(from);
}
inline Vec<float> load_weights(const Half* from, const Vec<float>&) {
#if defined(__AVX512F__)
    return Vec<float>(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
#elif defined(__F16C__) || defined(__AVX2__)
    return Vec<float>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#elif defined(__aarch64__)
    return Vec<float>(
        vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(reinterpret_cast<const std::uint16_t*>(from)))));
#else
    float w[Vec<float>::width];
    for (int i = 0; i < Vec<float>::width; ++i) w[i] = to_float(from[i]);
    return Vec<float>::load(w);
#endif
}
inline Vec<float> load_weights(const Int8* from, const Vec<float>& scale) {
#if defined(__AVX512F__)
    const __m128i q = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return Vec<float>(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q))) * scale;
#elif defined(__AVX2__)
    const __m128i q = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    return Vec<float>(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q))) * scale;
#else
    float q[Vec<float>::width];
    for (int i = 0; i < Vec<float>::width; ++i) q[i] = float(from[i].q);
    return Vec<float>::load(q) * scale;
#endif
}

// Of a column whose largest weight is this; 0 where there is no weight to speak of.
inline float scale_of(float largest) {
    const float scale = largest / 127.0f;
    if (!(scale >= std::numeric_limits<float>::min())) return 0.0f;
    std::uint32_t bits;
    std::memcpy(&bits, &scale, sizeof bits);
    bits = (bits + 0x40u) & ~0x7fu;
    float rounded;
    std::memcpy(&rounded, &bits, sizeof bits);
    return rounded;
}
inline Int8 to_int8(float w, float scale) {
    return {std::int8_t(scale > 0.0f ? std::lrint(w / scale) : 0)};
}

// A panel of `depth` rows; the scales of its columns go to `scales`.
inline void reduce_panel(const float* panel, Index depth, Index width, float* scales, Int8* to) {
    for (Index c = 0; c < width; ++c) {
        float largest = 0.0f;
        for (Index k = 0; k < depth; ++k)
            largest = std::max(largest, std::abs(panel[k * width + c]));
        scales[c] = scale_of(largest);
        for (Index k = 0; k < depth; ++k)
            to[k * width + c] = to_int8(panel[k * width + c], scales[c]);
    }
}

}  // namespace elman
