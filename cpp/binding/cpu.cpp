// The module _cpu: whether the core can run here, and with which instruction sets. It is compiled
// for the oldest processor of its kind, so that it can be asked on every one, and written without
// pybind11, which may never return in a sub-interpreter: this module is where that is refused.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <vector>

#if defined(_M_X64)
#include <windows.h>
#endif

namespace {

// Slowest first. The system must save the wide registers too; both queries look at that.
std::vector<const char*> usable_isas() {
#if defined(_M_X64)
    std::vector<const char*> isas{"baseline"};
    if (IsProcessorFeaturePresent(PF_AVX2_INSTRUCTIONS_AVAILABLE)) isas.push_back("avx2");
    if (IsProcessorFeaturePresent(PF_AVX512F_INSTRUCTIONS_AVAILABLE)) isas.push_back("avx512");
    return isas;
#elif defined(__x86_64__)
    __builtin_cpu_init();
    std::vector<const char*> isas{"baseline"};
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

PyObject* usable_isas_list(PyObject*, PyObject*) {
    const std::vector<const char*> isas = usable_isas();
    PyObject* const list = PyList_New(Py_ssize_t(isas.size()));
    if (list == nullptr) return nullptr;
    for (std::size_t i = 0; i < isas.size(); ++i) {
        PyObject* const name = PyUnicode_FromString(isas[i]);
        if (name == nullptr) {
            Py_DECREF(list);
            return nullptr;
        }
        PyList_SET_ITEM(list, Py_ssize_t(i), name);
    }
    return list;
}

// Run by every interpreter that imports the module.
int refuse_subinterpreter(PyObject*) {
    if (PyInterpreterState_Get() == PyInterpreterState_Main()) return 0;
    PyErr_SetString(PyExc_ImportError,
                    "elman: got a sub-interpreter, expected the main interpreter");
    return -1;
}

PyMethodDef methods[] = {
    {"usable_isas", usable_isas_list, METH_NOARGS,
     "Names of the instruction sets that can run here, the slowest first."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(refuse_subinterpreter)},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "_cpu",
    "What this machine's processor can run.",
    0,
    methods,
    slots,
    nullptr,
    nullptr,
    nullptr,
};

}  // namespace

PyMODINIT_FUNC PyInit__cpu() { return PyModuleDef_Init(&definition); }
