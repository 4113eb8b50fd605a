// Aligned arrays and views of rows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "elman/simd.hpp"

namespace elman {

// Memory on cache lines that the system hands out as zeros, page by page when it is first touched:
// a tape of gigabytes costs nothing until its steps are run, and Ctrl-C waits for no memset. A
// register may be read or written across the end: there is a cache line of slack.
template <class T>
struct ZeroedAllocator {
    using value_type = T;
    static constexpr std::size_t alignment = 64;

    ZeroedAllocator() = default;
    template <class U>
    ZeroedAllocator(const ZeroedAllocator<U>&) {}

    T* allocate(std::size_t n) {
        if (n > (std::numeric_limits<std::size_t>::max() - 3 * alignment) / sizeof(T))
            throw std::bad_alloc();
        void* const raw = std::calloc(n * sizeof(T) + 3 * alignment, 1);
        if (raw == nullptr) throw std::bad_alloc();
        const auto address = reinterpret_cast<std::uintptr_t>(raw);
        const auto aligned = (address + 2 * alignment - 1) / alignment * alignment;
        std::memcpy(reinterpret_cast<void*>(aligned - sizeof raw), &raw, sizeof raw);
        return reinterpret_cast<T*>(aligned);
    }
    void deallocate(T* data, std::size_t) {
        void* raw;
        std::memcpy(&raw, reinterpret_cast<char*>(data) - sizeof raw, sizeof raw);
        std::free(raw);
    }
    // What is made without a value is zero already.
    template <class U, class... Arguments>
    void construct(U* element, Arguments&&... arguments) {
        if constexpr (sizeof...(Arguments) > 0)
            ::new (static_cast<void*>(element)) U(std::forward<Arguments>(arguments)...);
    }

    friend bool operator==(const ZeroedAllocator&, const ZeroedAllocator&) { return true; }
    friend bool operator!=(const ZeroedAllocator&, const ZeroedAllocator&) { return false; }
};

template <class T>
using Array = std::vector<T, ZeroedAllocator<T>>;

// Room for at least this many elements, whose values are of no interest.
template <class T>
void make_room(Array<T>& array, Index size) {
    if (size <= Index(array.size())) return;
    array = Array<T>();
    array.resize(std::size_t(size));
}

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
    // Rows [first, end), with what lies between them.
    void clear(Index first, Index end) const {
        if (first < end) std::fill_n(row(first), (end - first) * stride, T(0));
    }
    // Rows first + n - 1 down to first.
    Rows reversed(Index first, Index n) const { return {row(first + n - 1), -stride, width}; }
    operator Rows<const T>() const { return {data, stride, width}; }
};

// Room for whole registers in each row; a cache line more where rows would otherwise lie a
// multiple of 1024 bytes apart and compete for the same few sets of the cache.
template <class T>
inline Index padded_stride(Index width) {
    const Index lanes = Vec<T>::width;
    Index stride = (width + lanes - 1) / lanes * lanes;
    if (stride * sizeof(T) % 1024 == 0) stride += Index(64 / sizeof(T));
    return stride;
}

template <class T>
inline void multiply_rows(const T* a, const T* b, Index n, T* product) {
    for (Index j = 0; j < n; ++j) product[j] = a[j] * b[j];
}

template <class T>
inline void add_rows(const T* from, Index n, T* to) {
    for (Index j = 0; j < n; ++j) to[j] += from[j];
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
        make_room(array_, size);
        view_.data = array_.data();
    }
    const Rows<T>& rows() const { return view_; }
    T* row(Index r) const { return view_.row(r); }
    Rows<T> from_row(Index r) const { return {view_.row(r), view_.stride, view_.width}; }

    friend void swap(Matrix& a, Matrix& b) {
        a.array_.swap(b.array_);
        std::swap(a.view_, b.view_);
    }

private:
    Array<T> array_;
    Rows<T> view_;
};

}  // namespace elman
