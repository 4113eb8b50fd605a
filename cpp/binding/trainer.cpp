#include "binding/trainer.hpp"

#include "binding/mixture.hpp"
#include "binding/network.hpp"
#include "binding/updates.hpp"

namespace elman::binding {

namespace {

using AnyTrainer = AnyTrainerOf<Trainer, AnyNetwork>;

template <class T>
Examples<T> examples(const Trainer<T>& trainer, const py::object& values, const py::array& offsets,
                     const py::array& targets, const py::object& weights, bool per_step) {
    const Sequences<T> batch = sequences(trainer.network(), values, offsets);
    const Index rows = per_step ? batch.n_steps() : batch.n_sequences;
    const Index n_candidate_values = trainer.mixture() ? trainer.mixture()->n_values() : 0;
    const Index n_targets = trainer.n_targets() + n_candidate_values;
    const T* const y = elements<T>(targets, "targets", {rows, n_targets});
    if (trainer.loss().has_classes()) check_classes(y, rows, trainer.n_outputs());
    if (trainer.mixture())
        check_candidates(y + trainer.n_targets(), rows, n_targets, n_candidate_values);
    const T* const w = checked_weights<T>(weights, rows);
    return {batch, y, n_targets, w, per_step};
}

// A number, or levels of quantiles in an array of them.
void set_loss_parameters(const py::object& loss_parameter, TrainerOptions& options) {
    if (!py::isinstance<py::array>(loss_parameter)) {
        options.loss_parameters = {loss_parameter.cast<double>()};
        return;
    }
    const auto array = py::reinterpret_borrow<py::array>(loss_parameter);
    const double* const from = elements<double>(array, "loss_parameter", {-1});
    options.loss_parameters.assign(from, from + array.shape(0));
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

TrainerOptions trainer_options(const std::string& loss, const py::object& loss_parameter,
                               Index n_candidates, Index n_groups, double sharpness,
                               const std::string& solver, double learning_rate,
                               const std::string& schedule, double power_t, Index warmup_steps,
                               Index total_steps, double alpha, std::optional<double> clip_norm,
                               double momentum, bool nesterovs_momentum, double beta_1,
                               double beta_2, double epsilon, double parameter_average,
                               double dropout, double recurrent_dropout, double embedding_dropout,
                               const py::object& token_dropout, Index bptt_steps, bool checkpoint,
                               std::uint64_t seed, Index n_threads) {
    TrainerOptions options;
    static_cast<UpdateOptions&>(options) =
        update_options(solver, learning_rate, schedule, power_t, warmup_steps, total_steps, alpha,
                       clip_norm, momentum, nesterovs_momentum, beta_1, beta_2, epsilon);
    options.loss = loss;
    set_loss_parameters(loss_parameter, options);
    require(n_candidates >= 0, "n_candidates must not be negative");
    require(n_groups >= 1, "n_groups must be at least 1");
    options.n_candidates = n_candidates;
    options.n_groups = n_groups;
    options.sharpness = sharpness;
    require_share(parameter_average, "parameter_average");
    options.parameter_average = parameter_average;
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

template <class T>
py::array average(Trainer<T>& trainer) {
    require(trainer.updates().has_average(),
            "Trainer keeps no average, expected parameter_average above 0");
    return copy_of(trainer.updates().average());
}

// Share of the loss, weight, share of the gradient, and tokens that were looked up.
template <class T>
py::tuple part(const AnyTrainer& any, Trainer<T>& trainer, const Examples<T>& data,
               const py::array& order, double total_weight) {
    require(total_weight > 0.0 && std::isfinite(total_weight), "total_weight must be positive");
    const Index* const members = members_of(order, data.sequences.n_sequences);
    Updates<T>& updates = trainer.updates();
    py::array_t<T> gradient(Index(updates.gradient().size()));
    T* const to = gradient.mutable_data();
    const Control::Check check = interrupt_check();
    const BatchLoss batch = any.exclusively([&] {
        const BatchLoss value = trainer.part(data, members, order.shape(0), total_weight, check);
        std::copy(updates.gradient().begin(), updates.gradient().end(), to);
        return value;
    });
    if (trainer.was_short_of_threads()) warn_about_threads();
    const std::vector<Index> tokens =
        trainer.network().embedding() ? updates.touched(0) : std::vector<Index>();
    return py::make_tuple(batch.loss, batch.weight, gradient,
                          py::array_t<Index>(Index(tokens.size()), tokens.data()));
}

template <class T>
double update(const AnyTrainer& any, Trainer<T>& trainer, const py::array& gradient, double loss,
              double weight, const py::array& tokens) {
    const T* const from =
        elements<T>(gradient, "gradient", {Index(trainer.updates().gradient().size())});
    const Index* const ids = elements<Index>(tokens, "tokens", {-1});
    const Index n = tokens.shape(0);
    const Index n_tokens = trainer.network().options().n_tokens;
    for (Index i = 0; i < n; ++i)
        require(ids[i] >= 0 && ids[i] < n_tokens, [&] {
            return "tokens has " + std::to_string(ids[i]) + ", and there are " +
                   std::to_string(n_tokens);
        });
    const Control::Check check = interrupt_check();
    return any.exclusively([&] { return trainer.update(from, {loss, weight}, ids, n, check); });
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
    py::class_<AnyTrainer> trainer_class(module, "Trainer");
    define_updates(trainer_class);
    trainer_class
        .def(py::init([](std::shared_ptr<AnyNetwork> network, const py::array& parameters,
                         const std::string& loss, const py::object& loss_parameter,
                         Index n_candidates, Index n_groups, double sharpness,
                         const std::string& solver, double learning_rate,
                         const std::string& schedule, double power_t, Index warmup_steps,
                         Index total_steps, double alpha, std::optional<double> clip_norm,
                         double momentum, bool nesterovs_momentum, double beta_1, double beta_2,
                         double epsilon, double parameter_average, double dropout,
                         double recurrent_dropout, double embedding_dropout,
                         const py::object& token_dropout, Index bptt_steps, bool checkpoint,
                         std::uint64_t seed, Index n_threads) {
                 return std::make_unique<AnyTrainer>(
                     std::move(network), parameters,
                     trainer_options(loss, loss_parameter, n_candidates, n_groups, sharpness,
                                     solver, learning_rate, schedule, power_t, warmup_steps,
                                     total_steps, alpha, clip_norm, momentum, nesterovs_momentum,
                                     beta_1, beta_2, epsilon, parameter_average, dropout,
                                     recurrent_dropout, embedding_dropout, token_dropout,
                                     bptt_steps, checkpoint, seed, n_threads));
             }),
             "network"_a, "parameters"_a, py::kw_only(), "loss"_a, "loss_parameter"_a = 1.0,
             "n_candidates"_a = 0, "n_groups"_a = 1, "sharpness"_a = 1.0, "solver"_a = "adam",
             "learning_rate"_a = 0.001, "schedule"_a = "constant", "power_t"_a = 0.5,
             "warmup_steps"_a = 0, "total_steps"_a = 0, "alpha"_a = 0.0, "clip_norm"_a = py::none(),
             "momentum"_a = 0.9, "nesterovs_momentum"_a = true, "beta_1"_a = 0.9,
             "beta_2"_a = 0.999, "epsilon"_a = 1e-8, "parameter_average"_a = 0.0, "dropout"_a = 0.0,
             "recurrent_dropout"_a = 0.0, "embedding_dropout"_a = 0.0, "token_dropout"_a = 0.0,
             "bptt_steps"_a = 0, "checkpoint"_a = false, "seed"_a = 0, "n_threads"_a = 1)
        .def_property_readonly(
            "average",
            [](const AnyTrainer& any) { return any.visit([](auto& t) { return average(t); }); })
        .def(
            "epoch",
            [](AnyTrainer& any, const py::object& values, const py::array& offsets,
               const py::array& targets, const py::object& weights, const py::array& order,
               Index batch_size, bool per_step) {
                return any.visit([&](auto& trainer) {
                    const auto data =
                        examples(trainer, values, offsets, targets, weights, per_step);
                    return epoch(any, trainer, data, data.sequences.n_sequences, order, batch_size);
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
                        any, trainer,
                        examples(trainer, values, offsets, targets, weights, per_step));
                });
            },
            "values"_a, "offsets"_a, "targets"_a, "weights"_a, py::kw_only(), "per_step"_a)
        .def(
            "part",
            [](AnyTrainer& any, const py::object& values, const py::array& offsets,
               const py::array& targets, const py::object& weights, const py::array& order,
               double total_weight, bool per_step) {
                return any.visit([&](auto& trainer) {
                    return part(any, trainer,
                                examples(trainer, values, offsets, targets, weights, per_step),
                                order, total_weight);
                });
            },
            "values"_a, "offsets"_a, "targets"_a, "weights"_a, "order"_a, py::kw_only(),
            "total_weight"_a, "per_step"_a)
        .def(
            "update",
            [](AnyTrainer& any, const py::array& gradient, double loss, double weight,
               const py::array& tokens) {
                return any.visit([&](auto& trainer) {
                    return update(any, trainer, gradient, loss, weight, tokens);
                });
            },
            "gradient"_a, "loss"_a, "weight"_a, "tokens"_a);
}

}  // namespace elman::binding
