"""Reads the tables of a data set: columns by name, times as seconds.

The reader accepts what recorders and spreadsheets write, where it has one meaning: UTF-8
with or without a byte order mark, UTF-16; commas, semicolons or tabs between cells; decimal
commas and thousands separators; seconds, epochs in s, ms, µs or ns, dates with or without an
offset from UTC. It rejects ambiguous input and names the file, the row and the remedy.
"""

import csv
import io
import re

import numpy as np
import pandas as pd

TIME_NAMES = ("time", "timestamp", "datetime", "t", "seconds", "时间", "时间戳", "日期时间")
MISSING = ("", "nan", "null", "none", "na", "n/a", "#n/a", "-", "--")
DELIMITERS = (",", ";", "\t")
DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T]+\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?)? ?(Z|[+-]\d{2}:?\d{2}|[+-]\d{2})?")
OFFSET = r"(?:Z|[+-]\d{2}:?\d{2}|:\d{2} ?[+-]\d{2})$"
# Ticks a second of the epochs that are recognised: s, ms, µs and ns since 1970, within this century.
CODES = (1, 10**3, 10**6, 10**9)
CENTURY = (946_684_800, 4_102_444_800)  # 2000 to 2100, in seconds since 1970
MOST_SECONDS = 1e11  # larger values are not a record's seconds
THOUSANDS = r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?"
DECIMAL = r"[+-]?(?:\d+|[1-9]\d{0,2}(?:\.\d{3})+),\d+"
PLAIN = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"


