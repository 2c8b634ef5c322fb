"""The file of a history: SQLite, opened by several campaigns at once, and refused when it is not what it should be.

It is kept in one file, with a rollback journal: between writes there is nothing beside it, so that it can be copied,
cached and put into a repository of artefacts. Writers wait for each other; each writes once, for a moment.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from swarmrig.errors import HostError

PATIENCE_S = 60.0
"""How long a writer waits for others."""
_OURS = 0x73776D68
"""Marks the file as ours (PRAGMA application_id): the letters `swmh`."""
_STRICT = "STRICT" if sqlite3.sqlite_version_info >= (3, 37) else ""
_CREATE = (
    f"""
    CREATE TABLE campaigns (
      id TEXT PRIMARY KEY NOT NULL,
      name TEXT NOT NULL,
      started_at TEXT NOT NULL,
      ended_at TEXT NOT NULL,
      home TEXT NOT NULL,  -- its directory, where it was remembered
      facts TEXT NOT NULL  -- JSON: results.Facts
    ) {_STRICT}
    """,
    f"""
    CREATE TABLE runs (
      campaign TEXT NOT NULL REFERENCES campaigns (id),
      task TEXT NOT NULL,
      key TEXT NOT NULL,
      attempt INTEGER NOT NULL,  -- how many there were; 0: it has not been run
      scenario TEXT NOT NULL,
      variant TEXT NOT NULL,  -- JSON, sorted: axis to label
      seed INTEGER NOT NULL,
      verdict TEXT,  -- NULL: not judged
      quarantined INTEGER NOT NULL,
      began_at TEXT NOT NULL,
      wall_s REAL NOT NULL,
      inputs TEXT NOT NULL,  -- the same for runs that were made of the same
      document BLOB NOT NULL,  -- JSON, deflated: results.Entry
      PRIMARY KEY (campaign, task, key, attempt)
    ) {_STRICT}
    """,
)
_STEPS = (_CREATE,)
"""Statements that lead from each version of the schema to the next, the first from nothing."""
VERSION = len(_STEPS)
_REFUSED = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
)
_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


@contextmanager
def connected(path: Path, *, create: bool = False) -> Iterator[sqlite3.Connection]:
    """A history, brought to the present version of its schema; with `create`, a new one where there is none.

    Raises HostError for what is no history, was made by a newer swarmrig, is damaged, or cannot be reached; whatever
    is there stays as it is. What sqlite3 raises inside becomes a HostError too.
    """
    with _told(path):
        writable = _made(path) if create else _found(path)
        mode = "rw" if writable else "ro"
        uri = f"{path.absolute().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            _bring_up(path, connection)
            yield connection


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is written inside is there afterwards, or nothing of it; nobody else writes meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def check_whole(path: Path, connection: sqlite3.Connection) -> None:
    """Raise HostError when the file is damaged: nothing is added to a history that cannot be read."""
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise damaged(path, str(found))


def damaged(path: Path, reason: str) -> HostError:
    return HostError(
        f"{path} is damaged, or not a history: {reason}",
        hint="it is left as it is; begin another: swarmrig campaign import DIR... --history OTHER",
    )


def _made(path: Path) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return True


def _found(path: Path) -> bool:
    """Whether it can be written: what a writer left half done when it was killed is put right by the next reader."""
    if not path.is_file():
        raise HostError(
            f"there is no history {path}", hint="`swarmrig campaign run --history FILE` and `campaign import` make one"
        )
    return os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)


def _bring_up(path: Path, connection: sqlite3.Connection) -> None:
    """Check whose file it is, and bring its schema to the present version."""
    if _version(path, connection) == VERSION:
        return
    with writing(connection):
        for step in _STEPS[_version(path, connection) :]:  # again: another may have done it meanwhile
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_OURS}")
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _version(path: Path, connection: sqlite3.Connection) -> int:
    (ours,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if ours != _OURS and (tables or version or ours):
        raise HostError(f"{path} is a database of something else", hint="--history names a file of its own")
    if version > VERSION:
        raise HostError(
            f"{path} was written by a newer swarmrig: version {version} of its schema, this one knows {VERSION}",
            hint="use that swarmrig, or another file",
        )
    return int(version)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostError(f"cannot open {path}: {error.strerror}", hint="choose another place with --history") from error
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_BUSY:
            hint = f"another process has held it for {PATIENCE_S:g} s: try again"
        elif code in _REFUSED:
            hint = "free some space, or choose another place with --history"
        elif code in _DAMAGED:
            raise damaged(path, str(error)) from error
        else:  # a bug
            raise
        raise HostError(f"cannot use {path}: {error}", hint=hint) from error
