// Many small networks of one shape, each trained on data of its own: as Trainer and Updates
// (trainer.hpp, updates.hpp) train one, and with its bits, but side by side in the lanes of
// registers, and over the threads.
//
// The networks are dealt out in groups, as many as a register has lanes, alike in the lengths of
// their sequences. A group goes through some epochs on one thread, with everything that it needs in
// the caches. A network that has ended, or whose loss is not finite, is written back as it is then,
// and its lane goes on to no effect; before the next round the others close ranks:
//
//     round 1    | 0 1 2 3 | 4 5 6 7 |        2, 4 and 5 end
//     round 2    | 0 1 3 6 | 7       |
//
// When a training ends is told as in Training (python/elman/_training.py): once n_no_change epochs
// have not improved on the best loss by tol, unless the learning rate can be divided once more.
#pragma once

#include "elman/fleet/data.hpp"
#include "elman/fleet/stack.hpp"

namespace elman::fleet {

template <class T>
using LaneValues = std::array<T, std::size_t(n_lanes<T>)>;
template <class T>
using LaneNumbers = std::array<double, std::size_t(n_lanes<T>)>;

// Some networks on their way through some epochs.
template <class T>
class Group {
public:
    using V = Vec<T>;
    static constexpr Index width = n_lanes<T>;

    void run(const Stack<T>& stack, const TrainingOptions& options, const Loss<T>& loss,
             const std::optional<Mixture<T>>& mixture, const Data<T>& data, const Index* networks,
             Index n_networks, Range epochs, const Progress<T>& progress, Control& control);

private:
    // What belongs to one call.
    struct Call {
        const Stack<T>& stack;
        const TrainingOptions& options;
        const Loss<T>& loss;
        const std::optional<Mixture<T>>& mixture;
        const Data<T>& data;
        const Progress<T>& progress;
        Control& control;

        Index n_batches(Index network, Index epoch) const {
            return data.n_batches(network, epoch, options.batch_size);
        }
    };

    void begin(const Call& call, const Index* networks, Index n_networks) {
        const Network<T>& network = call.stack.network();
        n_parameters_ = network.n_parameters();
        n_moments_ = solver_moments<T>(call.options.solver);
        make_room(workspace_.parameters, n_parameters_ * width);
        make_room(workspace_.gradient, n_parameters_ * width);
        make_room(moments_, n_moments_ * n_parameters_ * width);
        is_active_.fill(false);
        networks_.assign(networks, networks + n_networks);
        for (Index lane = 0; lane < width; ++lane) {
            const Index i = lane < n_networks ? networks[lane] : -1;
            is_active_[std::size_t(lane)] = i >= 0;
            rate_[std::size_t(lane)] = i < 0 ? 0.0 : call.progress.learning_rate[i];
            if (i >= 0)
                schedules_[std::size_t(lane)] = call.data.schedule(i, call.options.schedule);
            call.stack.load(i < 0 ? nullptr : call.progress.parameters + i * n_parameters_, lane,
                            workspace_.parameters);
            for (Index m = 0; m < n_moments_ * n_parameters_; ++m)
                lane_of(moments_, m, lane) =
                    i < 0 ? T(0) : call.progress.moments[i * n_moments_ * n_parameters_ + m];
        }
    }

    // A network is done, or waits for the next round.
    void write_back(const Call& call, Index lane) {
        const Index i = networks_[std::size_t(lane)];
        for (Index p = 0; p < n_parameters_; ++p)
            call.progress.parameters[i * n_parameters_ + p] =
                lane_of(workspace_.parameters, p, lane);
        for (Index m = 0; m < n_moments_ * n_parameters_; ++m)
            call.progress.moments[i * n_moments_ * n_parameters_ + m] = lane_of(moments_, m, lane);
        call.progress.learning_rate[i] = rate_[std::size_t(lane)];
        is_active_[std::size_t(lane)] = false;
    }

    template <class Function>
    void for_each_active(const Function& function) {
        for (Index lane = 0; lane < Index(networks_.size()); ++lane)
            if (is_active_[std::size_t(lane)]) function(lane, networks_[std::size_t(lane)]);
    }
    bool is_any_active() const {
        return std::any_of(is_active_.begin(), is_active_.end(), [](bool is) { return is; });
    }

