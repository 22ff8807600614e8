"""Benchmarks: speed, memory and quality, next to other programs doing the same work.

``make bench`` installs what is compared (the extra ``bench``) and runs all cases at a small size;
``make bench BENCH_ARGS="chains.* --size full"`` runs those of ``chains.py`` at full size. It is short for
``python -m benchmarks`` with these arguments; ``--list`` shows the cases, ``--help`` the options. The result of each
case goes to ``benchmarks/output/<size>/<case>.json``, and the tables and plots of a run beside it;
``python -m benchmarks.page benchmarks/output/full/*.json`` makes the page ``docs/guide/performance.rst`` of such files.

A case is one function that takes a `Run`; its docstring says what is asserted and what is measured. To add one, write
a function with ``@case`` into the module of its family: `chains`, `prediction`, `resources`, `graphs`, `exact` or
`scaling`.

A program that is not installed is reported as such. ``pytorch-crf`` is not in the extra, for the size of torch: install
it to compare. Data that the package does not ship are read from ``../shared/data``, or what ``--data`` names; a case
without its data is reported, too.
"""
