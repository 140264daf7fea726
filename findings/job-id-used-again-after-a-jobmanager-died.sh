#!/usr/bin/env bash
# A job that is submitted again under the same id, after its JobManager died, is refused by the TaskManagers.
#
# Versions: Flink 1.20.3 and 2.3.0 (PyPI apache-flink-libraries), without high availability. Give one as an argument; default 2.3.0.
#
# What is done: a job runs, submitted with a `jobId` of the client's choice, from a jar that lies at the JobManager. The JobManager's
# process is killed and started again. It has forgotten the job (no high availability), there are free slots, and the client submits the
# same job, from the same jar, under the same id: the id is what makes a submission safe to repeat.
#
# Expected: the job runs, as it does under any other id; or the submission is rejected.
#
# Seen: the submission is accepted (200), and then the job FAILS: "The library registration references a different set of library BLOBs
# than previous registrations for this job". The same jar is another BLOB with each submission, and TaskManagers remember those of a job
# until its slots time out (taskmanager.slot.timeout, 10 s), which begins only when they notice that the JobManager is gone. Under another
# id the same submission runs.
#
# When does it happen: while a TaskManager that has come back still holds a slot for the lost job. Heartbeats are made shorter here, so that
# this is not a matter of luck.
set -euo pipefail
cd "$(dirname "$0")"
source ./flink.sh

version=${1:-2.3.0}
job=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
another=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb

start_flink_folder "$version"
cat >> "$work/conf/config.yaml" <<'YAML'
heartbeat.interval: 2 s
heartbeat.timeout: 10 s
cluster.registration.error-delay: 500 ms
taskmanager.slot.timeout: 2 min
YAML

start jobmanager
start taskmanager
wait_until 'two slots' has_slots 2
run_job "{\"entryClass\": \"Job\", \"jobId\": \"$job\"}"
echo
wait_until 'the job runs' runs $job

kill_process jobmanager
start jobmanager
wait_until 'the TaskManager is back' has_slots 1
run_job "{\"entryClass\": \"Job\", \"jobId\": \"$job\"}"
echo
wait_until 'the job fails' has_failed $job
cause=$(rest "/jobs/$job/exceptions")
run_job "{\"entryClass\": \"Job\", \"jobId\": \"$another\"}"
echo
wait_until 'the job runs under another id' runs $another

sentence='The library registration references a different set of library BLOBs than previous registrations for this job'
if ! grep -q "$sentence" <<< "$cause"; then
  echo "Flink $version: the job has failed, for another reason: $cause" >&2
  exit 1
fi
echo "as it was seen: on Flink $version the job failed under its old id ($sentence), and ran under another"
