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

// outputs: (n_sequences or n_steps, n_outputs) in the caller's order; final_states:
// (n_sequences, state_size). Returns whether the system granted fewer threads than were asked for.
template <class T>
bool predict(const Network<T>& network, const T* parameters, const Sequences<T>& sequences,
             bool per_step, const T* initial_state, Index n_threads, const Control::Check& check,
             T* outputs, T* final_states) {
    constexpr Index chunk_rows = 96;
    const Index n = sequences.n_sequences;
    const Index work = checked_multiply(sequences.n_steps(), network.multiply_adds());
    Team team(std::min(worthwhile_threads(n_threads, work), n), check);
    const Index rows = std::min(chunk_rows, (n + team.n_threads() - 1) / team.n_threads());
    NetworkWeights<T> weights;
    network.pack(parameters, false, weights);
    WorkspacePool<T> pool;
    team.run((n + rows - 1) / rows, [&](Index chunk, Control& control) {
        std::unique_ptr<Workspace<T>> workspace = pool.take();
        workspace->per_step = per_step;
        std::vector<Index> members(std::size_t(std::min(rows, n - chunk * rows)));
        std::iota(members.begin(), members.end(), chunk * rows);
        Batch& batch = workspace->batch;
        batch.assign(members.data(), Index(members.size()), sequences.offsets);
        network.prepare(*workspace, initial_state);
        const Range all{0, batch.n_sequences()};
        network.forward(sequences, weights, all, *workspace, control);
        network.final_states(*workspace, all, final_states);
        const Index n_outputs = network.options().n_outputs;
        for (Index s = 0; s < batch.n_sequences(); ++s) {
            const Index source = batch.source[std::size_t(s)];
            if (!per_step) {
                std::copy_n(workspace->outputs.row(s), n_outputs, outputs + source * n_outputs);
                continue;
            }
            for (Index t = 0; t < batch.length[std::size_t(s)]; ++t)
                std::copy_n(workspace->outputs.row(batch.row(t, s)), n_outputs,
                            outputs + (sequences.offsets[source] + t) * n_outputs);
        }
        pool.give_back(std::move(workspace));
    });
    return team.is_short();
}

}  // namespace elman