    void run_epoch(const Call& call, Index epoch) {
        const Index n_before = epoch * call.n_batches(networks_.front(), 0);
        Index n_batches = 0;
        for_each_active(
            [&](Index, Index i) { n_batches = std::max(n_batches, call.n_batches(i, epoch)); });
        sum_.fill(0.0);
        sum_of_weights_.fill(0.0);
        for (Index b = 0; b < n_batches && is_any_active(); ++b) {
            gather(call, epoch, b);
            differentiate(call);
            penalize(call);
            for_each_active([&](Index lane, Index i) {
                const std::size_t at = std::size_t(lane);
                const double norm = std::sqrt(squared_norm_[at]);
                sum_[at] += total_weight_[at] * loss_[at];
                sum_of_weights_[at] += total_weight_[at];
                if (!std::isfinite(loss_[at]) || !std::isfinite(norm)) diverge(call, lane, i, b);
                const double most = call.options.clip_norm;
                scale_[at] = T(norm > most ? most / norm : 1.0);
            });
            apply(call, n_before + b);
            end_epoch(call, epoch, b);
        }
    }

    // Of the networks whose last mini-batch that was: a last epoch may be shorter than others.
    void end_epoch(const Call& call, Index epoch, Index b) {
        std::array<bool, std::size_t(width)> has_ended{};
        for_each_active([&](Index lane, Index i) {
            has_ended[std::size_t(lane)] = call.n_batches(i, epoch) == b + 1;
        });
        if (std::count(has_ended.begin(), has_ended.end(), true) == 0) return;
        const std::array<bool, std::size_t(width)> is_finite = finite_parameters();
        for_each_active([&](Index lane, Index i) {
            if (!has_ended[std::size_t(lane)]) return;
            if (is_finite[std::size_t(lane)])
                assess(call, epoch, lane, i);
            else
                diverge(call, lane, i, b);
        });
    }

    void diverge(const Call& call, Index lane, Index i, Index b) {
        call.progress.diverged_at[i] = b;
        call.progress.gradient_norm[i] = std::sqrt(squared_norm_[std::size_t(lane)]);
        is_active_[std::size_t(lane)] = false;
    }

    void gather(const Call& call, Index epoch, Index b) {
        const Data<T>& data = call.data;
        members_.resize(std::size_t(width));
        std::vector<Members> batch(static_cast<std::size_t>(width));
        for (std::size_t lane = 0; lane < networks_.size(); ++lane) {
            const Index i = networks_[lane], n = data.n_numbers(i, epoch);
            const Index first = std::min(b * call.options.batch_size, n);
            const Index end = std::min(first + call.options.batch_size, n);
            const std::int32_t* const order =
                n == 0 ? nullptr : data.numbers + data.first[i] + epoch * data.stride[i];
            members_[lane].resize(std::size_t(end - first));
            for (Index k = first; k < end; ++k)
                members_[lane][std::size_t(k - first)] = data.first_sequence[i] + order[k];
            batch[lane] = {members_[lane].data(), end - first};
        }
        if (!workspace_.batch.assign(batch, data.examples.sequences.offsets) && has_inputs_) return;
        call.stack.gather(data.examples.sequences, workspace_);
        if (has_columns(call)) gather_targets(data.examples);
        has_inputs_ = true;
    }

    void differentiate(const Call& call) {
        const bool per_step = call.data.examples.per_step;
        const Index rows = Stack<T>::n_output_rows(workspace_.batch, per_step);
        call.stack.forward(true, per_step, workspace_, call.control);
        const Index n = rows * call.stack.n_outputs() * width;
        make_room(workspace_.doutputs, n);
        if (!has_columns(call)) std::fill_n(workspace_.doutputs.data(), n, T(0));
        if (has_columns(call))
            differentiate_columns(call, rows);
        else
            differentiate_rows(call);
        call.stack.backward(per_step, call.options.bptt_steps, workspace_, call.control);
    }

    // Calls function(row of the outputs, row of the targets), sequence by sequence.
    template <class Function>
    void for_each_target(const Examples<T>& examples, Index lane, const Function& function) const {
        const LaneBatch<T>& batch = workspace_.batch;
        for (Index s = 0; s < batch.n_members(lane); ++s) {
            const Index source = batch.source(s, lane);
            if (!examples.per_step) function(s, source);
            for (Index t = 0; examples.per_step && t < batch.length(s, lane); ++t)
                function(batch.rows().row(t, s), examples.target_row(source, t));
        }
    }

