"""Data to try recurrent networks on."""

from elman.datasets._fetch import (
    fetch_bike_sharing,
    fetch_chorales,
    fetch_cmudict,
    fetch_ett,
    fetch_m4,
    fetch_movie_reviews,
    fetch_mta_ridership,
    fetch_sentence_pairs,
    fetch_stock_prices,
    fetch_ucr,
    load_air_passengers,
)
from elman.datasets._generate import generate_time_series

__all__ = [
    "fetch_bike_sharing",
    "fetch_chorales",
    "fetch_cmudict",
    "fetch_ett",
    "fetch_m4",
    "fetch_movie_reviews",
    "fetch_mta_ridership",
    "fetch_sentence_pairs",
    "fetch_stock_prices",
    "fetch_ucr",
    "generate_time_series",
    "load_air_passengers",
]
