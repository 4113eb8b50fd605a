#include "elman/fleet.hpp"

namespace elman::fleet {

template bool train(const Network<float>&, const TrainingOptions&, const Data<float>&,
                    const Progress<float>&, const Control::Check&);
template bool train(const Network<double>&, const TrainingOptions&, const Data<double>&,
                    const Progress<double>&, const Control::Check&);
template bool predict(const Network<float>&, const float*, const Questions<float>&, Index,
                      const Control::Check&, float*);
template bool predict(const Network<double>&, const double*, const Questions<double>&, Index,
                      const Control::Check&, double*);

}  // namespace elman::fleet
