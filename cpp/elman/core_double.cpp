#include "elman/core.hpp"

namespace elman {

template class Network<double>;
template class Trainer<double>;
template class Predictor<double>;
template class InputGradient<double>;
template class Stream<double>;

}  // namespace elman
