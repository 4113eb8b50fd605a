#include "elman/core.hpp"

namespace elman {

template struct detail::Tiles<float>;
template struct detail::Tiles<float, Half>;
template struct detail::Tiles<float, Int8>;
template struct detail::Tiles<float, float, Layout::in_panels>;
template struct detail::Tiles<float, float, Layout::transposed>;
template struct detail::TilesOfOneRow<float>;
template std::unique_ptr<Recurrence<float>> make_recurrence(const CellOptions&, RecurrenceShape);

template class NetworkInputs<float>;
template class NetworkLayer<float>;
template class NetworkOutputs<float>;
template class NetworkStates<float>;
template class Network<float>;
template class Trainer<float>;
template class Predictor<float>;
template class InputGradient<float>;
template class Stream<float>;

}  // namespace elman
