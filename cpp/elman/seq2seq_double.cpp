#include "elman/core.hpp"

namespace elman {

template class Seq2Seq<double>;
template class Seq2SeqTrainer<double>;
template class Decoding<double>;

}  // namespace elman
