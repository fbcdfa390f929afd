"""Word count in Polars: polars_words.py OUT INPUT...   (pip install polars)"""
import os
import sys

import polars as pl

out, inputs = sys.argv[1], sys.argv[2:]
files = [
    os.path.join(folder, name)
    for given in inputs
    for folder, _, names in (os.walk(given) if os.path.isdir(given) else [("", [], [given])])
    for name in names
]
lines = pl.scan_csv(files, has_header=False, separator="\x01", quote_char=None, new_columns=["line"])
words = lines.select(pl.col("line").str.extract_all(r"\p{L}+").explode(empty_as_null=False).alias("word"))
counts = words.drop_nulls().group_by("word").len()
counts.sink_csv(out, separator="\t", include_header=False)
