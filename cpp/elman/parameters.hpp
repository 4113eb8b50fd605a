// The parameters of a network: names and shapes, one after another in one flat vector, and by name
// the weights to start from (initialize.hpp).
#pragma once

#include "elman/cells.hpp"
#include "elman/initialize.hpp"

namespace elman {

struct Parameter {
    std::string name;
    std::vector<Index> shape;
    Index offset;

    Index size() const {
        return shape.size() == 2 ? checked_multiply(shape[0], shape[1]) : shape[0];
    }
    bool is_matrix() const { return shape.size() == 2; }
    bool ends_with(const std::string& end) const {
        return name.size() >= end.size() &&
               name.compare(name.size() - end.size(), end.size(), end) == 0;
    }
};

class ParameterList {
public:
    // Where it begins in the flat vector.
    Index add(std::string name, std::vector<Index> shape) {
        parameters_.push_back({std::move(name), std::move(shape), size_});
        size_ += parameters_.back().size();
        return parameters_.back().offset;
    }

    const std::vector<Parameter>& parameters() const { return parameters_; }
    Index size() const { return size_; }  // of the flat vector

private:
    std::vector<Parameter> parameters_;
    Index size_ = 0;
};

// From zeros to what a parameter of a network of such cells starts from.
template <class T>
void initialize_parameter(const Parameter& parameter, const CellLayout& layout, std::uint64_t key,
                          T* to, Control& control) {
    if (parameter.name == "embedding") {
        initialize_normal(key, parameter.size(), to);
    } else if (parameter.ends_with("W_xh")) {
        const Index units = parameter.shape[1] / layout.n_columns;
        initialize_glorot(key, parameter.shape[0], units, parameter.size(), to);
    } else if (parameter.ends_with(".g_h") || parameter.ends_with(".g_hn")) {
        std::fill_n(to, parameter.size(), T(1));
    } else if (parameter.name == "decay.w_x") {
        std::fill_n(to, parameter.size(), T(0.1));
    } else if (parameter.ends_with(".W") || parameter.name == "decay.W_h") {
        initialize_glorot(key, parameter.shape[0], parameter.shape[1], parameter.size(), to);
    } else if (parameter.ends_with("W_hh")) {
        const Index units = parameter.shape[0];
        for (Index column = 0; column < layout.n_columns; ++column)
            initialize_orthogonal(random_bits(key, std::uint64_t(column)), units,
                                  parameter.shape[1], to + column * units, control);
    } else if (parameter.name != "decay.b_h" && parameter.ends_with("b_h") &&
               layout.forget_column >= 0) {
        const Index units = parameter.shape[0] / layout.n_columns;
        std::fill_n(to + layout.forget_column * units, units, T(1));
    }
}

}  // namespace elman
