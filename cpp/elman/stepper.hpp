// A decoder that runs step by step, because what it reads depends on what it has put out before:
// rows are hypotheses, any number of them of each sequence, each with a state of its own.
#pragma once

#include "elman/seq2seq.hpp"

namespace elman {

// One thread's; model and weights must outlive it.
template <class T>
class Stepper {
public:
    Stepper(const Seq2Seq<T>& model, const Seq2SeqWeights<T>& weights)
        : model_(model), weights_(weights) {
        encoded_.workspace.distinct.when = TokensOnce::where_they_recur;
        decoded_.workspace.distinct.when = TokensOnce::always;
    }

    // Reads the sources of some sequences; row i is where the decoder starts for the i-th.
    void begin(const Sequences<T>& sources, const Index* members, Index n_members,
               Control& control) {
        encoded_.workspace.distinct.forget();
        decoded_.workspace.distinct.forget();
        Batch& batch = encoded_.workspace.batch;
        batch.assign(members, n_members, sources.offsets);
        model_.prepare_sources(sources, encoded_);
        model_.sum_source_tokens(0, 1, weights_, encoded_);
        model_.encode(sources, weights_, {0, n_members}, encoded_, control);
        longest_source_ = batch.n_steps();
        decoded_.workspace.batch.assign_steps(n_members);
        std::copy_n(members, n_members, decoded_.workspace.batch.source.begin());
        model_.prepare_bridge(sources, encoded_, decoded_);
        model_.cross_bridge(weights_, {0, n_members}, decoded_);
        memories_.resize(std::size_t(n_members));
        for (Index i = 0; model_.attention() && i < n_members; ++i) {
            Memory<T>& memory = memories_[std::size_t(i)];
            model_.gather_memory(model_.place(encoded_, members[i]), encoded_, memory);
            model_.attention()->pack_keys(memory);
        }
    }

    // Row r becomes what row from[r] was.
    void choose(const std::vector<Index>& from) {
        const Index size = model_.decoder().state_size();
        make_room(chosen_, Index(from.size()) * size);
        for (std::size_t r = 0; r < from.size(); ++r)
            std::copy_n(decoded_.states.data() + from[r] * size, size,
                        chosen_.data() + Index(r) * size);
        decoded_.states.swap(chosen_);
    }

    // One step of as many rows as there are inputs, each a sequence of one step; row r is of the
    // sequence_of[r]-th sequence, and rows of one sequence stand together. Returns the outputs.
    const Rows<T>& step(const Sequences<T>& inputs, const std::vector<Index>& sequence_of,
                        Control& control) {
        const Index n = inputs.n_sequences;
        Workspace<T>& workspace = decoded_.workspace;
        workspace.batch.assign_steps(n);
        model_.prepare_outputs(inputs, longest_source_, decoded_);
        model_.sum_input_tokens(0, 1, weights_, decoded_);
        model_.step_states(inputs, weights_, {0, n}, decoded_, control);
        for (Index first = 0, next; model_.attention() && first < n; first = next) {
            const Index sequence = sequence_of[std::size_t(first)];
            for (next = first + 1; next < n && sequence_of[std::size_t(next)] == sequence;) ++next;
            model_.read(weights_, memories_[std::size_t(sequence)], first, next - first, decoded_);
        }
        model_.emit(weights_, {0, n}, decoded_);
        model_.decoder().final_states(workspace, {0, n}, decoded_.states.data());
        control.poll(n * model_.target_multiply_adds());
        return decoded_.outputs.rows();
    }

private:
    const Seq2Seq<T>& model_;
    const Seq2SeqWeights<T>& weights_;
    Encoded<T> encoded_;
    Decoded<T> decoded_;
    std::vector<Memory<T>> memories_;
    Array<T> chosen_;
    Index longest_source_ = 0;
};

}  // namespace elman
