#include "binding/mixture.hpp"

#include "binding/interrupt.hpp"

namespace elman::binding {

namespace {

template <class T>
py::array mix(const py::array& outputs, const py::array& candidates, Index n_targets,
              Index n_levels, Index n_groups, double sharpness) {
    const T* const from = elements<T>(outputs, "outputs", {-1, -1});
    const Index n_rows = outputs.shape(0);
    const T* const values = elements<T>(candidates, "candidates", {n_rows, -1});
    const Index n_values = candidates.shape(1);
    require(n_targets >= 1 && n_values % n_targets == 0, [&] {
        return "candidates has " + std::to_string(n_values) + " columns, expected a multiple of " +
               std::to_string(n_targets) + " targets";
    });
    require(n_groups >= 1 && n_groups <= n_targets, "n_groups must be in [1, number of targets]");
    const Index n_candidates = n_values / n_targets;
    const Mixture<T> mixture({n_targets, n_levels, outputs.shape(1) - n_groups * n_candidates,
                              n_candidates, n_groups, sharpness});
    check_candidates(values, n_rows, n_values, n_values);
    py::array_t<T> mixed({n_rows, mixture.n_outputs()});
    T* const to = mixed.mutable_data();
    const GilRelease release;
    mixture.apply(n_rows, from, values, to);
    return std::move(mixed);
}

}  // namespace

void register_mixture(py::module_& module) {
    using namespace py::literals;
    module.def(
        "mix",
        [](const py::array& outputs, const py::array& candidates, Index n_targets, Index n_levels,
           Index n_groups, double sharpness) {
            const bool is_narrow = py::isinstance<py::array_t<float>>(outputs);
            return is_narrow
                       ? mix<float>(outputs, candidates, n_targets, n_levels, n_groups, sharpness)
                       : mix<double>(outputs, candidates, n_targets, n_levels, n_groups, sharpness);
        },
        "outputs"_a, "candidates"_a, py::kw_only(), "n_targets"_a, "n_levels"_a = 1,
        "n_groups"_a = 1, "sharpness"_a = 1.0);
}

}  // namespace elman::binding
