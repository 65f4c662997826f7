"""Tables as recorders and spreadsheets write them: read where they have one meaning, otherwise rejected."""

import pathlib

import numpy as np
import pytest
from inference.train.data import layout_v2, tables

ROWS = ["0,15000,14800,15100", "0.5,15001,14801,15101", "1,15002,14802,15102"]
PLAIN = "\n".join(["time,a,b,c", *ROWS]) + "\n"
FIELD = next((p / "shared/field/csv" for p in pathlib.Path(__file__).parents if (p / "shared/field/csv").exists()), None)


def write(folder, text, encoding="utf-8"):
    path = folder / "batch-0.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def current(folder, text, encoding="utf-8"):
    return layout_v2.read_current(write(folder, text, encoding))


SAME = {
    "a mark at the start": PLAIN.encode("utf-8-sig"),
    "UTF-16": PLAIN.encode("utf-16"),
    "UTF-16, the other way round": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "lines as Windows ends them": PLAIN.replace("\n", "\r\n"),
    "blank lines at the end": PLAIN + "\n\n",
    "blanks": PLAIN.replace(",", " , "),
    "names in capitals": PLAIN.replace("time,a,b,c", "Time,A,B,C"),
    "quotes": PLAIN.replace("15000", '"15000"'),
    "semicolons": PLAIN.replace(",", ";"),
    "tabs": PLAIN.replace(",", "\t"),
    "semicolons and decimal commas": PLAIN.replace("15000", "15000.0").replace(",", ";").replace(".", ","),
    "thousands": PLAIN.replace("15000", '"15,000.0"').replace("14800", '"14,800.0"').replace("14801", '"14,801"'),
    "thousands as in Germany": PLAIN.replace(",", ";").replace("0.5", "0,5").replace("15000", "15.000,0"),
    "blanks between thousands": PLAIN.replace("15000", "15 000").replace("14800", "14\u202f800"),
    "a row number first": "\n".join(["row,time,a,b,c", *(f"{i},{r}" for i, r in enumerate(ROWS))]),
    "an index without a name": "\n".join([",time,a,b,c", *(f"{i},{r}" for i, r in enumerate(ROWS))]),
    "time last": "\n".join(["a,b,c,time", *(",".join([*r.split(",")[1:], r.split(",")[0]]) for r in ROWS)]),
    "voltages first": "\n".join(["time,U1,U2,U3,I1,I2,I3", *(r.replace(",", ",690,691,692,", 1) for r in ROWS)]),
    "words in a column that nobody reads": "\n".join(["time,a,b,c,note", *(f"{r},all well" for r in ROWS)]),
    "published names": PLAIN.replace("time,a,b,c", "Time,Ia,Ib,Ic"),
    "Chinese names": PLAIN.replace("time,a,b,c", "时间,A相电流,B相电流,C相电流"),
    "a row twice": "\n".join(["time,a,b,c", ROWS[0], ROWS[0], *ROWS[1:]]),
    "each row twice": "\n".join(["time,a,b,c", *(r for row in ROWS for r in (row, row))]),
}


@pytest.mark.parametrize("fact", SAME)
def test_what_has_one_meaning_is_read(fact, tmp_path):
    columns = current(tmp_path, SAME[fact])
    np.testing.assert_array_equal(columns["time"], [0, 0.5, 1])
    np.testing.assert_array_equal(columns["a"], [15000, 15001, 15002])
    np.testing.assert_array_equal(columns["b"], [14800, 14801, 14802])
    np.testing.assert_array_equal(columns["c"], [15100, 15101, 15102])


