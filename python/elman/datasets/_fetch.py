"""Public data sets that the documentation's figures are measured on."""

from __future__ import annotations

import csv
import io
import json
import os
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from elman._exceptions import problem
from elman.datasets._files import read_file

Path = str | os.PathLike[str] | None

LOWEST_NOTE, N_NOTES = 21, 88
N_SENTENCE_PAIRS = 40_000
M4_GROUPS = ("hourly", "weekly")
UCR_NAMES = ("GunPoint", "ItalyPowerDemand", "JapaneseVowels")


def fetch_movie_reviews(*, data_home: Path = None) -> Bunch:
    """Sentences of movie reviews, half of them positive (Pang & Lee, 2005).

    Parameters
    ----------
    data_home : path, default=None
        Folder of downloads; by default the user's cache. Files in the folder that the
        environment variable ELMAN_DATA names come first.

    Returns
    -------
    reviews : Bunch
        ``data``, a list of 10,662 texts, lower-cased and split by blanks; ``target``, an array
        of 0 and 1; ``target_names``.

    Raises
    ------
    ImportError
        If pooch, of the extra "data", is needed and not installed.
    OSError
        If the files cannot be downloaded.

    References
    ----------
    Pang, B. and Lee, L. "Seeing stars: exploiting class relationships for sentiment
    categorization with respect to rating scales." ACL 2005.
    """
    texts: list[str] = []
    target: list[int] = []
    for label, name in enumerate(("neg", "pos")):
        contents = read_file(
            f"rt_polarity/rt-polarity.{name}.txt", data_home, "fetch_movie_reviews"
        )
        lines = [line.strip() for line in contents.decode("utf-8").split("\n")]
        texts += [line for line in lines if line]
        target += [label] * (len(texts) - len(target))
    return Bunch(data=texts, target=np.array(target), target_names=["negative", "positive"])


def fetch_cmudict(*, data_home: Path = None) -> Bunch:
    """Words and their pronunciations in North American English, by the CMU dictionary.

    Parameters
    ----------
    data_home : path, default=None
        Folder of downloads; by default the user's cache. Files in the folder that the
        environment variable ELMAN_DATA names come first.

    Returns
    -------
    dictionary : Bunch
        ``words``, a list of 126,052 words; ``pronunciations``, for each a list of one or more
        lists of phonemes, as in ``["HH", "AH0", "L", "OW1"]``, with digits for the stress of
        vowels.

    Raises
    ------
    ImportError
        If pooch, of the extra "data", is needed and not installed.
    OSError
        If the file cannot be downloaded.

    References
    ----------
    The CMU Pronouncing Dictionary, Carnegie Mellon University.
    """
    contents = read_file("cmudict/cmudict.dict", data_home, "fetch_cmudict")
    entries: dict[str, list[list[str]]] = {}
    for line in contents.decode("utf-8").splitlines():
        word, *phonemes = line.split(" #")[0].split()
        entries.setdefault(word.split("(")[0], []).append(phonemes)
    return Bunch(words=list(entries), pronunciations=list(entries.values()))


def fetch_sentence_pairs(*, data_home: Path = None) -> Bunch:
    """Short English sentences and their French translations, the shortest first.

    Parameters
    ----------
    data_home : path, default=None
        Folder of downloads; by default the user's cache. Files in the folder that the
        environment variable ELMAN_DATA names come first.

    Returns
    -------
    pairs : Bunch
        ``english`` and ``french``, lists of 40,000 texts; many English ones stand there several
        times, each with another translation.

    Raises
    ------
    ImportError
        If pooch, of the extra "data", is needed and not installed.
    OSError
        If the file cannot be downloaded.

    References
    ----------
    Tatoeba (https://tatoeba.org), CC BY 2.0 FR, in the selection of the Anki decks of
    manythings.org.
    """
    contents = read_file("eng_fra/eng-fra.tsv", data_home, "fetch_sentence_pairs")
    text = contents.decode("utf-8").replace("\u202f", " ").replace("\u00a0", " ")
    lines = dict.fromkeys(line for line in text.splitlines() if line.count("\t") > 0)
    pairs = [line.split("\t")[:2] for line in list(lines)[:N_SENTENCE_PAIRS]]
    return Bunch(english=[pair[0] for pair in pairs], french=[pair[1] for pair in pairs])


