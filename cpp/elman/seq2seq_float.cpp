#include "elman/core.hpp"

namespace elman {

template class Seq2Seq<float>;
template class Seq2SeqTrainer<float>;
template class Decoding<float>;

}  // namespace elman
