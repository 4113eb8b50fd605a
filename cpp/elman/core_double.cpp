#include "elman/core.hpp"

namespace elman {

template class Network<double>;
template class Trainer<double>;
template bool predict(const Network<double>&, const double*, const Sequences<double>&, bool,
                      const double*, Index, const Control::Check&, double*, double*);

}  // namespace elman
