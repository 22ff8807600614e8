"""Chunking of CoNLL-2000 with the templates that CRF++ is distributed with."""

import pytest

WORDS = ["-2", "-1", "0", "1", "2", "-1/0", "0/1"]
TAGS = [*WORDS[:5], "-2/-1", *WORDS[5:], "1/2", "-2/-1/0", "-1/0/1", "0/1/2"]


@pytest.mark.slow
def test_chunks(run, write, shared_data):
    lines = [
        f"U{column}{k:02d}:" + "/".join(f"%x[{offset},{column}]" for offset in offsets.split("/"))
        for column, templates in enumerate([WORDS, TAGS])
        for k, offsets in enumerate(templates)
    ]
    write("template", "\n".join([*lines, "B"]))
    train, test = (shared_data(f"conll2000.{part}.txt.gz") for part in ("train", "test"))
    assert run(["train", "-q", "-t", "template", "-m", "m.skops", train])[0] == 0
    code, out, _ = run(["evaluate", "-m", "m.skops", test])
    assert code == 0
    average = next(line.split() for line in out.splitlines() if line.split()[:2] == ["micro", "avg"])
    assert float(average[4]) > 0.936  # F1 of the chunks; 0.9370 measured
