// Outputs of many networks, each of sequences of its own: side by side in the lanes of registers,
// and over the threads.
#pragma once

#include "elman/fleet/trainer.hpp"

namespace elman::fleet {

// Network i predicts for sequences first_sequence[i] to first_sequence[i + 1] - 1. outputs:
// (n_sequences or n_steps, n_outputs).
template <class T>
struct Questions {
    Sequences<T> sequences;
    const Index* first_sequence;
    Index n_networks;
    bool per_step;
};

// Returns whether the system granted fewer threads than were asked for.
template <class T>
bool predict(const Network<T>& network, const T* parameters, const Questions<T>& questions,
             Index n_threads, const Control::Check& check, T* outputs);

// A few sequences of each network at a time, whose states take little room; numbers are those of
// all sequences.
template <class T>
void predict_group(const Stack<T>& stack, const T* parameters, const Questions<T>& questions,
                   const Index* numbers, const Index* networks, Index n_networks,
                   Workspace<T>& workspace, Control& control, T* outputs) {
    constexpr Index at_once = 8;
    const Index n_parameters = stack.network().n_parameters(), n_outputs = stack.n_outputs();
    const Sequences<T>& sequences = questions.sequences;
    make_room(workspace.parameters, n_parameters * n_lanes<T>);
    Index longest = 0;
    for (Index lane = 0; lane < n_lanes<T>; ++lane) {
        const Index i = lane < n_networks ? networks[lane] : -1;
        stack.load(i < 0 ? nullptr : parameters + i * n_parameters, lane, workspace.parameters);
        if (i >= 0)
            longest =
                std::max(longest, questions.first_sequence[i + 1] - questions.first_sequence[i]);
    }
    for (Index first = 0; first < longest; first += at_once) {
        std::vector<Members> members(static_cast<std::size_t>(n_lanes<T>));
        for (Index lane = 0; lane < n_networks; ++lane) {
            const Index* const of = questions.first_sequence + networks[lane];
            const Index begin = std::min(of[0] + first, of[1]);
            members[std::size_t(lane)] = {numbers + begin,
                                          std::min(begin + at_once, of[1]) - begin};
        }
        workspace.batch.assign(members, sequences.offsets);
        stack.gather(sequences, workspace);
        stack.forward(false, questions.per_step, workspace, control);
        const LaneBatch<T>& batch = workspace.batch;
        for (Index lane = 0; lane < n_networks; ++lane)
            for (Index s = 0; s < batch.n_members(lane); ++s) {
                const Index source = batch.source(s, lane);
                const Index n_rows = questions.per_step ? batch.length(s, lane) : 1;
                const Index place = questions.per_step ? sequences.offsets[source] : source;
                for (Index t = 0; t < n_rows; ++t) {
                    const Index row = questions.per_step ? batch.rows().row(t, s) : s;
                    for (Index j = 0; j < n_outputs; ++j)
                        outputs[(place + t) * n_outputs + j] =
                            lane_of(workspace.outputs, row * n_outputs + j, lane);
                }
            }
    }
}

template <class T>
bool predict(const Network<T>& network, const T* parameters, const Questions<T>& questions,
             Index n_threads, const Control::Check& check, T* outputs) {
    const Stack<T> stack(network);
    const Index* const offsets = questions.sequences.offsets;
    const auto n_sequences = [&](Index i) {
        return questions.first_sequence[i + 1] - questions.first_sequence[i];
    };
    const auto n_steps = [&](Index i) {
        return offsets[questions.first_sequence[i + 1]] - offsets[questions.first_sequence[i]];
    };
    std::vector<Index> networks(static_cast<std::size_t>(questions.n_networks));
    std::vector<Index> numbers(static_cast<std::size_t>(questions.sequences.n_sequences));
    std::iota(networks.begin(), networks.end(), Index(0));
    std::iota(numbers.begin(), numbers.end(), Index(0));
    std::stable_sort(networks.begin(), networks.end(), [&](Index a, Index b) {
        return std::array{n_sequences(a), n_steps(a)} < std::array{n_sequences(b), n_steps(b)};
    });
    const std::vector<Index> bounds =
        group_bounds(networks, n_lanes<T>, [](Index, Index) { return true; });
    const Index n_groups = Index(bounds.size()) - 1;
    const Index work = checked_multiply(questions.sequences.n_steps(), network.multiply_adds());
    Team team(std::min(worthwhile_threads(n_threads, work), n_groups), check);
    WorkspacePool<Workspace<T>> pool;
    team.run(n_groups, [&](Index task, Control& control) {
        const Index first = bounds[std::size_t(task)];
        std::unique_ptr<Workspace<T>> workspace = pool.take();
        predict_group(stack, parameters, questions, numbers.data(), networks.data() + first,
                      bounds[std::size_t(task) + 1] - first, *workspace, control, outputs);
        pool.give_back(std::move(workspace));
    });
    return team.is_short();
}

}  // namespace elman::fleet
