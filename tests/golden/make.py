"""Write the files of this version that are not there yet: ``python tests/golden/make.py``.

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
    folder.mkdir(exist_ok=True)
    said = folder / "expected.json"
    expected = json.loads(said.read_text()) if said.exists() else {}
    for name, make in MODELS.items():
        stem = name.replace(",", "").replace(" ", "_")
        if stem in expected:
            continue
        model = make()
        has_training = name in ("regressor", "translator")
        elman.save(model, folder / f"{stem}.safetensors", include_training=has_training)
        expected[stem] = [array.tolist() for array in outcome(model, name)]
    said.write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
