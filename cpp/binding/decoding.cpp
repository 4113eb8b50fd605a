#include "binding/decoding.hpp"

#include "binding/interrupt.hpp"
#include "binding/seq2seq.hpp"
#include "binding/updates.hpp"

namespace elman::binding {

namespace {

// An encoder-decoder with weights that are packed once.
class AnyDecoding {
public:
    AnyDecoding(std::shared_ptr<AnySeq2Seq> model, const py::array& parameters)
        : model_(std::move(model)), parameters_(parameters) {
        model_->visit([&](const auto& some) { make(some); });
    }

    template <class Function>
    auto visit(const Function& function) const {
        return std::visit([&](const auto& decoding) { return function(*decoding); }, decoding_);
    }

private:
    template <class T>
    void make(const Seq2Seq<T>& model) {
        decoding_ = std::make_unique<Decoding<T>>(
            model, elements<T>(parameters_, "parameters", {model.n_parameters()}));
    }

    std::shared_ptr<AnySeq2Seq> model_;
    py::array parameters_;
    std::variant<std::unique_ptr<Decoding<float>>, std::unique_ptr<Decoding<double>>> decoding_;
};

// (ids, offsets, scores): the answers one behind the other.
template <class T>
py::tuple translate(const Decoding<T>& decoding, const py::object& values, const py::array& offsets,
                    const BeamOptions& options, Index n_threads) {
    const Seq2Seq<T>& model = decoding.model();
    const Sequences<T> sources = sources_of(model, values, offsets);
    const Index n_tokens = model.decoder().options().n_tokens;
    require(n_tokens >= model.n_outputs(), "the decoder must read a token for every output");
    require(options.max_length >= 1, "max_length must be at least 1");
    require(options.beam_width >= 1, "beam_width must be at least 1");
    std::vector<std::vector<std::int32_t>> answers;
    py::array_t<double> scores(sources.n_sequences);
    double* const to = scores.mutable_data();
    const Control::Check check = interrupt_check();
    bool is_short;
    {
        const GilRelease release;
        is_short = decoding.translate(sources, options, n_threads, check, answers, to);
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
py::tuple generate(const Decoding<T>& decoding, const py::object& values, const py::array& offsets,
                   Index n_steps, Index n_threads) {
    const Seq2Seq<T>& model = decoding.model();
    const Sequences<T> sources = sources_of(model, values, offsets);
    const Index n_values = model.decoder().options().n_channels;
    require(model.decoder().options().n_tokens == 0, "the decoder must read values");
    require(n_steps >= 1, "n_steps must be at least 1");
    py::array_t<T> outputs({sources.n_sequences, n_steps, n_values});
    py::array_t<Index> lengths(sources.n_sequences);
    T* const to = outputs.mutable_data();
    Index* const lengths_to = lengths.mutable_data();
    std::fill_n(to, outputs.size(), T(0));
    const Control::Check check = interrupt_check();
    bool is_short;
    {
        const GilRelease release;
        is_short = decoding.generate(sources, n_steps, n_values, n_threads, check, to, lengths_to);
    }
    if (is_short) warn_about_threads();
    return py::make_tuple(outputs, lengths);
}

// (log_p, outputs, shares) of given outputs; log_p is None without targets, shares without
// attention, and either of the latter where nobody asks for it.
template <class T>
py::tuple evaluate(const Decoding<T>& decoding, const py::object& values, const py::array& offsets,
                   const py::object& inputs, const py::array& input_offsets,
                   const py::object& targets, bool with_outputs, bool with_shares,
                   Index n_threads) {
    const Seq2Seq<T>& model = decoding.model();
    Pairs<T> pairs = pairs_of(model, values, offsets, inputs, input_offsets);
    const Index n_steps = pairs.inputs.n_steps();
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
        is_short = decoding.evaluate(pairs, n_threads, check, log_p_to, outputs_to, shares_to);
    }
    if (is_short) warn_about_threads();
    return py::make_tuple(log_p, outputs, shares);
}

}  // namespace

void register_decoding(py::module_& module) {
    using namespace py::literals;
    py::class_<AnyDecoding>(module, "Decoding")
        .def(py::init<std::shared_ptr<AnySeq2Seq>, const py::array&>(), "model"_a, "parameters"_a)
        .def(
            "translate",
            [](const AnyDecoding& any, const py::object& values, const py::array& offsets,
               std::int32_t stop, Index max_length, Index beam_width, double length_penalty,
               Index n_threads) {
                return any.visit([&](const auto& decoding) {
                    return translate(decoding, values, offsets,
                                     {stop, max_length, beam_width, length_penalty}, n_threads);
                });
            },
            "values"_a, "offsets"_a, py::kw_only(), "stop"_a, "max_length"_a, "beam_width"_a = 1,
            "length_penalty"_a = 0.0, "n_threads"_a = 1)
        .def(
            "generate",
            [](const AnyDecoding& any, const py::object& values, const py::array& offsets,
               Index n_steps, Index n_threads) {
                return any.visit([&](const auto& decoding) {
                    return generate(decoding, values, offsets, n_steps, n_threads);
                });
            },
            "values"_a, "offsets"_a, py::kw_only(), "n_steps"_a, "n_threads"_a = 1)
        .def(
            "evaluate",
            [](const AnyDecoding& any, const py::object& values, const py::array& offsets,
               const py::object& inputs, const py::array& input_offsets, const py::object& targets,
               bool with_outputs, bool with_shares, Index n_threads) {
                return any.visit([&](const auto& decoding) {
                    return evaluate(decoding, values, offsets, inputs, input_offsets, targets,
                                    with_outputs, with_shares, n_threads);
                });
            },
            "values"_a, "offsets"_a, "inputs"_a, "input_offsets"_a, "targets"_a = py::none(),
            py::kw_only(), "with_outputs"_a = true, "with_shares"_a = true, "n_threads"_a = 1);
}

}  // namespace elman::binding