    // Whether the losses of a row of all networks can be taken together.
    static bool has_columns(const Call& call) {
        return call.loss.is_pointwise() && call.stack.n_outputs() == 1 &&
               call.data.examples.weights == nullptr && call.data.has_all_targets;
    }

    // By row of the outputs the targets, and the shares that their losses have; zeros where a lane
    // has none.
    void gather_targets(const Examples<T>& examples) {
        const Index n = Stack<T>::n_output_rows(workspace_.batch, examples.per_step) * width;
        for (Array<T>* values : {&targets_, &shares_}) {
            make_room(*values, n);
            std::fill_n(values->data(), n, T(0));
        }
        total_weight_.fill(0.0);
        for (Index lane = 0; lane < width; ++lane) {
            double& n_targets = total_weight_[std::size_t(lane)];
            for_each_target(examples, lane, [&](Index, Index) { n_targets += 1.0; });
            for_each_target(examples, lane, [&](Index row, Index target) {
                lane_of(targets_, row, lane) = examples.targets[target];
                lane_of(shares_, row, lane) = T(1.0 / n_targets);
            });
        }
    }

    void differentiate_columns(const Call& call, Index n_rows) {
        LaneNumbers<T> sum{}, of_row;
        for (Index i = 0; i < n_rows * width; i += width) {
            call.loss.column(workspace_.outputs.data() + i, targets_.data() + i, width,
                             shares_.data() + i, workspace_.doutputs.data() + i, of_row.data());
            const T* const share = shares_.data() + i;
            for (std::size_t lane = 0; lane < std::size_t(width); ++lane)
                sum[lane] += share[lane] > T(0) ? of_row[lane] : 0.0;
        }
        for (std::size_t lane = 0; lane < networks_.size(); ++lane)
            loss_[lane] = sum[lane] / total_weight_[lane];
    }

    // Row by row, in which the losses of each network are added up.
    void differentiate_rows(const Call& call) {
        const Examples<T>& examples = call.data.examples;
        const LaneBatch<T>& batch = workspace_.batch;
        total_weight_.fill(0.0);
        for_each_active([&](Index lane, Index) {
            for_each_target(examples, lane, [&](Index, Index target) {
                total_weight_[std::size_t(lane)] += double(examples.weight(target));
            });
        });
        make_room(row_, call.stack.n_outputs() + width);
        make_room(drow_, call.stack.n_outputs() + width);
        loss_.fill(0.0);
        const Index n_steps = examples.per_step ? batch.rows().n_steps() : 1;
        for (Index t = 0; t < n_steps; ++t)
            for (Index s = 0; s < batch.rows().active(t); ++s)
                for_each_active([&](Index lane, Index) {
                    if (t < batch.length(s, lane))
                        differentiate_row(call, lane, batch.rows().row(t, s),
                                          examples.target_row(batch.source(s, lane), t));
                });
        for (std::size_t lane = 0; lane < networks_.size(); ++lane)
            loss_[lane] /= total_weight_[lane];
    }

    // What the loss reads of a row of outputs; scores of a mixture stand behind that.
    static Index n_mixed(const Call& call) {
        return call.stack.n_outputs() - (call.mixture ? call.mixture->n_scores() : 0);
    }

    // Adds a row's loss, and leaves its share of the mini-batch's gradient in doutputs.
    void differentiate_row(const Call& call, Index lane, Index row, Index target) {
        const Examples<T>& examples = call.data.examples;
        const T weight = examples.weight(target);
        if (!(weight > T(0))) return;
        const T share = T(double(weight) / total_weight_[std::size_t(lane)]);
        const T* const y = examples.targets + target * examples.n_targets;
        const T* const candidates =
            y + examples.n_targets - (call.mixture ? call.mixture->n_values() : 0);
        const Index n_outputs = call.stack.n_outputs();
        for (Index j = 0; j < n_outputs; ++j)
            row_[std::size_t(j)] = lane_of(workspace_.outputs, row * n_outputs + j, lane);
        if (call.mixture) call.mixture->forward(row_.data(), candidates);
        const double loss = call.loss.row(row_.data(), y, n_mixed(call), share, drow_.data());
        if (call.mixture) call.mixture->backward(row_.data(), candidates, drow_.data());
        for (Index j = 0; j < n_outputs; ++j)
            lane_of(workspace_.doutputs, row * n_outputs + j, lane) = drow_[std::size_t(j)];
        loss_[std::size_t(lane)] += double(weight) * loss;
    }

