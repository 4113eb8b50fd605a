"""Interchange with ONNX: `to_onnx`, `from_onnx` and what they are made of.

_cells      where gates and biases stand in the operators RNN, GRU and LSTM
_graph      a graph that is written node by node
_stack      recurrent layers, in operators
_export     a whole estimator: `to_onnx`
_seq2seq    an encoder, and one step of its decoder
_skl2onnx   converters for pipelines of scikit-learn
_values     what is known of each value of a graph that is read
_reader     a graph, node by node: the recurrent layers that it computes
_roundtrip  a graph that `to_onnx` wrote
_import     `from_onnx`
"""
