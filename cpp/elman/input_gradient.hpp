// What a small change of an input changes: for given dL/d(outputs),
//
//     dL/dx_t = sum_k  dL/dy_k  dy_k/dx_t
//
// at every step t of every sequence, by backpropagation through all of its steps, without dropout.
// Where steps are tokens, x_t is what the embedding makes of them.
//
// Chunks of sequences go to the threads. The tape of a whole chunk is kept, so that chunks of long
// sequences are of few; where they are cut does not depend on the number of threads.
#pragma once

#include "elman/predict.hpp"

namespace elman {

// Consecutive sequences, of chunk_rows at most and of so many steps together.
inline std::vector<Range> chunks_of(const Index* offsets, Index n_sequences) {
    constexpr Index most_steps = 8192;
    std::vector<Range> chunks;
    for (Index begin = 0, end = 0; begin < n_sequences; begin = end) {
        const auto fits = [&](Index next) {
            return next <= n_sequences && next - begin <= chunk_rows &&
                   offsets[next] - offsets[begin] <= most_steps;
        };
        for (end = begin + 1; fits(end + 1);) ++end;
        chunks.push_back({begin, end});
    }
    return chunks;
}

// doutputs: (n_sequences or n_steps, n_outputs), dinputs: (n_steps, n_channels), in the caller's
// order. Returns whether the system granted fewer threads than were asked for.
template <class T>
class InputGradient {
public:
    // The parameters must outlive it (see Network::pack).
    InputGradient(const Network<T>& network, const T* parameters) : network_(network) {
        network.pack(parameters, true, weights_);
    }

    bool operator()(const Sequences<T>& sequences, bool per_step, const T* doutputs,
                    Index n_threads, const Control::Check& check, T* dinputs) const;

private:
    void differentiate(const Sequences<T>& sequences, Range members, bool per_step,
                       const T* doutputs, T* dinputs, Control& control) const {
        std::vector<Index> numbers(std::size_t(members.size()));
        std::iota(numbers.begin(), numbers.end(), members.begin);
        Workspace<T> workspace;
        workspace.training = workspace.wants_inputs = true;
        workspace.per_step = per_step;
        workspace.batch.assign(numbers.data(), members.size(), sequences.offsets);
        const Range all{0, members.size()};
        network_.prepare(sequences, workspace, nullptr);
        network_.forward(sequences, weights_, all, workspace, control);
        gather(sequences, doutputs, workspace);
        network_.backward(weights_, all, 0, workspace, control);
        for (Index s = 0; s < members.size(); ++s) {
            const Index source = workspace.batch.source[std::size_t(s)];
            network_.input_gradients(workspace, s,
                                     dinputs + sequences.offsets[source] * sequences.n_channels);
        }
    }

    // To the order of the batch.
    void gather(const Sequences<T>& sequences, const T* doutputs, Workspace<T>& workspace) const {
        const Index n = network_.options().n_outputs;
        const Batch& batch = workspace.batch;
        for (Index s = 0; s < batch.n_sequences(); ++s) {
            const Index source = batch.source[std::size_t(s)];
            if (!workspace.per_step) {
                std::copy_n(doutputs + source * n, n, workspace.doutputs.row(s));
                continue;
            }
            const T* from = doutputs + sequences.offsets[source] * n;
            for (Index t = 0; t < batch.length[std::size_t(s)]; ++t, from += n)
                std::copy_n(from, n, workspace.doutputs.row(batch.row(t, s)));
        }
    }

    const Network<T>& network_;
    NetworkWeights<T> weights_;
};

// What the binding calls is not inline, so that it is compiled with the core, once.
template <class T>
bool InputGradient<T>::operator()(const Sequences<T>& sequences, bool per_step, const T* doutputs,
                                  Index n_threads, const Control::Check& check, T* dinputs) const {
    const std::vector<Range> chunks = chunks_of(sequences.offsets, sequences.n_sequences);
    const Index work = checked_multiply(sequences.n_steps(), 3 * network_.multiply_adds());
    Team team(std::min(worthwhile_threads(n_threads, work), Index(chunks.size())), check);
    team.run(Index(chunks.size()), [&](Index chunk, Control& control) {
        differentiate(sequences, chunks[std::size_t(chunk)], per_step, doutputs, dinputs, control);
    });
    return team.is_short();
}

}  // namespace elman
