// What trainers of every kind share, as Python sees it: options of the solver, and its state.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <mutex>
#include <optional>

#include "binding/arrays.hpp"
#include "binding/interrupt.hpp"

namespace elman::binding {

inline void require_share(double p, const char* name) {
    require(p >= 0.0 && p < 1.0, [&] { return std::string(name) + " must be in [0, 1)"; });
}

inline UpdateOptions update_options(const std::string& solver, double learning_rate,
                                    const std::string& schedule, double power_t, Index warmup_steps,
                                    Index total_steps, double alpha,
                                    std::optional<double> clip_norm, double momentum,
                                    bool nesterovs_momentum, double beta_1, double beta_2,
                                    double epsilon) {
    UpdateOptions options;
    options.solver = {solver, momentum, nesterovs_momentum, beta_1, beta_2, epsilon};
    options.learning_rate = learning_rate;
    options.schedule = {schedule, power_t, warmup_steps, total_steps};
    options.alpha = alpha;
    if (clip_norm) options.clip_norm = *clip_norm;
    return options;
}

// A trainer of either dtype; it keeps its model alive, and one call at a time.
template <template <class> class TrainerOf, class AnyModel>
class AnyTrainerOf {
public:
    using Variant =
        std::variant<std::unique_ptr<TrainerOf<float>>, std::unique_ptr<TrainerOf<double>>>;

    template <class Options>
    AnyTrainerOf(std::shared_ptr<const AnyModel> model, const py::array& parameters,
                 const Options& options)
        : model_(std::move(model)),
          trainer_(
              model_->visit([&](const auto& typed) { return make(typed, parameters, options); })) {}

    template <class Function>
    auto visit(const Function& function) const {
        return std::visit([&](const auto& trainer) { return function(*trainer); }, trainer_);
    }

    // Without the GIL, then with the call's own lock, so that neither waits for the other.
    template <class Function>
    auto exclusively(const Function& function) const {
        const GilRelease release;
        const std::lock_guard<std::mutex> lock(mutex_);
        return function();
    }

private:
    template <template <class> class Model, class T, class Options>
    static Variant make(const Model<T>& model, const py::array& parameters,
                        const Options& options) {
        const T* const from = elements<T>(parameters, "parameters", {model.n_parameters()});
        return std::make_unique<TrainerOf<T>>(model, from, options);
    }

