"""``python -m elman``, with a file in and a file out."""

import io
import os
import signal
import subprocess
import sys
import time

import elman
import numpy as np
import pandas as pd
import pytest
from elman import LinearForecaster, NaiveForecaster
from elman._cli import main
from elman.datasets import load_air_passengers
from elman.metrics import backtest_report

DAYS = pd.date_range("2020-01-01", periods=60)
STEPS = np.arange(60)
SALES = 20 + np.sin(STEPS / 3) + STEPS % 7


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(frame, name="sales.csv"):
    frame.to_csv(name, index=False)
    return name


def one_shop():
    return pd.DataFrame({"day": DAYS.strftime("%Y-%m-%d"), "sold": SALES})


def two_shops():
    return pd.concat(
        [
            pd.DataFrame({"unique_id": name, "ds": DAYS, "y": level * SALES})
            for name, level in (("north", 1), ("south", 3))
        ],
        ignore_index=True,
    )


@pytest.fixture
def run(folder, capsys):
    """Run a command; return its exit code, its output and its complaints."""

    def run_command(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run_command


@pytest.fixture
def table_of(run):
    """Run a command that succeeds in silence, and read the table that it wrote to stdout."""

    def read_output(*arguments):
        code, out, err = run(*arguments)
        assert (code, err) == (0, "")
        return pd.read_csv(io.StringIO(out))

    return read_output


# Forecasts.


def test_forecasts_are_those_of_the_library(table_of):
    table = table_of("forecast", write(one_shop()), "--horizon", 5, "--model", "linear")
    assert table.columns.tolist() == ["unique_id", "day", "y_pred", "lower", "upper"]
    assert table["day"].tolist() == [f"2020-03-0{day}" for day in range(1, 6)]
    model = LinearForecaster(5).fit(pd.Series(SALES, DAYS))
    np.testing.assert_allclose(table["y_pred"], model.predict())
    interval = model.predict_interval(0.9)
    np.testing.assert_allclose(table["upper"], interval["upper"])


def test_every_series_of_a_long_table_is_forecast(table_of):
    name = write(two_shops())
    table = table_of("forecast", name, "--horizon", 3, "--model", "naive", "--quantiles", "0.1,0.9")
    assert table.columns.tolist() == ["unique_id", "ds", "y_pred", "0.1", "0.9"]
    assert table["unique_id"].tolist() == ["north"] * 3 + ["south"] * 3
    np.testing.assert_allclose(table["y_pred"], np.concatenate([SALES[53:56], 3 * SALES[53:56]]))


def test_names_of_columns_are_options(table_of):
    frame = two_shops().set_axis(["shop", "day", "sold"], axis=1).assign(price=3)
    options = ("--id", "shop", "--time", "day", "--target", "sold", "--model", "naive")
    table = table_of("forecast", write(frame), "--horizon", 2, *options)
    assert table.columns.tolist() == ["shop", "day", "y_pred", "lower", "upper"]


def test_several_columns_are_several_series(table_of):
    frame = one_shop().assign(returned=SALES / 10)
    table = table_of("forecast", write(frame), "--horizon", 2, "--model", "naive")
    assert table["unique_id"].tolist() == ["sold", "sold", "returned", "returned"]


def test_without_times_rows_are_steps(table_of):
    name = write(one_shop()[["sold"]])
    table = table_of("forecast", name, "--horizon", 2, "--model", "naive", "--season", 7)
    assert table["step"].tolist() == [60, 61]
    np.testing.assert_allclose(table["y_pred"], SALES[53:55])


def test_rows_after_the_last_target_hold_covariates_to_come(table_of):
    price = np.random.default_rng(0).normal(size=60)
    frame = one_shop().assign(price=price, sky=np.where(price > 0, "blue", "grey"))
    frame["sold"] = SALES + 5 * price
    frame.loc[55:, "sold"] = np.nan
    options = ("--covariates", "price,sky", "--model", "linear", "--coverage", "0.5")
    table = table_of("forecast", write(frame), "--horizon", 5, *options)
    assert table["day"].iloc[0] == "2020-02-25"
    X = frame.set_index(DAYS)[["price", "sky"]]
    model = LinearForecaster(5).fit(pd.Series(frame["sold"].to_numpy(), DAYS)[:55], X[:55])
    np.testing.assert_allclose(table["y_pred"], model.predict(X=X[55:]))


def test_covariates_that_end_with_the_target_are_told_before_the_fit(run):
    sales = one_shop().assign(open=1)
    options = ("--horizon", 2, "--model", "linear", "--covariates", "open")
    code, err = complaint(run, "forecast", write(sales), *options)
    assert code == 3
    assert "no rows after the last known target, which --covariates need" in err


def test_parquet_in_and_out(run):
    two_shops().to_parquet("sales.parquet")
    assert run("forecast", "sales.parquet", "--horizon", 2, "--model", "naive", "--out",
               "ahead.parquet") == (0, "", "")  # fmt: skip
    out = pd.read_parquet("ahead.parquet")
    assert out["ds"].dt.day.tolist() == [1, 2, 1, 2]


def test_parquet_ids_stay_in_their_rows(run):
    """Of frames that were sorted or cut, whose numbers of rows are others."""
    shops = two_shops()
    shops["y"] = np.where(shops["unique_id"] == "north", 1.0, 3.0)
    newest_first = shops.sort_values("unique_id", ascending=False, kind="stable")
    for frame, names in ((newest_first, ["south", "north"]), (shops[60:], ["south"])):
        frame.to_parquet("shops.parquet")
        options = ("--horizon", 1, "--model", "naive", "--quantiles", 0.5)
        code, out, err = run("forecast", "shops.parquet", *options)
        assert (code, err) == (0, "")
        values = dict(line.split(",")[::2] for line in out.splitlines()[1:])
        assert values == {name: {"north": "1.0", "south": "3.0"}[name] for name in names}


@pytest.mark.parametrize("index", [DAYS, DAYS.to_period("D")], ids=["dates", "periods"])
def test_an_index_of_times_is_read(run, imputer, index):
    sold = np.where(STEPS == 5, np.nan, SALES)
    pd.DataFrame({"sold": sold}, index=index).to_parquet("sales.parquet")
    lines = run("info", "sales.parquet")[1].splitlines()
    assert "times: ds (frequency 'D')" in lines
    assert "first, last: 2020-01-01, 2020-02-29" in lines
    assert run("impute", "sales.parquet", "--out", "out.parquet") == (0, "", "")
    written = pd.read_parquet("out.parquet")
    assert written.columns.tolist() == ["ds", "sold"]
    assert written["ds"].astype(str).tolist() == DAYS.astype(str).tolist()


def test_an_index_of_ids_and_times_is_read(run):
    shops = two_shops().set_axis(["shop", "day", "sold"], axis=1)
    shops.set_index(["shop", "day"]).to_parquet("sales.parquet")
    lines = run("info", "sales.parquet", "--id", "shop")[1].splitlines()
    assert "times: day (frequency 'D')" in lines
    assert "series: 2 (north, south)" in lines
    shops.set_index("shop").to_parquet("sales.parquet")
    assert run("info", "sales.parquet", "--id", "shop")[1].splitlines() == [
        line for line in lines if not line.startswith("index")
    ]


def test_what_is_yes_or_no_is_no_series(run):
    sales = one_shop().assign(day=DAYS, open=STEPS % 7 > 0, waited=pd.to_timedelta(STEPS**2))
    sales.to_parquet("sales.parquet")
    lines = run("info", "sales.parquet")[1].splitlines()
    assert "series: 1 (sold)" in lines
    assert "left out: 'open', 'waited'" in lines


def test_a_series_too_short_for_intervals_has_none(run):
    name = write(one_shop()[:8])
    options = ("forecast", name, "--horizon", 5, "--model", "naive")
    code, out, err = run(*options)
    assert code == 0
    assert out.startswith("unique_id,day,y_pred\n")
    assert err.startswith("elman: warning: no intervals: ")
    code, out, err = run(*options, "--coverage", "0.8")
    assert (code, out) == (3, "")


def test_the_network_is_the_model_unless_another_is_asked_for(table_of, monkeypatch):
    asked = {}

    def network(horizon, **options):
        asked.update(options)
        return NaiveForecaster(horizon)

    monkeypatch.setattr(elman, "RNNForecaster", network, raising=False)
    options = ("--seed", 5, "--jobs", 2, "--season", "7,28", "--coverage", "0.5")
    table_of("forecast", write(one_shop()), "--horizon", 2, *options)
    assert asked == {
        "season_length": (7, 28),
        "past_covariates": None,
        "random_state": 5,
        "n_jobs": 2,
        "verbose": False,
    }


def test_a_saved_model_forecasts_without_a_fit(table_of):
    model = LinearForecaster(3).fit(two_shops()[lambda frame: frame["ds"] < DAYS[50]])
    elman.save(model, "shops.safetensors")
    name = write(two_shops())
    table = table_of("forecast", name, "--horizon", 3, "--model", "shops.safetensors")
    np.testing.assert_allclose(table["y_pred"], model.predict(y=two_shops())["y_pred"])


def test_a_picture_is_drawn_of_what_was_forecast(run, monkeypatch):
    drawn = {}

    class Display:
        @classmethod
        def from_estimator(cls, model, **options):
            from matplotlib.figure import Figure

            drawn.update(options, model=model)
            display = cls()
            display.figure_ = Figure()
            return display

    monkeypatch.setattr(elman, "ForecastDisplay", Display, raising=False)
    options = ("--horizon", 2, "--model", "naive", "--plot", "ahead.png")
    code, _, err = run("forecast", write(one_shop()), *options)
    assert (code, err) == (0, "")
    assert drawn["horizon"] == 2
    with open("ahead.png", "rb") as file:
        assert file.read(4) == b"\x89PNG"


def test_several_series_have_a_panel_each(run, monkeypatch):
    from matplotlib.figure import Figure

    titles = []
    save = Figure.savefig

    def savefig(figure, *arguments, **options):
        titles.extend(ax.get_title() for ax in figure.axes)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    options = ("--horizon", 2, "--model", "naive", "--plot", "ahead.png", "--out", "ahead.csv")
    assert run("forecast", write(two_shops()), *options) == (0, "", "")
    assert titles == ["north", "south"]
    many = pd.concat([one_shop().assign(unique_id=f"shop {i}") for i in range(13)])
    code, _, err = run("forecast", write(many), "--target", "sold", *options, "--force")
    assert (code, err) == (0, "elman: warning: the picture has the first 12 of 13 series\n")


# Backtests.


def test_evaluate_prints_the_naive_beside_the_model(run):
    y = load_air_passengers().data
    months = pd.period_range("1949-01", periods=144, freq="M").astype(str)
    name = write(pd.DataFrame({"month": months, "passengers": y}))
    code, out, err = run("evaluate", name, "--horizon", 12, "--model", "linear", "--windows", 3,
                         "--out", "rows.csv")  # fmt: skip
    assert (code, err) == (0, "")
    index = pd.date_range("1949-01-01", periods=144, freq="MS")
    rows = LinearForecaster(12).backtest(pd.Series(y, index), n_windows=3, coverage=0.9)
    assert out == backtest_report(rows) + "\n"
    written = pd.read_csv("rows.csv")
    np.testing.assert_allclose(written["y_pred"], rows["y_pred"])
    assert "month" in written


# Gaps.


class FakeImputer:
    """Fills in 100 plus the number of the column."""

    def __init__(self, **options):
        FakeImputer.options = options

    def fit_transform(self, X):
        FakeImputer.seen = X
        if isinstance(X, list):
            return [self.fill(item) for item in X]
        return self.fill(X)

    @staticmethod
    def fill(X):
        return np.where(np.isnan(X), 100.0 + np.arange(X.shape[1]), X)


@pytest.fixture
def imputer(monkeypatch):
    monkeypatch.setattr(elman, "RNNImputer", FakeImputer, raising=False)
    return FakeImputer


def test_only_missing_cells_change(run, imputer):
    lines = ["day,note,a,b", "2020-01-01,x,1.50,2", "2020-01-02,,,2e0", '2020-01-03,"q,r",3,NA']
    with open("gaps.csv", "w") as file:
        file.write("\n".join(lines) + "\n")
    code, out, err = run("impute", "gaps.csv", "--seed", 3)
    assert (code, err) == (0, "")
    lines[2:] = ["2020-01-02,,100.0,2e0", '2020-01-03,"q,r",3,101.0']
    assert out.splitlines() == lines
    assert imputer.options["season_length"] == 7
    assert imputer.options["random_state"] == 3
    for season, expected in (("1", None), ("24,168", 24)):
        assert run("impute", "gaps.csv", "--season", season)[0] == 0
        assert imputer.options["season_length"] == expected


def test_only_missing_cells_of_parquet_change(run, imputer):
    sales = pd.DataFrame(
        {
            "ds": DAYS,
            "sold": np.where(STEPS == 5, np.nan, SALES).astype(np.float32),
            "stock": 2**60 + STEPS**2,
            "visits": pd.array([None if i == 3 else i**2 for i in STEPS], dtype="Int16"),
            "serial": pd.array([None if i == 4 else 2**60 + i**2 for i in STEPS], dtype="Int64"),
            "text": [None if i == 6 else f"{i}.50" for i in STEPS],
            "open": STEPS % 7 > 0,
        }
    )
    sales.to_parquet("gaps.parquet")
    assert run("impute", "gaps.parquet", "--out", "out.parquet") == (0, "", "")
    filled = pd.read_parquet("out.parquet")
    expected = sales.astype({"visits": "Float64"}).astype({"visits": float})
    for column, row, value in (
        ("sold", 5, 100),
        ("visits", 3, 102),
        ("serial", 4, 103),
        ("text", 6, "104.0"),
    ):
        expected.loc[row, column] = value
    pd.testing.assert_frame_equal(filled, expected)


def test_absent_times_are_gaps_too(run, imputer):
    frame = one_shop().drop(index=[10, 11])
    frame.loc[20, "sold"] = np.nan
    code, out, _ = run("impute", write(frame))
    assert code == 0
    assert imputer.seen.shape == (60, 1)
    assert np.flatnonzero(np.isnan(imputer.seen[:, 0])).tolist() == [10, 11, 20]
    assert len(pd.read_csv(io.StringIO(out))) == 58


def test_series_are_filled_each_by_itself(run, imputer):
    frame = two_shops().iloc[:90]
    frame.loc[[3, 70], "y"] = np.nan
    code, out, _ = run("impute", write(frame))
    assert code == 0
    assert [item.shape for item in imputer.seen] == [(60, 1), (30, 1)]
    # Digits as Python reads them: those of pandas may be off by a bit.
    filled = pd.read_csv(io.StringIO(out), dtype={"y": str})["y"].map(float)
    assert filled[[3, 70]].tolist() == [100, 100]
    assert filled.drop([3, 70]).equals(frame["y"].drop([3, 70]))


def test_a_table_without_gaps_comes_back_as_it_is(run, imputer):
    name = write(one_shop())
    with open(name) as file:
        assert run("impute", name) == (0, file.read(), "")


# What a file is taken for.


def test_info(run):
    code, out, _ = run("info", write(two_shops().drop(index=[5])))
    assert code == 0
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert lines["times"] == "ds (frequency 'D')"
    assert lines["series"] == "2 (north, south)"
    assert lines["missing"] == "1 of 120 values"
    assert lines["season"] == "7 steps"


@pytest.mark.parametrize("written", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y %H:%M"])
def test_a_day_may_stand_before_its_month(run, written):
    shop = one_shop()
    shop["day"] = DAYS.strftime(written)
    lines = run("info", write(shop))[1].splitlines()
    assert "times: day (frequency 'D')" in lines
    assert "first, last: 2020-01-01, 2020-02-29" in lines


@pytest.mark.parametrize("written", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%b %Y"])
def test_months_are_told_from_days_by_what_stays_the_same(run, written):
    months = pd.date_range("2020-01-01", periods=15, freq="MS")
    sales = pd.DataFrame({"month": months.strftime(written), "sold": SALES[:15]})
    code, out, err = run("info", write(sales))
    assert (code, err) == (0, "")
    assert "times: month (frequency 'MS')" in out.splitlines()
    assert "first, last: 2020-01-01, 2021-03-01" in out.splitlines()


@pytest.mark.parametrize("name", ["ds", "day"])
def test_dates_of_eight_digits(run, name):
    shop = one_shop()[:31].rename(columns={"day": name})
    expected = run("forecast", write(shop), *FORECAST[2:])[1]
    assert "2020-02-01" in expected
    shop[name] = DAYS[:31].strftime("%Y%m%d").astype(int)
    assert run("forecast", write(shop), *FORECAST[2:]) == (0, expected, "")
    shop.to_parquet("sales.parquet")
    assert run("forecast", "sales.parquet", *FORECAST[2:]) == (0, expected, "")
    shop.loc[3, name] = 20200132
    assert "times: " + name + " (frequency" not in run("info", write(shop))[1]


def test_a_column_that_counts_is_time_and_no_series(run):
    years = pd.DataFrame({"year": range(1960, 2020), "sold": SALES})
    assert (
        "times: year (a step of 1)\nfirst, last: 1960, 2019\nseries: 1 (sold)"
        in (run("info", write(years))[1])
    )
    numbered = one_shop().reset_index(names="")
    lines = run("info", write(numbered))[1].splitlines()
    assert "series: 1 (sold)" in lines
    assert "left out: ''" in lines


# How spreadsheets write.


def spreadsheet(separator, decimal, thousands=""):
    """One shop as a spreadsheet writes it, and what is missing as a dash."""
    numbers = [f"{1000 * sold:_.2f}" for sold in SALES]
    numbers = [n.replace(".", decimal).replace("_", thousands) for n in numbers]
    numbers[7] = "-"
    rows = [f"{day:%d.%m.%Y}{separator}{n}" for day, n in zip(DAYS, numbers, strict=True)]
    return "\ufeff" + "\r\n".join([f"Tag{separator}Umsatz", *rows, ""])


@pytest.mark.parametrize(
    ("separator", "decimal", "thousands"),
    [(";", ",", ""), (";", ",", "."), ("\t", ",", " "), (";", ".", ","), ("|", ".", "'")],
)
def test_tables_of_spreadsheets(run, separator, decimal, thousands):
    plain = pd.DataFrame({"Tag": DAYS, "Umsatz": (1000 * SALES).round(2)})
    plain.loc[7, "Umsatz"] = np.nan
    options = ("--horizon", 2, "--model", "naive", "--season", 1, "--quantiles", 0.5)
    expected = run("forecast", write(plain), *options)[1]
    with open("in.csv", "w", encoding="utf-8", newline="") as file:
        file.write(spreadsheet(separator, decimal, thousands))
    code, out, err = run("forecast", "in.csv", *options)
    assert (code, err) == (0, "")
    assert out.replace(decimal, ".").replace(separator, ",") == expected


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_comma_in_the_header_separates_nothing(run, separator):
    rows = [f"{day:%Y-%m-%d}{separator}{n:.2f}" for day, n in zip(DAYS, SALES, strict=True)]
    text = "\n".join([f"Tag{separator}Temperatur, °C", *rows]).replace(".", ",")
    with open("in.csv", "w", encoding="utf-8") as file:
        file.write(text)
    lines = run("info", "in.csv")[1].splitlines()
    assert "times: Tag (frequency 'D')" in lines
    assert "series: 1 (Temperatur, °C)" in lines


def test_filled_cells_are_written_like_the_others(run, imputer):
    text = spreadsheet(";", ",", ".")
    with open("in.csv", "w", encoding="utf-8", newline="") as file:
        file.write(text)
    code, out, err = run("impute", "in.csv")
    assert (code, err) == (0, "")
    given, filled = text.lstrip("\ufeff").split(), out.split()
    assert [i for i in range(len(given)) if given[i] != filled[i]] == [8]
    assert filled[8] == "08.01.2020;100,0"


def test_a_zero_begins_no_thousands(run):
    cells = [f'"0,{125 + i}"' for i in range(4)]
    rows = [f"2020-01-0{i + 1},{cell}" for i, cell in enumerate(cells)]
    with open("in.csv", "w") as file:
        file.write("\n".join(["ds,y", *rows]))
    code, err = complaint(run, *FORECAST)
    assert code == 3
    assert "in.csv:2:2: '0,125' in column 'y' is not a number" in err
    with open("in.csv", "w") as file:
        file.write("\n".join(["ds;z;y", *(f"2020-01-0{i};{i},5;0.{i}25" for i in range(1, 6))]))
    assert run(*FORECAST, "--target", "y")[1].splitlines()[1] == "y;2020-01-06;0,525;0,525"


def test_what_was_written_can_be_read(run):
    """Small numbers, which have an exponent, with decimal commas."""
    numbers = ["0,000005", "0,0000055", "4,249e-06", "1e-05", "-1,5E-6"]
    rows = [f"2020-01-0{i};{number}" for i, number in enumerate(numbers, 1)]
    with open("in.csv", "w") as file:
        file.write("\n".join(["ds;y", *rows]))
    code, out, err = run(*FORECAST, "--out", "out.csv")
    assert (code, out, err) == (0, "", "")
    with open("out.csv") as file:
        assert file.read().splitlines()[1:] == [
            f"y;2020-01-0{day};-1,5e-06;-1,5e-06" for day in (6, 7)
        ]
    lines = run("info", "out.csv", "--target", "y_pred")[1].splitlines()
    assert "missing: 0 of 2 values" in lines


def test_a_date_that_has_two_meanings_is_refused(run):
    months = pd.DataFrame({"day": [f"01/{m:02}/2024" for m in range(1, 13)], "sold": range(12)})
    code, err = complaint(run, "info", write(months))
    assert code == 3
    assert "sales.csv:3:1: '01/02/2024' in column 'day' is a day of a month or" in err


def test_hours_of_few_days_do_not_tell_months_from_days(run):
    hours = pd.date_range("2024-05-01", periods=240, freq="h")
    sales = pd.DataFrame({"hour": hours.strftime("%d/%m/%Y %H:%M"), "sold": np.sin(range(240))})
    code, err = complaint(run, "info", write(sales))
    assert code == 3
    assert "sales.csv:2:1: '01/05/2024 00:00' in column 'hour' is a day of a month or" in err


@pytest.mark.parametrize("written", ["%b-%y", "%d-%m-%y", "%y-%m-%d", "%H:%M", "%d/%m"])
def test_dates_without_a_year_are_refused(run, written):
    times = pd.date_range("2011-05-01", periods=20, freq="h" if "H" in written else "MS")
    sales = pd.DataFrame({"time": times.strftime(written), "sold": SALES[:20]})
    for options in ((), ("--time", "time")):
        code, err = complaint(run, "info", write(sales), *options)
        assert code == 3
        assert f"sales.csv:2:1: {times[0].strftime(written)!r} in column 'time' is" in err
        assert "write it as 2024-12-31" in err


@pytest.mark.parametrize("written", ["%d-%b-%y", "%d %B %Y", "%Y/%m", "%Y%m%dT%H%M"])
def test_dates_that_name_their_month_or_year_are_read(run, written):
    months = pd.date_range("2011-05-01", periods=20, freq="MS")
    sales = pd.DataFrame({"time": months.strftime(written), "sold": SALES[:20]})
    lines = run("info", write(sales))[1].splitlines()
    assert "times: time (frequency 'MS')" in lines
    assert "first, last: 2011-05-01, 2012-12-01" in lines


def test_names_that_pandas_takes_for_dates_are_none(run):
    sales = one_shop().assign(machine="M1", month="May")[["machine", "month", "day", "sold"]]
    lines = run("info", write(sales))[1].splitlines()
    assert "times: day (frequency 'D')" in lines
    lines = run("info", write(sales.drop(columns="day")))[1].splitlines()
    assert "times: rows, one after another" in lines


def test_parquet_dates_in_text_are_read_as_in_csv(run):
    for written in ("%Y-%m-%d", "%d.%m.%Y"):
        one_shop().assign(day=DAYS.strftime(written)).to_parquet("sales.parquet")
        lines = run("info", "sales.parquet")[1].splitlines()
        assert "first, last: 2020-01-01, 2020-02-29" in lines


def test_info_without_a_file_tells_versions(run):
    assert run("info")[1].startswith(f"elman: {elman.__version__}")


# What is wrong (cases 111 to 114): the exit code, and one line.

GOOD = "ds,y\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n2020-01-04,4\n"
FORECAST = (
    *("forecast", "in.csv", "--horizon", "2", "--model", "naive"),
    *("--season", "1", "--quantiles", "0.5"),
)
USAGE_CASES = {
    "no command": ((), "the following arguments are required: COMMAND"),
    "an unknown command": (("predict",), "invalid choice: 'predict'"),
    "an unknown flag": ((*FORECAST, "--fast"), "unrecognized arguments: --fast"),
    "an abbreviated flag": (("info", "in.csv", "--tim", "ds"), "unrecognized arguments"),
    "a missing file": (("info", "no.csv"), "no.csv: No such file or directory"),
    "a folder": (("info", "."), ".: Is a directory"),
    "no horizon": (("forecast", "in.csv"), "required: --horizon"),
    "a wrong horizon": (("forecast", "in.csv", "--horizon", "1.5"), "'1.5' is no integer"),
    "a wrong column": (
        (*FORECAST, "--target", "z"),
        "--target: no column 'z' in in.csv",
    ),
    "a wrong covariate": ((*FORECAST, "--covariates", "z"), "--covariates: no column 'z'"),
    "a column in two roles": ((*FORECAST, "--time", "y", "--target", "y"), "'y' in two roles"),
    "a covariate with the name of the target": (
        ("forecast", "odd.csv", "--horizon", "2", "--target", "sold", "--covariates", "price,y"),
        "--covariates: 'y', expected a column of another name",
    ),
    "a covariate with the name of times": (
        (
            "forecast",
            "odd.csv",
            "--horizon",
            "2",
            "--time",
            "day",
            "--target",
            "sold",
            "--past",
            "ds",
        ),
        "--past: 'ds', expected a column of another name",
    ),
    "a covariate with the name of ids": (
        (
            "evaluate",
            "odd.csv",
            "--horizon",
            "2",
            "--id",
            "shop",
            "--target",
            "sold",
            "--covariates",
            "unique_id",
        ),
        "--covariates: 'unique_id', expected a column of another name",
    ),
    "a wrong model": (("forecast", "in.csv", "--horizon", "2", "--model", "arima"), "'arima'"),
    "a wrong coverage": ((*FORECAST, "--coverage", "90"), "'90' is no number between 0 and 1"),
    "wrong quantiles": ((*FORECAST, "--quantiles", "0.9,0.1"), "'0.9,0.1' does not ascend"),
    "a wrong size": ((*FORECAST, "--limit-mem", "lots"), "'lots' is no size"),
    "no folder for the output": ((*FORECAST, "--out", "a/b.csv"), "a: no such folder"),
    "past covariates of a linear model": (
        ("forecast", "in.csv", "--horizon", "2", "--model", "linear", "--past", "y2"),
        "no column 'y2'",
    ),
}


def complaint(run, *arguments):
    """Return the exit code and the one line of complaint."""
    code, out, err = run(*arguments)
    assert out == ""
    assert err.startswith("elman: error: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return code, err


@pytest.mark.parametrize("what", USAGE_CASES)
def test_a_wrong_call(run, what):
    arguments, message = USAGE_CASES[what]
    with open("in.csv", "w") as file:
        file.write(GOOD)
    two_shops().assign(shop="a", day=DAYS[0], sold=1, price=2).to_csv("odd.csv", index=False)
    code, err = complaint(run, *arguments)
    assert code == 2
    assert message in err


DATA_CASES = {
    "a bad cell": (GOOD.replace("3,3", "3,3x"), "in.csv:4:2: '3x' in column 'y' is not a number"),
    "infinity": (GOOD.replace("3,3", "3,inf"), "in.csv:4:2: 'inf' in column 'y' is not a number"),
    "a bad date": (GOOD.replace("01-03", "13-03"), "in.csv:4:1: '2020-13-03' in column 'ds'"),
    "a missing date": (GOOD.replace("2020-01-03", ""), "in.csv:4:1: '' in column 'ds' is not"),
    "dates of several zones": (
        GOOD.replace("-01,", "-01 00:00+01:00,").replace("-02,", "-02 00:00+02:00,"), "in.csv"),
    "dates twice": (
        GOOD.replace("01-03", "01-02"),
        "in.csv:4:1: '2020-01-02' in column 'ds' is there a second time",
    ),
    "dates of several series": (
        "ds,shop,y\n2020-01-01,north,1\n2020-01-01,south,2\n2020-01-02,north,3\n",
        "a second time; with --id shop the rows of each shop are a series",
    ),
    "a total below the dates": (
        GOOD.replace("ds,y", "day,sold") + "".join(f"2020-01-{d:02},{d}\n" for d in range(5, 20))
        + "Total,190\n", "in.csv:21:1: 'Total' in column 'day' is not a date like the others"),
    "no number in the only target": (
        GOOD.replace("ds,y", "day,sold").replace("3,3", "3,three"),
        "in.csv:4:2: 'three' in column 'sold' is not a number",
    ),
    "a ragged row": (GOOD.replace("2,2", "2,2,5"), "in.csv:3:3: 3 cells, expected 2"),
    "a short row": (GOOD.replace("2,2", "2"), "in.csv:3:2: 1 cells, expected 2"),
    "after a cell of two lines": (
        'ds,y,note\n2020-01-01,1,"a\nb"\n2020-01-02,x,\n', "in.csv:4:2: 'x' in column 'y'"),
    "an open quote": (GOOD + '2020-01-05,"5\n', "in.csv:6:1: unexpected end of data"),
    "NUL": (GOOD.replace("2,2", "2,\0"), "in.csv:3:2: a NUL character"),
    "not UTF-8": (GOOD.replace("3,3", "3,\udcff"), "in.csv:4:2: byte 0xff is not UTF-8"),
    "an empty file": ("", "in.csv:1:1: empty"),
    "a header alone": ("ds,y\n", "in.csv:2:1: no rows after the header"),
    "no header": ("1,2\n3,4\n", "in.csv:1:1: '1' looks like a number, expected a header"),
    "a column twice": ("ds,ds\n1,2\n", "in.csv:1:2: the column 'ds' a second time"),
    "a million columns": (
        ",".join(f"c{i}" for i in range(10**6)) + "\n", "in.csv:1:10001: 1000000 columns"),
    "a cell of a megabyte": ("ds,y\n2020-01-01," + "9" * 2**21, "in.csv:2:1: field larger"),
    "nothing known": ("ds,y\n2020-01-01,\n2020-01-02,\n", "no value in series 'y'"),
    "broken Parquet": ("PAR1 and no more", "in.csv: not Parquet"),
}  # fmt: skip


@pytest.mark.parametrize("what", DATA_CASES)
def test_bad_data(run, what):
    text, message = DATA_CASES[what]
    with open("in.csv", "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
    code, err = complaint(run, *FORECAST)
    assert code == 3
    assert message in err


@pytest.mark.parametrize(
    "contents",
    [
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("\n", "\r").encode(),
        GOOD.replace("2,2\n", "2,2\n\n").encode(),
        GOOD.rstrip().encode(),
        GOOD.replace(",", " , ").replace("ds", '"ds"').replace('"ds" ', '"ds"').encode(),
        GOOD.encode("utf-16"),
        "\n".join([GOOD.split()[0], *reversed(GOOD.split()[1:])]).encode(),
    ],
    ids=[
        "BOM",
        "CRLF",
        "CR",
        "an empty line",
        "no end of line",
        "blanks",
        "UTF-16",
        "newest first",
    ],
)
def test_odd_but_good_data(run, contents):
    with open("in.csv", "w") as file:
        file.write(GOOD)
    expected = run(*FORECAST)
    assert expected[0] == 0
    with open("in.csv", "wb") as file:
        file.write(contents)
    assert run(*FORECAST) == expected


def test_outputs_are_not_written_over_unless_asked(run):
    with open("in.csv", "w") as file:
        file.write(GOOD)
    with open("out.csv", "w") as file:
        file.write("precious")
    code, err = complaint(run, *FORECAST, "--out", "out.csv")
    assert code == 4
    assert "out.csv: exists; --force writes over it" in err
    with open("out.csv") as file:
        assert file.read() == "precious"
    assert run(*FORECAST, "--out", "out.csv", "--force")[0] == 0
    assert len(pd.read_csv("out.csv")) == 2
    assert sorted(os.listdir()) == ["in.csv", "out.csv"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), 130),
        (ValueError("no"), 3),
        (MemoryError(), 1),
        (OSError(28, "full"), 1),
    ],
    ids=repr,
)
def test_what_fails_leaves_no_file_behind(run, monkeypatch, error, expected):
    with open("in.csv", "w") as file:
        file.write(GOOD)

    def to_csv(*_, **__):
        raise error

    monkeypatch.setattr(pd.DataFrame, "to_csv", to_csv)
    code, _ = complaint(run, *FORECAST, "--out", "out.csv")
    assert code == expected
    assert os.listdir() == ["in.csv"]


def test_names_that_break_lines_are_quoted(run):
    code, err = complaint(run, "info", "two\nlines.csv")
    assert code == 2
    assert r"'two\nlines.csv': No such file" in err


# As a process of its own.

posix = pytest.mark.skipif(os.name != "posix", reason="a matter of POSIX")


def process(*arguments, **options):
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment} | options
    command = [sys.executable, "-m", "elman", *map(str, arguments)]
    return subprocess.Popen(command, **options)


@posix
def test_it_works_in_a_pipe_and_in_any_locale(folder):
    """From stdin to stdout, with names that the locale has no letters for."""
    text = GOOD.replace("y", "température")
    child = process("forecast", "-", *FORECAST[2:], stdin=subprocess.PIPE)
    out, err = child.communicate(text.encode())
    assert (child.returncode, err) == (0, b"")
    assert out.decode().splitlines()[1].startswith("température,2020-01-05,4.0")


@posix
def test_a_closed_stdin_is_bad_data(folder):
    command = f"exec {sys.executable} -m elman info - <&-"
    child = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert child.returncode == 3
    assert child.stderr == "elman: error: <stdin>:1:1: closed\n"


@posix
def test_a_reader_that_has_gone_is_no_reason_to_complain(folder):
    with open("in.csv", "w") as file:
        file.write(GOOD)
    with process(*FORECAST) as child:
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 141


@posix
def test_ctrl_c_ends_it_at_once(folder):
    os.mkfifo("never")
    child = process("info", "never")
    with open("never", "wb"):  # once the child has opened it, to read what is never written
        time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=20)
    assert child.returncode == 130
    assert err == b"elman: error: interrupted\n"
    assert os.listdir() == ["never"]


@posix
def test_memory_can_be_limited(folder):
    two_shops().to_csv("in.csv", index=False)
    options = ("--horizon", 10**6, "--model", "naive", "--coverage", "0.5")
    child = process("forecast", "in.csv", *options, "--limit-mem", "64M")
    out, err = child.communicate()
    assert (child.returncode, out) == (1, b"")
    assert err == b"elman: error: out of memory\n"
