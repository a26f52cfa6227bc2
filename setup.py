"""Compiles what is written in C++ where a compiler is at hand; without one the package does without."""

import platform

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# One file for each instruction set, of which the loader takes the best that the processor has.
X86 = {"avx512": ["-march=x86-64-v4"], "avx2": ["-march=x86-64-v3"]}
SETS = X86 if platform.machine().lower() in ("x86_64", "amd64") else {"plain": []}


FILES = {
    "glassbook.models.native.kernel": "src/glassbook/models/native/kernel.cpp",
    "glassbook.features.native.selection": "src/glassbook/features/native/selection.cpp",
}


class BuildKernel(build_ext):
    """What is compiled has a plain C interface, so it exports no module."""

    def get_export_symbols(self, ext: Extension) -> list[str]:
        return list(ext.export_symbols)


setup(
    cmdclass={"build_ext": BuildKernel},
    ext_modules=[
        Extension(
            f"{module}_{name}",
            [file],
            extra_compile_args=["-O2", "-funroll-loops", "-std=gnu++17", "-Wno-psabi", *flags],
            language="c++",
            optional=True,
        )
        for module, file in FILES.items()
        for name, flags in SETS.items()
    ],
)
