"""Files of public data sets: in a folder of yours, in the cache, or from their source."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from elman._exceptions import problem

DATA = "ELMAN_DATA"
HOST = "https://raw.githubusercontent.com"


class Source(NamedTuple):
    """Where a file comes from: a path in a commit of a repository, and its SHA-256.

    Without one nothing but the connection vouches for the file.
    """

    repository: str
    commit: str
    path: str
    sha256: str | None

    @property
    def url(self) -> str:
        """Where to download it."""
        return f"{HOST}/{self.repository}/{self.commit}/{self.path}"


SOURCES = {
    "m4_hourly/Hourly-train.csv": Source(
        "Mcompetitions/M4-methods",
        "6c1067e5a57161249b17289a565178dc7a3fb3ca",
        "Dataset/Train/Hourly-train.csv",
        "ea59b7783573c49077a835ab6465c7d66f1474783360f310988a9a737fbca62f",
    ),
    "m4_hourly/Hourly-test.csv": Source(
        "Mcompetitions/M4-methods",
        "6c1067e5a57161249b17289a565178dc7a3fb3ca",
        "Dataset/Test/Hourly-test.csv",
        "71a57fccb15e534d973626ada4fb87febf789e9317715b7cc6dd3b5f90db6f42",
    ),
    "m4_weekly/Weekly-train.csv": Source(
        "Mcompetitions/M4-methods",
        "6c1067e5a57161249b17289a565178dc7a3fb3ca",
        "Dataset/Train/Weekly-train.csv",
        "d478d3f6ed673e6ed3c2cb0fbed5425f72eedd51318ebebeb0b5ecfcefc37714",
    ),
    "m4_weekly/Weekly-test.csv": Source(
        "Mcompetitions/M4-methods",
        "6c1067e5a57161249b17289a565178dc7a3fb3ca",
        "Dataset/Test/Weekly-test.csv",
        "3b2bc4be8e636e802260dcd843ca3c5da40536a1fbe1ecb3229a97dae4f44688",
    ),
    "etth1/ETTh1.csv": Source(
        "zhouhaoyi/ETDataset",
        "1d16c8f4f943005d613b5bc962e9eeb06058cf07",
        "ETT-small/ETTh1.csv",
        "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
    ),
    "bike_sharing/hour.csv": Source(
        "drscott173/DLD-my-first-neural-network",
        "30b428e7e4419c1502a18f81f6748a222e41f822",
        "Bike-Sharing-Dataset/hour.csv",
        "09b19f3873d9c4ff8773304aef3233470286bf9010f1f6966e1b02a709015952",
    ),
    "stocks_daily/stockdata.csv": Source(
        "plotly/datasets",
        "0c447c47b757ad74edecab31f0d72f849d2e67c2",
        "stockdata.csv",
        "60bf505fec160ce05ba959382adee32ea6e53ce14fe22886db27c58fe1b0d26b",
    ),
    "mta_ridership/MTA_Daily_Ridership.csv": Source(
        "plotly/datasets",
        "0c447c47b757ad74edecab31f0d72f849d2e67c2",
        "App-Challenges/MTA-NYC/MTA_Daily_Ridership.csv",
        "6e3ff89e6cb35a0fda4c668b86f4388c2b111d446b42d7f745c00ef60c644dbf",
    ),
    "rt_polarity/rt-polarity.pos.txt": Source(
        "dennybritz/cnn-text-classification-tf",
        "18762b459e21d9c70e5c242f8d43fc4e6db37a0d",
        "data/rt-polaritydata/rt-polarity.pos",
        "4134882974a28d0c7b5151256f0e33a6169984ee7372c279e673f1114f475d58",
    ),
    "rt_polarity/rt-polarity.neg.txt": Source(
        "dennybritz/cnn-text-classification-tf",
        "18762b459e21d9c70e5c242f8d43fc4e6db37a0d",
        "data/rt-polaritydata/rt-polarity.neg",
        "2d11cfbc790f1cd96d78339f41ce53ced1efa83cd22d37d6788fa3fe3d17e2fd",
    ),
    "cmudict/cmudict.dict": Source(
        "cmusphinx/cmudict",
        "0f8072f814306c5ee4fbf992ed853601b12c01f9",
        "cmudict.dict",
        "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22",
    ),
    "eng_fra/eng-fra.tsv": Source(
        "Soubhagya264/Language_Translator-Encoder-Decoder-",
        "f6c89651306aa93d2f0f0447ce15b553a530abb0",
        "fra.txt",
        None,
    ),
    "JapaneseVowels/JapaneseVowels_TRAIN.ts": Source(
        "aeon-toolkit/aeon",
        "a101ddc8b35a65441609b45c9bcce5aeafa0c131",
        "aeon/datasets/data/JapaneseVowels/JapaneseVowels_TRAIN.ts",
        "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
    ),
    "JapaneseVowels/JapaneseVowels_TEST.ts": Source(
        "aeon-toolkit/aeon",
        "a101ddc8b35a65441609b45c9bcce5aeafa0c131",
        "aeon/datasets/data/JapaneseVowels/JapaneseVowels_TEST.ts",
        "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
    ),
    "ItalyPowerDemand/ItalyPowerDemand_TRAIN.ts": Source(
        "aeon-toolkit/aeon",
        "a101ddc8b35a65441609b45c9bcce5aeafa0c131",
        "aeon/datasets/data/ItalyPowerDemand/ItalyPowerDemand_TRAIN.ts",
        "341269cb7e6cef96846b30e774580beec79addb93848ba360145219115a74b7c",
    ),
    "ItalyPowerDemand/ItalyPowerDemand_TEST.ts": Source(
        "aeon-toolkit/aeon",
        "a101ddc8b35a65441609b45c9bcce5aeafa0c131",
        "aeon/datasets/data/ItalyPowerDemand/ItalyPowerDemand_TEST.ts",
        "26122451f87dd0387ef90b18bc8a86c041371b8a1c068004922b939971247144",
    ),
    "GunPoint/GunPoint_TRAIN.ts": Source(
        "aeon-toolkit/aeon",
        "a101ddc8b35a65441609b45c9bcce5aeafa0c131",
        "aeon/datasets/data/GunPoint/GunPoint_TRAIN.ts",
        "f842401779fd9800d247d8b33121a1a4643710a19b24917dbdd9a060ca8630d5",
    ),
    "GunPoint/GunPoint_TEST.ts": Source(
        "aeon-toolkit/aeon",
        "a101ddc8b35a65441609b45c9bcce5aeafa0c131",
        "aeon/datasets/data/GunPoint/GunPoint_TEST.ts",
        "79332750788a6227b325b96bd0d70130c8eb707b9731f8d7dec62b7a7d36017e",
    ),
    "jsb_chorales/jsb-chorales-quarter.json": Source(
        "czhuang/JSB-Chorales-dataset",
        "9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d",
        "jsb-chorales-quarter.json",
        "2db9329f1881a1d3f49703ec556bf1d6f84b4f6c1d702c156536e93cf31e1c91",
    ),
}
"""Files by the names that they have in the cache, and in the folder that ELMAN_DATA names."""


def read_file(name: str, data_home: str | os.PathLike[str] | None, caller: str) -> bytes:
    """Return the contents of a file.

    The folder that the environment variable ELMAN_DATA names is looked at first; there the file
    may also be compressed by gzip. Then the cache, and at last the source.

    Parameters
    ----------
    name : str
        A name in `SOURCES`.
    data_home : path or None
        The cache; None is the user's own.
    caller : str
        The function that asks, for messages.

    Returns
    -------
    contents : bytes
        The contents, whose checksum has been compared unless they come from ELMAN_DATA.

    Raises
    ------
    ImportError
        If the file has to be downloaded, and pooch is not installed.
    OSError
        If it cannot be downloaded.
    """
    source, folder = SOURCES[name], os.environ.get(DATA)
    if folder:
        for path in (Path(folder, name), Path(folder, f"{name}.gz")):
            if path.is_file():
                contents = path.read_bytes()
                return gzip.decompress(contents) if path.suffix == ".gz" else contents
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            f"{caller}: pooch got no installation, expected pip install 'elman[data]', or the "
            f"file {name} in the folder that the environment variable {DATA} names"
        ) from error
    path = Path(data_home) if data_home is not None else Path(pooch.os_cache("elman"))
    if (path / name).is_file():
        contents = (path / name).read_bytes()
        if source.sha256 in (None, hashlib.sha256(contents).hexdigest()):
            return contents
    try:
        pooch.retrieve(source.url, source.sha256, fname=name, path=path)
    except (OSError, ValueError) as error:
        expected = f"a connection, or the file in the folder that {DATA} names"
        got = f"no copy of {name} from {source.url} ({error})"
        raise OSError(problem(caller, "data_home", got, expected)) from error
    return (path / name).read_bytes()