    // Adds the penalty to loss and gradient; sums the squares of the gradient.
    void penalize(const Call& call) {
        constexpr Index longest = 4096;  // of the pieces of Updates
        const bool is_coupled = call.options.alpha > 0.0 && call.options.solver.name != "adamw";
        LaneValues<T> factor{};
        for (std::size_t lane = 0; is_coupled && lane < networks_.size(); ++lane)
            factor[lane] = T(call.options.alpha / total_weight_[lane]);
        LaneNumbers<T> of_weights{};
        squared_norm_.fill(0.0);
        for (const Parameter& parameter : call.stack.network().parameters())
            for (Index begin = 0; begin < parameter.size(); begin += longest) {
                const Index n = std::min(longest, parameter.size() - begin);
                T* const g = workspace_.gradient.data() + (parameter.offset + begin) * width;
                const T* const w =
                    workspace_.parameters.data() + (parameter.offset + begin) * width;
                if (is_coupled && parameter.is_matrix()) {
                    add_squares(w, n, of_weights);
                    for (Index i = 0; i < n * width; i += width)
                        (V::load(g + i) + V::load(factor.data()) * V::load(w + i)).store(g + i);
                }
                add_squares(g, n, squared_norm_);
            }
        for (std::size_t lane = 0; lane < networks_.size(); ++lane)
            loss_[lane] += 0.5 * double(factor[lane]) * of_weights[lane];
    }

    // As Updates sums them: eight sums, then these.
    static void add_squares(const T* x, Index n, LaneNumbers<T>& to) {
        std::array<LaneNumbers<T>, 8> sum{};
        for (Index i = 0; i < n; ++i) {
            LaneNumbers<T>& lanes = sum[std::size_t(i % 8)];
            for (Index lane = 0; lane < width; ++lane)
                lanes[std::size_t(lane)] +=
                    double(x[i * width + lane]) * double(x[i * width + lane]);
        }
        for (std::size_t lane = 0; lane < std::size_t(width); ++lane)
            to[lane] += ((sum[0][lane] + sum[1][lane]) + (sum[2][lane] + sum[3][lane])) +
                        ((sum[4][lane] + sum[5][lane]) + (sum[6][lane] + sum[7][lane]));
    }

    // Update number n_before, counted from 0; each network has its own learning rate, which is all
    // in which their solvers differ.
    void apply(const Call& call, Index n_before) {
        const TrainingOptions& options = call.options;
        LaneValues<T> rates{}, keeps = detail::one<T>;
        for_each_active([&](Index lane, Index) {
            const std::size_t at = std::size_t(lane);
            const double rate = schedules_[at].rate(rate_[at], n_before);
            rates[at] = with_solver<T>(options.solver, rate, n_before + 1,
                                       [](const auto& solver) { return solver.rate.first(); });
            if (options.solver.name == "adamw") keeps[at] = T(1.0 - rate * options.alpha);
        });
        const V scale = V::load(scale_.data());
        with_solver<T>(options.solver, 0.0, n_before + 1, [&](auto solver) {
            solver.rate = V::load(rates.data());
            for (const Parameter& parameter : call.stack.network().parameters()) {
                const V keep = parameter.is_matrix() ? V::load(keeps.data()) : V(T(1));
                const Index end = (parameter.offset + parameter.size()) * width;
                for (Index i = parameter.offset * width; i < end; i += width) {
                    T* const first = moments_.data() + i;
                    update_register(solver, scale * V::load(workspace_.gradient.data() + i), keep,
                                    workspace_.parameters.data() + i, first,
                                    n_moments_ > 1 ? first + n_parameters_ * width : first);
                }
            }
        });
    }

