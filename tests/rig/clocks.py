"""Wall clocks that run ahead or behind, each for one program and its children, where there is a C compiler."""

import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")
SECONDS = struct.Struct("=q")  # as clock.c reads it


@dataclass(frozen=True)
class Clocks:
    """One clock a program, in files of a folder."""

    folder: Path
    library: Path

    @classmethod
    def make(cls, folder: Path) -> "Clocks | None":
        """None where nothing can compile a few lines of C for it."""
        compiler = shutil.which("cc")
        library = folder / "clock.so"
        if compiler is None:
            return None
        folder.mkdir(mode=0o700)
        command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True)
        return cls(folder=folder, library=library)

    def environment(self, name: str) -> dict[str, str]:
        """What gives a program this clock."""
        self.set(name, ahead_s=0)
        return {"LD_PRELOAD": str(self.library), "RIG_CLOCK": str(self.folder / name)}

    def set(self, name: str, *, ahead_s: int) -> None:
        """Let a program's clock be so far ahead, or behind, at once."""
        with (self.folder / name).open("r+b" if (self.folder / name).exists() else "wb") as file:
            file.write(SECONDS.pack(ahead_s))
