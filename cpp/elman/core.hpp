// The core's front: networks, encoder-decoders, their training and prediction in float and double,
// compiled in core_float.cpp and core_double.cpp, seq2seq_float.cpp and seq2seq_double.cpp.
#pragma once

#include "elman/input_gradient.hpp"
#include "elman/seq2seq_trainer.hpp"
#include "elman/stream.hpp"
#include "elman/trainer.hpp"

namespace elman {

extern template class NetworkInputs<float>;
extern template class NetworkInputs<double>;
extern template class NetworkLayer<float>;
extern template class NetworkLayer<double>;
extern template class NetworkOutputs<float>;
extern template class NetworkOutputs<double>;
extern template class NetworkStates<float>;
extern template class NetworkStates<double>;
extern template class Network<float>;
extern template class Network<double>;
extern template class Trainer<float>;
extern template class Trainer<double>;
extern template class Predictor<float>;
extern template class Predictor<double>;
extern template class InputGradient<float>;
extern template class InputGradient<double>;
extern template class Stream<float>;
extern template class Stream<double>;
extern template class Seq2Seq<float>;
extern template class Seq2Seq<double>;
extern template class Seq2SeqTrainer<float>;
extern template class Seq2SeqTrainer<double>;
extern template class Decoding<float>;
extern template class Decoding<double>;

}  // namespace elman
