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
template <>
inline constexpr const char* dtype_name<std::int32_t> = "int32";

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

// Whether an object is a C-contiguous array of T. The dtype of nearly every one is NumPy's own
// object, which spares asking NumPy whether two dtypes mean the same.
template <class T>
bool is_c_array(const py::handle& object) {
    static const PyObject* const own_dtype = py::dtype::of<T>().release().ptr();
    if (!py::isinstance<py::array>(object)) return false;
    const auto* const array = py::detail::array_proxy(object.ptr());
    if ((array->flags & py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_) == 0) return false;
    return array->descr == own_dtype || py::isinstance<py::array_t<T>>(object);
}

template <class T>
void require_dtype(const py::array& array, const char* name) {
    require(is_c_array<T>(array), [&] {
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

inline py::array as_array(const py::handle& object, const char* name) {
    require(py::isinstance<py::array>(object), [&] {
        return std::string(name) + " must be an array, got " +
               std::string(py::str(py::type::of(object)));
    });
    return py::reinterpret_borrow<py::array>(object);
}

template <class T>
bool all_finite(const T* values, Index n, bool or_nan) {
    bool are_finite = true;
    for (Index i = 0; i < n; ++i)
        are_finite &= or_nan ? !(std::abs(values[i]) > std::numeric_limits<T>::max())
                             : std::abs(values[i]) <= std::numeric_limits<T>::max();
    return are_finite;
}

inline void require_tokens(const std::int32_t* ids, Index n, Index n_tokens) {
    for (Index k = 0; k < n; ++k)
        require(ids[k] >= 0 && ids[k] < n_tokens, [&] {
            return "token " + std::to_string(ids[k]) + " is out of range, expected 0 to " +
                   std::to_string(n_tokens - 1);
        });
}

// One token a step: an array of ids. Several: (first, ids, values), as scipy's CSR has them.
template <class T>
TokenSteps<T> token_steps(const py::object& values, Index n_tokens, Index& n_steps) {
    if (!py::isinstance<py::tuple>(values)) {
        const py::array array = as_array(values, "values");
        const std::int32_t* const ids = elements<std::int32_t>(array, "values", {-1});
        n_steps = array.shape(0);
        require_tokens(ids, n_steps, n_tokens);
        return {ids, nullptr, nullptr};
    }
    const auto parts = py::reinterpret_borrow<py::tuple>(values);
    require(parts.size() == 3, "values of several tokens a step must be (first, ids, values)");
    const py::array firsts = as_array(parts[0], "first"), ids = as_array(parts[1], "ids"),
                    amounts = as_array(parts[2], "values");
    const Index* const first = elements<Index>(firsts, "first", {-1});
    n_steps = firsts.shape(0) - 1;
    require(n_steps >= 0 && first[0] == 0 && first[n_steps] == ids.shape(0),
            "first must run from 0 to the number of ids");
    for (Index i = 0; i < n_steps; ++i)
        require(first[i] <= first[i + 1], "first must not decrease");
    const std::int32_t* const all = elements<std::int32_t>(ids, "ids", {-1});
    require_tokens(all, ids.shape(0), n_tokens);
    return {all, first, elements<T>(amounts, "values", {ids.shape(0)})};
}

template <class T>
Sequences<T> sequences(const Network<T>& network, const py::object& values,
                       const py::array& offsets) {
    Sequences<T> result{nullptr, network.options().n_channels, nullptr, 0};
    Index n_steps = 0;
    if (network.embedding()) {
        result.tokens = token_steps<T>(values, network.options().n_tokens, n_steps);
    } else {
        const py::array array = as_array(values, "values");
        result.values = elements<T>(array, "values", {-1, result.n_channels});
        n_steps = array.shape(0);
    }
    const Index* const begin = elements<Index>(offsets, "offsets", {-1});
    const Index n = offsets.shape(0) - 1;
    require(n >= 1, "offsets must name at least one sequence");
    require(begin[0] == 0 && begin[n] == n_steps,
            "offsets must run from 0 to the number of rows of values");
    for (Index i = 0; i < n; ++i)
        require(begin[i] < begin[i + 1], [i] {
            return "sequence " + std::to_string(i) + " has no steps, expected at least 1";
        });
    result.offsets = begin;
    result.n_sequences = n;
    return result;
}

// One element for each row, or null for None.
template <class T>
const T* optional_rows(const py::object& array, const char* name, Index n_rows, Index width) {
    if (array.is_none()) return nullptr;
    return elements<T>(py::cast<py::array>(array), name, {n_rows, width});
}

}  // namespace elman::binding
