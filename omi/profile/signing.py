"""Public keys that sign Alpine's packages and indexes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from omi.support.errors import SettingsError
from omi.support.places import expand
from omi.support.reading import real_path


def read_public_key(path: Path) -> str:
    """Read the PEM text of an RSA public key, the kind that apk signs with.

    Raises OSError if the file can't be read, and ValueError with the reason if it holds no such key.
    """
    text = path.read_bytes().decode("ascii", "replace")
    check_public_key(text)
    return text


def check_public_key(text: str) -> None:
    """Raise ValueError with the reason unless this is an RSA public key."""
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        message = "holds no public key in PEM form"
        raise ValueError(message) from error
    if not isinstance(key, RSAPublicKey):
        message = "is not an RSA key, which is what apk signs with"
        raise ValueError(message)  # noqa: TRY004 -- the file's content is wrong, not an argument's type


def trusted_keys(names: Iterable[str], pinned: Mapping[str, str]) -> dict[str, str]:
    """Read the keys in vm.trusted_keys, which count besides those `pinned` in the profile.

    They are by file name, as signatures name them; a link counts by its target. Raises SettingsError for a key that
    can't be used.
    """
    keys: dict[str, str] = {}
    for name in names:
        where = f"stack config: vm.trusted_keys: {name}"
        for path in _key_files(expand(name), where):
            try:
                text = read_public_key(path)
            except OSError as error:
                cure = "start the sandbox once, which makes it, or name another file"
                raise SettingsError(f"{where}: cannot be read: {error.strerror}; {cure}") from error
            except ValueError as error:
                raise SettingsError(f"{where}: {path.name} {error}") from error
            if pinned.get(path.name, text) != text or keys.get(path.name, text) != text:
                raise SettingsError(f"{where}: another key called {path.name} is trusted already; rename one")
            keys[path.name] = text
    return keys


def _key_files(path: Path, where: str) -> list[Path]:
    """One file, or all keys of a folder. The folder may be empty: the sandbox's is, if it passes Alpine's CDN
    through."""
    if path.is_dir():
        return [real_path(file) for file in sorted(path.glob("*.rsa.pub"))]
    file = real_path(path)
    if not file.name.endswith(".rsa.pub"):
        raise SettingsError(
            f"{where}: is not a folder, and apk wants a key in a file called NAME.rsa.pub; correct the path, or start "
            "the sandbox once if it is the sandbox's"
        )
    return [file]
