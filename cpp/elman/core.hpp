// The core's front: networks, training and prediction in float and double, compiled in
// core_float.cpp and core_double.cpp.
#pragma once

#include "elman/trainer.hpp"

namespace elman {

extern template class Network<float>;
extern template class Network<double>;
extern template class Trainer<float>;
extern template class Trainer<double>;
extern template class Predictor<float>;
extern template class Predictor<double>;

}  // namespace elman
