"""Compiled code: `jit` compiles kernels, `simd` contains vector operations, `registers` writes them as LLVM code."""

__all__: list[str] = []
