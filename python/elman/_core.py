"""The compiled core for this machine's instruction set; `_core.pyi` says what is in it."""

import importlib

from elman import _isa

isa = _isa.choose()
_module = importlib.import_module(f"elman._core_{isa}")

Decoding = _module.Decoding
Diverged = _module.Diverged
Network = _module.Network
Predictor = _module.Predictor
Seq2Seq = _module.Seq2Seq
Seq2SeqTrainer = _module.Seq2SeqTrainer
Stream = _module.Stream
Trainer = _module.Trainer
mix = _module.mix
predict_fleet = _module.predict_fleet
suits_fleet = _module.suits_fleet
train_fleet = _module.train_fleet

__all__ = [
    "Decoding",
    "Diverged",
    "Network",
    "Predictor",
    "Seq2Seq",
    "Seq2SeqTrainer",
    "Stream",
    "Trainer",
    "isa",
    "mix",
    "predict_fleet",
    "suits_fleet",
    "train_fleet",
]
