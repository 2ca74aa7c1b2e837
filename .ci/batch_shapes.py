"""Holds the Batch emulator against the service model that AWS publishes with botocore.

Usage: batch_shapes.py PROGRAM. Starts the emulator, asks for every operation that it has, and walks
each body as it came over the wire: members that are required, known, of the right type, of the
enumeration, and never null; errors with their header and a message. Prints each deviation, and fails
if there is one or if an operation was never answered.
"""

import collections
import json
import subprocess
import sys
import time
import urllib.request

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

TYPES = {
    "structure": dict,
    "list": list,
    "map": dict,
    "string": str,
    "integer": int,
    "long": int,
    "boolean": bool,
    "float": (int, float),
    "double": (int, float),
}
DEADLINE_S = 30
# All that the emulator says it has.
OPERATIONS = """
CancelJob CancelJobs CreateComputeEnvironment CreateJobQueue DeregisterJobDefinition
DescribeComputeEnvironments DescribeJobDefinitions DescribeJobQueues DescribeJobs GetJobQueueSnapshot
ListJobs ListTagsForResource RegisterJobDefinition SubmitJob TagResource TerminateJob TerminateJobs
UntagResource UpdateComputeEnvironment UpdateJobQueue GetLogEvents DescribeClusters
""".split()


def deviations(value, shape, place):
    """What of a value is otherwise than its shape says."""
    kind = TYPES.get(shape.type_name)
    is_bool = isinstance(value, bool)
    if kind is None:
        yield f"{place}: a {shape.type_name}, which this script does not know"
    elif not isinstance(value, kind) or (is_bool and shape.type_name != "boolean"):
        yield f"{place}: {value!r} is no {shape.type_name}"
    elif shape.type_name == "structure":
        for name in shape.required_members:
            if name not in value:
                yield f"{place}.{name}: is required and missing"
        for name, member in value.items():
            if name not in shape.members:
                yield f"{place}.{name}: is not in the model"
            else:
                yield from deviations(member, shape.members[name], f"{place}.{name}")
    elif shape.type_name == "list":
        for item in value:
            yield from deviations(item, shape.member, f"{place}[]")
    elif shape.type_name == "map":
        for item in value.values():
            yield from deviations(item, shape.value, f"{place}{{}}")
    elif shape.type_name == "string" and shape.enum and value not in shape.enum:
        yield f"{place}: {value!r} is not one of {shape.enum}"


def client(service, endpoint):
    return botocore.session.get_session().create_client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0}),
    )


class Watched:
    """A client of botocore whose answers are looked at before botocore makes them lenient."""

    def __init__(self, service, endpoint):
        self.found = collections.Counter()
        self.answered = set()
        self.client = client(service, endpoint)
        self.client.meta.events.register(f"after-call.{service}", self.look)

    def look(self, http_response, model, **_):
        name, body = model.name, http_response.content
        try:
            parsed = json.loads(body or b"{}")
        except ValueError:
            self.found[f"{name}: {body[:80]!r} is no JSON"] += 1
            return
        if http_response.status_code >= 300:
            if not http_response.headers.get("x-amzn-errortype"):
                self.found[f"{name}: an error without x-amzn-ErrorType"] += 1
            if not isinstance(parsed.get("message"), str):
                self.found[f"{name}: an error without a message"] += 1
            return
        self.answered.add(name)
        shape = model.output_shape
        self.found.update(deviations(parsed, shape, name) if shape else [])

    def refused(self, code, method, **request):
        """Asks for what must be refused with this error."""
        try:
            getattr(self.client, method)(**request)
        except ClientError as error:
            got = error.response["Error"]["Code"]
            if got != code:
                self.found[f"{method}: refused with {got}, not with {code}"] += 1
        else:
            self.found[f"{method}: done, although it must be refused: {request}"] += 1


