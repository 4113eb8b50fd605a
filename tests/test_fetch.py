"""Public data sets: where their files come from, and how they are read."""

import functools
import gzip
import hashlib
import http.server
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from elman import datasets
from elman.datasets import _files

NAME = "folder/numbers.txt"
CONTENTS = b"1 2 3\n"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A source on this machine, with one file; yields the list of what was asked for."""
    root = tmp_path / "root"
    path = root / "owner" / "name" / "commit" / "data" / "numbers.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENTS)
    asked = []

    class Handler(QuietHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

    handler = functools.partial(Handler, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        monkeypatch.setattr(_files, "HOST", f"http://127.0.0.1:{httpd.server_port}")
        checksum = hashlib.sha256(CONTENTS).hexdigest()
        source = _files.Source("owner/name", "commit", "data/numbers.txt", checksum)
        monkeypatch.setitem(_files.SOURCES, NAME, source)
        monkeypatch.delenv("ELMAN_DATA", raising=False)
        yield asked
        httpd.shutdown()
        thread.join()


def read(tmp_path):
    return _files.read_file(NAME, tmp_path / "cache", "fetch_numbers")


def test_a_file_is_downloaded_once(server, tmp_path):
    assert read(tmp_path) == CONTENTS
    assert read(tmp_path) == CONTENTS
    assert server == ["/owner/name/commit/data/numbers.txt"]
    assert (tmp_path / "cache" / NAME).read_bytes() == CONTENTS


def test_a_damaged_copy_is_replaced(server, tmp_path):
    read(tmp_path)
    (tmp_path / "cache" / NAME).write_bytes(b"1 2")
    assert read(tmp_path) == CONTENTS
    assert len(server) == 2


def test_what_is_not_as_it_should_be_is_refused(server, tmp_path, monkeypatch):
    source = _files.SOURCES[NAME]._replace(sha256="0" * 64)
    monkeypatch.setitem(_files.SOURCES, NAME, source)
    with pytest.raises(OSError, match=r"^fetch_numbers: data_home got no copy of .*ELMAN_DATA"):
        read(tmp_path)
    assert not (tmp_path / "cache" / NAME).exists()


def test_without_a_network_it_names_the_variable(server, tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "HOST", "http://127.0.0.1:9")
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9.*the folder that ELMAN_DATA names"):
        read(tmp_path)


def test_without_pooch_it_names_the_extra(server, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"pip install 'elman\[data\]'.*ELMAN_DATA"):
        read(tmp_path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_folder_of_the_variable_comes_first(server, tmp_path, monkeypatch, suffix):
    path = tmp_path / "mine" / (NAME + suffix)
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(b"4") if suffix else b"4")
    monkeypatch.setenv("ELMAN_DATA", str(tmp_path / "mine"))
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert read(tmp_path) == b"4"
    assert server == []


def test_every_source_names_a_commit_and_a_checksum():
    for source in _files.SOURCES.values():
        assert len(source.commit) == 40
        assert source.sha256 is None or len(source.sha256) == 64
        assert source.url.startswith("https://") or "127.0.0.1" in source.url


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Writes a file into the folder that ELMAN_DATA names."""
    monkeypatch.setenv("ELMAN_DATA", str(tmp_path))

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    return write


def test_movie_reviews(folder):
    folder("rt_polarity/rt-polarity.pos.txt", "fine film . \n\ngood\n")
    folder("rt_polarity/rt-polarity.neg.txt", "bad film , \n")
    reviews = datasets.fetch_movie_reviews()
    assert reviews.data == ["bad film ,", "fine film .", "good"]
    assert reviews.target.tolist() == [0, 1, 1]


def test_cmudict(folder):
    folder("cmudict/cmudict.dict", "a AH0\na(2) EY1\nb B IY1 # place, danish\n")
    dictionary = datasets.fetch_cmudict()
    assert dictionary.words == ["a", "b"]
    assert dictionary.pronunciations == [[["AH0"], ["EY1"]], [["B", "IY1"]]]


def test_sentence_pairs(folder):
    folder("eng_fra/eng-fra.tsv", "Go.\tVa\u202f!\nGo.\tVa !\nRun!\tCours !\tnote\n")
    pairs = datasets.fetch_sentence_pairs()
    assert pairs.english == ["Go.", "Run!"]
    assert pairs.french == ["Va !", "Cours !"]


def test_ucr(folder):
    text = "# note\n@classLabel true a b\n@data\n1,2,3:4,5,6:a\n7,8:9,10:b\n"
    folder("GunPoint/GunPoint_TRAIN.ts", text)
    folder("GunPoint/GunPoint_TEST.ts", "@data\n1:2:b\n")
    data = datasets.fetch_ucr("GunPoint")
    assert [x.tolist() for x in data.X_train] == [[[1, 4], [2, 5], [3, 6]], [[7, 9], [8, 10]]]
    assert data.y_train.tolist() == ["a", "b"]
    assert data.X_test[0].tolist() == [[1, 2]]
    with pytest.raises(ValueError, match=r"^fetch_ucr: name got 'Gun', expected one of 'GunPoint'"):
        datasets.fetch_ucr("Gun")


def test_chorales(folder):
    folder(
        "jsb_chorales/jsb-chorales-quarter.json",
        '{"train": [[[60, 64], []]], "valid": [], "test": [[[21], [108]]]}',
    )
    chorales = datasets.fetch_chorales()
    assert chorales.train[0].shape == (2, 88)
    assert np.flatnonzero(chorales.train[0][0]).tolist() == [39, 43]
    assert not chorales.train[0][1].any()
    assert np.argwhere(chorales.test[0]).tolist() == [[0, 0], [1, 87]]


