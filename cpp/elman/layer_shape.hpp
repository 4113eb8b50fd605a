// What one direction of a layer looks like: its units in blocks, its gates in groups, and where its
// parameters stand.
//
// Units are the columns of panels (panel.hpp), and a block is as many of them as fit one:
//
//     units       | block 0       | block 1       | last: one register or two |
//
// A gate's sum runs over the operands that it takes, x_t before h_{t-1}: so many terms are its
// depth. Neighbouring gates with the same operands are a group, which is multiplied at once.
//
// In the flat parameters a gate has n_units columns of each matrix, and of the row b_h:
//
//     W_xh        | gate 0        | gate 1        | ...           |   a row for each input
//     W_hh        | gate 0        | gate 1        | ...           |   a row for each unit
//
// A gate that takes the state alone has a bias of its own, b_hn, and with layer normalisation a
// gain g_hn beside the others' g_h.
#pragma once

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "elman/batch.hpp"
#include "elman/cell/cell.hpp"
#include "elman/panel.hpp"

namespace elman {

// Where the arrays of one direction begin in the flat parameter vector; -1 for one that its cell
// does not have.
struct ParameterOffsets {
    Index W_xh, W_hh, b_h, b_hn, g_h, g_hn;
};

struct RecurrenceShape {
    std::vector<Index> input_widths;
    Index n_units;
    bool reverse;
    ParameterOffsets offsets;
    bool may_miss = false;    // steps may be skipped, or the state fade between them
    bool layer_norm = false;  // of each gate's sums (layer_norm.hpp)

    Index input_width() const {
        return std::accumulate(input_widths.begin(), input_widths.end(), Index(0));
    }
};

// Neighbouring gates that take the same operands.
struct GateGroup {
    int first, n_alike;
    Index depth;         // of each one's sums
    Index depth_before;  // of all gates before
};

// The shape of a layer of some cell, and what follows from both.
template <class T>
class LayerShape : public RecurrenceShape {
public:
    LayerShape(RecurrenceShape shape, std::vector<Gate> gates, bool has_cell_state)
        : RecurrenceShape(std::move(shape)),
          gates_(std::move(gates)),
          has_cell_state_(has_cell_state),
          input_width_(RecurrenceShape::input_width()),
          packed_width_(packed_columns<T>(n_units)),
          n_blocks_((n_units + panel_width<T> - 1) / panel_width<T>) {
        for (const Gate& gate : gates_) n_columns_ = std::max<Index>(n_columns_, gate.column + 1);
        for (int g = 0, next; g < n_gates(); g = next) {
            next = g + 1;
            while (next < n_gates() && gate(next).operand == gate(g).operand &&
                   gate(next).phase == gate(g).phase)
                ++next;
            groups_.push_back({g, next - g, depth(gate(g)), total_depth_});
            total_depth_ += (next - g) * depth(gate(g));
        }
    }

    const std::vector<Gate>& gates() const { return gates_; }
    const Gate& gate(int g) const { return gates_[std::size_t(g)]; }
    int n_gates() const { return int(gates_.size()); }
    bool has_cell_state() const { return has_cell_state_; }
    bool any_gate(bool (*takes)(Operand)) const {
        return std::any_of(gates_.begin(), gates_.end(),
                           [takes](const Gate& gate) { return takes(gate.operand); });
    }
    template <class Function>
    void for_each_group(const Function& function) const {
        for (const GateGroup& group : groups_) function(group);
    }

    Index input_width() const { return input_width_; }
    Index depth(const Gate& gate) const {
        return (takes_input(gate.operand) ? input_width_ : 0) +
               (takes_any_state(gate.operand) ? n_units : 0);
    }
    Index total_depth() const { return total_depth_; }  // of all gates' sums

    // Of all units, up to whole registers.
    Index packed_width() const { return packed_width_; }
    Index n_blocks() const { return n_blocks_; }
    Index n_wide_blocks() const { return (n_units + Vec<T>::width - 1) / panel_width<T>; }
    int vectors(Index block) const {
        return block + 1 < n_blocks_ ? max_panel_vectors
                                     : panel_vectors<T>(block * panel_width<T>, n_units);
    }
    Index block_width(Index block) const { return vectors(block) * Vec<T>::width; }
    Index units_in(Index block) const {
        return std::min(panel_width<T>, n_units - block * panel_width<T>);
    }
    template <class Function>
    void for_each_block(const Function& function) const {
        for (Index block = 0; block < n_blocks_; ++block) function(block);
    }

    // Between two rows of W_xh, or of W_hh.
    Index row_stride() const { return n_columns_ * n_units; }
    Index place_of_bias(const Gate& gate) const {
        return gate.recurrent_bias ? offsets.b_hn : offsets.b_h + gate.column * n_units;
    }
    Index place_of_gain(const Gate& gate) const {
        return gate.recurrent_bias ? offsets.g_hn : offsets.g_h + gate.column * n_units;
    }
    // Behind the layer's last parameter, gains aside.
    Index end_of_parameters() const {
        const Index end = offsets.b_h + row_stride();
        return offsets.b_hn < 0 ? end : std::max(end, offsets.b_hn + n_units);
    }

    // The step that comes i-th, and how many there are from step t to the end of sequence s.
    Index step_at(const Batch& batch, Index i) const {
        return reverse ? batch.n_steps() - 1 - i : i;
    }
    Index steps_to_end(const Batch& batch, Index t, Index s) const {
        const std::size_t i = std::size_t(s);
        return reverse ? t + 1 : batch.length[i] + batch.behind[i] - t;
    }

private:
    std::vector<Gate> gates_;
    bool has_cell_state_;
    Index input_width_, packed_width_, n_blocks_;
    std::vector<GateGroup> groups_;
    Index n_columns_ = 0, total_depth_ = 0;
};

}  // namespace elman
