// Random numbers by counter: number i of a key, in any order, on any thread.
//
//     mix(z): z ^= z >> 30; z *= 0xbf58476d1ce4e5b9; z ^= z >> 27; z *= 0x94d049bb133111eb;
//             z ^= z >> 31
//     bits(key, i) = mix(key + (i + 1) 0x9e3779b97f4a7c15)       SplitMix64 (Steele et al., 2014)
//     uniform      = the upper 53 bits of bits(key, i), in [0, 1)
//     normal       = sqrt(-2 log(1 - u_2i)) cos(2 pi u_2i+1)     (Box & Muller, 1958)
#pragma once

#include <cmath>
#include <cstdint>

namespace elman {

inline std::uint64_t random_bits(std::uint64_t key, std::uint64_t i) {
    std::uint64_t z = key + (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

inline double random_uniform(std::uint64_t key, std::uint64_t i) {
    return double(random_bits(key, i) >> 11) * 0x1p-53;
}

inline double random_normal(std::uint64_t key, std::uint64_t i) {
    constexpr double two_pi = 6.283185307179586476925;
    const double radius = std::sqrt(-2.0 * std::log(1.0 - random_uniform(key, 2 * i)));
    return radius * std::cos(two_pi * random_uniform(key, 2 * i + 1));
}

}  // namespace elman
