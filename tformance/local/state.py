"""The state in TFORMANCE_VAR: private files, locks, secrets, logs, and the engines' folders, ports and passwords."""

import fcntl
import json
import os
import secrets
import shutil
import socket
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import psutil

from tformance.local.console import EmbeddedError
from tformance.local.engine_binaries import Account, choose_number, give, needs_account


def write_private(path: Path, text: str) -> None:
    """Replace the file's content in one step; mode 0600 from its first byte."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def write_private_json(path: Path, content: dict[str, Any]) -> None:
    """Replace the file with the content as JSON."""
    write_private(path, json.dumps(content, indent=2) + "\n")


def read_private_json(path: Path) -> dict[str, Any]:
    """Return the content of the file; empty if there is no such file."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except PermissionError as error:
        raise EmbeddedError(
            f"{path} belongs to another user. Run this as its owner, or set TFORMANCE_VAR to a folder of your own."
        ) from error
    except ValueError as error:
        raise EmbeddedError(
            f"{path} is damaged ({error}). Restore it from a backup, or move the folder away."
        ) from error
    if not isinstance(content, dict):
        raise EmbeddedError(f"{path} is damaged. Restore it from a backup, or move the folder away.")
    return content


FILE = "engines.json"
OWNER_FILE = "belongs-to"
NAME = "tformance"
LONGEST_SOCKET_PATH = 100  # bytes; the kernel's limit is 107 on Linux and 103 on macOS
SHARED_PARENTS = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108  the name is random and the owner is checked


@dataclass(frozen=True, kw_only=True)
class EngineState:
    """The engines' folders, ports and passwords, in engines.json: each start finds the same data and addresses."""

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
        """The user that the engines run as; None if that is our own user."""
        return Account(uid=self.uid, gid=self.uid) if needs_account() else None

    @property
    def shares_account(self) -> bool:
        """Return whether the engines' data still belongs to an account that other programs have too (`nobody`)."""
        return needs_account() and not self.uid

    @classmethod
    def existing(cls, var: Path) -> "EngineState | None":
        """Return the state that is stored in this folder, unless it belongs to another folder."""
        content = read_private_json(var / FILE)
        if not content:
            return None
        try:
            state = cls(**content)
        except TypeError as error:
            raise EmbeddedError(f"{var / FILE} was not written by this version of tformance ({error}).") from error
        return None if state._is_copied_to(var) else state

    @classmethod
    def ensure(cls, var: Path) -> "EngineState":
        """Return the stored state, moved or created if necessary, with its folders."""
        state = cls.existing(var) or cls._new(var)
        state = state._settle(var)
        write_private_json(var / FILE, asdict(state))
        return state

    @classmethod
    def _new(cls, var: Path) -> "EngineState":
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
        """Return whether this is a copied checkout, which must not share the original's data; a moved one keeps it."""
        if self.var == str(var.resolve()):
            return False
        try:
            return read_private_json(Path(self.var) / FILE).get("instance") == self.instance
        except (EmbeddedError, OSError):
            return False

    def _settle(self, var: Path) -> "EngineState":
        folder = Path(self.folder) if needs_account() and self.folder else self._place(var)
        _make_private(folder, traversable=needs_account())
        write_private(folder / OWNER_FILE, str(var.resolve()))
        settled = replace(self, var=str(var.resolve()), folder=str(folder))
        if needs_account():
            settled = settled._with_own_account()
        sockets = settled._socket_folder(folder)
        _make_private(sockets, owner=settled.account)
        return replace(settled, sockets=str(sockets))

    def _with_own_account(self) -> "EngineState":
        """Return the state with a user number of its own; data of an earlier account is given to it."""
        taken = {place.stat().st_uid for parent in SHARED_PARENTS for place in parent.glob(f"{NAME}-*/*")}
        settled = replace(self, uid=self.uid or choose_number(taken=taken))
        settled.save()  # first: after an interrupted change of the owner, the next start uses the same number
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

    def save(self) -> None:
        """Store the state after a change, such as of a port that another process uses."""
        write_private_json(Path(self.var) / FILE, asdict(self))

    def remove(self) -> None:
        """Delete the engines' data and this state."""
        for folder in {self.folder, self.sockets}:
            if _is_ours(Path(folder)) or Path(folder).is_relative_to(self.folder):
                shutil.rmtree(folder, ignore_errors=True)
        (Path(self.var) / FILE).unlink(missing_ok=True)


def abandoned_folders() -> list[Path]:
    """Return the private folders whose checkout is deleted; only their owner knows whether the data is still needed."""
    ours = (path for parent in SHARED_PARENTS for path in parent.glob(f"{NAME}-*") if _is_ours(path))
    return [folder for folder in ours if not _has_owner(folder)]


