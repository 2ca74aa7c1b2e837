#!/bin/sh
# Checks on a real account what no emulator can tell. By hand: it costs some cents.
#
#   tests/aws/smoke.sh QUEUE JOB_DEFINITION s3://BUCKET/PREFIX
#
# Needs `levain` and `aws` on the path, credentials, and an image with the same binary. What AWS answers is
# kept in ./smoke/ to be compared with what the emulator answers.
set -eu
queue=$1 definition=$2 place=$3
mkdir -p smoke
say() { printf '== %s\n' "$1"; }

say "what is set up"
levain doctor --queue "$queue" --job-definition "$definition" --store "$place" --hello --output json > smoke/doctor.json
cat smoke/doctor.json

say "sources"
levain demo --dir smoke/demo --megabytes 60
aws s3 cp --recursive --quiet smoke/demo/files "$place/src"

say "a bake on two workers, and its bytes beside those of this machine"
began=$(date +%s)
levain bake "$place/src/*.nc" "$place/out.zarr" --overwrite --chunks time=24,lat=91,lon=90 \
    --runner batch --queue "$queue" --job-definition "$definition" --workers 2 --vcpus 1 --memory 2GiB
echo "took $(($(date +%s) - began)) s"
levain bake 'smoke/demo/files/*.nc' smoke/out.zarr --overwrite --chunks time=24,lat=91,lon=90
rm -rf smoke/there && aws s3 cp --recursive --quiet "$place/out.zarr" smoke/there
diff -r smoke/out.zarr smoke/there && echo "equal"

say "what Batch says of its jobs: reasons, times, names of logs"
levain batch jobs --queue "$queue" --output json > smoke/jobs.json
ids=$(aws batch list-jobs --job-queue "$queue" --job-status SUCCEEDED --query 'jobSummaryList[].jobId' --output text)
# shellcheck disable=SC2086
aws batch describe-jobs --jobs $ids > smoke/describe.json

say "how soon a job is told of, and how it ends when it is terminated"
id=$(levain batch submit --queue "$queue" --job-definition "$definition" --name smoke --output json -- sleep 600 |
    sed 's/.*"id":"\([^"]*\)".*/\1/')
aws batch describe-jobs --jobs "$id" > smoke/at_once.json
sleep 120
levain batch stop "$id" --reason "smoke test" --queue "$queue"
aws batch describe-jobs --jobs "$id" > smoke/terminated.json

say "nothing is left"
levain batch jobs --queue "$queue" --active