REFUSED = {
    "fifteen or fifteen thousand": (PLAIN.replace(",", ";").replace("15000", "15,000").replace("15001", "15,001").replace("15002", "15,002"),
                                    r"row 2 has '15,000' for a, which may contain a decimal comma or a thousands separator"),
    "decimal commas between commas": (PLAIN.replace("15000", "15000,1"), "row 2 has 5 cells, its header 4; .* separate the cells by semicolons"),
    "a unit": (PLAIN.replace("15001", "15001 A"), "row 3 has '15001 A' for a; write a number"),
    "a word": (PLAIN.replace("15001", "much"), "row 3 has 'much' for a; write a number"),
    "a row number first, and no time": ("\n".join(["row,a,b,c", *ROWS]), "column time is missing, and the first column, 'row', may be a row number"),
    "two times": (PLAIN.replace("time,a", "time,timestamp"), "columns time and timestamp may both be times"),
    "voltages alone": (PLAIN.replace("a,b,c", "U1,U2,U3"), "column a, b, c is missing; name the phases .*u1, u2, u3"),
    "two sets of phases": ("\n".join(["time,a,b,c,i1,i2,i3", *(f"{r},1,2,3" for r in ROWS)]), "the phases may be a, b, c or i1, i2, i3"),
    "a name twice": (PLAIN.replace("a,b,c", "a,A,c"), "two columns are named 'a'"),
    "one time, two readings": (PLAIN.replace("\n1,", "\n0.5,"), "rows 3 and 4 have the same time, 0.500 s; remove one"),
    "a time that goes back": (PLAIN.replace("\n1,", "\n0.2,"), "time goes backwards in row 4"),
    "no time": (PLAIN.replace("\n0.5,", "\n,"), "row 3 has an empty time; write seconds"),
    "the month first": (PLAIN.replace("\n0,", "\n03/04/2026 12:00,"), "is ambiguous about month and day"),
    "a time without its day": (PLAIN.replace("\n0,", "\n12:00:00,"), "is a time without a date"),
    "dates and seconds": (PLAIN.replace("\n0.5,", "\n2026-03-01 12:00:00,"), "row 2 has an invalid time; .*found '0'"),
    "Latin-1": (PLAIN.replace("a,b,c", "a,b,c,Bemerkung für").encode("latin-1"), "byte 22 is invalid UTF-8; save the table as UTF-8"),
    "UTF-16 without its mark": (PLAIN.encode("utf-16-le"), "NUL bytes, as UTF-16 without a byte order mark"),
    "two kinds of delimiter": (PLAIN.replace("time,a,b,c", "time;a,b,c"), "keep one of them"),
    "a row cut short": (PLAIN.replace(",15101", ""), "row 3 has 3 cells, its header 4"),
    "days as a spreadsheet counts them": (PLAIN.replace("\n0,", "\n45352.541666667,").replace("\n0.5,", "\n45352.541672454,").replace("\n1,", "\n45352.541678241,"),
                                          "rows are 5.8e-06 s apart; write times in seconds, not in a spreadsheet's days"),
    "a date without separators": (PLAIN.replace("\n0,", "\n20260301213327,").replace("\n0.5,", "\n20260301213328,").replace("\n1,", "\n20260301213329,"),
                                  "row 2 has '20260301213327' for time, an unknown epoch .expected s, ms"),
    "an infinite current": (PLAIN.replace("15001", "inf"), "row 3 has 'inf' for a, which is infinite"),
    "a current past every float": (PLAIN.replace("15001", "1e999"), "row 3 has '1e999' for a, which is infinite"),
    "a time past every float": (PLAIN.replace("\n1,", "\n1e999,"), "row 4 has '1e999' for time, which is infinite"),
    "a comment first": ("# recorder 7, hall 2\n" + PLAIN, "row 1 is not a header .*remove the lines before the column names"),
    "a line for spreadsheets first": ("sep=,\n" + PLAIN, "row 1 is not a header .*remove the lines before the column names"),
    "a blank line first": ("\n" + PLAIN, "row 1 is not a header"),
    "nothing": ("", "is empty"),
    "a picture": (bytes(range(256)), "save the table as UTF-8"),
}


@pytest.mark.parametrize("fact", REFUSED)
def test_what_has_two_meanings_is_refused_with_row_and_remedy(fact, tmp_path):
    text, words = REFUSED[fact]
    with pytest.raises(ValueError, match=words) as found:
        current(tmp_path, text)
    assert str(tmp_path / "batch-0.csv") in str(found.value)


TIMES = {
    "seconds": (["0", "0.5", "1"], [0, 0.5, 1]),
    "seconds since 1970": (["1772400807", "1772400808"], [1772400807, 1772400808]),
    "with a fraction": (["1772400807.25", "1772400807.75"], [1772400807.25, 1772400807.75]),
    "milliseconds": (["1772400807250", "1772400807750"], [1772400807.25, 1772400807.75]),
    "microseconds": (["1772400807250000", "1772400807750000"], [1772400807.25, 1772400807.75]),
    "nanoseconds": (["1772400807250000000", "1772400807750000000"], [1772400807.25, 1772400807.75]),
    "a date and a time": (["2026-03-01 21:33:27", "2026-03-01 21:33:28"], [1772400807, 1772400808]),
    "with a T": (["2026-03-01T21:33:27.5", "2026-03-01T21:33:28.5"], [1772400807.5, 1772400808.5]),
    "with slashes": (["2026/03/01 21:33:27", "2026/03/01 21:33:28"], [1772400807, 1772400808]),
    "UTC": (["2026-03-01T21:33:27Z", "2026-03-01T21:33:28Z"], [1772400807, 1772400808]),
    "with an offset": (["2026-03-02T05:33:27+08:00", "2026-03-02T05:33:28+08:00"], [1772400807, 1772400808]),
    "an offset without a colon": (["2026-03-02 05:33:27 +0800", "2026-03-02 05:33:28 +0800"], [1772400807, 1772400808]),
    "the clock put back": (["2026-10-25T02:59:59+02:00", "2026-10-25T02:00:00+01:00"], [1792889999, 1792890000]),
}


