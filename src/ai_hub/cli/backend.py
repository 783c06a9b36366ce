"""The contract of where commands do their work: on the database itself, or through a server.

A backend takes requests and gives answers as the HTTP routes word them, so that a command says and
prints the same either way.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ai_hub.cli.output import Progress
    from ai_hub.intake.batch import Batch, BatchKind
    from ai_hub.intake.result import IngestResult

Document = dict[str, Any]
Output = Path | str | None
"""Where a training set goes: a path on this machine, the URL of object storage, or where it is by
default."""


class Backend(Protocol):
    """What commands ask for."""

    async def get(self, request: Document) -> Document:
        """The answer for one asset."""

    async def batch(self, request: Document) -> Document:
        """The answers for several assets."""

    async def explain(self, request: Document) -> Document:
        """The answer for one asset, each feature explained."""

    async def chart(self, request: Document) -> Document:
        """The readings of one asset over a range, with a feature."""

    async def land(self, batch: Batch, kind: BatchKind) -> IngestResult:
        """Land the rows of a checked batch; what became of all that were sent."""

    @property
    def in_chunks(self) -> bool:
        """Whether it is known that rows of a week are kept together."""

    async def assign_weather_source(self, request: Document) -> Document:
        """Let assets take their weather from a station."""

    async def export(
        self, request: Document, output: Output, force: bool, show: Progress
    ) -> Document:
        """Write a training set; its record, where `storage_path` says where the file is."""

    async def detach(self, request: Document, output: Output) -> Document:
        """Have a training set written by a server, at once or later; its record."""

    @property
    def jobs(self) -> JobsBackend:
        """Exports as jobs."""

    async def training_set(
        self, request: Document, spine: Path, output: Output, force: bool, show: Progress
    ) -> Document:
        """Write the training set of a spine's file; what its record says, with `storage_path`."""

    async def assets(self, request: Document) -> Document:
        """A page of a tenant's assets, with what is known of each."""

    async def exports(self, tenant_id: str | None, limit: int) -> Document:
        """Recorded exports."""

    async def audit(self, request: Document) -> Document:
        """A page of the audit log."""

    async def drift(self, request: Document) -> Document:
        """How far a set's values are from a baseline."""

    async def drift_baseline(self, request: Document) -> Document:
        """Keep what a set's values were in a time of history."""

    async def delete(self, request: Document) -> Document:
        """Remove data, or count what would go."""

    async def archive(self, request: Document) -> Document:
        """Seal history before a time; the steps that it took."""

    async def unarchive(self, request: Document) -> Document:
        """Bring archived rows back and end the archive; the steps that it took."""

    async def archives(self, tenant_id: str | None) -> Document:
        """What is sealed."""

    @property
    def registry(self) -> RegistryBackend:
        """The feature sets."""


class JobsBackend(Protocol):
    """What commands ask for that are about exports under way."""

    @property
    def here(self) -> bool:
        """Whether a job that is resumed is this process's."""

    async def record(self, export_id: str) -> Document:
        """A job as it is now."""

    async def wait(self, export_id: str, seconds: float) -> Document:
        """A job once it has ended, or after so many seconds."""

    async def cancel(self, export_id: str) -> Document:
        """End a job."""

    async def resume(self, export_id: str) -> Document:
        """Go on with a job."""

    def check_had(self, record: Document) -> None:
        """Raise Stop for a job under way that no process takes."""


class RegistryBackend(Protocol):
    """What commands ask for that are about definitions, models, rollouts and access keys."""

    async def listed(self) -> Document:
        """Every version of every feature set."""

    async def described(self, name: str) -> Document:
        """One, by name or name@version."""

    async def plan(self, request: Document) -> Document:
        """What applying a document would change."""

    async def apply(self, request: Document) -> Document:
        """Apply a document; what that changed."""

    async def retire(self, name: str) -> Document:
        """Serve a version no more; that version."""

    async def set_default(self, name: str) -> Document:
        """Let a name alone mean a version; that version."""

    async def models(self) -> Document:
        """The models that are bound."""

    async def keys(self) -> Document:
        """The access keys."""

    async def create_key(self, request: Document) -> Document:
        """Make an access key; it, with the key itself."""

    async def revoke_key(self, id: str) -> Document:
        """Let an access key be valid no more; it."""

    async def bind_model(self, request: Document) -> Document:
        """Bind a model to a version; that model."""

    async def unbind_model(self, model: str) -> Document:
        """Let a model be bound to nothing; what it was bound to."""

    async def rollout(self, name: str, request: Document) -> Document:
        """Begin, change, finish or abort a rollout; the default version of its set."""
