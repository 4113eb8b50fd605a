// Outputs of many sequences: chunks of rows, each on one thread, in a memory that does not grow
// with their number.
#pragma once

#include <memory>
#include <mutex>

#include "elman/network.hpp"

namespace elman {

// Workspaces handed from chunk to chunk.
template <class T>
class WorkspacePool {
public:
    std::unique_ptr<Workspace<T>> take() {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (free_.empty()) return std::make_unique<Workspace<T>>();
        auto workspace = std::move(free_.back());
        free_.pop_back();
        return workspace;
    }
    void give_back(std::unique_ptr<Workspace<T>> workspace) {
        const std::lock_guard<std::mutex> lock(mutex_);
        free_.push_back(std::move(workspace));
    }

private:
    std::mutex mutex_;
    std::vector<std::unique_ptr<Workspace<T>>> free_;
};

// Threads that the work of a whole call is worth: starting one costs some 50 microseconds.
inline Index worthwhile_threads(Index n_threads, Index multiply_adds) {
    constexpr Index worth_a_thread = 5000000;
    return std::clamp<Index>(multiply_adds / worth_a_thread, 1, std::max<Index>(n_threads, 1));
}

// A network with weights that are packed once. Safe to be called from several threads at a time.
template <class T>
class Predictor {
public:
    Predictor(const Network<T>& network, const T* parameters) : network_(network) {
        network.pack(parameters, false, weights_);
    }

    const Network<T>& network() const { return network_; }

    // outputs: (n_sequences or n_steps, n_outputs) in the caller's order; final_states, unless
    // null: (n_sequences, state_size). Returns whether the system granted fewer threads than were
    // asked for.
    bool predict(const Sequences<T>& sequences, bool per_step, const T* initial_state,
                 Index n_threads, const Control::Check& check, T* outputs, T* final_states) const {
        constexpr Index chunk_rows = 96;
        const Index n = sequences.n_sequences;
        const Index work = checked_multiply(sequences.n_steps(), network_.multiply_adds());
        Team team(std::min(worthwhile_threads(n_threads, work), n), check);
        const Index rows = std::min(chunk_rows, (n + team.n_threads() - 1) / team.n_threads());
        team.run((n + rows - 1) / rows, [&](Index chunk, Control& control) {
            std::unique_ptr<Workspace<T>> workspace = pool_.take();
            workspace->per_step = per_step;
            const Range members{chunk * rows, std::min((chunk + 1) * rows, n)};
            forward(sequences, members, initial_state, *workspace, control);
            if (final_states != nullptr)
                network_.final_states(*workspace, {0, members.size()}, final_states);
            scatter(*workspace, sequences, outputs);
            pool_.give_back(std::move(workspace));
        });
        return team.is_short();
    }

private:
    void forward(const Sequences<T>& sequences, Range members, const T* initial_state,
                 Workspace<T>& workspace, Control& control) const {
        std::vector<Index> numbers(std::size_t(members.size()));
        std::iota(numbers.begin(), numbers.end(), members.begin);
        workspace.batch.assign(numbers.data(), members.size(), sequences.offsets);
        network_.prepare(workspace, initial_state);
        network_.forward(sequences, weights_, {0, members.size()}, workspace, control);
    }

    // From the order of the batch to the caller's.
    void scatter(const Workspace<T>& workspace, const Sequences<T>& sequences, T* outputs) const {
        const Index n_outputs = network_.options().n_outputs;
        const Batch& batch = workspace.batch;
        for (Index s = 0; s < batch.n_sequences(); ++s) {
            const Index source = batch.source[std::size_t(s)];
            if (!workspace.per_step) {
                std::copy_n(workspace.outputs.row(s), n_outputs, outputs + source * n_outputs);
                continue;
            }
            for (Index t = 0; t < batch.length[std::size_t(s)]; ++t)
                std::copy_n(workspace.outputs.row(batch.row(t, s)), n_outputs,
                            outputs + (sequences.offsets[source] + t) * n_outputs);
        }
    }

    const Network<T>& network_;
    NetworkWeights<T> weights_;
    mutable WorkspacePool<T> pool_;
};

}  // namespace elman
