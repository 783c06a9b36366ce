"""Training sets in MLflow: what a model was trained with, as a dataset input of its run.

Needs the extra `mlflow`; MLflow itself is imported with this module.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from ai_hub.errors import InvalidInput, ObjectMissing
from ai_hub.export.manifest import MANIFEST
from ai_hub.export.output import said_of
from ai_hub.export.training_set import TrainingSet
from ai_hub.storage.arrow import file_system
from ai_hub.storage.base import Storage
from ai_hub.storage.opening import open_storage
from ai_hub.storage.url import Url, is_url

try:
    import mlflow
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.dataset import Dataset
    from mlflow.data.dataset_source_registry import resolve_dataset_source
    from mlflow.exceptions import MlflowException
    from mlflow.tracking.context.registry import resolve_tags
    from mlflow.types.schema import AnyType, ColSpec, DataType, Schema
except ImportError as error:
    install = "pip install 'ai-hub-feature-store[mlflow]'"
    raise ImportError(f"ai_hub.mlflow needs the extra mlflow ({error}): {install}") from error

Result: TypeAlias = TrainingSet | Mapping[str, Any] | str | os.PathLike[str]
"""A training set, the record of an export, or the path or URL of what one wrote."""

_EXPECTED = "a training set, the record of an export that completed, or the path of its file"
_OURS = "what an export of ai-hub wrote, which says its feature set"
_TAGS = ("feature_set", "version", "fingerprint", "policy", "tenant_id")
_TYPES = (
    (pa.types.is_boolean, DataType.boolean),
    (pa.types.is_int64, DataType.long),
    (pa.types.is_signed_integer, DataType.integer),
    (pa.types.is_float64, DataType.double),
    (pa.types.is_floating, DataType.float),
    (pa.types.is_string, DataType.string),
    (pa.types.is_large_string, DataType.string),
    (pa.types.is_binary, DataType.binary),
    (pa.types.is_timestamp, DataType.datetime),
    (pa.types.is_date, DataType.datetime),
)
_LONGEST_DIGEST = 36
_LONGEST_PROFILE = 16_777_215


@dataclass(frozen=True)
class _Found:
    """What there is to log of a training set."""

    said: Mapping[str, Any]
    schema: pa.Schema
    digest: str
    source: Any


class TrainingSetDataset(Dataset):
    """A training set as a dataset of MLflow, named `set@version`.

    Its digest is the checksum of the export (of the manifest, in parts), its profile what the
    export says of itself: set, version, fingerprint, policy, range, definitions, the manifest.
    """

    def __init__(self, found: _Found) -> None:
        self._said = dict(found.said)
        self._columns = found.schema
        name = self._said["feature_set"] or "features"
        version = self._said["version"]
        label = name if version is None else f"{name}@{version}"
        super().__init__(found.source, label, found.digest[:_LONGEST_DIGEST])

    def to_dict(self) -> dict[str, str]:
        """As MLflow keeps it: texts, with schema and profile as JSON."""
        schema = json.dumps({"mlflow_colspec": self.schema.to_dict()})
        return {**super().to_dict(), "schema": schema, "profile": _profile(self.profile)}

    @property
    def schema(self) -> Any:
        """The columns, as a schema of MLflow."""
        return Schema(
            [
                ColSpec(_mlflow_type(one.type), one.name, required=not one.nullable)
                for one in self._columns
            ]
        )

    @property
    def profile(self) -> dict[str, Any]:
        """The number of rows, and what the export says of itself."""
        rows = self._said["row_count"]
        return {"num_rows": rows, "num_elements": rows * len(self._columns), **self._said}


def log_training_set(
    result: Result, *, context: str = "training", tags: Mapping[str, str] | None = None
) -> TrainingSetDataset:
    """Log a training set as a dataset input of the active run (MLflow begins one if none is).

    `result` is what `get_training_set` gives, what `export_features_to_parquet` answers or
    `export_record` finds, or the path or URL of an export's file or folder. The input has the tags
    `ai_hub.feature_set`, `.version`, `.fingerprint`, `.policy` and `.tenant_id`, and your own.
    Raises InvalidInput for what no export wrote and for a file that is not that of the record
    any more, OSError for one that cannot be read.
    """
    dataset = TrainingSetDataset(_found(result))
    said = dataset.profile
    ours = {f"ai_hub.{name}": "" if said[name] is None else str(said[name]) for name in _TAGS}
    mlflow.log_input(dataset, context=context, tags={**ours, **(tags or {})})
    return dataset


def _found(result: Result) -> _Found:
    if isinstance(result, TrainingSet):
        table = result.to_arrow()
        said = said_of(result.metadata, table.schema)
        return _Found(said, table.schema, _digest(table), CodeDatasetSource(resolve_tags()))
    if isinstance(result, Mapping):
        if result.get("status") != "completed":
            raise InvalidInput("result", result.get("status", dict(result)), _EXPECTED)
        return _exported(result["storage_path"], result["checksum"])
    if isinstance(result, str | os.PathLike):
        return _exported(os.fspath(result), None)
    raise InvalidInput("result", type(result).__name__, _EXPECTED)


def _exported(place: str, checksum: str | None) -> _Found:
    """What the file or folder of an export is, which has that checksum if it is known."""
    if is_url(place):
        url = Url.of(place, "result")
        path = str(url)
        said, schema, digest = _of_storage(open_storage(url))
    else:
        path = str(Path(place).absolute())
        said, schema, digest = (_of_folder if Path(path).is_dir() else _of_file)(Path(path))
    if checksum not in (None, digest):
        raise InvalidInput(
            "result",
            path,
            f"the file that the export wrote, with SHA-256 {checksum}",
            "It was changed or replaced since: to log what is there now, give its path.",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that two kinds of sources are of this machine
        try:
            source = resolve_dataset_source(path)
        except MlflowException:  # MLflow has no word for Azure's URLs
            source = CodeDatasetSource({**resolve_tags(), "url": path})
    return _Found(said, schema, digest, source)


def _of_file(path: Path) -> tuple[Mapping[str, Any], pa.Schema, str]:
    try:
        with path.open("rb") as stream:
            file = pq.ParquetFile(stream)
            schema, metadata = file.schema_arrow, file.metadata.metadata or {}
            stream.seek(0)
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        advice = "Where it was exported on another machine, bring the file here and give its path."
        raise InvalidInput("result", str(path), "a file that is on this machine", advice) from None
    except pa.ArrowInvalid:
        raise InvalidInput("result", str(path), _OURS) from None
    texts = {key.decode(): text.decode() for key, text in metadata.items() if _ours(key)}
    return _checked(said_of(texts, schema), str(path)), schema, digest


def _of_folder(path: Path) -> tuple[Mapping[str, Any], pa.Schema, str]:
    return _of_storage(open_storage(Url.of(path, "result")))


def _of_storage(storage: Storage) -> tuple[Mapping[str, Any], pa.Schema, str]:
    """Of a folder its manifest counts: it has the checksum of each part."""
    place = str(storage.url)
    try:
        content = storage.get(MANIFEST)
        said = _checked(json.loads(content), place)
        schema = pq.read_schema(said["parts"][0]["path"], filesystem=file_system(storage))
    except (FileNotFoundError, ObjectMissing, ValueError, KeyError, TypeError, IndexError):
        raise InvalidInput("result", place, f"a folder with {MANIFEST}: {_OURS}") from None
    return said, schema, hashlib.sha256(content).hexdigest()


def _ours(key: bytes) -> bool:
    return key.startswith(b"ai_hub.")


def _checked(said: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    if any(name not in said for name in (*_TAGS, "row_count")):
        raise InvalidInput("result", place, _OURS)
    return said


def _digest(table: pa.Table) -> str:
    """The SHA-256 of a table as a stream of Arrow."""
    sink = _Summing()
    with pa.PythonFile(sink, "w") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    return sink.summed.hexdigest()


class _Summing(io.RawIOBase):
    """Takes what is written, and keeps its checksum alone."""

    def __init__(self) -> None:
        self.summed = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.summed.update(data)
        return len(data)


def _mlflow_type(given: pa.DataType) -> Any:
    """The type of a column in MLflow: `Any` where it has none of its own."""
    if pa.types.is_dictionary(given):
        given = given.value_type
    for fits, found in _TYPES:
        if fits(given):
            return found
    return AnyType()


def _profile(profile: Mapping[str, Any]) -> str:
    """As JSON; without the parts where that is more than MLflow keeps."""
    text = json.dumps(profile, ensure_ascii=False)
    if len(text.encode()) <= _LONGEST_PROFILE:
        return text
    return json.dumps({name: value for name, value in profile.items() if name != "parts"})
