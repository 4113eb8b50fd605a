#include "elman/core.hpp"

namespace elman {

template class Network<float>;
template class Trainer<float>;
template class Predictor<float>;
template class InputGradient<float>;
template class Stream<float>;

}  // namespace elman
