// Outputs of many sequences: chunks of them, each on one thread and in segments of its steps, in a
// memory that grows with neither and stays in the second-level cache.
#pragma once

#include <memory>
#include <mutex>

#include "elman/network.hpp"

namespace elman {

// Sequences that are taken together.
inline constexpr Index chunk_rows = 96;

// What the prediction of a chunk needs.
template <class T>
struct ChunkWorkspace {
    Workspace<T> segment;
    Batch chunk;
    std::vector<Index> members;
    Array<T> states;  // by place in the chunk
};

// Workspaces handed from chunk to chunk.
template <class Workspace>
class WorkspacePool {
public:
    // arguments: of one that has to be made.
    template <class... Arguments>
    std::unique_ptr<Workspace> take(const Arguments&... arguments) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (free_.empty()) return std::make_unique<Workspace>(arguments...);
        auto workspace = std::move(free_.back());
        free_.pop_back();
        return workspace;
    }
    void give_back(std::unique_ptr<Workspace> workspace) {
        const std::lock_guard<std::mutex> lock(mutex_);
        free_.push_back(std::move(workspace));
    }

private:
    std::mutex mutex_;
    std::vector<std::unique_ptr<Workspace>> free_;
};

// Threads that the work of a whole call is worth: one that sleeps takes up to 50 microseconds to
// come.
inline Index worthwhile_threads(Index n_threads, Index multiply_adds) {
    constexpr Index worth_a_thread = 3500000;
    return std::clamp<Index>(multiply_adds / worth_a_thread, 1, std::max<Index>(n_threads, 1));
}

// A network with weights that are packed once; the parameters must outlive it (see Network::pack).
// Safe to be called from several threads at a time.
template <class T>
class Predictor {
public:
    Predictor(const Network<T>& network, const T* parameters, Storage storage = Storage::full);

    const Network<T>& network() const { return network_; }
    const NetworkWeights<T>& weights() const { return weights_; }
    // That the matrices of the layers take.
    Index n_bytes() const {
        std::size_t n = 0;
        for (const auto& directions : weights_.layers)
            for (const PackedWeights<T>& packed : directions)
                n += sizeof(T) * (packed.panels.size() + packed.scales.size()) +
                     sizeof(Half) * packed.half_panels.size() +
                     sizeof(Int8) * packed.int8_panels.size();
        return Index(n);
    }

    // outputs: (n_sequences or n_steps, n_outputs) in the caller's order; final_states, unless
    // null: (n_sequences, state_size). Returns whether the system granted fewer threads than were
    // asked for.
    bool predict(const Sequences<T>& sequences, bool per_step, const T* initial_state,
                 Index n_threads, const Control::Check& check, T* outputs, T* final_states) const;

private:
    void gather(const Sequences<T>& sequences, Range members, const T* initial_state,
                ChunkWorkspace<T>& workspace) const {
        workspace.members.resize(std::size_t(members.size()));
        std::iota(workspace.members.begin(), workspace.members.end(), members.begin);
        workspace.chunk.assign(workspace.members.data(), members.size(), sequences.offsets);
        const Index size = network_.state_size();
        make_room(workspace.states, members.size() * size);
        for (Index s = 0; s < members.size(); ++s) {
            T* const to = workspace.states.data() + s * size;
            if (initial_state == nullptr)
                network_.start(weights_.parameters, to);
            else
                std::copy_n(initial_state + workspace.chunk.source[std::size_t(s)] * size, size,
                            to);
        }
    }

    void forward(const Sequences<T>& sequences, bool per_step, ChunkWorkspace<T>& workspace,
                 T* outputs, Control& control) const {
        const Batch& chunk = workspace.chunk;
        Workspace<T>& segment = workspace.segment;
        segment.per_step = per_step;
        segment.states_by_place = true;
        segment.distinct.when = TokensOnce::where_they_recur;
        segment.distinct.forget();
        const Index longest = segment_steps(chunk);
        for (Index begin = 0; begin < chunk.n_steps(); begin += longest) {
            segment.batch.assign_segment(chunk, begin, std::min(begin + longest, chunk.n_steps()));
            const Range all{0, segment.batch.n_sequences()};
            network_.prepare(sequences, segment, workspace.states.data());
            if (segment.distinct.is_used) network_.sum_tokens(0, 1, weights_, segment);
            network_.forward(sequences, weights_, all, segment, control);
            network_.final_states(segment, all, workspace.states.data());
            scatter(segment, sequences, outputs);
        }
    }