    std::array<bool, std::size_t(width)> finite_parameters() {
        std::array<bool, std::size_t(width)> is_finite;
        is_finite.fill(true);
        for (Index p = 0; p < n_parameters_; ++p)
            for (Index lane = 0; lane < width; ++lane)
                is_finite[std::size_t(lane)] &= std::abs(lane_of(workspace_.parameters, p, lane)) <=
                                                std::numeric_limits<T>::max();
        return is_finite;
    }

    // Whether that was the last epoch of a network.
    void assess(const Call& call, Index epoch, Index lane, Index i) {
        const TrainingOptions& options = call.options;
        const Progress<T>& progress = call.progress;
        const double loss = sum_[std::size_t(lane)] / sum_of_weights_[std::size_t(lane)];
        const bool is_stale = loss > progress.best_loss[i] - options.tol;
        progress.losses[i * options.max_iter + epoch] = loss;
        progress.best_loss[i] = std::min(progress.best_loss[i], loss);
        progress.n_iter[i] = epoch + 1;
        progress.n_no_change[i] = is_stale ? progress.n_no_change[i] + 1 : 0;
        if (double(progress.n_no_change[i]) > options.patience) {
            double& rate = rate_[std::size_t(lane)];
            if (options.adapting_divisor != 1.0) rate /= options.adapting_divisor;
            progress.is_over[i] =
                options.adapting_divisor == 1.0 || !(rate > options.least_learning_rate);
            if (!progress.is_over[i]) progress.n_no_change[i] = 0;
        }
        progress.is_over[i] |= call.data.is_last(i, epoch);
        if (progress.is_over[i]) write_back(call, lane);
    }