    std::shared_ptr<const AnyModel> model_;
    Variant trainer_;
    mutable std::mutex mutex_;
};

// Numbers of sequences, checked.
inline const Index* members_of(const py::array& order, Index n_sequences) {
    const Index* const members = elements<Index>(order, "order", {-1});
    for (Index i = 0; i < order.shape(0); ++i)
        require(members[i] >= 0 && members[i] < n_sequences, [&] {
            return "order names sequence " + std::to_string(members[i]) + " of " +
                   std::to_string(n_sequences);
        });
    return members;
}

template <class T>
const T* checked_weights(const py::object& weights, Index n_rows) {
    if (weights.is_none()) return nullptr;
    const T* const w = elements<T>(py::cast<py::array>(weights), "weights", {n_rows});
    for (Index row = 0; row < n_rows; ++row)
        require(w[row] >= T(0) && std::isfinite(w[row]),
                [row] { return "weight " + std::to_string(row) + " is negative or not finite"; });
    return w;
}

template <class T>
void check_classes(const T* y, Index n_rows, Index n_classes) {
    for (Index row = 0; row < n_rows; ++row)
        require(y[row] >= T(0) && y[row] < T(n_classes) && y[row] == T(Index(y[row])), [&] {
            return "target " + std::to_string(row) + " is not a class number below " +
                   std::to_string(n_classes);
        });
}

// One pass over order in mini-batches.
template <class AnyTrainer, class Trainer, class Examples>
double epoch(const AnyTrainer& any, Trainer& trainer, const Examples& data, Index n_sequences,
             const py::array& order, Index batch_size) {
    const Index* const members = members_of(order, n_sequences);
    const Index n = order.shape(0);
    require(batch_size >= 1, "batch_size must be at least 1, got " + std::to_string(batch_size));
    const Control::Check check = interrupt_check();
    const double loss =
        any.exclusively([&] { return trainer.epoch(data, members, n, batch_size, check); });
    if (trainer.was_short_of_threads()) warn_about_threads();
    return loss;
}

template <class AnyTrainer, class Trainer, class Examples>
py::tuple loss_and_gradient(const AnyTrainer& any, Trainer& trainer, const Examples& data) {
    auto& updates = trainer.updates();
    using T = typename std::decay_t<decltype(updates.parameters())>::value_type;
    py::array_t<T> gradient(Index(updates.parameters().size()));
    T* const to = gradient.mutable_data();
    const Control::Check check = interrupt_check();
    const double loss = any.exclusively([&] {
        const double value = trainer.loss_and_gradient(data, check);
        std::copy(updates.gradient().begin(), updates.gradient().end(), to);
        return value;
    });
    return py::make_tuple(loss, gradient);
}

template <class T>
py::array copy_of(const Array<T>& from) {
    return py::array_t<T>(Index(from.size()), from.data());
}

// The average's elements in a state, or null where none is kept.
template <class T>
const T* average_of(const Updates<T>& updates, const py::dict& state, Index n_parameters) {
    if (!updates.has_average()) return nullptr;
    require(state.contains("average"), "solver_state has no average, expected one");
    return elements<T>(state["average"].cast<py::array>(), "average", {n_parameters});
}

template <class T>
py::dict solver_state(Updates<T>& updates) {
    py::dict state;
    state["n_updates"] = updates.n_updates();
    state["moments"] = py::array_t<T>({updates.n_moments(), Index(updates.parameters().size())},
                                      updates.moments().data());
    if (updates.has_average()) state["average"] = copy_of(updates.average());
    return state;
}

template <class T>
void set_solver_state(Updates<T>& updates, const py::dict& state) {
    const Index n_updates = state["n_updates"].cast<Index>();
    require(n_updates >= 0, "n_updates must not be negative");
    const py::array moments = state["moments"].cast<py::array>();
    const T* const from =
        elements<T>(moments, "moments", {updates.n_moments(), Index(updates.parameters().size())});
    const T* const average = average_of(updates, state, Index(updates.parameters().size()));
    std::copy_n(from, updates.moments().size(), updates.moments().begin());
    if (average != nullptr)
        std::copy_n(average, updates.average().size(), updates.average().begin());
    updates.set_n_updates(n_updates);
}

template <class T>
void set_parameters(Updates<T>& updates, const py::array& value) {
    Array<T>& parameters = updates.parameters();
    const T* const from = elements<T>(value, "parameters", {Index(parameters.size())});
    std::copy_n(from, parameters.size(), parameters.begin());
}

// learning_rate, parameters, n_updates and solver_state of a trainer.
template <class Class>
void define_updates(Class& trainer_class) {
    using Any = typename Class::type;
    trainer_class
        .def_property(
            "learning_rate",
            [](const Any& any) {
                return any.visit([](auto& trainer) { return trainer.updates().learning_rate(); });
            },
            [](Any& any, double rate) {
                any.visit([&](auto& trainer) { trainer.updates().set_learning_rate(rate); });
            })
        .def_property(
            "parameters",
            [](const Any& any) {
                return any.visit(
                    [](auto& trainer) { return copy_of(trainer.updates().parameters()); });
            },
            [](Any& any, const py::array& value) {
                any.visit([&](auto& trainer) { set_parameters(trainer.updates(), value); });
            })
        .def_property(
            "n_updates",
            [](const Any& any) {
                return any.visit([](auto& trainer) { return trainer.updates().n_updates(); });
            },
            [](Any& any, Index n) {
                require(n >= 0, "n_updates must not be negative");
                any.visit([&](auto& trainer) { trainer.updates().set_n_updates(n); });
            })
        .def_property(
            "solver_state",
            [](const Any& any) {
                return any.visit([](auto& trainer) { return solver_state(trainer.updates()); });
            },
            [](Any& any, const py::dict& state) {
                any.visit([&](auto& trainer) { set_solver_state(trainer.updates(), state); });
            });
}

}  // namespace elman::binding
