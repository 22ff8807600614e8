"""Benchmarks: speed, memory and quality, next to other programs doing the same work.

``python -m benchmarks`` runs all cases at a small size; ``--list`` shows them, ``--help`` the options. A case is
one function that takes a `Run`; its docstring says what is asserted before anything is timed, and what is
measured. To add one, write a function with ``@case`` into the module of its family.

Programs that are compared come with the extra ``bench``; one that is absent is reported as "not installed". Data
that the package does not ship are read from ``../shared/data``, or what ``--data`` names; a case without its data
is reported, too.
"""