def _has_owner(folder: Path) -> bool:
    """Return whether a checkout may still use the folder; also if its state cannot be read."""
    try:
        var = Path((folder / OWNER_FILE).read_text())
        return read_private_json(var / FILE).get("folder") == str(folder)
    except (OSError, EmbeddedError):
        return True


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_port_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as both engines do: TIME_WAIT is no obstacle
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _make_private(folder: Path, *, owner: Account | None = None, traversable: bool = False) -> None:
    """Make the folder; EmbeddedError if there is one that another user made or can write to."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not _is_ours(folder, owner=owner):
            raise EmbeddedError(
                f"{folder} exists but is not a private folder of this user. Move it away and start again."
            ) from None
        return
    if traversable:
        folder.chmod(0o711)  # the user of the engines must pass through; the folders inside are 0700 and theirs
    if owner is not None:
        os.chown(folder, owner.uid, owner.gid)


def _is_ours(folder: Path, *, owner: Account | None = None) -> bool:
    try:
        facts = folder.lstat()
    except OSError:
        return False
    expected = {os.geteuid()} | ({owner.uid} if owner else set())
    return folder.is_dir() and not folder.is_symlink() and facts.st_uid in expected and not facts.st_mode & 0o022


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock inside the block; wait until no other process holds it."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def try_exclusive(path: Path, *, stack: ExitStack) -> bool:
    """Return whether the lock was free; if so this process holds it until the stack closes."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    stack.callback(os.close, descriptor)
    return True


class SharedLock:
    """A share of a lock, for something that must run until its last user has ended."""

    def __init__(self, path: Path) -> None:
        self._descriptor = _open(path)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def is_only_holder(self) -> bool:
        """Return whether no other process has a share; if so none is given out until this one is released."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # A failed conversion may have dropped the share (flock(2)): take it again.
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)
            return False
        return True

    def release(self) -> None:
        """Release the share."""
        os.close(self._descriptor)


def holders(path: Path) -> list[psutil.Process]:
    """Return every other process that has the lock's file open: it holds the lock, or waits for it."""
    name = str(path.resolve())
    return [one for one in psutil.process_iter() if one.pid != os.getpid() and _has_open(one, name)]


def _has_open(process: psutil.Process, name: str) -> bool:
    try:
        return any(file.path == name for file in process.open_files())
    except (psutil.Error, OSError):  # it has ended, or is of another user
        return False


def take_free_slot(folder: Path, *, count: int) -> int:
    """Return the lowest number below `count` that no other process has; it is held until this process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        descriptor = _open(folder / f"{number}.lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return number
    raise RuntimeError(f"All {count} slots in {folder} are taken: too many processes at once.")


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


CHECKOUT = Path(__file__).resolve().parent.parent.parent
SECRETS_FILE = "secrets.json"
WEB_FILE = "web.json"


def var_folder() -> Path:
    """Return the folder of all data of this checkout: TFORMANCE_VAR, else var/ next to the code."""
    return Path(os.environ.get("TFORMANCE_VAR") or CHECKOUT / "var").absolute()


def ensure_secrets(var: Path) -> None:
    """Generate, once, the secrets that have no default; of several processes at once, one generates them."""
    path = var / SECRETS_FILE
    made = {
        "SECRET_KEY": secrets.token_hex(32),
        "FERNET_KEYS": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "GITHUB_WEBHOOK_SECRETS": secrets.token_hex(32),
    }
    with exclusive(var / "secrets.lock"):
        kept = read_private_json(path)
        if made.keys() - kept.keys():
            write_private_json(path, made | kept)


def local_settings(var: Path) -> dict[str, str]:
    """Return the settings that were generated or chosen for this folder; the environment has precedence."""
    files = (read_private_json(var / name) for name in (SECRETS_FILE, WEB_FILE))
    known = {name: str(value) for content in files for name, value in content.items()}
    state = EngineState.existing(var)
    if state is not None:
        known |= {"DATABASE_URL": state.database_url, "REDIS_URL": state.redis_url}
    return known


LARGEST_BYTES = 10 * 1024 * 1024


def log_for_append(path: Path) -> BinaryIO:
    """Return the log, open for writing; a large one is renamed to .1 first."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists() and path.stat().st_size > LARGEST_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return path.open("ab")


def last_lines(path: Path, *, count: int = 12) -> str:
    """Return the last lines of the log, indented; a sentence if there are none."""
    try:
        lines = path.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        lines = []
    return "\n".join(f"  {line}" for line in lines) or "  (nothing was logged)"
