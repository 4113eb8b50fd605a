// An encoder-decoder of either dtype, as Python sees it, and the pairs that it takes.
#pragma once

#include "binding/arrays.hpp"
#include "binding/network.hpp"

namespace elman::binding {

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

void register_seq2seq(py::module_& module);

}  // namespace elman::binding
