#include "binding/trainer.hpp"

#include <pybind11/stl.h>

#include <mutex>
#include <optional>

#include "binding/arrays.hpp"
#include "binding/interrupt.hpp"
#include "binding/network.hpp"

namespace elman::binding {

namespace {

// A trainer of either dtype; it keeps its network alive, and one call at a time.
class AnyTrainer {
public:
    using Variant = std::variant<std::unique_ptr<Trainer<float>>, std::unique_ptr<Trainer<double>>>;

    AnyTrainer(std::shared_ptr<const AnyNetwork> network, const py::array& parameters,
               const TrainerOptions& options)
        : network_(std::move(network)), trainer_(network_->visit([&](const auto& typed) {
              return make(typed, parameters, options);
          })) {}

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
    template <class T>
    static Variant make(const Network<T>& network, const py::array& parameters,
                        const TrainerOptions& options) {
        const T* const from = elements<T>(parameters, "parameters", {network.n_parameters()});
        return std::make_unique<Trainer<T>>(network, from, options);
    }

    std::shared_ptr<const AnyNetwork> network_;
    Variant trainer_;
    mutable std::mutex mutex_;
};

template <class T>
Examples<T> examples(const Trainer<T>& trainer, const py::object& values, const py::array& offsets,
                     const py::array& targets, const py::object& weights, bool per_step) {
    const Sequences<T> batch = sequences(trainer.network(), values, offsets);
    const Index rows = per_step ? batch.n_steps() : batch.n_sequences;
    const Index n_outputs = trainer.network().options().n_outputs;
    const Index n_targets = trainer.loss().n_targets(n_outputs);
    const T* const y = elements<T>(targets, "targets", {rows, n_targets});
    if (trainer.loss().has_classes())
        for (Index row = 0; row < rows; ++row)
            require(y[row] >= T(0) && y[row] < T(n_outputs) && y[row] == T(Index(y[row])), [&] {
                return "target " + std::to_string(row) + " is not a class number below " +
                       std::to_string(n_outputs);
            });
    const T* w = nullptr;
    if (!weights.is_none()) {
        w = elements<T>(py::cast<py::array>(weights), "weights", {rows});
        for (Index row = 0; row < rows; ++row)
            require(w[row] >= T(0) && std::isfinite(w[row]), [row] {
                return "weight " + std::to_string(row) + " is negative or not finite";
            });
    }
    return {batch, y, n_targets, w, per_step};
}

template <class T>
double epoch(Trainer<T>& trainer, const AnyTrainer& any, const Examples<T>& data,
             const py::array& order, Index batch_size) {
    const Index* const members = elements<Index>(order, "order", {-1});
    const Index n = order.shape(0);
    require(batch_size >= 1, "batch_size must be at least 1, got " + std::to_string(batch_size));
    for (Index i = 0; i < n; ++i)
        require(members[i] >= 0 && members[i] < data.sequences.n_sequences, [&] {
            return "order names sequence " + std::to_string(members[i]) + " of " +
                   std::to_string(data.sequences.n_sequences);
        });
    const Control::Check check = interrupt_check();
    const double loss =
        any.exclusively([&] { return trainer.epoch(data, members, n, batch_size, check); });
    if (trainer.was_short_of_threads()) warn_about_threads();
    return loss;
}

template <class T>
py::tuple loss_and_gradient(Trainer<T>& trainer, const AnyTrainer& any, const Examples<T>& data) {
    py::array_t<T> gradient(trainer.network().n_parameters());
    T* const to = gradient.mutable_data();
    const Control::Check check = interrupt_check();
    const double loss = any.exclusively([&] {
        const T* from = nullptr;
        const double value = trainer.loss_and_gradient(data, check, &from);
        std::copy_n(from, trainer.network().n_parameters(), to);
        return value;
    });
    return py::make_tuple(loss, gradient);
}

template <class T>
py::array copy_of(const Array<T>& array) {
    return py::array_t<T>(Index(array.size()), array.data());
}

template <class T>
py::dict solver_state(Trainer<T>& trainer) {
    py::dict state;
    state["n_updates"] = trainer.n_updates();
    state["moments"] = py::array_t<T>({trainer.n_moments(), trainer.network().n_parameters()},
                                      trainer.moments().data());
    return state;
}

template <class T>
void set_solver_state(Trainer<T>& trainer, const py::dict& state) {
    const Index n_updates = state["n_updates"].cast<Index>();
    require(n_updates >= 0, "n_updates must not be negative");
    const py::array moments = state["moments"].cast<py::array>();
    const T* const from =
        elements<T>(moments, "moments", {trainer.n_moments(), trainer.network().n_parameters()});
    std::copy_n(from, trainer.moments().size(), trainer.moments().begin());
    trainer.set_n_updates(n_updates);
}

void require_share(double p, const char* name) {
    require(p >= 0.0 && p < 1.0, [&] { return std::string(name) + " must be in [0, 1)"; });
}

// One probability for every step, or an array of one for each token.
void set_token_dropout(const py::object& token_dropout, TrainerOptions& options) {
    if (!py::isinstance<py::array>(token_dropout)) {
        options.token_dropout = token_dropout.cast<double>();
        require_share(options.token_dropout, "token_dropout");
        return;
    }
    const auto array = py::reinterpret_borrow<py::array>(token_dropout);
    const double* const from = elements<double>(array, "token_dropout", {-1});
    options.dropout_by_token.assign(from, from + array.shape(0));
    for (const double p : options.dropout_by_token) require_share(p, "token_dropout");
}

TrainerOptions trainer_options(const std::string& loss, double loss_parameter,
                               const std::string& solver, double learning_rate,
                               const std::string& schedule, double power_t, Index warmup_steps,
                               Index total_steps, double alpha, std::optional<double> clip_norm,
                               double momentum, bool nesterovs_momentum, double beta_1,
                               double beta_2, double epsilon, double dropout,
                               double recurrent_dropout, double embedding_dropout,
                               const py::object& token_dropout, Index bptt_steps, bool checkpoint,
                               std::uint64_t seed, Index n_threads) {
    TrainerOptions options;
    options.loss = loss;
    options.loss_parameter = loss_parameter;
    options.solver = {solver, momentum, nesterovs_momentum, beta_1, beta_2, epsilon};
    options.learning_rate = learning_rate;
    options.schedule = {schedule, power_t, warmup_steps, total_steps};
    options.alpha = alpha;
    if (clip_norm) options.clip_norm = *clip_norm;
    require_share(dropout, "dropout");
    require_share(recurrent_dropout, "recurrent_dropout");
    require_share(embedding_dropout, "embedding_dropout");
    set_token_dropout(token_dropout, options);
    require(bptt_steps >= 0, "bptt_steps must not be negative");
    options.dropout = dropout;
    options.recurrent_dropout = recurrent_dropout;
    options.embedding_dropout = embedding_dropout;
    options.bptt_steps = bptt_steps;
    options.checkpoint = checkpoint;
    options.seed = seed;
    options.n_threads = n_threads;
    return options;
}

// Diverged(message, batch, learning_rate, gradient_norm), a ValueError.
void register_diverged(py::module_& module) {
    static PyObject* type = nullptr;
    const std::string name = py::str(module.attr("__name__")).cast<std::string>() + ".Diverged";
    type = PyErr_NewException(name.c_str(), PyExc_ValueError, nullptr);
    if (type == nullptr) throw py::error_already_set();
    module.attr("Diverged") = py::reinterpret_borrow<py::object>(type);
    py::register_local_exception_translator([](std::exception_ptr pointer) {
        try {
            if (pointer) std::rethrow_exception(pointer);
        } catch (const Diverged& diverged) {
            const py::tuple arguments = py::make_tuple(
                diverged.what(), diverged.batch, diverged.learning_rate, diverged.gradient_norm);
            PyErr_SetObject(type, arguments.ptr());
        }
    });
}

}  // namespace

void register_trainer(py::module_& module) {
    using namespace py::literals;
    register_diverged(module);
    py::class_<AnyTrainer>(module, "Trainer")
        .def(py::init([](std::shared_ptr<AnyNetwork> network, const py::array& parameters,
                         const std::string& loss, double loss_parameter, const std::string& solver,
                         double learning_rate, const std::string& schedule, double power_t,
                         Index warmup_steps, Index total_steps, double alpha,
                         std::optional<double> clip_norm, double momentum, bool nesterovs_momentum,
                         double beta_1, double beta_2, double epsilon, double dropout,
                         double recurrent_dropout, double embedding_dropout,
                         const py::object& token_dropout, Index bptt_steps, bool checkpoint,
                         std::uint64_t seed, Index n_threads) {
                 return std::make_unique<AnyTrainer>(
                     std::move(network), parameters,
                     trainer_options(loss, loss_parameter, solver, learning_rate, schedule, power_t,
                                     warmup_steps, total_steps, alpha, clip_norm, momentum,
                                     nesterovs_momentum, beta_1, beta_2, epsilon, dropout,
                                     recurrent_dropout, embedding_dropout, token_dropout,
                                     bptt_steps, checkpoint, seed, n_threads));
             }),
             "network"_a, "parameters"_a, py::kw_only(), "loss"_a, "loss_parameter"_a = 1.0,
             "solver"_a = "adam", "learning_rate"_a = 0.001, "schedule"_a = "constant",
             "power_t"_a = 0.5, "warmup_steps"_a = 0, "total_steps"_a = 0, "alpha"_a = 0.0,
             "clip_norm"_a = py::none(), "momentum"_a = 0.9, "nesterovs_momentum"_a = true,
             "beta_1"_a = 0.9, "beta_2"_a = 0.999, "epsilon"_a = 1e-8, "dropout"_a = 0.0,
             "recurrent_dropout"_a = 0.0, "embedding_dropout"_a = 0.0, "token_dropout"_a = 0.0,
             "bptt_steps"_a = 0, "checkpoint"_a = false, "seed"_a = 0, "n_threads"_a = 1)
        .def_property(
            "learning_rate",
            [](const AnyTrainer& any) {
                return any.visit([](auto& trainer) { return trainer.learning_rate(); });
            },
            [](AnyTrainer& any, double rate) {
                any.visit([&](auto& trainer) { trainer.set_learning_rate(rate); });
            })
        .def_property(
            "parameters",
            [](const AnyTrainer& any) {
                return any.visit([](auto& trainer) { return copy_of(trainer.parameters()); });
            },
            [](AnyTrainer& any, const py::array& value) {
                any.visit([&](auto& trainer) {
                    auto& parameters = trainer.parameters();
                    using T = typename std::decay_t<decltype(parameters)>::value_type;
                    const T* const from =
                        elements<T>(value, "parameters", {Index(parameters.size())});
                    std::copy_n(from, parameters.size(), parameters.begin());
                });
            })
        .def_property_readonly(
            "n_updates",
            [](const AnyTrainer& any) {
                return any.visit([](auto& trainer) { return trainer.n_updates(); });
            })
        .def_property(
            "solver_state",
            [](const AnyTrainer& any) {
                return any.visit([](auto& trainer) { return solver_state(trainer); });
            },
            [](AnyTrainer& any, const py::dict& state) {
                any.visit([&](auto& trainer) { set_solver_state(trainer, state); });
            })
        .def(
            "epoch",
            [](AnyTrainer& any, const py::object& values, const py::array& offsets,
               const py::array& targets, const py::object& weights, const py::array& order,
               Index batch_size, bool per_step) {
                return any.visit([&](auto& trainer) {
                    return epoch(trainer, any,
                                 examples(trainer, values, offsets, targets, weights, per_step),
                                 order, batch_size);
                });
            },
            "values"_a, "offsets"_a, "targets"_a, "weights"_a, "order"_a, py::kw_only(),
            "batch_size"_a, "per_step"_a)
        .def(
            "loss_and_gradient",
            [](AnyTrainer& any, const py::object& values, const py::array& offsets,
               const py::array& targets, const py::object& weights, bool per_step) {
                return any.visit([&](auto& trainer) {
                    return loss_and_gradient(
                        trainer, any,
                        examples(trainer, values, offsets, targets, weights, per_step));
                });
            },
            "values"_a, "offsets"_a, "targets"_a, "weights"_a, py::kw_only(), "per_step"_a);
}

}  // namespace elman::binding
