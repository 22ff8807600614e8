"""Compiled code: `jit` compiles kernels, `simd` has vector operations, `registers` writes these as LLVM code."""

__all__: list[str] = []
