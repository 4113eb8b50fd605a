#pragma once

#include <pybind11/pybind11.h>

namespace elman::binding {

void register_fleet(pybind11::module_& module);

}  // namespace elman::binding
