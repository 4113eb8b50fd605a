"""The compiled core for this machine's instruction set; `_core.pyi` says what is in it."""

import importlib

from elman import _isa

isa = _isa.choose()
_module = importlib.import_module(f"elman._core_{isa}")

Diverged = _module.Diverged
Network = _module.Network
Predictor = _module.Predictor
Seq2Seq = _module.Seq2Seq
Seq2SeqTrainer = _module.Seq2SeqTrainer
Trainer = _module.Trainer
mix = _module.mix

__all__ = ["Diverged", "Network", "Predictor", "Seq2Seq", "Seq2SeqTrainer", "Trainer", "isa", "mix"]
