// What networks of a fleet are trained on, and where their trainings stand.
#pragma once

#include "elman/trainer.hpp"

namespace elman::fleet {

struct TrainingOptions : TrainerOptions {
    Index batch_size = 1;
    Index max_iter = 1;
    double tol = 0.0;
    double patience = 0.0;          // epochs without improvement that are still borne
    double adapting_divisor = 1.0;  // of the learning rate when it is over; 1 for none
    double least_learning_rate = 0.0;
};

// The networks' sequences, one network after another: those of network i are numbers
// first_sequence[i] to first_sequence[i + 1] - 1 of the examples. In epoch e it goes through them
// in the order that stands at numbers[first[i] + e * stride[i]], counted from its own first one.
//
// Where sequences are drawn, network i goes through n_drawn[i] numbers in all, in epochs of
// stride[i]; the last one may be shorter, and is the end of its training.
template <class T>
struct Data {
    Examples<T> examples;
    const Index* first_sequence;
    Index n_networks;
    const std::int32_t* numbers;
    const Index* first;
    const Index* stride;
    bool has_all_targets = false;    // none of them is NaN
    const Index* n_drawn = nullptr;  // or null: all sequences, once in each epoch
    // Of each network's schedule; null: as the options have them.
    const Index* warmup_steps = nullptr;
    const Index* total_steps = nullptr;

    Index n_sequences(Index network) const {
        return first_sequence[network + 1] - first_sequence[network];
    }
    Index n_steps(Index network) const {
        const Index* const offsets = examples.sequences.offsets;
        return offsets[first_sequence[network + 1]] - offsets[first_sequence[network]];
    }
    Index n_numbers(Index network, Index epoch) const {
        if (n_drawn == nullptr) return n_sequences(network);
        return std::clamp<Index>(n_drawn[network] - epoch * stride[network], 0, stride[network]);
    }
    Index n_batches(Index network, Index epoch, Index batch_size) const {
        return (n_numbers(network, epoch) + batch_size - 1) / batch_size;
    }
    bool is_last(Index network, Index epoch) const {
        return n_drawn != nullptr && n_numbers(network, epoch + 1) == 0;
    }
    // That an epoch goes through, about.
    Index steps_of_epoch(Index network) const {
        return n_steps(network) * n_numbers(network, 0) / n_sequences(network) + 1;
    }
    Schedule schedule(Index network, Schedule schedule) const {
        if (warmup_steps != nullptr) schedule.warmup_steps = warmup_steps[network];
        if (total_steps != nullptr) schedule.total_steps = total_steps[network];
        return schedule;
    }
};

// Where the trainings stand, a row for each network: what they begin with, and how they end.
template <class T>
struct Progress {
    T* parameters;          // (n_networks, n_parameters)
    T* moments;             // (n_networks, n_moments, n_parameters)
    double* learning_rate;  // (n_networks,), as everything below but the losses
    double* best_loss;
    Index* n_iter;
    Index* n_no_change;
    bool* is_over;
    Index* diverged_at;     // the mini-batch, or -1
    double* gradient_norm;  // there
    double* losses;         // (n_networks, max_iter)
};

}  // namespace elman::fleet
