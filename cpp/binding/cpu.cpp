// The module _cpu: whether and with which instruction sets the core can run here. It is compiled
// for the oldest processor of its kind, so that it can be asked on every one.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

#if defined(_M_X64)
#include <windows.h>
#endif

namespace {

// Slowest first. The system must save the wide registers too; both builtins look at that.
std::vector<std::string> usable_isas() {
#if defined(_M_X64)
    std::vector<std::string> isas{"baseline"};
    if (IsProcessorFeaturePresent(PF_AVX2_INSTRUCTIONS_AVAILABLE)) isas.push_back("avx2");
    if (IsProcessorFeaturePresent(PF_AVX512F_INSTRUCTIONS_AVAILABLE)) isas.push_back("avx512");
    return isas;
#elif defined(__x86_64__)
    __builtin_cpu_init();
    std::vector<std::string> isas{"baseline"};
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    if (v3) isas.push_back("avx2");
    if (v4) isas.push_back("avx512");
    return isas;
#elif defined(__aarch64__) || defined(_M_ARM64)
    return {"neon"};
#else
    return {"baseline"};
#endif
}

}  // namespace

PYBIND11_MODULE(_cpu, module, pybind11::mod_gil_not_used()) {
    // numpy and scikit-learn do not support them; scikit-learn's import may never return there.
    if (PyInterpreterState_Get() != PyInterpreterState_Main())
        throw pybind11::import_error("elman: got a sub-interpreter, expected the main interpreter");
    module.doc() = "What this machine's processor can run.";
    module.def("usable_isas", &usable_isas,
               "Names of the instruction sets that can run here, the slowest first.");
}
