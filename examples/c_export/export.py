"""A forecaster of time series becomes a C program: trained here, compiled and compared.

    python examples/c_export/export.py

It needs a C compiler called cc. With arm-none-eabi-gcc installed it also tells how large the same
model is on a Cortex-M4.
"""

import shutil
import subprocess
from pathlib import Path

import elman
import numpy as np
from elman.datasets import generate_time_series

FOLDER = Path(__file__).resolve().parent
ARM = "arm-none-eabi-gcc"
CORTEX_M4 = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]


def main():
    series = generate_time_series(4000, 51, random_state=0).astype(np.float32)
    model = elman.RNNRegressor(cell="gru", hidden_layer_sizes=(20, 20), max_iter=10, random_state=0)
    model.fit(series[:3000, :-1], series[:3000, 1:])  # of each step the next value
    r2 = model.score(series[3000:, :-1], series[3000:, 1:])
    elman.to_c(model, FOLDER / "model.h")
    size = (FOLDER / "model.h").stat().st_size
    print(f"R² {r2:.3f}; model.h: {size} bytes for {model.n_parameters_} weights")

    cc = ["cc", "-std=c99", "-O3", "-Wall", "-Wextra", "-pedantic", "main.c", "-o", "forecast"]
    subprocess.run([*cc, "-lm"], cwd=FOLDER, check=True)
    values = series[3500, :, 0]
    result = subprocess.run(
        [FOLDER / "forecast"],
        input="\n".join(map(str, values)),
        text=True,
        capture_output=True,
        check=True,
    )
    of_c = np.array(result.stdout.split(), np.float32)
    stream = model.stream()
    of_python = np.array([stream.step(x_t)[0] for x_t in values])
    print(f"largest difference of {len(values)} steps: {np.abs(of_c - of_python).max():.1e}")
    print(result.stderr.strip())
    if shutil.which(ARM):
        command = [ARM, *CORTEX_M4, "-std=c99", "-O2", "-c", "main.c", "-o", "forecast.o"]
        subprocess.run(command, cwd=FOLDER, check=True)
        subprocess.run(["arm-none-eabi-size", "forecast.o"], cwd=FOLDER, check=True)


if __name__ == "__main__":
    main()
