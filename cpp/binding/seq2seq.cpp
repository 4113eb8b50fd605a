#include "binding/seq2seq.hpp"

#include "binding/network.hpp"
#include "binding/updates.hpp"

namespace elman::binding {

namespace {

// An encoder-decoder of either dtype.
class AnySeq2Seq {
public:
    using Variant = std::variant<Seq2Seq<float>, Seq2Seq<double>>;

    AnySeq2Seq(const std::string& dtype, const Seq2SeqOptions& options)
        : model_(make(dtype, options)) {}

    template <class Function>
    auto visit(const Function& function) const {
        return std::visit(function, model_);
    }

private:
    static Variant make(const std::string& dtype, const Seq2SeqOptions& options) {
        if (dtype == "float32") return Variant(std::in_place_type<Seq2Seq<float>>, options);
        return Variant(std::in_place_type<Seq2Seq<double>>, options);
    }

    Variant model_;
};

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

// Sequences for the encoder, or vectors in its place, each a sequence of one step.
template <class T>
Sequences<T> sources_of(const Seq2Seq<T>& model, const py::object& values,
                        const py::array& offsets) {
    if (model.encoder()) return sequences(*model.encoder(), values, offsets);
    const py::array array = as_array(values, "values");
    const Index n_channels = model.options().n_channels;
    const Index* const begin = elements<Index>(offsets, "offsets", {array.shape(0) + 1});
    for (Index i = 0; i <= array.shape(0); ++i)
        require(begin[i] == i, "offsets of vectors must count them");
    require(array.shape(0) >= 1, "offsets must name at least one sequence");
    return {elements<T>(array, "values", {-1, n_channels}), n_channels, begin, array.shape(0)};
}

template <class T>
Pairs<T> pairs_of(const Seq2Seq<T>& model, const py::object& values, const py::array& offsets,
                  const py::object& inputs, const py::array& input_offsets) {
    Pairs<T> pairs{sources_of(model, values, offsets),
                   sequences(model.decoder(), inputs, input_offsets)};
    require(pairs.sources.n_sequences == pairs.inputs.n_sequences,
            "there must be as many sequences of inputs as of values");
    return pairs;
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

// (ids, offsets, scores): the answers one behind the other.
template <class T>
py::tuple translate(const Seq2Seq<T>& model, const py::array& parameters, const py::object& values,
                    const py::array& offsets, const BeamOptions& options, Index n_threads) {
    const Sequences<T> sources = sources_of(model, values, offsets);
    const Index n_tokens = model.decoder().options().n_tokens;
    require(n_tokens >= model.n_outputs(), "the decoder must read a token for every output");
    require(options.max_length >= 1, "max_length must be at least 1");
    require(options.beam_width >= 1, "beam_width must be at least 1");
    const T* const weights = elements<T>(parameters, "parameters", {model.n_parameters()});
    std::vector<std::vector<std::int32_t>> answers;
    py::array_t<double> scores(sources.n_sequences);
    double* const to = scores.mutable_data();
    const Control::Check check = interrupt_check();
    bool is_short;
    {
        const GilRelease release;
        is_short =
            Decoding<T>(model, weights).translate(sources, options, n_threads, check, answers, to);
    }
    if (is_short) warn_about_threads();
    py::array_t<Index> ends(Index(answers.size()) + 1);
    Index end = *ends.mutable_data() = 0;
    for (std::size_t i = 0; i < answers.size(); ++i)
        ends.mutable_data()[i + 1] = end += Index(answers[i].size());
    py::array_t<std::int32_t> ids(end);
    std::int32_t* id = ids.mutable_data();
    for (const auto& answer : answers) id = std::copy(answer.begin(), answer.end(), id);
    return py::make_tuple(ids, ends, scores);
}

// (values, lengths): (n_sequences, n_steps, n_values), of which lengths tells how many count.
template <class T>
py::tuple generate(const Seq2Seq<T>& model, const py::array& parameters, const py::object& values,
                   const py::array& offsets, Index n_steps, Index n_threads) {
    const Sequences<T> sources = sources_of(model, values, offsets);
    const Index n_values = model.decoder().options().n_channels;
    require(model.decoder().options().n_tokens == 0, "the decoder must read values");
    require(n_steps >= 1, "n_steps must be at least 1");
    const T* const weights = elements<T>(parameters, "parameters", {model.n_parameters()});
    py::array_t<T> outputs({sources.n_sequences, n_steps, n_values});
    py::array_t<Index> lengths(sources.n_sequences);
    T* const to = outputs.mutable_data();
    Index* const lengths_to = lengths.mutable_data();
    std::fill_n(to, outputs.size(), T(0));
    const Control::Check check = interrupt_check();
    bool is_short;
    {
        const GilRelease release;
        is_short = Decoding<T>(model, weights)
                       .generate(sources, n_steps, n_values, n_threads, check, to, lengths_to);
    }
    if (is_short) warn_about_threads();
    return py::make_tuple(outputs, lengths);
}

// (log_p, outputs, shares) of given outputs; log_p is None without targets, shares without
// attention, and either of the latter where nobody asks for it.
template <class T>
py::tuple evaluate(const Seq2Seq<T>& model, const py::array& parameters, const py::object& values,
                   const py::array& offsets, const py::object& inputs,
                   const py::array& input_offsets, const py::object& targets, bool with_outputs,
                   bool with_shares, Index n_threads) {
    Pairs<T> pairs = pairs_of(model, values, offsets, inputs, input_offsets);
    const Index n_steps = pairs.inputs.n_steps();
    const T* const weights = elements<T>(parameters, "parameters", {model.n_parameters()});
    py::object log_p = py::none(), outputs = py::none(), shares = py::none();
    double* log_p_to = nullptr;
    T *outputs_to = nullptr, *shares_to = nullptr;
    if (!targets.is_none()) {
        pairs.n_targets = 1;
        pairs.targets = elements<T>(py::cast<py::array>(targets), "targets", {n_steps, 1});
        check_classes(pairs.targets, n_steps, model.n_outputs());
        py::array_t<double> array(pairs.sources.n_sequences);
        log_p_to = array.mutable_data();
        log_p = std::move(array);
    }
    if (with_shares && model.attention()) {
        Index n = 0;
        for (Index s = 0; s < pairs.sources.n_sequences; ++s)
            n += (pairs.sources.offsets[s + 1] - pairs.sources.offsets[s]) *
                 (pairs.inputs.offsets[s + 1] - pairs.inputs.offsets[s]);
        py::array_t<T> array(n);
        shares_to = array.mutable_data();
        shares = std::move(array);
    }
    if (with_outputs) {
        py::array_t<T> array({n_steps, model.n_outputs()});
        outputs_to = array.mutable_data();
        outputs = std::move(array);
    }
    const Control::Check check = interrupt_check();
    bool is_short;
    {
        const GilRelease release;
        is_short = Decoding<T>(model, weights)
                       .evaluate(pairs, n_threads, check, log_p_to, outputs_to, shares_to);
    }
    if (is_short) warn_about_threads();
    return py::make_tuple(log_p, outputs, shares);
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
            "seed"_a)
        .def(
            "translate",
            [](const AnySeq2Seq& any, const py::array& parameters, const py::object& values,
               const py::array& offsets, std::int32_t stop, Index max_length, Index beam_width,
               double length_penalty, Index n_threads) {
                return any.visit([&](const auto& model) {
                    return translate(model, parameters, values, offsets,
                                     {stop, max_length, beam_width, length_penalty}, n_threads);
                });
            },
            "parameters"_a, "values"_a, "offsets"_a, py::kw_only(), "stop"_a, "max_length"_a,
            "beam_width"_a = 1, "length_penalty"_a = 0.0, "n_threads"_a = 1)
        .def(
            "generate",
            [](const AnySeq2Seq& any, const py::array& parameters, const py::object& values,
               const py::array& offsets, Index n_steps, Index n_threads) {
                return any.visit([&](const auto& model) {
                    return generate(model, parameters, values, offsets, n_steps, n_threads);
                });
            },
            "parameters"_a, "values"_a, "offsets"_a, py::kw_only(), "n_steps"_a, "n_threads"_a = 1)
        .def(
            "evaluate",
            [](const AnySeq2Seq& any, const py::array& parameters, const py::object& values,
               const py::array& offsets, const py::object& inputs, const py::array& input_offsets,
               const py::object& targets, bool with_outputs, bool with_shares, Index n_threads) {
                return any.visit([&](const auto& model) {
                    return evaluate(model, parameters, values, offsets, inputs, input_offsets,
                                    targets, with_outputs, with_shares, n_threads);
                });
            },
            "parameters"_a, "values"_a, "offsets"_a, "inputs"_a, "input_offsets"_a,
            "targets"_a = py::none(), py::kw_only(), "with_outputs"_a = true,
            "with_shares"_a = true, "n_threads"_a = 1);
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
