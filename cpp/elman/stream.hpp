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
    void get_states(T* states) const {
        for (const Place& place : places_) network_.initial_states(place.workspace, states);
    }
    void set_states(const T* states) {
        for (Place& place : places_) network_.set_initial_states(place.workspace, states);
    }

    // values or tokens: one step of each stream; outputs: (n_streams, n_outputs). If it is
    // interrupted all states are as they were. Returns whether the system granted fewer threads
    // than were asked for.
    bool step(const T* values, const TokenSteps<T>& tokens, const Control::Check& check,
              T* outputs);

    void reset(const Index* streams, Index n) {
        Array<T> states(std::size_t(network_.state_size()));
        network_.start(weights_.parameters, states.data());
        for (Index i = 0; i < n; ++i) {
            const auto after = std::upper_bound(
                places_.begin(), places_.end(), streams[i],
                [](Index stream, const Place& place) { return stream < place.streams.begin; });
            Place& place = *std::prev(after);
            network_.set_initial_state(place.workspace, streams[i] - place.streams.begin,
                                       states.data());
        }
    }

    // Stream i becomes what stream kept[i] was; others are gone.
    void keep(const Index* kept, Index n_kept) {
        const Index size = network_.state_size();
        const Array<T> before = all_states(n_streams_);
        Array<T> states(std::size_t(n_kept * size));
        for (Index i = 0; i < n_kept; ++i)
            std::copy_n(before.data() + kept[i] * size, size, states.data() + i * size);
        replace(states, n_kept);
    }

    void add(Index n_added) {
        const Index n = n_streams_ + n_added;
        Array<T> states = all_states(n);
        const Index size = network_.state_size();
        for (Index stream = n_streams_; stream < n; ++stream)
            network_.start(weights_.parameters, states.data() + stream * size);
        replace(states, n);
    }

private:
    // Some streams, whose states stay where their steps leave them.
    struct Place {
        Range streams;
        Workspace<T> workspace;
    };

    // With room for n streams.
    Array<T> all_states(Index n) const {
        Array<T> states(std::size_t(checked_multiply(n, network_.state_size())));
        get_states(states.data());
        return states;
    }

    void replace(const Array<T>& states, Index n_streams) {
        n_tasks_ = worthwhile_threads(std::min(n_threads_, n_streams), n_streams * multiply_adds_);
        std::vector<Index> offsets(std::size_t(n_streams) + 1);
        std::iota(offsets.begin(), offsets.end(), Index(0));
        std::vector<Place> places;
        for (Index task = 0; task < n_tasks_; ++task) {
            const Index end = n_streams * (task + 1) / n_tasks_;
            for (Index begin = n_streams * task / n_tasks_; begin < end; begin += chunk_rows)
                places.push_back(make_place({begin, std::min(begin + chunk_rows, end)}, states));
        }
        places_.swap(places);
        offsets_.swap(offsets);
        n_streams_ = n_streams;
    }

    Place make_place(Range streams, const Array<T>& states) const {
        Place place{streams, {}};
        place.workspace.per_step = true;
        place.workspace.batch.assign_steps(streams.size());
        std::vector<Index>& source = place.workspace.batch.source;
        std::iota(source.begin(), source.end(), streams.begin);
        network_.resize(place.workspace);
        network_.set_initial_states(place.workspace, states.data());
        return place;
    }

    void step_place(const Sequences<T>& steps, Place& place, T* outputs, Control& control) const {
        const Range all{0, place.streams.size()};
        network_.begin_steps(steps, place.workspace);
        network_.forward(steps, weights_, all, place.workspace, control);
        const Index n_outputs = network_.options().n_outputs;
        for (Index s = 0; s < all.end; ++s)
            std::copy_n(place.workspace.outputs.row(s), n_outputs,
                        outputs + (place.streams.begin + s) * n_outputs);
    }

    const Network<T>& network_;
    const NetworkWeights<T>& weights_;
    Index n_threads_, multiply_adds_, n_streams_ = 0;  // multiply_adds_: of one stream
    Index n_tasks_ = 1;
    // Of a step that nobody can interrupt: a team takes as long to gather as a small network does.
    std::atomic<bool> stopped_{false};
    Control control_{stopped_, nullptr};
    std::vector<Index> offsets_;
    std::vector<Place> places_;
};

// What the binding calls is not inline, so that it is compiled with the core, once.
template <class T>
Stream<T>::Stream(const Predictor<T>& predictor, Index n_streams, Index n_threads)
    : network_(predictor.network()),
      weights_(predictor.weights()),
      n_threads_(n_threads),
      multiply_adds_(network_.multiply_adds()) {
    if (network_.has_reverse())
        throw std::invalid_argument("elman: a layer of two directions has to know the end");
    if (!network_.runs_in_segments())
        throw std::invalid_argument("elman: a step of a branch does not start from the one before");
    add(n_streams);
}

template <class T>
bool Stream<T>::step(const T* values, const TokenSteps<T>& tokens, const Control::Check& check,
                     T* outputs) {
    const Sequences<T> steps{values, network_.options().n_channels, offsets_.data(), n_streams_,
                             tokens};
    bool is_short = false;
    if (places_.size() == 1 && !check) {
        step_place(steps, places_.front(), outputs, control_);
    } else {
        // Layers read initial states and write others; only a decay goes on where it stands.
        Array<T> before;
        if (network_.options().missing == "decay") before = all_states(n_streams_);
        try {
            Team team(n_tasks_, check);
            team.run(Index(places_.size()), [&](Index i, Control& control) {
                step_place(steps, places_[std::size_t(i)], outputs, control);
            });
            is_short = team.is_short();
        } catch (...) {
            if (!before.empty()) set_states(before.data());
            throw;
        }
    }
    for (Place& place : places_) network_.carry_states(place.workspace);
    return is_short;
}

}  // namespace elman