def test_m4(folder):
    folder("m4_hourly/Hourly-train.csv", '"V1","V2","V3"\n"H1","605",""\n"H2","1.5","2"\n')
    folder("m4_hourly/Hourly-test.csv", '"V1","V2","V3"\n"H2","3","4"\n"H1","1","2"\n')
    series = datasets.fetch_m4("hourly")
    assert series.names == ["H1", "H2"]
    assert [x.tolist() for x in series.train] == [[605.0], [1.5, 2.0]]
    assert series.test.tolist() == [[1, 2], [3, 4]]
    with pytest.raises(ValueError, match=r"^fetch_m4: group got 'daily', expected one of 'hourly'"):
        datasets.fetch_m4("daily")


def test_ett(folder):
    folder("etth1/ETTh1.csv", "date,HUFL,OT\n2016-07-01 00:00:00,5.5,30\n")
    transformer = datasets.fetch_ett()
    assert transformer.data.tolist() == [[5.5, 30]]
    assert transformer.feature_names == ["HUFL", "OT"]
    assert transformer.dates[0] == np.datetime64("2016-07-01T00")
    with pytest.raises(ValueError, match=r"^fetch_ett: name got 'ETTm1', expected 'ETTh1'"):
        datasets.fetch_ett("ETTm1")


def test_bike_sharing(folder):
    folder(
        "bike_sharing/hour.csv",
        "instant,dteday,season,hr,temp,casual,registered,cnt\n1,2011-01-01,1,5,0.24,3,13,16\n",
    )
    rentals = datasets.fetch_bike_sharing()
    assert rentals.feature_names == ["season", "hr", "temp"]
    assert rentals.data.tolist() == [[1, 5, 0.24]]
    assert rentals.target.tolist() == [16]
    assert rentals.dates[0] == np.datetime64("2011-01-01T05")


def test_air_passengers_need_no_download(monkeypatch):
    monkeypatch.delenv("ELMAN_DATA", raising=False)
    passengers = datasets.load_air_passengers()
    assert passengers.data.shape == passengers.dates.shape == (144,)
    assert passengers.data[-1] == 432
    assert passengers.dates[-1] == np.datetime64("1960-12")
    assert (np.diff(passengers.dates).astype(int) == 1).all()


def test_stock_prices(folder):
    folder("stocks_daily/stockdata.csv", '"X","Y","Date"\n2,3,"2007-01-04"\n1,2,"2007-01-03"\n')
    prices = datasets.fetch_stock_prices()
    assert prices.data.tolist() == [[1, 2], [2, 3]]
    assert prices.feature_names == ["X", "Y"]
    assert prices.dates[0] == np.datetime64("2007-01-03")


def test_ridership(folder):
    folder(
        "mta_ridership/MTA_Daily_Ridership.csv",
        "Date,Subways: Total Estimated Ridership,Subways: % of Comparable Pre-Pandemic Day,"
        "Buses: Total Estimated Ridership\n2020-03-01,5,97,7\n2020-03-02,6,96,8\n",
    )
    ridership = datasets.fetch_mta_ridership()
    assert ridership.data.tolist() == [[5, 7], [6, 8]]
    assert ridership.feature_names == ["Subways", "Buses"]
    assert ridership.dates[-1] == np.datetime64("2020-03-02")


DATA = Path(os.environ.get("ELMAN_DATA", "/nowhere"))
SIZES = {
    "rt_polarity": lambda: len(datasets.fetch_movie_reviews().data) == 10662,
    "cmudict": lambda: len(datasets.fetch_cmudict().words) == 126052,
    "eng_fra": lambda: len(datasets.fetch_sentence_pairs().english) == 40_000,
    "JapaneseVowels": lambda: len(datasets.fetch_ucr("JapaneseVowels").X_test) == 370,
    "ItalyPowerDemand": lambda: len(datasets.fetch_ucr("ItalyPowerDemand").X_test) == 1029,
    "GunPoint": lambda: len(datasets.fetch_ucr("GunPoint").X_train) == 50,
    "jsb_chorales": lambda: sum(len(p) for p in datasets.fetch_chorales().train) == 13807,
    "m4_hourly": lambda: datasets.fetch_m4("hourly").test.shape == (414, 48),
    "m4_weekly": lambda: datasets.fetch_m4("weekly").test.shape == (359, 13),
    "etth1": lambda: datasets.fetch_ett().data.shape == (17420, 7),
    "bike_sharing": lambda: datasets.fetch_bike_sharing().data.shape == (17379, 12),
    "stocks_daily": lambda: datasets.fetch_stock_prices().data.shape[1] == 5,
    "mta_ridership": lambda: datasets.fetch_mta_ridership().data.shape == (1706, 7),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_as_published(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"ELMAN_DATA names no folder with {name}")
    assert SIZES[name]()


@pytest.mark.parametrize("name", sorted(_files.SOURCES))
def test_checksums_of_files_at_hand(name):
    path = next((p for p in (DATA / name, DATA / f"{name}.gz") if p.is_file()), None)
    if path is None:
        pytest.skip(f"ELMAN_DATA names no folder with {name}")
    contents = path.read_bytes()
    contents = gzip.decompress(contents) if path.suffix == ".gz" else contents
    checksum = _files.SOURCES[name].sha256
    assert checksum in (None, hashlib.sha256(contents).hexdigest())
