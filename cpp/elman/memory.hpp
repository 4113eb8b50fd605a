// Aligned arrays and views of rows.
#pragma once

#include <Eigen/Core>

#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "elman/simd.hpp"

namespace elman {

template <class T>
using Array = std::vector<T, Eigen::aligned_allocator<T>>;

// Sizes come from users; a product that does not fit is refused before anything is allocated.
inline Index checked_multiply(Index a, Index b) {
    if (a < 0 || b < 0 || (b != 0 && a > std::numeric_limits<Index>::max() / b))
        throw std::length_error("elman: a size of " + std::to_string(a) + " x " +
                                std::to_string(b) + " elements is out of range");
    return a * b;
}

// A matrix whose row r begins at data + r * stride.
template <class T>
struct Rows {
    T* data = nullptr;
    Index stride = 0;
    Index width = 0;

    T* row(Index r) const { return data + r * stride; }
    operator Rows<const T>() const { return {data, stride, width}; }
};

// Room for whole registers in each row; a cache line more where rows would otherwise lie a
// multiple of 256 bytes apart and compete for the same few sets of the cache.
template <class T>
inline Index padded_stride(Index width) {
    const Index lanes = Vec<T>::width;
    Index stride = (width + lanes - 1) / lanes * lanes;
    if (stride * sizeof(T) % 256 == 0) stride += Index(64 / sizeof(T));
    return stride;
}

// An array of rows that keeps its memory from one mini-batch to the next.
template <class T>
class Matrix {
public:
    void resize(Index n_rows, Index width) { resize(n_rows, width, padded_stride<T>(width)); }
    void resize(Index n_rows, Index width, Index stride) {
        view_.width = width;
        view_.stride = stride;
        const Index size = checked_multiply(n_rows, view_.stride);
        if (size > Index(array_.size())) array_.resize(size);
        view_.data = array_.data();
    }
    const Rows<T>& rows() const { return view_; }
    T* row(Index r) const { return view_.row(r); }

private:
    Array<T> array_;
    Rows<T> view_;
};

}  // namespace elman
