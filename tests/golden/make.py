"""Write the files of this version, once: ``python tests/golden/make.py``.

They are kept for ever, and so is what they say.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import elman  # noqa: E402
from model_files import MODELS, outcome  # noqa: E402


def main():
    version = ".".join(elman.__version__.split(".")[:2])
    folder = HERE / version
    folder.mkdir()
    expected = {}
    for name, make in MODELS.items():
        model, stem = make(), name.replace(",", "").replace(" ", "_")
        has_training = name in ("regressor", "translator")
        elman.save(model, folder / f"{stem}.safetensors", include_training=has_training)
        expected[stem] = [array.tolist() for array in outcome(model, name)]
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
