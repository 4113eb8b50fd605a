// What a pass over a mini-batch reads and leaves behind: the weights as layers read them, and the
// memory that goes from the forward pass to the backward one.
#pragma once

#include "elman/decay.hpp"
#include "elman/dropout.hpp"
#include "elman/head.hpp"
#include "elman/token_sums.hpp"

namespace elman {

template <class T>
struct NetworkWeights {
    const T* parameters = nullptr;  // as they came, for an embedding or a decay
    std::vector<std::array<PackedWeights<T>, 2>> layers;
    PackedDense<T> input;
    PackedHead<T> head;
};

// What a layer leaves behind, by direction, and its junction, by part.
template <class T>
struct LayerRows {
    std::array<Tape<T>, 2> tapes;
    std::array<Matrix<T>, 2> dh;  // dL/d(the states), at each step
    // What the junction makes, where that is not the states themselves, at each step or of the
    // last one; its gradient; the masks of dropout.
    std::array<Matrix<T>, 2> joined, djoined, masks;
};

// The memory of one pass over a mini-batch, used again for the next.
template <class T>
struct Workspace {
    bool training = false;
    bool per_step = false;
    bool is_shared = false;     // the shards of a pass that is not training go to several threads
    bool wants_inputs = false;  // backward makes dL/d(inputs), also where no parameter needs it
    Dropout dropout;
    Batch batch;
    RecurrentRuns runs;
    TokenRows<T> tokens;
    DistinctTokens<T> distinct;  // instead, where the first layer reads each token once
    Matrix<T> x;
    Matrix<T> dx;               // where an embedding or a decay stands before, or wanted
    Matrix<T> inputs, dinputs;  // of the first layer, where an input layer does
    Matrix<T> x_mask;           // of dropout behind an embedding
    std::vector<unsigned char> is_missing;  // by row, where steps may be skipped
    DecayRows<T> decay;
    std::vector<LayerRows<T>> layers;
    std::vector<Features<const T>> read;  // by each layer, and by the head
    // Of the head, by row of the outputs: its hidden layer, the inputs of the last steps where
    // only these count, and dL/d(inputs).
    HeadRows<T> head;
    Matrix<T> last_x, dhead_x;
    Matrix<T> outputs, doutputs;
    const T* dfinal_states = nullptr;  // what flows into the last states from elsewhere, by place
    bool states_by_place = false;  // rows of states are in the order of the batch, not the caller's

    Index n_output_rows() const { return per_step ? batch.n_rows() : batch.n_sequences(); }
};

// Calls function(first row, rows) for the rows of the outputs that belong to a shard.
template <class T, class Function>
void for_each_output(const Workspace<T>& workspace, Range shard, const Function& function) {
    const Range ended{std::max(shard.begin, workspace.batch.n_continuing), shard.end};
    if (!workspace.per_step)
        function(ended.begin, ended.size());
    else
        for_each_rows(workspace.batch, shard, function);
}

}  // namespace elman