    // A reverse layer starts at the end, a branch before it: they want all steps at once.
    Index segment_steps(const Batch& chunk) const {
        constexpr Index cached_bytes = 256 * 1024, shortest = 16;
        if (!network_.runs_in_segments()) return chunk.n_steps();
        const Index of_a_step = chunk.n_sequences() * network_.n_features() * Index(sizeof(T));
        return std::max(cached_bytes / of_a_step, shortest);
    }

    // From the order of the batch to the caller's: the sequences that have ended, or every step.
    void scatter(const Workspace<T>& segment, const Sequences<T>& sequences, T* outputs) const {
        const Index n_outputs = network_.options().n_outputs;
        const Batch& batch = segment.batch;
        for (Index s = segment.per_step ? 0 : batch.n_continuing; s < batch.n_sequences(); ++s) {
            const Index source = batch.source[std::size_t(s)];
            if (!segment.per_step) {
                std::copy_n(segment.outputs.row(s), n_outputs, outputs + source * n_outputs);
                continue;
            }
            T* to = outputs + (sequences.offsets[source] + batch.first_step) * n_outputs;
            for (Index t = 0; t < batch.length[std::size_t(s)]; ++t)
                to = std::copy_n(segment.outputs.row(batch.row(t, s)), n_outputs, to);
        }
    }

    void scatter_states(const ChunkWorkspace<T>& workspace, T* final_states) const {
        const Index size = network_.state_size();
        for (Index s = 0; s < workspace.chunk.n_sequences(); ++s)
            std::copy_n(workspace.states.data() + s * size, size,
                        final_states + workspace.chunk.source[std::size_t(s)] * size);
    }

    const Network<T>& network_;
    NetworkWeights<T> weights_;
    mutable WorkspacePool<ChunkWorkspace<T>> pool_;
};

// What the binding calls is not inline, so that it is compiled with the core, once.
template <class T>
Predictor<T>::Predictor(const Network<T>& network, const T* parameters, Storage storage)
    : network_(network) {
    if (storage == Storage::full) {
        network.pack(parameters, false, weights_);
        return;
    }
    if constexpr (!std::is_same_v<T, float>)
        throw std::invalid_argument("elman: weights of float64 are stored as they are");
    std::vector<T> rounded(parameters, parameters + network.n_parameters());
    network.round(storage, rounded.data());
    weights_.layers.resize(std::size_t(network.n_layers()));
    for (auto& directions : weights_.layers)
        for (PackedWeights<T>& direction : directions) direction.storage = storage;
    network.pack(rounded.data(), false, weights_);
    weights_.parameters = parameters;
}

template <class T>
bool Predictor<T>::predict(const Sequences<T>& sequences, bool per_step, const T* initial_state,
                           Index n_threads, const Control::Check& check, T* outputs,
                           T* final_states) const {
    const Index n = sequences.n_sequences;
    const Index work = checked_multiply(sequences.n_steps(), network_.multiply_adds());
    Team team(std::min(worthwhile_threads(n_threads, work), n), check);
    const Index rows = std::min(chunk_rows, (n + team.n_threads() - 1) / team.n_threads());
    team.run((n + rows - 1) / rows, [&](Index chunk, Control& control) {
        std::unique_ptr<ChunkWorkspace<T>> workspace = pool_.take();
        const Range members{chunk * rows, std::min((chunk + 1) * rows, n)};
        gather(sequences, members, initial_state, *workspace);
        forward(sequences, per_step, *workspace, outputs, control);
        if (final_states != nullptr) scatter_states(*workspace, final_states);
        pool_.give_back(std::move(workspace));
    });
    return team.is_short();
}

}  // namespace elman
