// One step at a time: streams side by side, each with a state of its own.
//
//     outputs_t, states_t = step(x_t, states_{t-1})
//
// A step is a batch of sequences of one step, so its bits are those of whole sequences. Since all
// steps have one shape, its memory is made ready once.
#pragma once

#include "elman/predict.hpp"

namespace elman {

// The predictor must outlive it. Not safe to be used from several threads at a time.
template <class T>
class Stream {
public:
    Stream(const Predictor<T>& predictor, Index n_streams, Index n_threads);

    const Network<T>& network() const { return network_; }
    Index n_streams() const { return n_streams_; }
    Index multiply_adds() const { return n_streams_ * multiply_adds_; }
    // (n_streams, state_size)
    T* states() { return states_.data(); }

    // values or tokens: one step of each stream; outputs: (n_streams, n_outputs). If it is
    // interrupted all states are as they were. Returns whether the system granted fewer threads
    // than were asked for.
    bool step(const T* values, const TokenSteps<T>& tokens, const Control::Check& check,
              T* outputs);

    void reset(Index stream) {
        network_.start(weights_.parameters, states_.data() + stream * network_.state_size());
    }

    // Stream i becomes what stream kept[i] was; others are gone.
    void keep(const Index* kept, Index n_kept) {
        const Index size = network_.state_size();
        Array<T> states(std::size_t(n_kept * size));
        for (Index i = 0; i < n_kept; ++i)
            std::copy_n(states_.data() + kept[i] * size, size, states.data() + i * size);
        replace(std::move(states), n_kept);
    }

    void add(Index n_added) {
        const Index n = n_streams_, size = network_.state_size();
        Array<T> states(std::size_t(checked_multiply(n + n_added, size)));
        std::copy_n(states_.data(), n * size, states.data());
        replace(std::move(states), n + n_added);
        for (Index stream = n; stream < n_streams_; ++stream) reset(stream);
    }

private:
    // A workspace that is ready for a number of streams.
    struct Place {
        Workspace<T> workspace;
        Index n_streams = 0;
    };

    void replace(Array<T> states, Index n_streams) {
        Array<T> next(states.size());
        std::vector<Index> offsets(std::size_t(n_streams) + 1);
        std::iota(offsets.begin(), offsets.end(), Index(0));
        states_.swap(states);
        next_.swap(next);
        offsets_.swap(offsets);
        n_streams_ = n_streams;
    }

    void step_chunk(const Sequences<T>& steps, Range streams, Place& place, T* outputs,
                    Control& control) {
        Workspace<T>& workspace = place.workspace;
        if (place.n_streams != streams.size()) {
            place.n_streams = 0;
            workspace.per_step = true;
            workspace.batch.assign_steps(streams.size());
            network_.resize(workspace);
            place.n_streams = streams.size();
        }
        std::vector<Index>& source = workspace.batch.source;
        std::iota(source.begin(), source.end(), streams.begin);
        const Range all{0, streams.size()};
        network_.begin(steps, workspace, states_.data());
        network_.forward(steps, weights_, all, workspace, control);
        network_.final_states(workspace, all, next_.data());
        const Index n_outputs = network_.options().n_outputs;
        for (Index s = 0; s < streams.size(); ++s)
            std::copy_n(workspace.outputs.row(s), n_outputs,
                        outputs + (streams.begin + s) * n_outputs);
    }

    const Network<T>& network_;
    const NetworkWeights<T>& weights_;
    Index n_threads_, multiply_adds_, n_streams_ = 0;  // multiply_adds_: of one stream
    // Of a step that nobody can interrupt: a team takes as long to gather as a small network does.
    std::atomic<bool> stopped_{false};
    Control control_{stopped_, nullptr};
    Array<T> states_, next_;
    std::vector<Index> offsets_;
    std::vector<Place> places_;  // one for each thread
};

// What the binding calls is not inline, so that it is compiled with the core, once.
template <class T>
Stream<T>::Stream(const Predictor<T>& predictor, Index n_streams, Index n_threads)
    : network_(predictor.network()),
      weights_(predictor.weights()),
      n_threads_(n_threads),
      multiply_adds_(network_.multiply_adds()) {
    const std::vector<bool>& bidirectional = network_.options().bidirectional;
    if (std::count(bidirectional.begin(), bidirectional.end(), true) > 0)
        throw std::invalid_argument("elman: a layer of two directions has to know the end");
    add(n_streams);
}

template <class T>
bool Stream<T>::step(const T* values, const TokenSteps<T>& tokens, const Control::Check& check,
                     T* outputs) {
    const Sequences<T> steps{values, network_.options().n_channels, offsets_.data(), n_streams_,
                             tokens};
    const Index n_tasks = worthwhile_threads(std::min(n_threads_, n_streams_), multiply_adds());
    places_.resize(std::max(places_.size(), std::size_t(n_tasks)));
    const auto step_some = [&](Index task, Control& control) {
        const Range streams{n_streams_ * task / n_tasks, n_streams_ * (task + 1) / n_tasks};
        for (Index begin = streams.begin; begin < streams.end; begin += chunk_rows)
            step_chunk(steps, {begin, std::min(begin + chunk_rows, streams.end)},
                       places_[std::size_t(task)], outputs, control);
    };
    bool is_short = false;
    if (n_tasks == 1 && !check) {
        step_some(0, control_);
    } else {
        Team team(n_tasks, check);
        team.run(n_tasks, step_some);
        is_short = team.is_short();
    }
    states_.swap(next_);
    return is_short;
}

}  // namespace elman
