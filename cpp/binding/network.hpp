// A network of either dtype, as Python sees it.
#pragma once

#include <pybind11/pybind11.h>

#include <variant>

#include "elman/core.hpp"

namespace elman::binding {

class AnyNetwork {
public:
    using Variant = std::variant<Network<float>, Network<double>>;

    AnyNetwork(const std::string& dtype, const NetworkOptions& options)
        : network_(make(dtype, options)) {}

    template <class Function>
    auto visit(const Function& function) const {
        return std::visit(function, network_);
    }

private:
    static Variant make(const std::string& dtype, const NetworkOptions& options) {
        if (dtype == "float32") return Variant(std::in_place_type<Network<float>>, options);
        if (dtype == "float64") return Variant(std::in_place_type<Network<double>>, options);
        throw std::invalid_argument("dtype must be 'float32' or 'float64', got '" + dtype + "'");
    }

    Variant network_;
};

void register_network(pybind11::module_& module);

}  // namespace elman::binding