def fetch_ucr(name: str, *, data_home: Path = None) -> Bunch:
    """Sequences with a class each, from the archives of UCR and UEA, in their own split.

    Parameters
    ----------
    name : {"GunPoint", "ItalyPowerDemand", "JapaneseVowels"}
        Name in the archive: the hand's way in drawing a gun or pointing, days of electricity
        demand in Italy, or speakers of two vowels (ragged, 12 channels).
    data_home : path, default=None
        Folder of downloads; by default the user's cache. Files in the folder that the
        environment variable ELMAN_DATA names come first.

    Returns
    -------
    data : Bunch
        ``X_train`` and ``X_test``, lists of arrays of shape (n_timesteps_i, n_channels);
        ``y_train`` and ``y_test``, arrays of labels.

    Raises
    ------
    ValueError
        If there is no such name.
    ImportError
        If pooch, of the extra "data", is needed and not installed.
    OSError
        If the files cannot be downloaded.

    References
    ----------
    Dau, H. A. et al. "The UCR time series archive." IEEE/CAA Journal of Automatica Sinica 6(6),
    2019. Bagnall, A. et al. "The UEA multivariate time series classification archive, 2018."
    """
    if name not in UCR_NAMES:
        expected = f"one of {', '.join(map(repr, UCR_NAMES))}"
        raise ValueError(problem("fetch_ucr", "name", repr(name), expected))
    data: dict[str, Any] = {}
    for part in ("train", "test"):
        contents = read_file(f"{name}/{name}_{part.upper()}.ts", data_home, "fetch_ucr")
        data[f"X_{part}"], data[f"y_{part}"] = _read_ts(contents.decode("utf-8"))
    return Bunch(**data)


def _read_ts(text: str) -> tuple[list[NDArray[np.float64]], NDArray[Any]]:
    """One case a line: channels parted by colons, values by commas, the label at the end."""
    sequences, labels = [], []
    for line in text.splitlines():
        if not line or line[0] in "#@":
            continue
        *channels, label = line.strip().split(":")
        sequences.append(np.array([np.array(c.split(","), dtype=float) for c in channels]).T)
        labels.append(label)
    return sequences, np.array(labels)


def fetch_chorales(*, data_home: Path = None) -> Bunch:
    """Bach's chorales in quarter notes, in the split of Boulanger-Lewandowski et al. (2012).

    Parameters
    ----------
    data_home : path, default=None
        Folder of downloads; by default the user's cache. Files in the folder that the
        environment variable ELMAN_DATA names come first.

    Returns
    -------
    chorales : Bunch
        ``train``, ``valid`` and ``test``, lists of 229, 76 and 77 arrays of shape
        (n_timesteps_i, 88), with a one for each key of the piano that sounds.

    Raises
    ------
    ImportError
        If pooch, of the extra "data", is needed and not installed.
    OSError
        If the file cannot be downloaded.

    References
    ----------
    Boulanger-Lewandowski, N., Bengio, Y. and Vincent, P. "Modeling temporal dependencies in
    high-dimensional sequences." ICML 2012.
    """
    contents = read_file("jsb_chorales/jsb-chorales-quarter.json", data_home, "fetch_chorales")
    pieces = json.loads(contents)
    return Bunch(**{part: [_roll(piece) for piece in pieces[part]] for part in pieces})


def _roll(piece: list[list[int]]) -> NDArray[np.float32]:
    roll = np.zeros((len(piece), N_NOTES), dtype=np.float32)
    for step, notes in enumerate(piece):
        roll[step, np.array(notes, dtype=int) - LOWEST_NOTE] = 1
    return roll


