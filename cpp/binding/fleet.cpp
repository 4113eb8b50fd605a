#include "binding/fleet.hpp"

#include "binding/mixture.hpp"
#include "binding/network.hpp"
#include "binding/updates.hpp"
#include "elman/fleet.hpp"

namespace elman::binding {

namespace {

// Where each network's sequences begin, and where the last one's end.
inline const Index* first_sequences(const py::array& array, Index n_networks, Index n_sequences) {
    const Index* const first = elements<Index>(array, "first_sequence", {n_networks + 1});
    require(first[0] == 0 && first[n_networks] == n_sequences,
            "first_sequence must run from 0 to the number of sequences");
    for (Index i = 0; i < n_networks; ++i)
        require(first[i] < first[i + 1], [i] {
            return "network " + std::to_string(i) + " has no sequences, expected at least 1";
        });
    return first;
}

// Every order names sequences of its network.
template <class T>
void check_orders(const fleet::Data<T>& data, Index n_numbers, Index max_iter) {
    // Where an epoch's numbers begin, how many there are in all, and of how many sequences.
    using Order = std::array<Index, 4>;
    Order last{};
    for (Index i = 0; i < data.n_networks; ++i) {
        const Index n = data.n_sequences(i), first = data.first[i], stride = data.stride[i];
        const Order order{first, stride, data.n_drawn == nullptr ? n : data.n_drawn[i], n};
        if (i > 0 && order == last) continue;
        last = order;
        const Index n_epochs = stride == 0 ? 1 : max_iter;
        const Index n_all = data.n_drawn == nullptr ? (n_epochs - 1) * stride + n : data.n_drawn[i];
        require(first >= 0 && stride >= 0 && n_all >= 1 && first + n_all <= n_numbers,
                [i] { return "the orders of network " + std::to_string(i) + " are not there"; });
        for (const std::int32_t* number = data.numbers + first;
             number != data.numbers + first + n_all; ++number)
            require(*number >= 0 && *number < n, [i] {
                return "an order of network " + std::to_string(i) +
                       " names a sequence that it does not have";
            });
    }
}

// Numbers of which each network has one, or null for None.
inline const Index* each_network(const py::object& array, const char* name, Index n_networks) {
    if (array.is_none()) return nullptr;
    return elements<Index>(as_array(array, name), name, {n_networks});
}

// What is trained on, beside the network and its options.
struct Arguments {
    const py::object& values;
    const py::array& offsets;
    const py::array& first_sequence;
    const py::array& targets;
    const py::object& weights;
    const py::tuple& orders;
    const py::array& warmup_steps;
    const py::array& total_steps;
    bool per_step;
};

// Of targets: rows of what the loss reads, and of candidates behind it.
template <class T>
const T* fleet_targets(const Network<T>& network, const fleet::TrainingOptions& options,
                       const py::array& targets, Index rows, Index& n_columns) {
    const Loss<T> loss(options.loss, options.loss_parameters);
    const Index n_outputs = network.options().n_outputs;
    const auto mixture = fleet::mixture_of(options, loss, n_outputs);
    const Index n_values = mixture ? mixture->n_values() : 0;
    n_columns = fleet::n_targets(loss, mixture, n_outputs);
    require(n_columns > n_values, [&] {
        return "loss '" + options.loss + "' cannot have " + std::to_string(n_outputs) + " outputs";
    });
    const T* const y = elements<T>(targets, "targets", {rows, n_columns});
    if (loss.has_classes()) check_classes(y, rows, n_outputs);
    check_candidates(y + n_columns - n_values, rows, n_columns, n_values);
    return y;
}

template <class T>
fleet::Data<T> fleet_data(const Network<T>& network, const fleet::TrainingOptions& options, Index n,
                          const Arguments& of) {
    const Sequences<T> batch = sequences(network, of.values, of.offsets);
    const Index rows = of.per_step ? batch.n_steps() : batch.n_sequences;
    Index n_targets;
    const T* const y = fleet_targets(network, options, of.targets, rows, n_targets);
    const T* const w = checked_weights<T>(of.weights, rows);
    require(of.orders.size() == 4, "orders must be (numbers, first, stride, n_drawn)");
    const py::array numbers = as_array(of.orders[0], "numbers");
    fleet::Data<T> data{{batch, y, n_targets, w, of.per_step},
                        first_sequences(of.first_sequence, n, batch.n_sequences),
                        n,
                        elements<std::int32_t>(numbers, "numbers", {-1}),
                        each_network(of.orders[1], "first", n),
                        each_network(of.orders[2], "stride", n)};
    require(data.first != nullptr && data.stride != nullptr, "first and stride must be arrays");
    data.n_drawn = each_network(of.orders[3], "n_drawn", n);
    data.warmup_steps = each_network(of.warmup_steps, "warmup_steps", n);
    data.total_steps = each_network(of.total_steps, "total_steps", n);
    check_orders(data, numbers.shape(0), options.max_iter);
    data.has_all_targets = std::none_of(y, y + rows * n_targets, [](T v) { return v != v; });
    return data;
}

template <class U>
U* filled(py::dict& results, const char* name, std::vector<Index> shape, U value) {
    py::array_t<U> array(shape);
    std::fill_n(array.mutable_data(), array.size(), value);
    results[name] = array;
    return array.mutable_data();
}

template <class T>
py::dict train_fleet(const Network<T>& network, const fleet::TrainingOptions& options,
                     const py::array& parameters, const Arguments& arguments) {
    const T* const start = elements<T>(parameters, "parameters", {-1, network.n_parameters()});
    const Index n = parameters.shape(0), n_moments = solver_moments<T>(options.solver);
    const fleet::Data<T> data = fleet_data(network, options, n, arguments);
    py::dict results;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const fleet::Progress<T> progress{
        filled(results, "parameters", {n, network.n_parameters()}, T(0)),
        filled(results, "moments", {n, n_moments, network.n_parameters()}, T(0)),
        filled(results, "learning_rate", {n}, options.learning_rate),
        filled(results, "best_loss", {n}, infinity),
        filled(results, "n_iter", {n}, Index(0)),
        filled(results, "n_no_change", {n}, Index(0)),
        filled(results, "is_over", {n}, false),
        filled(results, "diverged_at", {n}, Index(-1)),
        filled(results, "gradient_norm", {n}, 0.0),
        filled(results, "losses", {n, options.max_iter}, 0.0)};
    std::copy_n(start, parameters.size(), progress.parameters);
    const Control::Check check = interrupt_check();
    bool is_short;
    {
        const GilRelease release;
        is_short = fleet::train(network, options, data, progress, check);
    }
    if (is_short) warn_about_threads();
    return results;
}

template <class T>
py::array predict_fleet(const Network<T>& network, const py::array& parameters,
                        const py::object& values, const py::array& offsets,
                        const py::array& first_sequence, bool per_step, Index n_threads) {
    const T* const from = elements<T>(parameters, "parameters", {-1, network.n_parameters()});
    const Index n = parameters.shape(0);
    const Sequences<T> batch = sequences(network, values, offsets);
    const fleet::Questions<T> questions{
        batch, first_sequences(first_sequence, n, batch.n_sequences), n, per_step};
    py::array_t<T> outputs(
        {per_step ? batch.n_steps() : batch.n_sequences, network.options().n_outputs});
    T* const to = outputs.mutable_data();
    const Control::Check check = interrupt_check();
    bool is_short;
    {
        const GilRelease release;
        is_short = fleet::predict(network, from, questions, n_threads, check, to);
    }
    if (is_short) warn_about_threads();
    return std::move(outputs);
}

}  // namespace

void register_fleet(py::module_& module) {
    using namespace py::literals;
    module.def(
        "train_fleet",
        [](const AnyNetwork& any, const py::array& parameters, const py::object& values,
           const py::array& offsets, const py::array& first_sequence, const py::array& targets,
           const py::object& weights, const py::tuple& orders, const py::array& warmup_steps,
           const py::array& total_steps, bool per_step, Index batch_size, Index max_iter,
           double tol, double patience, double adapting_divisor, double least_learning_rate,
           const std::string& loss, const std::vector<double>& loss_parameters, Index n_candidates,
           Index n_groups, double sharpness, const std::string& solver, double learning_rate,
           const std::string& schedule, double power_t, double alpha,
           std::optional<double> clip_norm, double momentum, bool nesterovs_momentum, double beta_1,
           double beta_2, double epsilon, Index bptt_steps, Index n_threads) {
            fleet::TrainingOptions options;
            static_cast<UpdateOptions&>(options) =
                update_options(solver, learning_rate, schedule, power_t, 0, 0, alpha, clip_norm,
                               momentum, nesterovs_momentum, beta_1, beta_2, epsilon);
            require(batch_size >= 1 && max_iter >= 1, "batch_size and max_iter must be at least 1");
            require(bptt_steps >= 0, "bptt_steps must not be negative");
            require(n_candidates >= 0 && n_groups >= 1,
                    "n_candidates must not be negative, n_groups at least 1");
            options.loss = loss;
            options.loss_parameters = loss_parameters;
            options.n_candidates = n_candidates;
            options.n_groups = n_groups;
            options.sharpness = sharpness;
            options.bptt_steps = bptt_steps;
            options.n_threads = n_threads;
            options.batch_size = batch_size;
            options.max_iter = max_iter;
            options.tol = tol;
            options.patience = patience;
            options.adapting_divisor = adapting_divisor;
            options.least_learning_rate = least_learning_rate;
            const Arguments arguments{values, offsets,      first_sequence, targets, weights,
                                      orders, warmup_steps, total_steps,    per_step};
            return any.visit([&](const auto& network) {
                return train_fleet(network, options, parameters, arguments);
            });
        },
        "network"_a, "parameters"_a, "values"_a, "offsets"_a, "first_sequence"_a, "targets"_a,
        "weights"_a, "orders"_a, py::kw_only(), "warmup_steps"_a, "total_steps"_a, "per_step"_a,
        "batch_size"_a, "max_iter"_a, "tol"_a, "patience"_a, "adapting_divisor"_a,
        "least_learning_rate"_a, "loss"_a, "loss_parameters"_a, "n_candidates"_a = 0,
        "n_groups"_a = 1, "sharpness"_a = 1.0, "solver"_a, "learning_rate"_a, "schedule"_a,
        "power_t"_a, "alpha"_a, "clip_norm"_a, "momentum"_a, "nesterovs_momentum"_a, "beta_1"_a,
        "beta_2"_a, "epsilon"_a, "bptt_steps"_a, "n_threads"_a);
    module.def(
        "predict_fleet",
        [](const AnyNetwork& any, const py::array& parameters, const py::object& values,
           const py::array& offsets, const py::array& first_sequence, bool per_step,
           Index n_threads) {
            return any.visit([&](const auto& network) {
                return predict_fleet(network, parameters, values, offsets, first_sequence, per_step,
                                     n_threads);
            });
        },
        "network"_a, "parameters"_a, "values"_a, "offsets"_a, "first_sequence"_a, py::kw_only(),
        "per_step"_a, "n_threads"_a);
    module.def(
        "suits_fleet",
        [](const AnyNetwork& any) {
            return any.visit(
                [](const auto& network) { return fleet::is_plain(network.options()); });
        },
        "network"_a);
}

}  // namespace elman::binding
