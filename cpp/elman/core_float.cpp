#include "elman/core.hpp"

namespace elman {

template class Network<float>;
template class Trainer<float>;
template bool predict(const Network<float>&, const float*, const Sequences<float>&, bool,
                      const float*, Index, const Control::Check&, float*, float*);

}  // namespace elman
