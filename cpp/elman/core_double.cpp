#include "elman/core.hpp"

namespace elman {

template struct detail::Tiles<double>;
template struct detail::Tiles<double, double, Layout::in_panels>;
template struct detail::Tiles<double, double, Layout::transposed>;
template struct detail::TilesOfOneRow<double>;
template std::unique_ptr<Recurrence<double>> make_recurrence(const CellOptions&, RecurrenceShape);

template class NetworkInputs<double>;
template class NetworkLayer<double>;
template class NetworkOutputs<double>;
template class NetworkStates<double>;
template class Network<double>;
template class Trainer<double>;
template class Predictor<double>;
template class InputGradient<double>;
template class Stream<double>;

}  // namespace elman
