// A predictor of either dtype, as Python sees it.
#pragma once

#include "binding/arrays.hpp"
#include "binding/network.hpp"

namespace elman::binding {

class AnyPredictor {
public:
    AnyPredictor(std::shared_ptr<AnyNetwork> network, const py::array& parameters, bool per_step,
                 Index n_threads, const std::string& storage)
        : network_(std::move(network)),
          parameters_(parameters),
          per_step_(per_step),
          n_threads_(n_threads) {
        network_->visit([&](const auto& net) { make(net, parameters, storage_of(storage)); });
    }

    bool per_step() const { return per_step_; }
    Index n_threads() const { return n_threads_; }

    template <class Function>
    auto visit(const Function& function) const {
        return std::visit([&](const auto& predictor) { return function(*predictor); }, predictor_);
    }

private:
    template <class T>
    void make(const Network<T>& network, const py::array& parameters, Storage storage) {
        predictor_ = std::make_unique<Predictor<T>>(
            network, elements<T>(parameters, "parameters", {network.n_parameters()}), storage);
    }

    std::shared_ptr<AnyNetwork> network_;
    py::array parameters_;
    bool per_step_;
    Index n_threads_;
    std::variant<std::unique_ptr<Predictor<float>>, std::unique_ptr<Predictor<double>>> predictor_;
};

// Outputs and final states of a ragged batch.
template <class T>
py::tuple forward(const Predictor<T>& predictor, const py::object& values, const py::array& offsets,
                  bool per_step, const py::object& initial_state, Index n_threads);

void register_predictor(py::module_& module);

}  // namespace elman::binding
