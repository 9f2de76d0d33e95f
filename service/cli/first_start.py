"""Keys for the owner of this machine: made at the first start, kept in files that nobody else may read."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from service.cli.say import Say
from service.config import Settings, UnsafeSettingsError
from service.keys import Keyring
from service.store.records import Role


@dataclass(frozen=True)
class Welcome:
    """What the person who starts the service is told: the new operator key and the way into the page."""

    key: str | None
    key_file: Path
    link_token: str | None

    def show(self, address: str, say: Say) -> None:
        """Print where the service is and, at the first start, how to get in."""
        out = say.out
        out.print(f"wattsplit serves [b]{address}[/b] (page), {address}/docs (API); Ctrl-C ends it", soft_wrap=True)
        if self.key:
            out.print(f"operator key, shown once: [b]{self.key}[/b]", soft_wrap=True)
            out.print(f"it is kept in {self.key_file}, which the command line on this machine reads", soft_wrap=True)
        if self.link_token:
            out.print(f"sign in once, within 30 minutes: [b]{address}/sign-in?token={self.link_token}[/b]", soft_wrap=True)
        out.file.flush()


def welcome(settings: Settings, keyring: Keyring) -> Welcome:
    """Make sure that the owner of the data folder has live keys, and return what is to be told of it.

    Raises:
        UnsafeSettingsError: others may read a key file.
    """
    _standing_key(settings.admin_key_file, "admin", keyring)
    key, is_new = _standing_key(settings.key_file, "operator", keyring)
    principal = keyring.recognise(key)
    token = keyring.sign_in_token(principal.id) if is_new and principal else None
    return Welcome(key if is_new else None, settings.key_file, token)


def _standing_key(file: Path, role: Role, keyring: Keyring) -> tuple[str, bool]:
    """Return the key that a file holds, made anew if there is none or it opens nothing any more, and whether it is new."""
    if file.exists():
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise UnsafeSettingsError(f"{file} can be read by others: chmod 600 {file}")
        key = file.read_text().strip()
        if keyring.recognise(key) is not None:
            return key, False
    _, key = keyring.issue(role, label="owner of the data folder", by="start")
    partial = file.with_suffix(".partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(key + "\n")
    partial.replace(file)
    return key, True
