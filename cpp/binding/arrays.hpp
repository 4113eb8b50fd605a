// Arrays that come from Python: checked, and seen without a copy.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>
#include <type_traits>

#include "elman/core.hpp"

namespace elman::binding {

namespace py = pybind11;

template <class T>
inline constexpr const char* dtype_name = sizeof(T) == 4 ? "float32" : "float64";
template <>
inline constexpr const char* dtype_name<Index> = "int64";

template <class T>
constexpr const char* dtype_of(const Network<T>&) {
    return dtype_name<T>;
}

// message is a text, or a function that makes one: calls of a microsecond do not pay for texts
// that nobody reads.
template <class Message>
void require(bool holds, const Message& message) {
    if (holds) return;
    if constexpr (std::is_invocable_v<Message>)
        throw py::value_error(message());
    else
        throw py::value_error(message);
}

inline std::string shape_text(const py::array& array) {
    std::string text = "(";
    for (py::ssize_t d = 0; d < array.ndim(); ++d)
        text +=
            std::to_string(array.shape(d)) + (array.ndim() == 1 || d + 1 < array.ndim() ? "," : "");
    return text + ")";
}

template <class T>
void require_dtype(const py::array& array, const char* name) {
    require(py::isinstance<py::array_t<T, py::array::c_style>>(array), [&] {
        return std::string(name) + " must be a C-contiguous array of " + dtype_name<T> + ", got " +
               std::string(py::str(array.dtype()));
    });
}

// The elements of a C-contiguous array of T with the given shape; -1 stands for any length.
template <class T>
const T* elements(const py::array& array, const char* name, std::initializer_list<Index> shape) {
    require_dtype<T>(array, name);
    bool fits = array.ndim() == py::ssize_t(shape.size());
    py::ssize_t d = 0;
    for (const Index length : shape) {
        fits = fits && (length < 0 || array.shape(d) == length);
        ++d;
    }
    require(fits, [&] {
        std::string wanted;
        for (const Index length : shape)
            wanted += (wanted.empty() ? "" : ", ") +
                      (length < 0 ? std::string("any") : std::to_string(length));
        return std::string(name) + " has shape " + shape_text(array) + ", expected (" + wanted +
               ")";
    });
    return static_cast<const T*>(array.data());
}

template <class T>
Sequences<T> sequences(const Network<T>& network, const py::array& values,
                       const py::array& offsets) {
    const Index n_channels = network.options().n_channels;
    const T* const data = elements<T>(values, "values", {-1, n_channels});
    const Index* const begin = elements<Index>(offsets, "offsets", {-1});
    const Index n = offsets.shape(0) - 1;
    require(n >= 1, "offsets must name at least one sequence");
    require(begin[0] == 0 && begin[n] == values.shape(0),
            "offsets must run from 0 to the number of rows of values");
    for (Index i = 0; i < n; ++i)
        require(begin[i] < begin[i + 1], [i] {
            return "sequence " + std::to_string(i) + " has no steps, expected at least 1";
        });
    return {data, n_channels, begin, n};
}

// One element for each row, or null for None.
template <class T>
const T* optional_rows(const py::object& array, const char* name, Index n_rows, Index width) {
    if (array.is_none()) return nullptr;
    return elements<T>(py::cast<py::array>(array), name, {n_rows, width});
}

}  // namespace elman::binding
