// What a network carries from one step to the next: a row of states for each sequence, of every
// layer and direction h, and c of cells that have one, behind them what a decay knows of the
// channels.
//
//     layers.0.h | layers.0.c | layers.0.reverse.h | ... | layers.1.h | ... | decay.last | .since
//
// During a pass they stand on the tapes; here they come in and go out, and so do their gradients.
#pragma once

#include "elman/network_options.hpp"
#include "elman/workspace.hpp"

namespace elman {

// Columns [offset, offset + width) of a row of states; of a layer, or -1 for the decay's.
struct State {
    std::string name;
    Index layer, direction, width, offset;
    bool is_cell_state;
};

template <class T>
class NetworkStates {
public:
    explicit NetworkStates(const NetworkOptions& options) {
        const bool has_cell_state = cell_layout(options.cell).has_cell_state;
        for (Index l = 0; l < options.n_layers(); ++l)
            for (Index d = 0; d < options.n_directions(l); ++d) {
                const std::string prefix = direction_prefix(l, d);
                add(prefix + "h", l, d, options.n_units(l), false);
                if (has_cell_state) add(prefix + "c", l, d, options.n_units(l), true);
            }
        recurrent_size_ = size_;
        if (options.missing != "decay") return;
        add("decay.last", -1, 0, options.n_channels, false);
        add("decay.since", -1, 0, options.n_channels, false);
    }

    const std::vector<State>& states() const { return states_; }
    // Of a row, and of the layers' part of it.
    Index size() const { return size_; }
    Index recurrent_size() const { return recurrent_size_; }

    // Where sequences start: rows of states, or null.
    void set_initial(Workspace<T>& workspace, const T* states) const {
        const Index n = workspace.batch.n_sequences();
        workspace.decay.starts = states == nullptr;
        if (states != nullptr || workspace.dropout.recurrent > 0.0) {
            for (Index s = 0; s < n; ++s)
                set_initial(workspace, s, states == nullptr ? nullptr : row(workspace, states, s));
            return;
        }
        for_each_recurrent([&](const State& state) {
            const Tape<T>& tape = tape_of(workspace, state);
            (state.is_cell_state ? tape.initial_c : tape.initial_h).rows().clear(0, n);
        });
    }
    // Of sequence s.
    void set_initial(Workspace<T>& workspace, Index s, const T* states) const {
        if (observed_size() > 0 && states != nullptr)
            std::copy_n(states + recurrent_size_, observed_size(), workspace.decay.observed.row(s));
        for_each_recurrent([&](const State& state) {
            Tape<T>& tape = tape_of(workspace, state);
            T* const to = (state.is_cell_state ? tape.initial_c : tape.initial_h).row(s);
            if (states == nullptr)
                std::fill_n(to, state.width, T(0));
            else
                std::copy_n(states + state.offset, state.width, to);
            if (!tape.has_mask || state.is_cell_state) return;
            T* const mask = tape.mask.row(s);
            dropout_mask(workspace.dropout.recurrent_key(state.layer), s,
                         state.direction * state.width, state.width, workspace.dropout.recurrent,
                         mask);
            multiply_rows(to, mask, state.width, tape.initial_operand.row(s));
        });
    }

    void get_initial(const Workspace<T>& workspace, T* states) const {
        const Range all{0, workspace.batch.n_sequences()};
        copy(workspace, all, states, [&](const Tape<T>& tape, Index s, const State& state) {
            return state.is_cell_state ? tape.initial_c.row(s) : tape.initial_h.row(s);
        });
    }

    // After the last step in the order of processing.
    void get_final(const Workspace<T>& workspace, Range shard, T* states) const {
        const Batch& batch = workspace.batch;
        copy(workspace, shard, states, [&](const Tape<T>& tape, Index s, const State& state) {
            const bool reverse = state.direction == 1;
            return state.is_cell_state ? tape.cells.last(batch, s, reverse).data
                                       : tape.h.row(batch.last_row(s, reverse));
        });
    }

    // The states after one step of each sequence are the initial ones of the next; no training.
    void carry(Workspace<T>& workspace) const {
        for_each_recurrent([&](const State& state) {
            Tape<T>& tape = tape_of(workspace, state);
            if (state.is_cell_state)
                tape.cells.exchange(tape.initial_c);
            else
                swap(tape.h, tape.initial_h);
        });
    }

    // Adds workspace.dfinal_states to what flows into the last states of a layer.
    void add_final_gradients(Workspace<T>& workspace, Index layer, Range shard) const {
        for_each_recurrent([&](const State& state) {
            if (state.layer != layer) return;
            Tape<T>& tape = tape_of(workspace, state);
            Matrix<T>& to = state.is_cell_state ? tape.dc : tape.dh;
            for (Index s = std::max(shard.begin, workspace.batch.n_continuing); s < shard.end; ++s)
                add_rows(workspace.dfinal_states + s * size_ + state.offset, state.width,
                         to.row(s));
        });
    }

    // By place, once the backward pass has been there.
    void get_initial_gradients(const Workspace<T>& workspace, Range shard, T* dstates) const {
        for_each_recurrent([&](const State& state) {
            const Tape<T>& tape = tape_of(workspace, state);
            for (Index s = shard.begin; s < shard.end; ++s) {
                T* const to = dstates + s * size_ + state.offset;
                if (state.is_cell_state) {
                    std::copy_n(tape.dc.row(s), state.width, to);
                    continue;
                }
                const T *const dh = tape.dh.row(s), *const recurrent = tape.recurrent.row(s);
                for (Index u = 0; u < state.width; ++u)
                    to[u] = dh[u] + recurrent[u] * (tape.has_mask ? tape.mask.row(s)[u] : T(1));
            }
        });
    }

private:
    void add(std::string name, Index layer, Index direction, Index width, bool is_cell_state) {
        states_.push_back({std::move(name), layer, direction, width, size_, is_cell_state});
        size_ += width;
    }

    Index observed_size() const { return size_ - recurrent_size_; }  // the decay's

    template <class Function>
    void for_each_recurrent(const Function& function) const {
        for (const State& state : states_)
            if (state.layer >= 0) function(state);
    }

    template <class AnyWorkspace>
    static auto& tape_of(AnyWorkspace& workspace, const State& state) {
        return workspace.layers[std::size_t(state.layer)].tapes[std::size_t(state.direction)];
    }

    template <class U>
    U* row(const Workspace<T>& workspace, U* states, Index s) const {
        const Index place = workspace.states_by_place ? s : workspace.batch.source[std::size_t(s)];
        return states + place * size_;
    }

    // from(tape, sequence, state): where it stands.
    template <class From>
    void copy(const Workspace<T>& workspace, Range shard, T* states, const From& from) const {
        for_each_recurrent([&](const State& state) {
            for (Index s = shard.begin; s < shard.end; ++s)
                std::copy_n(from(tape_of(workspace, state), s, state), state.width,
                            row(workspace, states, s) + state.offset);
        });
        for (Index s = shard.begin; observed_size() > 0 && s < shard.end; ++s)
            std::copy_n(workspace.decay.observed.row(s), observed_size(),
                        row(workspace, states, s) + recurrent_size_);
    }

    std::vector<State> states_;
    Index size_ = 0, recurrent_size_ = 0;
};

}  // namespace elman