def control(endpoint, path, body):
    request = urllib.request.Request(endpoint + path, json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def ended(client, ids):
    """The jobs as soon as all of them have ended; each look is looked at."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        jobs = client.describe_jobs(jobs=ids)["jobs"]
        if len(jobs) == len(ids) and all(j["status"] in ("SUCCEEDED", "FAILED") for j in jobs):
            return {job["jobId"]: job for job in jobs}
        if time.monotonic() > deadline:
            sys.exit(f"jobs do not end: {[(j['jobName'], j['status']) for j in jobs]}")
        time.sleep(0.05)


CONTAINER = {
    "image": "none",
    "command": ["sh", "-c", "echo $GREETING; exit ${CODE:-0}"],
    "environment": [{"name": "GREETING", "value": "hello"}],
    "resourceRequirements": [
        {"type": "VCPU", "value": "1"},
        {"type": "MEMORY", "value": "64"},
    ],
    "jobRoleArn": "arn:aws:iam::123456789012:role/job",
}
RETRY = {
    "attempts": 3,
    "evaluateOnExit": [
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onStatusReason": "Task failed to start*", "action": "RETRY"},
        {"onExitCode": "20*", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    ],
}


def places(client):
    """Compute environments, queues and definitions, made, changed and described."""
    client.create_compute_environment(computeEnvironmentName="ce", type="UNMANAGED", tags={"a": "b"})
    client.update_compute_environment(computeEnvironment="ce", state="ENABLED")
    client.create_job_queue(
        jobQueueName="queue",
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "ce"}],
        jobStateTimeLimitActions=[
            {
                "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
                "state": "RUNNABLE",
                "maxTimeSeconds": 600,
                "action": "CANCEL",
            }
        ],
    )
    client.update_job_queue(jobQueue="queue", priority=2, state="ENABLED")
    # The pair that the emulator makes by itself is among them.
    client.describe_compute_environments()
    client.describe_job_queues()
    for _ in range(2):
        client.register_job_definition(
            jobDefinitionName="definition",
            type="container",
            containerProperties=CONTAINER,
            retryStrategy=RETRY,
            timeout={"attemptDurationSeconds": 60},
            parameters={"word": "said"},
            tags={"a": "b"},
            propagateTags=True,
            platformCapabilities=["EC2"],
        )
    client.deregister_job_definition(jobDefinition="definition:1")
    client.describe_job_definitions(jobDefinitionName="definition")
    client.describe_job_definitions(jobDefinitions=["definition:2"], status="ACTIVE")


def submit(client, name, **more):
    queue, definition = more.pop("jobQueue", "queue"), "definition"
    request = dict(jobName=name, jobQueue=queue, jobDefinition=definition, **more)
    return client.submit_job(**request)["jobId"]


def jobs(client, endpoint):
    """Jobs that end in all ways there are, described and listed."""
    rules = [
        {"kind": "spot_kill", "job": "spot", "attempt": 1},
        {"kind": "oom_kill", "job": "oom"},
        {"kind": "task_failed_to_start", "job": "pull", "attempt": 1},
        {"kind": "stuck", "job": "stuck", "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"},
    ]
    control(endpoint, "/_emu/faults", {"rules": rules})

    def shell(script):
        return {"command": ["sh", "-c", script]}

    plain = submit(client, "plain", tags={"run": "1"}, timeout={"attemptDurationSeconds": 60})
    code = {"environment": [{"name": "CODE", "value": "3"}]}
    array = submit(client, "array", arrayProperties={"size": 3})
    ids = [
        plain,
        array,
        submit(client, "code", containerOverrides=code),
        submit(client, "spot", containerOverrides=shell("test $AWS_BATCH_JOB_ATTEMPT = 2 || sleep 30")),
        submit(client, "oom", containerOverrides=shell("sleep 30")),
        submit(client, "pull"),
        submit(client, "none", containerOverrides={"command": ["no-such-program"]}),
        submit(client, "late", containerOverrides=shell("sleep 30"), timeout={"attemptDurationSeconds": 1}),
        submit(client, "after", dependsOn=[{"jobId": plain}]),
        submit(client, "each", arrayProperties={"size": 3}, dependsOn=[{"jobId": array, "type": "N_TO_N"}]),
        submit(client, "chain", arrayProperties={"size": 2}, dependsOn=[{"type": "SEQUENTIAL"}]),
        submit(client, "pair", jobQueue="pair"),
    ]
    stuck, long = submit(client, "stuck"), submit(client, "long", containerOverrides=shell("sleep 60"))
    client.describe_jobs(jobs=[*ids, stuck, long, f"{array}:1"])
    client.get_job_queue_snapshot(jobQueue="queue")
    found = ended(client, ids)
    wanted = {"code": "FAILED", "oom": "FAILED", "none": "FAILED", "late": "FAILED"}
    for job in found.values():
        if job["status"] != wanted.get(job["jobName"], "SUCCEEDED"):
            sys.exit(f"{job['jobName']} is {job['status']}: {job.get('statusReason')}")
    for request in [
        {"jobQueue": "queue"},
        {"jobQueue": "queue", "jobStatus": "FAILED"},
        {"jobQueue": "queue", "jobStatus": "SUCCEEDED", "maxResults": 2},
        {"jobQueue": "queue", "filters": [{"name": "JOB_NAME", "values": ["*"]}]},
        {"arrayJobId": array, "jobStatus": "SUCCEEDED"},
    ]:
        client.list_jobs(**request)
    client.cancel_job(jobId=stuck, reason="not needed")
    client.cancel_jobs(jobs=[long], reason="not needed")
    client.terminate_job(jobId=long, reason="not needed")
    client.terminate_jobs(jobs=[stuck, long, plain], reason="not needed")
    ended(client, [stuck, long])
    return found[plain]


def refusals(watched, endpoint):
    submission = {"jobName": "x", "jobQueue": "queue", "jobDefinition": "definition"}
    for change in [
        {"jobQueue": "none"},
        {"jobName": "x y"},
        {"jobDefinition": "definition:1"},
        {"arrayProperties": {"size": 1}},
        {"timeout": {"attemptDurationSeconds": 0}},
    ]:
        watched.refused("ClientException", "submit_job", **{**submission, **change})
    faults = {
        "throttle": "TooManyRequestsException",
        "expired": "ExpiredTokenException",
        "denied": "AccessDeniedException",
        "server500": "ServerException",
    }
    for kind, code in faults.items():
        control(endpoint, "/_emu/faults", {"rules": [{"kind": kind, "op": "DescribeJobs"}]})
        watched.refused(code, "describe_jobs", jobs=["x"])
    watched.refused("UnknownOperationException", "list_scheduling_policies")


def main():
    program = sys.argv[1]
    flags = ["--fast", "--rate", "10000", "--create-queue", "pair"]
    pipe = subprocess.PIPE
    with subprocess.Popen([program, *flags], stdin=pipe, stdout=pipe, text=True) as emulator:
        endpoint = emulator.stdout.readline().removeprefix("listening on ").strip()
        batch, logs, ecs = (Watched(name, endpoint) for name in ("batch", "logs", "ecs"))
        places(batch.client)
        job = jobs(batch.client, endpoint)
        arn = job["jobArn"]
        batch.client.tag_resource(resourceArn=arn, tags={"more": "2"})
        batch.client.untag_resource(resourceArn=arn, tagKeys=["run"])
        tags = batch.client.list_tags_for_resource(resourceArn=arn)["tags"]
        group, stream = "/aws/batch/job", job["container"]["logStreamName"]
        page = logs.client.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)
        logs.refused("ResourceNotFoundException", "get_log_events", logGroupName=group, logStreamName="none")
        place = batch.client.describe_compute_environments(computeEnvironments=["pair-ce"])
        cluster = place["computeEnvironments"][0]["ecsClusterArn"]
        ecs.client.describe_clusters(clusters=[cluster, cluster + "-none"])
        refusals(batch, endpoint)
        # Its answers are XML, which botocore itself reads by the model.
        account = client("sts", endpoint).get_caller_identity()["Account"]
        with urllib.request.urlopen(f"{endpoint}/_emu/state", timeout=10) as answer:
            counted = {name.split(":")[-1] for name in json.load(answer)["calls"]}
        counted -= {"unknown", "GetCallerIdentity"}
        emulator.terminate()
        emulator.wait(timeout=DEADLINE_S)
    found = batch.found + logs.found + ecs.found
    if account != "123456789012":
        found[f"GetCallerIdentity: {account}"] += 1
    if tags != {"more": "2"}:
        found[f"ListTagsForResource: {tags}"] += 1
    if [event["message"] for event in page["events"]] != ["hello"]:
        found[f"GetLogEvents: {page['events']}"] += 1
    answered = batch.answered | logs.answered | ecs.answered
    for name in sorted(set(OPERATIONS) - answered):
        found[f"{name}: was never answered"] += 1
    for name in sorted(counted - answered):
        found[f"{name}: was counted, but never answered well"] += 1
    for what, count in sorted(found.items()):
        print(f"{count:4} x {what}")
    print(f"{len(answered)} operations, {len(found)} deviations from botocore {botocore.__version__}")
    sys.exit(1 if found else 0)


main()