@pytest.mark.parametrize("fact", TIMES)
def test_times_are_seconds(fact, tmp_path):
    written, wanted = TIMES[fact]
    table = tables.read(write(tmp_path, "\n".join(["time", *written]) + "\n"))
    times, kept = tables.read_times(table)
    np.testing.assert_allclose(times, wanted, rtol=0, atol=1e-6)
    assert len(kept) == len(written)


def test_clock_put_back_without_an_offset_is_told(tmp_path):
    table = tables.read(write(tmp_path, "time\n2026-10-25 02:59:59\n2026-10-25 02:00:00\n"))
    with pytest.raises(ValueError, match="goes backwards in row 3; .*offsets from UTC"):
        tables.read_times(table)


def test_some_times_with_an_offset_and_some_without_are_refused(tmp_path):
    table = tables.read(write(tmp_path, "time\n2026-10-25T02:59:59+02:00\n2026-10-25T03:00:00\n"))
    with pytest.raises(ValueError, match="row 3 has a time without an offset"):
        tables.read_times(table)


def test_a_record_of_months_is_a_wrong_unit(tmp_path):
    table = tables.read(write(tmp_path, "time\n0\n500000\n99999999\n"))
    with pytest.raises(ValueError, match="lasts 1157 days"):
        tables.read_times(table)


def test_seconds_that_two_samples_share_are_still_spread(tmp_path):
    columns = current(tmp_path, "time,a,b,c\n10,1,2,3\n10,4,5,6\n11,7,8,9\n11,1,2,3\n")
    np.testing.assert_array_equal(columns["time"], [10, 10.5, 11, 11.5])


def test_a_doubled_row_moves_no_other(tmp_path):
    columns = current(tmp_path, "time,a,b,c\n10,1,2,3\n10,4,5,6\n11,7,8,9\n11,7,8,9\n11,1,2,3\n12,1,1,1\n12,2,2,2\n")
    np.testing.assert_array_equal(columns["time"], [10, 10.5, 11, 11.5, 12, 12.5])
    np.testing.assert_array_equal(columns["a"], [1, 4, 7, 1, 1, 2])


def test_a_furnace_that_stands_still_has_no_doubled_rows(tmp_path):
    columns = current(tmp_path, "time,a,b,c\n" + "".join(f"{i // 2},0,0,0\n" for i in range(20)))
    assert len(columns["time"]) == 20


@pytest.mark.skipif(FIELD is None, reason="no shared/field beside the project")
def test_rows_from_the_field():
    read = {}
    for path in sorted(FIELD.glob("currents-*.csv")):
        read[path.stem] = layout_v2.read_current(path)
        assert read[path.stem]["a"][0] == pytest.approx(15000.1, abs=0.11), path.name
        np.testing.assert_array_equal(read[path.stem]["time"], [0, 0.5])
    zero, label, onset = layout_v2.read_labels(FIELD / "labels-bom.csv")
    assert zero == 0 and label.tolist() == [0, 0, 1] and onset[2] == 2
    times, _ = tables.read_times(tables.read(FIELD / "timestamps-nanoseconds.csv"))
    np.testing.assert_array_equal(times, [1772400807, 1772400808, 1772400809])
    assert len(read) == 3


def test_whatever_a_file_holds_it_is_read_or_refused(tmp_path):
    """Spoilt tables raise ValueError, and nothing else."""
    rng = np.random.default_rng(11)
    alphabet = np.frombuffer(b"0159.,;:+-TZ \t\"\n\r\0aeNn'\xff\xc3\xb0/", np.uint8)
    refused = 0
    for _ in range(400):
        text = np.frombuffer((PLAIN + "".join(f"{i},15000,14800,{i}\n" for i in range(2, 30))).encode(), np.uint8).copy()
        for _ in range(rng.integers(1, 4)):
            text[rng.integers(len(text))] = rng.choice(alphabet)
        try:
            current(tmp_path, text[: rng.integers(len(text) // 2, len(text) + 1)].tobytes())
        except ValueError:
            refused += 1
    assert 50 < refused < 400
