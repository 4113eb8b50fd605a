#include "binding/predictor.hpp"

#include "binding/arrays.hpp"
#include "binding/interrupt.hpp"

namespace elman::binding {

namespace {

// Sequences of one length: (n_timesteps, n_channels), or (n_samples, n_timesteps, n_channels);
// tokens have no axis of channels.
template <class T>
struct Regular {
    Sequences<T> sequences;
    std::vector<Index> offsets;

    Regular(const Network<T>& network, const py::array& X) {
        const bool has_tokens = network.embedding().has_value();
        const Index n_channels = network.options().n_channels;
        const py::ssize_t axes = has_tokens ? 0 : 1, ndim = X.ndim() - axes;
        const bool fits = has_tokens || (X.ndim() > 0 && X.shape(X.ndim() - 1) == n_channels);
        require((ndim == 1 || ndim == 2) && fits && X.size() > 0, [&] {
            const std::string channel =
                has_tokens ? std::string() : ", " + std::to_string(n_channels);
            return "X has shape " + shape_text(X) + ", expected (n_timesteps" +
                   (has_tokens ? "," : channel) + ") or (n_samples, n_timesteps" + channel + ")";
        });
        const Index n_samples = ndim == 1 ? 1 : X.shape(0), n_timesteps = X.shape(ndim - 1);
        for (Index i = 0; i <= n_samples; ++i) offsets.push_back(i * n_timesteps);
        sequences = {nullptr, n_channels, offsets.data(), n_samples};
        if (has_tokens) {
            require_dtype<std::int32_t>(X, "X");
            sequences.tokens.ids = static_cast<const std::int32_t*>(X.data());
            require_tokens(sequences.tokens.ids, X.size(), network.options().n_tokens);
        } else {
            require_dtype<T>(X, "X");
            sequences.values = static_cast<const T*>(X.data());
            require(all_finite(sequences.values, X.size(), network.options().missing != "none"),
                    "X has NaN or infinity, expected finite numbers");
        }
    }
};

template <class T>
py::array predict_regular(const Predictor<T>& predictor, const py::array& X, bool per_step,
                          Index n_threads) {
    const Network<T>& network = predictor.network();
    const Regular<T> x(network, X);
    const Index n_steps = x.sequences.n_steps();
    py::array_t<T> outputs(
        {per_step ? n_steps : x.sequences.n_sequences, network.options().n_outputs});
    T* const to = outputs.mutable_data();
    run_interruptibly(n_steps * network.multiply_adds(), [&](const Control::Check& check) {
        predictor.predict(x.sequences, per_step, nullptr, n_threads, check, to, nullptr);
    });
    return std::move(outputs);
}

}  // namespace

template <class T>
py::tuple forward(const Predictor<T>& predictor, const py::object& values, const py::array& offsets,
                  bool per_step, const py::object& initial_state, Index n_threads) {
    const Network<T>& network = predictor.network();
    const Sequences<T> batch = sequences(network, values, offsets);
    const T* const initial =
        optional_rows<T>(initial_state, "initial_state", batch.n_sequences, network.state_size());
    const Index rows = per_step ? batch.n_steps() : batch.n_sequences;
    py::array_t<T> outputs({rows, network.options().n_outputs});
    py::array_t<T> final_state({batch.n_sequences, network.state_size()});
    T* const to = outputs.mutable_data();
    T* const state_to = final_state.mutable_data();
    const Control::Check check = interrupt_check();
    bool is_short;
    {
        const GilRelease release;
        is_short = predictor.predict(batch, per_step, initial, n_threads, check, to, state_to);
    }
    if (is_short) warn_about_threads();
    return py::make_tuple(outputs, final_state);
}

template py::tuple forward(const Predictor<float>&, const py::object&, const py::array&, bool,
                           const py::object&, Index);
template py::tuple forward(const Predictor<double>&, const py::object&, const py::array&, bool,
                           const py::object&, Index);

void register_predictor(py::module_& module) {
    using namespace py::literals;
    py::class_<AnyPredictor, std::shared_ptr<AnyPredictor>>(module, "Predictor")
        .def(py::init<std::shared_ptr<AnyNetwork>, const py::array&, bool, Index,
                      const std::string&>(),
             "network"_a, "parameters"_a, py::kw_only(), "per_step"_a, "n_threads"_a = 1,
             "storage"_a = "full")
        .def_property_readonly("n_bytes",
                               [](const AnyPredictor& any) {
                                   return any.visit([](const auto& p) { return p.n_bytes(); });
                               })
        .def(
            "forward",
            [](const AnyPredictor& any, const py::object& values, const py::array& offsets,
               const py::object& initial_state) {
                return any.visit([&](const auto& predictor) {
                    return forward(predictor, values, offsets, any.per_step(), initial_state,
                                   any.n_threads());
                });
            },
            "values"_a, "offsets"_a, py::kw_only(), "initial_state"_a = py::none())
        .def(
            "__call__",
            [](const AnyPredictor& any, const py::array& X) {
                return any.visit([&](const auto& predictor) {
                    return predict_regular(predictor, X, any.per_step(), any.n_threads());
                });
            },
            "X"_a);
}

}  // namespace elman::binding