class Table:
    """A table's cells as text; its columns become numbers or seconds on request."""

    def __init__(self, path, cells, delimiter):
        self.path, self.cells, self.delimiter = path, cells, delimiter
        self.names = list(cells.columns)

    def __len__(self):
        return len(self.cells)

    def __contains__(self, name):
        return name in self.names

    def time_name(self):
        """The column of times: by its name, else the first column."""
        named = [n for n in self.names if n in TIME_NAMES]
        if len(named) > 1:
            raise ValueError(f"{self.path}: columns {' and '.join(named)} may both be times; name one of them time and rename the other")
        if named:
            return named[0]
        first = self.names[0]
        if len(self.names) > 1 and not self._dated(first):
            raise ValueError(f"{self.path}: column time is missing, and the first column, {first!r}, may be a row number; name the column of times time")
        return first

    def _dated(self, name):
        text = self.cells[name].str.strip()
        return len(text) > 0 and text.map(lambda t: bool(DATE.fullmatch(t))).all()

    def numbers(self, name):
        """A column as float64, NaN where a cell is empty."""
        text = self.cells[name].str.strip()
        try:  # nearly all tables hold plain numbers only
            found = pd.to_numeric(text).to_numpy(float)
        except (ValueError, TypeError):
            found = self._written(text, name)
        endless = np.flatnonzero(np.isinf(found))
        if len(endless):
            row = text.index[endless[0]]
            raise ValueError(f"{self.path}: row {row + 2} has {text.loc[row]!r} for {name}, which is infinite; leave the cell empty")
        return found

    def _written(self, text, name):
        """Parses numbers with separators, decimal commas and words for missing values."""
        absent = text.str.lower().isin(MISSING)
        plain = self._plain(text.where(~absent, "0"), name)
        wrong = np.flatnonzero(~_fits(plain, PLAIN))
        if len(wrong):
            raise ValueError(f"{self.path}: row {text.index[wrong[0]] + 2} has {text.iloc[wrong[0]]!r} for {name}; write a number, or leave the cell empty")
        return np.where(absent, np.nan, plain.astype(float))

    def _plain(self, text, name):
        """Removes decimal commas and thousands separators where they are unambiguous."""
        if not set(" '’\u00a0\u2009\u202f").isdisjoint("".join(text)):
            text = text.str.replace(r"(?<=\d)[ '’\u00a0\u2009\u202f](?=\d{3}(?!\d))", "", regex=True)
        comma = pd.Series(["," in t for t in text], text.index)
        if not comma.any():
            return text
        with_comma = text[comma]
        thousands, decimal = (all(map(re.compile(kind).fullmatch, with_comma)) for kind in (THOUSANDS, DECIMAL))
        if thousands and decimal:  # 15,000 alone may be fifteen or fifteen thousand
            thousands, decimal = self._commas(THOUSANDS, DECIMAL), self._commas(DECIMAL, THOUSANDS)
            if not thousands and not decimal:
                thousands = decimal = True
        if thousands == decimal:
            row = int(np.flatnonzero(comma)[0])
            why = "may contain a decimal comma or a thousands separator" if thousands else "contains commas that are neither decimal commas nor thousands separators"
            raise ValueError(f"{self.path}: row {text.index[row] + 2} has {text.iloc[row]!r} for {name}, which {why}; write 15000.1")
        if thousands:
            return text.str.replace(",", "", regex=False)
        return text.str.replace(".", "", regex=False).where(comma, text).str.replace(",", ".", regex=False)

    def _commas(self, kind, other):
        """Whether any cell of the table has commas of one kind that cannot be of the other."""
        kind, other = re.compile(kind), re.compile(other)
        text = {t.strip() for t in self.cells.to_numpy().ravel() if "," in t}
        return any(kind.fullmatch(t) and not other.fullmatch(t) for t in text)

    def seconds(self, name, empty=False):
        """A column of times as float64 seconds; dates without an offset are UTC.

        empty: whether cells may be empty; they become NaN.
        """
        text = self.cells[name].str.strip()
        absent = text.str.lower().isin(MISSING).to_numpy()
        if absent.any() and not empty:
            raise ValueError(f"{self.path}: row {np.flatnonzero(absent)[0] + 2} has an empty time; {TIMES}")
        if absent.all():
            return np.full(len(text), np.nan)
        given = text[~absent]
        dated = given.map(lambda t: bool(DATE.fullmatch(t)))
        if dated.any() and not dated.all():
            row = int(given.index[~dated][0])
            raise ValueError(f"{self.path}: row {row + 2} has an invalid time; {TIMES} (found {text.loc[row]!r})")
        found = np.full(len(text), np.nan)
        found[~absent] = self._dates(given) if dated.any() else self._counts(name, given)
        return found

    def _dates(self, text):
        aware = text.str.contains(OFFSET, regex=True)
        if aware.any() and not aware.all():
            row = int(text.index[~aware][0])
            raise ValueError(f"{self.path}: row {row + 2} has a time without an offset from UTC, other rows have one; give an offset to all times or to none")
        iso = text.str.replace(r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", r"\1-\2-\3", regex=True).str.replace(r"\s+(?=[Z+-]|$)", "", regex=True)
        iso = iso.str.replace(r"(:\d{2}),(\d)", r"\1.\2", regex=True)
        when = pd.to_datetime(iso, utc=True, errors="coerce", format="mixed", yearfirst=True)
        bad = np.flatnonzero(when.isna())
        if len(bad):
            raise ValueError(f"{self.path}: row {text.index[bad[0]] + 2} has {text.iloc[bad[0]]!r}, an invalid time; {TIMES}")
        nanoseconds = when.astype("datetime64[ns, UTC]").astype(np.int64).to_numpy()
        return _scaled(nanoseconds, 1e9)

    def _counts(self, name, text):
        if text.str.fullmatch(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}.*").any():
            raise ValueError(f"{self.path}: {text.iloc[0]!r} in {name} is ambiguous about month and day; {TIMES}")
        if text.str.fullmatch(r"\d{1,2}:\d{2}(:\d{2}.*)?").any():
            raise ValueError(f"{self.path}: {text.iloc[0]!r} in {name} is a time without a date; {TIMES}")
        words = ~_fits(text.str.replace(",", ".", regex=False), PLAIN)
        if words.any():
            row = int(text.index[words][0])
            raise ValueError(f"{self.path}: row {row + 2} has an invalid time; {TIMES} (found {text.loc[row]!r})")
        if _fits(text, r"[+-]?\d+").all():  # exact: ns since 1970 exceed the precision of a float
            counts = text.astype(object).map(int).to_numpy()
            per_second = self._unit(name, counts[0], text)
            return counts.astype(float) if per_second == 1 else _scaled(counts, per_second)
        numbers = Table(self.path, self.cells.loc[text.index], self.delimiter).numbers(name)
        return numbers / self._unit(name, numbers[0], text)

    def _unit(self, name, first, text):
        """The number of ticks in a second."""
        if abs(first) < MOST_SECONDS:
            return 1
        for per_second in CODES:
            if CENTURY[0] * per_second <= first < CENTURY[1] * per_second:
                return per_second
        raise ValueError(f"{self.path}: row {text.index[0] + 2} has {text.iloc[0]!r} for {name}, an unknown epoch (expected s, ms, µs or ns since 1970); {TIMES}")


TIMES = "write seconds, or YYYY-MM-DD HH:MM:SS with an offset such as +08:00 if the clock was ever set back"


def _fits(text, pattern):
    """Which cells match the pattern as a whole: (N,) bool."""
    whole = re.compile(pattern).fullmatch
    return np.fromiter((whole(t) is not None for t in text), bool, len(text))


def _scaled(counts, per_second):
    """Integer ticks as float64 seconds, to better than a microsecond."""
    whole = [int(c) // int(per_second) for c in counts]
    rest = [int(c) % int(per_second) for c in counts]
    return np.array(whole, float) + np.array(rest, float) / per_second


def read(path):
    """Reads a file as a Table; column names are lower case, without surrounding blanks."""
    text = _text(path)
    header, _, _ = text.partition("\n")
    if not text.strip():
        raise ValueError(f"{path}: is empty; write a header and a row for each instant")
    if not header.strip() or header.lstrip(' "').startswith(("#", "//")) or header.lower().startswith("sep="):
        raise ValueError(f"{path}: row 1 is not a header (found {header.strip()!r}); remove the lines before the column names")
    delimiter = _delimiter(path, header)
    try:
        cells = pd.read_csv(io.StringIO(text), sep=delimiter, dtype=str, keep_default_na=False, na_filter=False,
                            header=None, skip_blank_lines=False, quotechar='"', engine="c")
    except pd.errors.ParserError as err:
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(err))
        if not found:
            raise ValueError(f"{path}: invalid table ({str(err).strip()}); save it as comma-separated values") from None
        wanted, row, there = found.groups()
        hint = _comma_hint(delimiter)
        raise ValueError(f"{path}: row {row} has {there} cells, its header {wanted}; correct the row or end the file before it{hint}") from None
    names = [name.strip().lower() for name in cells.iloc[0].fillna("")]
    cells = cells.iloc[1:].reset_index(drop=True)
    widths = _widths(text, delimiter)
    short = np.flatnonzero(widths != len(names))
    if len(short):
        raise ValueError(f"{path}: row {short[0] + 2} has {widths[short[0]]} cells, its header {len(names)}; "
                         f"correct the row or end the file before it{_comma_hint(delimiter)}")
    twice = sorted({n for n in names if names.count(n) > 1 and n})
    if twice:
        raise ValueError(f"{path}: two columns are named {twice[0]!r}; rename or remove one")
    cells.columns = [n or f"column {i + 1}" for i, n in enumerate(names)]
    return Table(path, cells.fillna(""), delimiter)


def _widths(text, delimiter):
    """The number of cells in each row below the header; pandas pads short rows silently."""
    if '"' in text:
        return np.array([len(row) for row in csv.reader(io.StringIO(text), delimiter=delimiter)][1:], int)
    return np.array([line.count(delimiter) + 1 for line in text.split("\n")[1:-1]], int)


def _comma_hint(delimiter):
    return "; if the numbers have decimal commas, separate the cells by semicolons" if delimiter == "," else ""


def _text(path):
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise ValueError(f"{path}: is missing; add it, or remove its batch from the lists") from None
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as err:
        raise ValueError(f"{path}: byte {err.start} is invalid {encoding[:5].upper().rstrip('-S')}; save the table as UTF-8") from None
    if "\0" in text:
        raise ValueError(f"{path}: contains NUL bytes, as UTF-16 without a byte order mark does; save the table as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n ") + "\n"


def _delimiter(path, header):
    there = [d for d in DELIMITERS if d in header]
    if len(there) > 1:
        raise ValueError(f"{path}: the header separates its names by {' and '.join(map(repr, there))}; keep one of them")
    return there[0] if there else ","


def read_times(table):
    """A table's times as ascending seconds, and the indices of their rows: (N,), (N,).

    Duplicate rows are dropped. Rows that share a stamp are spread over its second: the
    published sets have stamps to the second, for two samples or some 25 frames each.
    """
    times = table.seconds(table.time_name())
    back = np.flatnonzero(np.diff(times) < 0)
    if len(back):
        raise ValueError(f"{table.path}: time goes backwards in row {back[0] + 3}; sort the rows, split the record there, or, "
                         "if the clock was set back, write the times with their offsets from UTC")
    if len(times) and times[-1] - times[0] > LONGEST:
        raise ValueError(f"{table.path}: lasts {(times[-1] - times[0]) / 86400:.0f} days; write times in seconds, or split the record")
    steps = np.diff(np.unique(times))
    if len(steps) and np.median(steps) < SHORTEST:
        days = ", not in a spreadsheet's days" if 2e4 < times[0] < 1e5 else ""
        raise ValueError(f"{table.path}: rows are {np.median(steps):.2g} s apart; write times in seconds{days}")
    kept = np.flatnonzero(~doubled(table, times))
    times = times[kept]
    same = np.flatnonzero(np.diff(times) == 0)
    if len(same) and (times != np.floor(times)).any():
        first, second = kept[same[0]] + 2, kept[same[0] + 1] + 2
        raise ValueError(f"{table.path}: rows {first} and {second} have the same time, {times[same[0]]:.3f} s; remove one of them")
    return spread(times), kept


LONGEST = 30 * 86400  # seconds of one record
SHORTEST = 1e-3  # seconds between two rows; meters and cameras are polled less often
MOSTLY = 0.45  # share of equal rows from which a table counts as written twice


def doubled(table, times):
    """Duplicate rows: (N,) bool; none in a table of times alone.

    times: as written, ascending. A row is a duplicate if it equals the row before and its
    stamp has more rows than usual, or if nearly all rows equal the row before although the
    readings change from stamp to stamp. A register that is read twice unchanged is not a duplicate.
    """
    equal = np.zeros(len(table), bool)
    if len(table.names) < 2 or len(table) < 2:
        return equal
    cells = table.cells.to_numpy()
    equal[1:] = (cells[1:] == cells[:-1]).all(axis=1)
    _, inverse, count = np.unique(times, return_inverse=True, return_counts=True)
    usual = int(np.median(count))
    values = table.cells.drop(columns=table.time_name()).to_numpy()
    moves = (values[1:] != values[:-1]).any(axis=1)[np.diff(times) > 0]  # from one stamp to the next
    everywhere = usual % 2 == 0 and equal.sum() >= MOSTLY * len(table) and len(moves) and moves.mean() > 0.9
    return equal & ((count[inverse] > usual) | everywhere)


def spread(times):
    """Spreads the rows of one stamp evenly over its second.

    A record may begin within a second: the rows of the first stamp are then the last ones
    of that second.
    """
    stamps, first, count = np.unique(times, return_index=True, return_counts=True)
    if len(stamps) == len(times):
        return times
    usual = np.maximum(count, int(np.median(count)))
    place = np.arange(len(times)) - np.repeat(first, count)
    place = place + np.where(np.repeat(first, count) == 0, usual[0] - count[0], 0)
    return times + place / np.repeat(usual, count)
