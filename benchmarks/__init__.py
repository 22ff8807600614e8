"""Benchmarks: speed, memory and quality of skstruct and of other programs on the same work.

``make bench`` installs the programs to compare (the extra ``bench``) and runs all cases at a small size.
``make bench BENCH_ARGS="chains.* --size full"`` runs the cases of ``chains.py`` at full size. It is an abbreviation
of ``python -m benchmarks`` with these arguments. ``--list`` shows the cases, and ``--help`` the options. The result
of each case is written to ``benchmarks/output/<size>/<case>.json``, and the tables and plots of a run to the same
folder. ``python -m benchmarks.page benchmarks/output/full/*.json`` writes the page ``docs/guide/performance.rst``
from such files.

A case is a function of a `Run`. Its docstring says what is asserted and what is measured. To add a case, write a
function with ``@case`` into the module of its family: `chains`, `prediction`, `resources`, `graphs`,
`mean_field`, `decoding`, `exact`, `planning` or `scaling`.

Programs that are not installed are reported as such. ``pytorch-crf`` is not in the extra, because torch is large.
Install it separately for the comparison. Data that are not part of the package are read from ``../shared/data``, or
from the folder given by ``--data``. A case whose data are missing is also reported.
"""
