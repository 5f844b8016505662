"""Where the engines of one TFORMANCE_VAR live: private folder, ports and passwords, remembered in engines.json."""

import os
import secrets
import shutil
import socket
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import quote

from tformance.embedded.account import Account, choose_number, give, needs_account
from tformance.embedded.errors import EmbeddedError
from tformance.embedded.private_files import read_private_json, write_private, write_private_json

FILE = "engines.json"
OWNER_FILE = "belongs-to"
NAME = "tformance"
LONGEST_SOCKET_PATH = 100  # bytes; the kernel's limit is 107 on Linux and 103 on macOS
SHARED_PARENTS = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108  the name is random and the owner is checked


@dataclass(frozen=True, kw_only=True)
class Home:
    """The engines' identity: it outlives them, so that a second start finds the same data at the same addresses."""

    instance: str
    var: str
    folder: str
    sockets: str
    postgres_port: int
    postgres_password: str
    redis_port: int
    redis_password: str
    uid: int = 0  # the engines' user when we are root; 0 until one is chosen

    @property
    def account(self) -> Account | None:
        """The user that the engines run as; None when that is the user we are."""
        return Account(uid=self.uid, gid=self.uid) if needs_account() else None

    @property
    def shares_account(self) -> bool:
        """Whether the engines' data still belongs to an account that other programs have too (`nobody`, once)."""
        return needs_account() and not self.uid

    @classmethod
    def existing(cls, var: Path) -> "Home | None":
        """What was remembered in this folder, if it was remembered *for* this folder."""
        content = read_private_json(var / FILE)
        if not content:
            return None
        try:
            home = cls(**content)
        except TypeError as error:
            raise EmbeddedError(f"{var / FILE} was not written by this version of tformance ({error}).") from error
        return None if home._is_copied_to(var) else home

    @classmethod
    def ensure(cls, var: Path) -> "Home":
        """The remembered home, moved or made if need be, with its folders in place."""
        home = cls.existing(var) or cls._new(var)
        home = home._settle(var)
        write_private_json(var / FILE, asdict(home))
        return home

    @classmethod
    def _new(cls, var: Path) -> "Home":
        return cls(
            instance=secrets.token_hex(6),
            var=str(var.resolve()),
            folder="",
            sockets="",
            postgres_port=free_port(),
            postgres_password=secrets.token_hex(24),
            redis_port=free_port(),
            redis_password=secrets.token_hex(24),
        )

    def _is_copied_to(self, var: Path) -> bool:
        """A copied checkout must not share the original's data; a moved one keeps it."""
        if self.var == str(var.resolve()):
            return False
        try:
            return read_private_json(Path(self.var) / FILE).get("instance") == self.instance
        except (EmbeddedError, OSError):
            return False

    def _settle(self, var: Path) -> "Home":
        folder = Path(self.folder) if needs_account() and self.folder else self._place(var)
        _make_private(folder, traversable=needs_account())
        write_private(folder / OWNER_FILE, str(var.resolve()))
        settled = replace(self, var=str(var.resolve()), folder=str(folder))
        if needs_account():
            settled = settled._with_own_account()
        sockets = settled._socket_folder(folder)
        _make_private(sockets, owner=settled.account)
        return replace(settled, sockets=str(sockets))

    def _with_own_account(self) -> "Home":
        """The home with a user number of its own, and the data of an earlier account given to it."""
        taken = {place.stat().st_uid for parent in SHARED_PARENTS for place in parent.glob(f"{NAME}-*/*")}
        settled = replace(self, uid=self.uid or choose_number(taken=taken))
        settled.remember()  # first: a start that is killed while it gives the data away goes on with this number
        account = Account(uid=settled.uid, gid=settled.uid)
        for folder in (settled.root / name for name in ("postgres", "redis", "sockets")):
            if folder.is_dir() and folder.lstat().st_uid != account.uid:
                give(folder, account)
        return settled

    def _place(self, var: Path) -> Path:
        if not needs_account():
            return var.resolve() / "engines" / self.instance
        for parent in SHARED_PARENTS:
            if os.access(parent, os.W_OK | os.X_OK):
                return parent / f"{NAME}-{self.instance}"
        raise EmbeddedError(
            f"Neither {' nor '.join(map(str, SHARED_PARENTS))} can be written, and PostgreSQL refuses to run as root. "
            "Run this as an ordinary user, or set DATABASE_URL and REDIS_URL."
        )

    def _socket_folder(self, folder: Path) -> Path:
        longest = folder / "sockets" / f".s.PGSQL.{self.postgres_port}.lock"
        if len(os.fsencode(longest)) <= LONGEST_SOCKET_PATH:
            return folder / "sockets"
        if self.sockets and _is_ours(Path(self.sockets)):
            return Path(self.sockets)
        return Path(tempfile.mkdtemp(prefix=f"{NAME}-", dir="/tmp"))  # mkdtemp makes it private and new

    @property
    def root(self) -> Path:
        return Path(self.folder)

    @property
    def log_folder(self) -> Path:
        return Path(self.var) / "log"

    @property
    def database_url(self) -> str:
        return f"postgres://{NAME}:{self.postgres_password}@{quote(self.sockets, safe='')}:{self.postgres_port}/{NAME}"

    @property
    def redis_url(self) -> str:
        return f"redis://:{self.redis_password}@127.0.0.1:{self.redis_port}/0"

    def remember(self) -> None:
        """Write what changed (a port that another process has taken meanwhile)."""
        write_private_json(Path(self.var) / FILE, asdict(self))

    def remove(self) -> None:
        """Delete the engines' data and everything remembered of them."""
        for folder in {self.folder, self.sockets}:
            if _is_ours(Path(folder)) or Path(folder).is_relative_to(self.folder):
                shutil.rmtree(folder, ignore_errors=True)
        (Path(self.var) / FILE).unlink(missing_ok=True)


def abandoned_folders() -> list[Path]:
    """Private folders of ours whose checkout is gone; only their owner can know whether the data in them is wanted."""
    ours = (path for parent in SHARED_PARENTS for path in parent.glob(f"{NAME}-*") if _is_ours(path))
    return [folder for folder in ours if not _has_owner(folder)]


def _has_owner(folder: Path) -> bool:
    """Whether somebody may still need it; what cannot be read proves nothing."""
    try:
        var = Path((folder / OWNER_FILE).read_text())
        return read_private_json(var / FILE).get("folder") == str(folder)
    except (OSError, EmbeddedError):
        return True


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_port_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as both engines do: TIME_WAIT is no obstacle
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _make_private(folder: Path, *, owner: Account | None = None, traversable: bool = False) -> None:
    """Make the folder, or make sure that the one which is there is ours and not laid out for us by somebody else."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not _is_ours(folder, owner=owner):
            raise EmbeddedError(
                f"{folder} exists but is not a private folder of ours. Move it away and start again."
            ) from None
        return
    if traversable:
        folder.chmod(0o711)  # the engines' user must pass through; what lies inside is 0700 and theirs
    if owner is not None:
        os.chown(folder, owner.uid, owner.gid)


def _is_ours(folder: Path, *, owner: Account | None = None) -> bool:
    try:
        facts = folder.lstat()
    except OSError:
        return False
    expected = {os.geteuid()} | ({owner.uid} if owner else set())
    return folder.is_dir() and not folder.is_symlink() and facts.st_uid in expected and not facts.st_mode & 0o022