    Workspace<T> workspace_;
    Array<T> moments_;
    Index n_parameters_ = 0, n_moments_ = 0;
    std::vector<Index> networks_;
    std::array<bool, std::size_t(width)> is_active_{};
    std::array<Schedule, std::size_t(width)> schedules_;
    bool has_inputs_ = false;
    std::vector<std::vector<Index>> members_;
    LaneValues<T> scale_{};
    LaneNumbers<T> rate_{}, sum_{}, sum_of_weights_{}, loss_{}, total_weight_{}, squared_norm_{};
    Array<T> targets_, shares_;
    Array<T> row_, drow_;
};

template <class T>
void Group<T>::run(const Stack<T>& stack, const TrainingOptions& options, const Loss<T>& loss,
                   const std::optional<Mixture<T>>& mixture, const Data<T>& data,
                   const Index* networks, Index n_networks, Range epochs,
                   const Progress<T>& progress, Control& control) {
    const Call call{stack, options, loss, mixture, data, progress, control};
    begin(call, networks, n_networks);
    has_inputs_ = false;
    for (Index epoch = epochs.begin; epoch < epochs.end && is_any_active(); ++epoch)
        run_epoch(call, epoch);
    for_each_active([&](Index lane, Index) { write_back(call, lane); });
}

// Trains networks of one shape. Returns whether the system granted fewer threads than were asked
// for.
template <class T>
bool train(const Network<T>& network, const TrainingOptions& options, const Data<T>& data,
           const Progress<T>& progress, const Control::Check& check);

// Networks in an order in which neighbours have much the same to do: as many mini-batches in an
// epoch, which they must have, and in all, and sequences as long.
template <class T>
std::vector<Index> alike_side_by_side(const Data<T>& data, Index batch_size) {
    const auto key = [&](Index i) {
        return std::array{data.n_batches(i, 0, batch_size),
                          data.n_drawn == nullptr ? 0 : data.n_drawn[i], data.n_sequences(i),
                          data.n_steps(i)};
    };
    std::vector<Index> networks(std::size_t(data.n_networks));
    std::iota(networks.begin(), networks.end(), Index(0));
    std::stable_sort(networks.begin(), networks.end(),
                     [&](Index a, Index b) { return key(a) < key(b); });
    return networks;
}

// Epochs of a round, in which the thread that asks for interrupts may have to wait for the others:
// a few hundredths of a second, if one epoch does not take longer.
template <class T>
Index short_rounds(const Network<T>& network, const Data<T>& data) {
    constexpr Index longest = 16, multiply_adds = 1000000000;
    Index most_steps = 1;
    for (Index i = 0; i < data.n_networks; ++i)
        most_steps = std::max(most_steps, data.steps_of_epoch(i));
    const Index of_an_epoch =
        checked_multiply(3 * most_steps * n_lanes<T>, network.multiply_adds());
    return std::clamp<Index>(multiply_adds / of_an_epoch, 1, longest);
}

// Where groups of at most width begin, and where the last one ends; is_alike(a, b) tells whether
// two networks may share a group.
template <class Alike>
std::vector<Index> group_bounds(const std::vector<Index>& networks, Index width,
                                const Alike& is_alike) {
    std::vector<Index> bounds;
    for (Index i = 0; i < Index(networks.size()); ++i)
        if (bounds.empty() || i - bounds.back() == width ||
            !is_alike(networks[std::size_t(bounds.back())], networks[std::size_t(i)]))
            bounds.push_back(i);
    bounds.push_back(Index(networks.size()));
    return bounds;
}

// The mixture of candidates that stand behind the targets, where there are any.
template <class T>
std::optional<Mixture<T>> mixture_of(const TrainingOptions& options, const Loss<T>& loss,
                                     Index n_outputs) {
    if (options.n_candidates == 0) return {};
    if (!loss.is_regression())
        throw std::invalid_argument("elman: loss '" + options.loss + "' cannot have candidates");
    const Index n_mixed = n_outputs - checked_multiply(options.n_groups, options.n_candidates);
    return Mixture<T>({loss.n_targets(std::max(n_mixed, Index(0))), loss.n_locations(), n_mixed,
                       options.n_candidates, options.n_groups, options.sharpness});
}

// Columns of targets and their candidates; 0 where the loss cannot have so many outputs.
template <class T>
Index n_targets(const Loss<T>& loss, const std::optional<Mixture<T>>& mixture, Index n_outputs) {
    if (!mixture) return loss.n_targets(n_outputs);
    return loss.n_targets(n_outputs - mixture->n_scores()) + mixture->n_values();
}

template <class T>
bool train(const Network<T>& network, const TrainingOptions& options, const Data<T>& data,
           const Progress<T>& progress, const Control::Check& check) {
    const Stack<T> stack(network);
    const Loss<T> loss(options.loss, options.loss_parameters);
    const std::optional<Mixture<T>> mixture = mixture_of(options, loss, stack.n_outputs());
    if (n_targets(loss, mixture, stack.n_outputs()) != data.examples.n_targets)
        throw std::invalid_argument("elman: loss '" + options.loss + "' cannot have " +
                                    std::to_string(stack.n_outputs()) + " outputs");
    std::vector<Index> networks = alike_side_by_side(data, options.batch_size);
    Index n_steps = 0;
    for (Index i = 0; i < data.n_networks; ++i) {
        data.schedule(i, options.schedule).check();
        n_steps += data.steps_of_epoch(i);
    }
    const Index work =
        checked_multiply(checked_multiply(3 * n_steps, options.max_iter), network.multiply_adds());
    Team team(std::min(worthwhile_threads(options.n_threads, work),
                       (data.n_networks + n_lanes<T> - 1) / n_lanes<T>),
              check);
    const Index epochs_a_round = short_rounds(network, data);
    WorkspacePool<Group<T>> pool;
    const auto is_alike = [&](Index a, Index b) {
        return data.n_batches(a, 0, options.batch_size) == data.n_batches(b, 0, options.batch_size);
    };
    for (Index begin = 0; begin < options.max_iter && !networks.empty(); begin += epochs_a_round) {
        const Range epochs{begin, std::min(begin + epochs_a_round, options.max_iter)};
        const std::vector<Index> bounds = group_bounds(networks, n_lanes<T>, is_alike);
        team.run(Index(bounds.size()) - 1, [&](Index task, Control& control) {
            const Index first = bounds[std::size_t(task)];
            std::unique_ptr<Group<T>> group = pool.take();
            group->run(stack, options, loss, mixture, data, networks.data() + first,
                       bounds[std::size_t(task) + 1] - first, epochs, progress, control);
            pool.give_back(std::move(group));
        });
        networks.erase(
            std::remove_if(
                networks.begin(), networks.end(),
                [&](Index i) { return progress.is_over[i] || progress.diverged_at[i] >= 0; }),
            networks.end());
    }
    return team.is_short();
}

}  // namespace elman::fleet
