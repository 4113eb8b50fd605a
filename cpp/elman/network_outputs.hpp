// What stands behind the last layer: the head, or without one the last layer's outputs as they are.
//
// Rows of the outputs are steps, or where only the last steps count, sequences.
#pragma once

#include "elman/network_options.hpp"
#include "elman/workspace.hpp"

namespace elman {

template <class T>
class NetworkOutputs {
public:
    // add(name, shape) adds a parameter and returns where it begins in the flat vector.
    template <class Add>
    NetworkOutputs(const NetworkOptions& options, std::vector<Index> widths, const Add& add)
        : width_(options.head ? options.n_outputs
                              : std::accumulate(widths.begin(), widths.end(), Index(0))) {
        if (!options.head) return;
        if (options.head_inputs) widths.push_back(options.n_inputs());
        head_.emplace(widths, options.head_layer, width_, add);
    }

    Index width() const { return width_; }
    Index multiply_adds() const { return head_ ? head_->multiply_adds() : 0; }

    void pack(const T* parameters, bool training, PackedHead<T>& weights) const {
        if (head_) head_->pack(parameters, training, weights);
    }

    void resize(Workspace<T>& workspace) const {
        const Index n_rows = workspace.n_output_rows();
        workspace.outputs.resize(n_rows, width_);
        if (workspace.training) workspace.doutputs.resize(n_rows, width_);
        if (head_) head_->resize(n_rows, workspace.training, workspace.head);
    }

    void forward(const PackedHead<T>& weights, Range shard, const Features<const T>& features,
                 Workspace<T>& workspace) const {
        for_each_output(workspace, shard, [&](Index row, Index n_rows) {
            if (head_)
                head_->forward(row, n_rows, features, weights, workspace.head,
                               workspace.outputs.rows());
            else
                copy_outputs(row, n_rows, features, workspace.outputs.rows());
        });
    }

    void backward(const PackedHead<T>& weights, Range shard, const Features<T>& dfeatures,
                  Workspace<T>& workspace) const {
        for_each_output(workspace, shard, [&](Index row, Index n_rows) {
            if (head_)
                head_->backward(row, n_rows, workspace.doutputs.rows(), weights, workspace.head,
                                dfeatures);
            else
                copy_gradients(row, n_rows, workspace.doutputs.rows(), dfeatures);
        });
    }

    Index n_gradient_tasks(Index n_parts) const {
        return head_ ? head_->n_gradient_tasks(n_parts) : 0;
    }
    void gradient(Index task, Index n_parts, Pass pass, const Features<const T>& features,
                  Workspace<T>& workspace, T* gradient, Control& control) const {
        const Batch& batch = workspace.batch;
        const Range rows = workspace.per_step ? Range{0, batch.n_rows()}
                                              : Range{batch.n_continuing, batch.n_sequences()};
        head_->gradient(task, n_parts, rows, workspace.per_step, pass, features, workspace.head,
                        workspace.doutputs.rows(), gradient, control);
    }

private:
    static void copy_outputs(Index row, Index n_rows, const Features<const T>& features,
                             const Rows<T>& outputs) {
        for (Index r = row; r < row + n_rows; ++r) {
            T* to = outputs.row(r);
            for (Index part = 0; part < features.n_parts; ++part)
                to = std::copy_n(features[part].row(r), features[part].width, to);
        }
    }
    static void copy_gradients(Index row, Index n_rows, const Rows<T>& doutputs,
                               const Features<T>& gradients) {
        for (Index r = row; r < row + n_rows; ++r) {
            const T* from = doutputs.row(r);
            for (Index part = 0; part < gradients.n_parts; ++part) {
                std::copy_n(from, gradients[part].width, gradients[part].row(r));
                from += gradients[part].width;
            }
        }
    }

    Index width_;
    std::optional<Head<T>> head_;
};

}  // namespace elman