def fetch_m4(group: str, *, data_home: Path = None) -> Bunch:
    """Series of the M4 forecasting competition, and what came after them.

    Parameters
    ----------
    group : {"hourly", "weekly"}
        414 hourly series with a horizon of 48, or 359 weekly ones with a horizon of 13.
    data_home : path, default=None
        Folder of downloads; by default the user's cache. Files in the folder that the
        environment variable ELMAN_DATA names come first.

    Returns
    -------
    series : Bunch
        ``train``, a list of arrays of different lengths; ``test``, an array of shape
        (n_series, horizon); ``names``.

    Raises
    ------
    ValueError
        If there is no such group.
    ImportError
        If pooch, of the extra "data", is needed and not installed.
    OSError
        If the files cannot be downloaded.

    References
    ----------
    Makridakis, S., Spiliotis, E. and Assimakopoulos, V. "The M4 competition: 100,000 time series
    and 61 forecasting methods." International Journal of Forecasting 36(1), 2020.
    """
    if group not in M4_GROUPS:
        expected = f"one of {', '.join(map(repr, M4_GROUPS))}"
        raise ValueError(problem("fetch_m4", "group", repr(group), expected))
    names, train = _m4_rows(f"m4_{group}/{group.capitalize()}-train.csv", data_home)
    of_test, test = _m4_rows(f"m4_{group}/{group.capitalize()}-test.csv", data_home)
    place = {name: i for i, name in enumerate(of_test)}
    return Bunch(train=train, test=np.array([test[place[name]] for name in names]), names=names)


def _m4_rows(name: str, data_home: Path) -> tuple[list[str], list[NDArray[np.float64]]]:
    """Names of series and their values, without the empty ends of rows."""
    text = read_file(name, data_home, "fetch_m4").decode("utf-8")
    _, *rows = csv.reader(io.StringIO(text))
    values = [np.array([float(value) for value in row[1:] if value]) for row in rows]
    return [row[0] for row in rows], values


def fetch_ett(name: str = "ETTh1", *, data_home: Path = None) -> Bunch:
    """Load and oil temperature of a power transformer, every hour of two years.

    Parameters
    ----------
    name : {"ETTh1"}, default="ETTh1"
        Which transformer.
    data_home : path, default=None
        Folder of downloads; by default the user's cache. Files in the folder that the
        environment variable ELMAN_DATA names come first.

    Returns
    -------
    transformer : Bunch
        ``data``, an array of shape (17420, 7), the oil temperature last; ``feature_names``;
        ``dates``, an array of datetime64.

    Raises
    ------
    ValueError
        If there is no such name.
    ImportError
        If pooch, of the extra "data", is needed and not installed.
    OSError
        If the files cannot be downloaded.

    References
    ----------
    Zhou, H. et al. "Informer: Beyond efficient transformer for long sequence time-series
    forecasting." AAAI 2021.
    """
    if name != "ETTh1":
        raise ValueError(problem("fetch_ett", "name", repr(name), "'ETTh1'"))
    contents = read_file("etth1/ETTh1.csv", data_home, "fetch_ett")
    names, *rows = csv.reader(io.StringIO(contents.decode("utf-8")))
    return Bunch(
        data=np.array([[float(value) for value in row[1:]] for row in rows]),
        feature_names=names[1:],
        dates=np.array([row[0] for row in rows], dtype="datetime64[h]"),
    )


def fetch_bike_sharing(*, data_home: Path = None) -> Bunch:
    """Bicycles rented in each hour of two years, with weather and calendar.

    Parameters
    ----------
    data_home : path, default=None
        Folder of downloads; by default the user's cache. Files in the folder that the
        environment variable ELMAN_DATA names come first.

    Returns
    -------
    rentals : Bunch
        ``data``, an array of shape (17379, 12) of what is known of an hour; ``target``, how many
        were rented; ``feature_names``; ``dates``, an array of datetime64 in which some hours are
        missing, as no bicycle was rented.

    Raises
    ------
    ImportError
        If pooch, of the extra "data", is needed and not installed.
    OSError
        If the files cannot be downloaded.

    References
    ----------
    Fanaee-T, H. and Gama, J. "Event labeling combining ensemble detectors and background
    knowledge." Progress in Artificial Intelligence 2, 2014.
    """
    contents = read_file("bike_sharing/hour.csv", data_home, "fetch_bike_sharing")
    lines = csv.reader(io.StringIO(contents.decode("utf-8")))
    names, *rows = [line for line in lines if line]
    days = np.array([row[names.index("dteday")] for row in rows], dtype="datetime64[h]")
    left_out = ("instant", "dteday", "casual", "registered", "cnt")
    columns = [i for i, name in enumerate(names) if name not in left_out]
    values = np.array([[float(row[i]) for i in columns] for row in rows])
    return Bunch(
        data=values,
        target=np.array([float(row[names.index("cnt")]) for row in rows]),
        feature_names=[names[i] for i in columns],
        dates=days + np.array([int(row[names.index("hr")]) for row in rows]),
    )


