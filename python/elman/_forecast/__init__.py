"""The networks behind `RNNForecaster`: windows of series in, their futures out.

A forecast takes this way, each step a file:

    History (history) -> origins (origins) -> Window (window) -> inputs, candidates -> network
"""
