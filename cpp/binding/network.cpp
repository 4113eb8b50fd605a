#include "binding/network.hpp"

#include <pybind11/stl.h>

#include "binding/arrays.hpp"
#include "binding/interrupt.hpp"
#include "binding/predictor.hpp"

namespace elman::binding {

namespace {

template <class T>
py::tuple forward_once(const Network<T>& network, const py::array& parameters,
                       const py::object& values, const py::array& offsets, bool per_step,
                       const py::object& initial_state, Index n_threads) {
    const Predictor<T> predictor(network,
                                 elements<T>(parameters, "parameters", {network.n_parameters()}));
    return forward(predictor, values, offsets, per_step, initial_state, n_threads);
}

template <class T>
py::array input_gradient(const Network<T>& network, const py::array& parameters,
                         const py::object& values, const py::array& offsets,
                         const py::array& doutputs, bool per_step, Index n_threads) {
    const Sequences<T> batch = sequences(network, values, offsets);
    const Index rows = per_step ? batch.n_steps() : batch.n_sequences;
    const T* const weights = elements<T>(parameters, "parameters", {network.n_parameters()});
    const T* const from = elements<T>(doutputs, "doutputs", {rows, network.options().n_outputs});
    py::array_t<T> dinputs({batch.n_steps(), batch.n_channels});
    T* const to = dinputs.mutable_data();
    const Control::Check check = interrupt_check();
    bool is_short;
    {
        const GilRelease release;
        const InputGradient<T> gradient(network, weights);
        is_short = gradient(batch, per_step, from, n_threads, check, to);
    }
    if (is_short) warn_about_threads();
    return std::move(dinputs);
}

py::list parameter_list(const AnyNetwork& any) {
    py::list list;
    any.visit([&](const auto& network) {
        for (const Parameter& parameter : network.parameters())
            list.append(py::make_tuple(parameter.name, py::tuple(py::cast(parameter.shape)),
                                       parameter.offset));
    });
    return list;
}

py::list state_list(const AnyNetwork& any) {
    py::list list;
    any.visit([&](const auto& network) {
        for (const State& state : network.states())
            list.append(py::make_tuple(state.name, state.width, state.offset));
    });
    return list;
}

template <class T>
py::array initialize(const Network<T>& network, std::uint64_t seed) {
    py::array_t<T> weights(network.n_parameters());
    T* const to = weights.mutable_data();
    Team alone(1, interrupt_check());
    {
        const GilRelease release;
        network.initialize(seed, to, alone.control());
    }
    return std::move(weights);
}

}  // namespace

void register_network(py::module_& module) {
    using namespace py::literals;
    py::class_<AnyNetwork, std::shared_ptr<AnyNetwork>>(module, "Network")
        .def(py::init([](const std::string& dtype, const std::string& cell,
                         const std::string& activation, bool reset_after,
                         const std::vector<Index>& hidden_layer_sizes,
                         const std::vector<bool>& bidirectional, Index n_channels, Index n_outputs,
                         bool head, Index n_tokens, const std::string& merge_mode, bool residual,
                         const std::string& missing, bool layer_norm, Index input_layer,
                         Index head_layer, bool head_inputs, Index branch_step) {
                 return AnyNetwork(dtype, {{cell, activation, reset_after},
                                           hidden_layer_sizes,
                                           bidirectional,
                                           n_channels,
                                           n_outputs,
                                           head,
                                           n_tokens,
                                           merge_mode,
                                           residual,
                                           missing,
                                           layer_norm,
                                           input_layer,
                                           head_layer,
                                           head_inputs,
                                           branch_step});
             }),
             py::kw_only(), "dtype"_a, "cell"_a, "activation"_a, "reset_after"_a,
             "hidden_layer_sizes"_a, "bidirectional"_a, "n_channels"_a, "n_outputs"_a, "head"_a,
             "n_tokens"_a = 0, "merge_mode"_a = "concat", "residual"_a = false,
             "missing"_a = "none", "layer_norm"_a = false, "input_layer"_a = 0, "head_layer"_a = 0,
             "head_inputs"_a = false, "branch_step"_a = 0)
        .def_property_readonly("dtype",
                               [](const AnyNetwork& any) {
                                   return any.visit([](const auto& network) {
                                       return std::string(dtype_of(network));
                                   });
                               })
        .def_property_readonly(
            "n_channels",
            [](const AnyNetwork& any) {
                return any.visit([](const auto& n) { return n.options().n_channels; });
            })
        .def_property_readonly(
            "n_tokens",
            [](const AnyNetwork& any) {
                return any.visit([](const auto& n) { return n.options().n_tokens; });
            })
        .def_property_readonly(
            "n_outputs",
            [](const AnyNetwork& any) {
                return any.visit([](const auto& n) { return n.options().n_outputs; });
            })
        .def_property_readonly("n_parameters",
                               [](const AnyNetwork& any) {
                                   return any.visit([](const auto& n) { return n.n_parameters(); });
                               })
        .def_property_readonly("state_size",
                               [](const AnyNetwork& any) {
                                   return any.visit([](const auto& n) { return n.state_size(); });
                               })
        .def_property_readonly("parameters", &parameter_list)
        .def_property_readonly("states", &state_list)
        .def(
            "initialize",
            [](const AnyNetwork& any, std::uint64_t seed) {
                return any.visit([&](const auto& network) { return initialize(network, seed); });
            },
            "seed"_a)
        .def(
            "forward",
            [](const AnyNetwork& any, const py::array& parameters, const py::object& values,
               const py::array& offsets, bool per_step, const py::object& initial_state,
               Index n_threads) {
                return any.visit([&](const auto& network) {
                    return forward_once(network, parameters, values, offsets, per_step,
                                        initial_state, n_threads);
                });
            },
            "parameters"_a, "values"_a, "offsets"_a, py::kw_only(), "per_step"_a,
            "initial_state"_a = py::none(), "n_threads"_a = 1)
        .def(
            "input_gradient",
            [](const AnyNetwork& any, const py::array& parameters, const py::object& values,
               const py::array& offsets, const py::array& doutputs, bool per_step,
               Index n_threads) {
                return any.visit([&](const auto& network) {
                    return input_gradient(network, parameters, values, offsets, doutputs, per_step,
                                          n_threads);
                });
            },
            "parameters"_a, "values"_a, "offsets"_a, "doutputs"_a, py::kw_only(), "per_step"_a,
            "n_threads"_a = 1);
}

}  // namespace elman::binding
