"""Run some of the damaged calls; prints two lines for each, the call and its outcome, both in JSON."""

import json
import os
import shutil
import sys

from .calls import cases
from .outcomes import outcome
from .values import FOLDER


def main(first, last):
    for number, (entry, key, value) in enumerate(cases()):
        if not first <= number < last:
            continue
        text = repr(value).replace("\n", " ")[:150]
        print(json.dumps([number, entry.name, key, text]), flush=True)
        damaged = entry.valid if key is None else {**entry.valid, key: value}
        print(json.dumps(outcome(entry.function, damaged, key)), flush=True)


try:
    main(int(sys.argv[1]), int(sys.argv[2]))
finally:
    os.chdir(os.sep)
    shutil.rmtree(FOLDER)
