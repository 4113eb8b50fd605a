// The core's front: networks, training and prediction in float and double, compiled in
// core_float.cpp and core_double.cpp.
#pragma once

#include "elman/trainer.hpp"

namespace elman {

extern template class Network<float>;
extern template class Network<double>;
extern template class Trainer<float>;
extern template class Trainer<double>;
extern template bool predict(const Network<float>&, const float*, const Sequences<float>&, bool,
                             const float*, Index, const Control::Check&, float*, float*);
extern template bool predict(const Network<double>&, const double*, const Sequences<double>&, bool,
                             const double*, Index, const Control::Check&, double*, double*);

}  // namespace elman