def load_air_passengers() -> Bunch:
    """Monthly passengers of international airlines, 1949 to 1960, in thousands.

    Returns
    -------
    passengers : Bunch
        ``data``, an array of shape (144,); ``dates``, an array of datetime64.

    References
    ----------
    Box, G. E. P. and Jenkins, G. M. "Time series analysis: Forecasting and control."
    Holden-Day, 1970, series G.

    Examples
    --------
    >>> from elman.datasets import load_air_passengers
    >>> load_air_passengers().data[:3]
    array([112., 118., 132.])
    """
    text = resources.files("elman.datasets").joinpath("air_passengers.csv").read_text("utf-8")
    _, *rows = csv.reader(io.StringIO(text))
    return Bunch(
        data=np.array([float(passengers) for _, passengers in rows]),
        dates=np.array([month for month, _ in rows], dtype="datetime64[M]"),
    )


def fetch_stock_prices(*, data_home: Path = None) -> Bunch:
    """Daily closing prices of four stocks and an index, from 2007 to 2016.

    Parameters
    ----------
    data_home : path, default=None
        Folder of downloads; by default the user's cache. Files in the folder that the
        environment variable ELMAN_DATA names come first.

    Returns
    -------
    prices : Bunch
        ``data``, an array of shape (n_days, n_series); ``feature_names``; ``dates``, an array
        of datetime64.

    Raises
    ------
    ImportError
        If pooch, of the extra "data", is needed and not installed.
    OSError
        If the file cannot be downloaded.
    """
    names, rows = _days("stocks_daily/stockdata.csv", data_home, "fetch_stock_prices")
    return _daily(names, rows, [i for i, name in enumerate(names) if name != "Date"])


def fetch_mta_ridership(*, data_home: Path = None) -> Bunch:
    """Daily passengers and vehicles of seven transport systems of New York, from 2020 to 2024.

    Parameters
    ----------
    data_home : path, default=None
        Folder of downloads; by default the user's cache. Files in the folder that the
        environment variable ELMAN_DATA names come first.

    Returns
    -------
    ridership : Bunch
        ``data``, an array of shape (n_days, n_series); ``feature_names``; ``dates``, an array
        of datetime64.

    Raises
    ------
    ImportError
        If pooch, of the extra "data", is needed and not installed.
    OSError
        If the file cannot be downloaded.
    """
    path = "mta_ridership/MTA_Daily_Ridership.csv"
    names, rows = _days(path, data_home, "fetch_mta_ridership")
    series = _daily(names, rows, [i for i, name in enumerate(names) if ": Total" in name])
    series.feature_names = [name.partition(":")[0] for name in series.feature_names]
    return series


def _days(path: str, data_home: Path, caller: str) -> tuple[list[str], list[list[str]]]:
    """Read a table of days: the names of its columns, and its rows by date."""
    text = read_file(path, data_home, caller).decode("utf-8-sig")
    names, *rows = csv.reader(io.StringIO(text))
    date = names.index("Date")
    return names, sorted(rows, key=lambda row: row[date])


def _daily(names: list[str], rows: list[list[str]], columns: list[int]) -> Bunch:
    """Take some columns of a table of days as series."""
    date = names.index("Date")
    return Bunch(
        data=np.array([[float(row[i]) for i in columns] for row in rows]),
        feature_names=[names[i] for i in columns],
        dates=np.array([row[date] for row in rows], dtype="datetime64[D]"),
    )
