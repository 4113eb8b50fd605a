// Many small networks at a time, in float and double, compiled in fleet.cpp.
#pragma once

#include "elman/core.hpp"
#include "elman/fleet/predict.hpp"

namespace elman::fleet {

extern template bool train(const Network<float>&, const TrainingOptions&, const Data<float>&,
                           const Progress<float>&, const Control::Check&);
extern template bool train(const Network<double>&, const TrainingOptions&, const Data<double>&,
                           const Progress<double>&, const Control::Check&);
extern template bool predict(const Network<float>&, const float*, const Questions<float>&, Index,
                             const Control::Check&, float*);
extern template bool predict(const Network<double>&, const double*, const Questions<double>&, Index,
                             const Control::Check&, double*);

}  // namespace elman::fleet
