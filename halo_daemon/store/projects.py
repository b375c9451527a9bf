"""Which projects the data directory holds."""

import shutil
from datetime import datetime
from difflib import get_close_matches
from typing import NamedTuple, cast

import orjson

from halo_daemon.errors import StoreError, UnknownProjectError
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.project import Project, slugify
from halo_daemon.proto.times import format_unix_ns, parse_unix_ns
from halo_daemon.store.disk import Disk, write_atomically
from halo_daemon.store.paths import DOOMED_PREFIX, DataPaths

_NEAR = 0.5
"""How alike a project's slug is that is offered for one that is not there; 1 is the same."""


class StoredProject(NamedTuple):
    """One project of the data directory."""

    slug: str
    name: str
    """As it was first sent; the slug when `project.json` is lost."""

    created_unix_ns: int
    """0 when unknown."""

    @property
    def created(self) -> datetime | None:
        """When its first span came, in UTC; None when unknown."""
        return (
            datetime.fromisoformat(format_unix_ns(self.created_unix_ns)[:19] + "+00:00")
            if self.created_unix_ns
            else None
        )


def list_projects(paths: DataPaths) -> list[StoredProject]:
    """Every project, in order of slug; empty for a new data directory."""
    return [_read(paths, slug) for slug in paths.slugs()]


def find_project(paths: DataPaths, slug_or_name: str) -> StoredProject:
    """
    Look a project up by its slug or its name.

    Raises:
        UnknownProjectError: There is none; the message lists those there are.
    """
    slugs = paths.slugs()
    wanted = slug_or_name if slug_or_name in slugs else _slug(slug_or_name)
    if wanted not in slugs:
        known = ", ".join(slugs[:10]) + (f" and {len(slugs) - 10} more" if len(slugs) > 10 else "")  # noqa: PLR2004 -- as many as one line holds
        near = get_close_matches(wanted or slug_or_name, slugs, n=1, cutoff=_NEAR)
        raise UnknownProjectError(
            f"cannot find project `{slug_or_name[:80]}`: the data directory {paths.root} "
            f"has {len(slugs)} projects{': ' + known if known else ''}",
            hint=f"did you mean `{near[0]}`?"
            if near
            else "list them with `halo-daemon project list`",
        )
    return _read(paths, wanted)


def register_project(
    disk: Disk, paths: DataPaths, project: Project, *, now_unix_ns: int
) -> StoredProject:
    """
    Create a project's directory and `project.json`, durably; an existing one stays as it is.

    Raises:
        OSError: The disk refused.
        ValueError: The slug is not one.
    """
    place = paths.project(project.slug)
    if not place.project_json.is_file():
        disk.make_directory(place.directory)
        fields = {
            "slug": project.slug,
            "name": project.name,
            "created": format_unix_ns(now_unix_ns),
        }
        write_atomically(disk, place.project_json, orjson.dumps(fields) + b"\n")
    return _read(paths, project.slug)


def rename_project(
    disk: Disk, paths: DataPaths, project: StoredProject, new: Project
) -> StoredProject:
    """
    Give a project another name, and its directory that name's slug.

    The directory is renamed first, in one step: a crash between leaves a project whose
    description has the old name (`half_renamed`), and renaming it again completes it.

    Raises:
        StoreError: Another project has the new slug.
        OSError: The disk refused.
    """
    source, target = paths.project(project.slug), paths.project(new.slug)
    if target.directory != source.directory:
        if target.directory.exists():
            raise StoreError(
                f"cannot rename project `{project.slug}` to `{new.slug}`: that one exists",
                hint="choose another name, or delete that project first",
            )
        disk.rename(source.directory, target.directory)
        disk.sync_directory(paths.projects)
    created = project.created_unix_ns
    fields = {"slug": new.slug, "name": new.name, "created": format_unix_ns(created)}
    write_atomically(disk, target.project_json, orjson.dumps(fields) + b"\n")
    return _read(paths, new.slug)


def half_renamed(paths: DataPaths, slug_or_name: str, new: Project) -> StoredProject | None:
    """
    The project at the place of *new* whose description still is that of *slug_or_name*.

    A crash within `rename_project` leaves it so; None when there is none.
    """
    wanted = _slug(slug_or_name)
    if wanted in paths.slugs() or _described_slug(paths, new.slug) != wanted:
        return None
    return _read(paths, new.slug)


def delete_project(disk: Disk, paths: DataPaths, slug: str) -> None:
    """
    Delete a project with everything in it.

    It is gone in one step; what a crash leaves of its files is deleted with the next one.

    Raises:
        OSError: The disk refused.
    """
    doomed = paths.projects / f"{DOOMED_PREFIX}{slug}"
    shutil.rmtree(doomed, ignore_errors=True)
    disk.rename(paths.project(slug).directory, doomed)
    disk.sync_directory(paths.projects)
    for left in paths.projects.glob(f"{DOOMED_PREFIX}*"):
        shutil.rmtree(left)


def _slug(name: str) -> str:
    try:
        return slugify(name)
    except ValueError:
        return ""


def _described_slug(paths: DataPaths, slug: str) -> object:
    """The slug that a project's description gives it; None when that is lost."""
    try:
        fields = orjson.loads(paths.project(slug).project_json.read_bytes())
    except (OSError, ValueError):
        return None
    return fields.get("slug") if isinstance(fields, dict) else None


def _read(paths: DataPaths, slug: str) -> StoredProject:
    try:
        fields = cast("JsonObject", orjson.loads(paths.project(slug).project_json.read_bytes()))
        name, created = fields["name"], fields["created"]
        if isinstance(name, str) and isinstance(created, str):
            return StoredProject(slug, name, parse_unix_ns(created))
    except (OSError, ValueError, KeyError, TypeError):
        # The spans are the truth; a lost description only costs the original name.
        pass
    return StoredProject(slug, slug, 0)
