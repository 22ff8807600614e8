"""Compiled code: `jit` compiles kernels, `registers` writes vector operations as LLVM code, and `simd` contains them.

Operations for a single algorithm are in `chains`, `messages`, `powers` and `tangents`.
"""

__all__: list[str] = []
