#include "binding/seq2seq.hpp"

#include "binding/updates.hpp"

namespace elman::binding {

namespace {

using AnySeq2SeqTrainer = AnyTrainerOf<Seq2SeqTrainer, AnySeq2Seq>;

std::string dtype_name_of(const AnyNetwork& any) {
    return any.visit([](const auto& network) { return std::string(dtype_of(network)); });
}
NetworkOptions options_of(const AnyNetwork& any) {
    return any.visit([](const auto& network) { return network.options(); });
}

AnySeq2Seq make_model(const AnyNetwork* encoder, Index n_channels, const AnyNetwork& decoder,
                      const std::string& attention, Index n_outputs) {
    Seq2SeqOptions options;
    if (encoder != nullptr) {
        require(dtype_name_of(*encoder) == dtype_name_of(decoder),
                "encoder and decoder must have the same dtype");
        require(options_of(*encoder).cell.cell == options_of(decoder).cell.cell,
                "encoder and decoder must have the same cell");
        options.encoder = options_of(*encoder);
    }
    require(encoder != nullptr || n_channels >= 1, "n_channels must be at least 1");
    require(n_outputs >= 1, "n_outputs must be at least 1");
    options.n_channels = n_channels;
    options.decoder = options_of(decoder);
    options.attention = attention;
    options.n_outputs = n_outputs;
    return AnySeq2Seq(dtype_name_of(decoder), options);
}

template <class T>
Pairs<T> examples(const Seq2SeqTrainer<T>& trainer, const py::object& values,
                  const py::array& offsets, const py::object& inputs,
                  const py::array& input_offsets, const py::array& targets,
                  const py::object& weights) {
    Pairs<T> pairs = pairs_of(trainer.model(), values, offsets, inputs, input_offsets);
    const Index n_steps = pairs.inputs.n_steps();
    pairs.n_targets = trainer.n_targets();
    pairs.targets = elements<T>(targets, "targets", {n_steps, pairs.n_targets});
    if (trainer.has_tokens()) check_classes(pairs.targets, n_steps, trainer.model().n_outputs());
    pairs.weights = checked_weights<T>(weights, pairs.sources.n_sequences);
    return pairs;
}

py::list parameter_list(const AnySeq2Seq& any) {
    py::list list;
    any.visit([&](const auto& model) {
        for (const Parameter& parameter : model.parameters())
            list.append(py::make_tuple(parameter.name, py::tuple(py::cast(parameter.shape)),
                                       parameter.offset));
    });
    return list;
}

template <class T>
py::array initialize(const Seq2Seq<T>& model, std::uint64_t seed) {
    py::array_t<T> weights(model.n_parameters());
    T* const to = weights.mutable_data();
    Team alone(1, interrupt_check());
    {
        const GilRelease release;
        model.initialize(seed, to, alone.control());
    }
    return std::move(weights);
}

void register_model(py::module_& module) {
    using namespace py::literals;
    py::class_<AnySeq2Seq, std::shared_ptr<AnySeq2Seq>>(module, "Seq2Seq")
        .def(py::init(&make_model), py::kw_only(), "encoder"_a, "n_channels"_a, "decoder"_a,
             "attention"_a, "n_outputs"_a)
        .def_property_readonly(
            "dtype",
            [](const AnySeq2Seq& any) {
                return any.visit([](const auto& m) { return std::string(dtype_of(m.decoder())); });
            })
        .def_property_readonly("n_parameters",
                               [](const AnySeq2Seq& any) {
                                   return any.visit([](const auto& m) { return m.n_parameters(); });
                               })
        .def_property_readonly("n_outputs",
                               [](const AnySeq2Seq& any) {
                                   return any.visit([](const auto& m) { return m.n_outputs(); });
                               })
        .def_property_readonly("parameters", &parameter_list)
        .def(
            "initialize",
            [](const AnySeq2Seq& any, std::uint64_t seed) {
                return any.visit([&](const auto& model) { return initialize(model, seed); });
            },
            "seed"_a);
}

void register_seq2seq_trainer(py::module_& module) {
    using namespace py::literals;
    py::class_<AnySeq2SeqTrainer> trainer_class(module, "Seq2SeqTrainer");
    define_updates(trainer_class);
    trainer_class
        .def(
            py::init([](std::shared_ptr<AnySeq2Seq> model, const py::array& parameters,
                        const std::string& loss, const std::string& solver, double learning_rate,
                        const std::string& schedule, double power_t, Index warmup_steps,
                        Index total_steps, double alpha, std::optional<double> clip_norm,
                        double momentum, bool nesterovs_momentum, double beta_1, double beta_2,
                        double epsilon, double dropout, double recurrent_dropout,
                        double embedding_dropout, double token_dropout, double target_token_dropout,
                        double teacher_forcing, std::uint64_t seed, Index n_threads) {
                Seq2SeqTrainerOptions options;
                static_cast<UpdateOptions&>(options) = update_options(
                    solver, learning_rate, schedule, power_t, warmup_steps, total_steps, alpha,
                    clip_norm, momentum, nesterovs_momentum, beta_1, beta_2, epsilon);
                options.loss = loss;
                require_share(options.dropout = dropout, "dropout");
                require_share(options.recurrent_dropout = recurrent_dropout, "recurrent_dropout");
                require_share(options.embedding_dropout = embedding_dropout, "embedding_dropout");
                require_share(options.token_dropout = token_dropout, "token_dropout");
                require_share(options.target_token_dropout = target_token_dropout,
                              "target_token_dropout");
                options.teacher_forcing = teacher_forcing;
                options.seed = seed;
                options.n_threads = n_threads;
                return std::make_unique<AnySeq2SeqTrainer>(std::move(model), parameters, options);
            }),
            "model"_a, "parameters"_a, py::kw_only(), "loss"_a, "solver"_a = "adam",
            "learning_rate"_a = 0.001, "schedule"_a = "constant", "power_t"_a = 0.5,
            "warmup_steps"_a = 0, "total_steps"_a = 0, "alpha"_a = 0.0, "clip_norm"_a = py::none(),
            "momentum"_a = 0.9, "nesterovs_momentum"_a = true, "beta_1"_a = 0.9, "beta_2"_a = 0.999,
            "epsilon"_a = 1e-8, "dropout"_a = 0.0, "recurrent_dropout"_a = 0.0,
            "embedding_dropout"_a = 0.0, "token_dropout"_a = 0.0, "target_token_dropout"_a = 0.0,
            "teacher_forcing"_a = 1.0, "seed"_a = 0, "n_threads"_a = 1)
        .def_property(
            "teacher_forcing",
            [](const AnySeq2SeqTrainer& any) {
                return any.visit([](auto& trainer) { return trainer.teacher_forcing(); });
            },
            [](AnySeq2SeqTrainer& any, double p) {
                require(p >= 0.0 && p <= 1.0, "teacher_forcing must be in [0, 1]");
                any.visit([&](auto& trainer) { trainer.set_teacher_forcing(p); });
            })
        .def(
            "epoch",
            [](AnySeq2SeqTrainer& any, const py::object& values, const py::array& offsets,
               const py::object& inputs, const py::array& input_offsets, const py::array& targets,
               const py::object& weights, const py::array& order, Index batch_size) {
                return any.visit([&](auto& trainer) {
                    const auto pairs =
                        examples(trainer, values, offsets, inputs, input_offsets, targets, weights);
                    return epoch(any, trainer, pairs, pairs.sources.n_sequences, order, batch_size);
                });
            },
            "values"_a, "offsets"_a, "inputs"_a, "input_offsets"_a, "targets"_a, "weights"_a,
            "order"_a, py::kw_only(), "batch_size"_a)
        .def(
            "loss_and_gradient",
            [](AnySeq2SeqTrainer& any, const py::object& values, const py::array& offsets,
               const py::object& inputs, const py::array& input_offsets, const py::array& targets,
               const py::object& weights) {
                return any.visit([&](auto& trainer) {
                    return loss_and_gradient(any, trainer,
                                             examples(trainer, values, offsets, inputs,
                                                      input_offsets, targets, weights));
                });
            },
            "values"_a, "offsets"_a, "inputs"_a, "input_offsets"_a, "targets"_a, "weights"_a);
}

}  // namespace

void register_seq2seq(py::module_& module) {
    register_model(module);
    register_seq2seq_trainer(module);
}

}  // namespace elman::binding
