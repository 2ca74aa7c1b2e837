"""Compares the messages of runners/beam with the descriptors that Beam's Python SDK ships.

Every message there must be one of Beam's, and every field must have the name, the number and the
type that Beam's has. `rust` names several of Beam's messages by one struct where they are alike.
"""

import pathlib
import re
import sys

from apache_beam.portability.api import (
    beam_artifact_api_pb2,
    beam_fn_api_pb2,
    beam_job_api_pb2,
    beam_provision_api_pb2,
    beam_runner_api_pb2,
    endpoints_pb2,
    metrics_pb2,
    standard_window_fns_pb2,
)
from google.protobuf import descriptor, duration_pb2, struct_pb2, timestamp_pb2

FILES = {
    "known.rs": [duration_pb2, timestamp_pb2, struct_pb2],
    "pipeline.rs": [beam_runner_api_pb2, endpoints_pb2, metrics_pb2, standard_window_fns_pb2],
    "fn_api.rs": [beam_fn_api_pb2, beam_provision_api_pb2],
    "job.rs": [beam_job_api_pb2, beam_artifact_api_pb2],
}
# What a struct of ours is called by Beam, where that is not the same.
NAMES = {
    "Data": ["Elements.Data"],
    "Timers": ["Elements.Timers"],
    "CoderSpec": ["FunctionSpec"],
    "DefaultTrigger": ["Trigger.Default"],
    "ExternalPayload": ["ExternalPayload"],
    "IterableSideInput": ["StateKey.IterableSideInput"],
    "LogEntries": ["LogEntry.List"],
    "RunnerKey": ["StateKey.Runner"],
    "JobId": ["RunJobResponse", "GetJobStateRequest", "CancelJobRequest", "JobMessagesRequest", "GetJobMetricsRequest"],
    "JobState": ["JobStateEvent", "CancelJobResponse"],
    # Of these nothing is said or read.
    "Nothing": [],
    # Enumerations of the fields of a `oneof`.
    "Request": ["InstructionRequest"],
    "Response": ["InstructionResponse"],
    "Kind": ["Value"],
}
FIELD = descriptor.FieldDescriptor
TYPES = {
    FIELD.TYPE_STRING: "string",
    FIELD.TYPE_BYTES: "bytes",
    FIELD.TYPE_BOOL: "bool",
    FIELD.TYPE_INT32: "int32",
    FIELD.TYPE_INT64: "int64",
    FIELD.TYPE_UINT32: "uint32",
    FIELD.TYPE_DOUBLE: "double",
    FIELD.TYPE_ENUM: "int32",
    FIELD.TYPE_MESSAGE: "message",
}


def messages(modules):
    """All messages of some modules by the name within their package."""
    found = {}

    def add(message):
        found[message.full_name.removeprefix(message.file.package + ".")] = message
        for nested in message.nested_types:
            add(nested)

    for module in modules:
        for message in module.DESCRIPTOR.message_types_by_name.values():
            add(message)
    return found


def kind_of(field):
    """The type of a field as `prost` says it."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = field.message_type.fields
        return f"map {TYPES[key.type]} {TYPES[value.type]}"
    repeated = field.is_repeated if hasattr(field, "is_repeated") else field.label == 3
    return ("repeated " if repeated else "") + TYPES[field.type]


def snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def fields(body):
    """Name, number and type of the fields of a struct or an enumeration of ours."""
    pattern = r'#\[prost\(([^)]*)\)\]\s*(?:pub\(crate\) )?(\w+(?:#\w+)?)'
    for attributes, name in re.findall(pattern, body):
        tag = re.search(r'tag = "(\d+)"', attributes)
        if "oneof" in attributes or tag is None:
            continue
        maps = re.search(r'btree_map = "(\w+), (\w+)"', attributes)
        if maps:
            kind = f"map {maps[1]} {maps[2]}"
        else:
            kind = re.match(r"\w+", attributes)[0]
            kind = ("repeated " if "repeated" in attributes else "") + kind
        yield snake(name.removeprefix("r#")), int(tag[1]), kind


def compare(path, known, checked):
    source = path.read_text()
    for kind, name, body in re.findall(r"pub\(crate\) (struct|enum) (\w+) \{(.*?)\n?\}\n", source, re.S):
        for theirs in NAMES.get(name, [name]):
            if theirs not in known:
                yield f"{path.name}: Beam has no message {theirs}"
                continue
            by_number = known[theirs].fields_by_number
            for field, number, kind in fields(body):
                checked.append(field)
                beam = by_number.get(number)
                if beam is None:
                    yield f"{path.name}: {theirs} has no field {number}"
                elif (beam.name.lower(), kind_of(beam)) != (field, kind):
                    mine = f"{theirs}.{field} = {number} is {kind}"
                    yield f"{path.name}: {mine}, for Beam {beam.name} is {kind_of(beam)}"


def main():
    root = pathlib.Path(__file__).resolve().parents[2] / "runners/beam/src/proto"
    checked = []
    found = [
        line
        for name, modules in FILES.items()
        for line in compare(root / name, messages(modules), checked)
    ]
    print("\n".join(found) or f"{len(checked)} fields are Beam's")
    # A pattern that finds nothing would find no mistake either.
    sys.exit(bool(found) or len(checked) < 100)


main()
