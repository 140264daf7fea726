#!/usr/bin/env bash
# A second stop-with-savepoint, asked for while the first is under way, makes both fail, and restarts the job.
#
# Versions: Flink 1.20.3 and 2.3.0 (PyPI apache-flink-libraries), default scheduler. Give one as an argument; default 2.3.0.
#
# What is done: a job runs whose last operator takes 20 s to finish when its input ends, as a sink does that has much to write out.
# `POST /jobs/:jobid/stop` with drain asks for the job to be stopped with a savepoint. Three seconds later somebody else asks for the
# same, with a trigger id of their own: a person beside a pipeline, or a client that has lost the first response.
#
# Expected: the second request is rejected, or joins the first, or fails alone. (The same trigger id twice does join.) The first goes on,
# and the job ends FINISHED with its savepoint.
#
# Seen: both requests are accepted (202). Both operations end with a failure-cause, and the job does not end: its tasks fail, and it is
# restarted. So a controller has to wait for a stop that is not its own before it asks for one.
set -euo pipefail
cd "$(dirname "$0")"
source ./flink.sh

version=${1:-2.3.0}
job=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
first=11111111111111111111111111111111
second=22222222222222222222222222222222

write_job() {
  cat > "$work/Job.java" <<'JAVA'
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

public class Job {
  public static class WritesOutSlowly extends AbstractStreamOperator<Long> implements OneInputStreamOperator<Long, Long> {
    @Override
    public void processElement(StreamRecord<Long> element) throws Exception {
      Thread.sleep(10);
      output.collect(element);
    }

    @Override
    public void finish() throws Exception {
      Thread.sleep(20_000);
    }
  }

  public static void main(String[] args) throws Exception {
    StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
    environment.setParallelism(1);
    environment.enableCheckpointing(1000);
    environment
        .fromSequence(0, Long.MAX_VALUE - 1)
        .transform("slow", Types.LONG, new WritesOutSlowly())
        .sinkTo(new DiscardingSink<>());
    environment.execute("job");
  }
}
JAVA
}

stop_job() {
  rest "/jobs/$job/stop" --request POST --header 'content-type: application/json' \
    --data "{\"drain\": true, \"targetDirectory\": \"file://$work/savepoints\", \"triggerId\": \"$1\"}"
  echo
}

has_ended() { rest "/jobs/$job/savepoints/$1" | grep -q '"id":"COMPLETED"'; }
was_restarted() { rest "/jobs/$job" | grep -q '"RESTARTING":[1-9]'; }
has_checkpoint() { rest "/jobs/$job/checkpoints" | grep -q '"completed":[1-9]'; }

start_flink_folder "$version"
start jobmanager
start taskmanager
wait_until 'two slots' has_slots 2
run_job "{\"entryClass\": \"Job\", \"jobId\": \"$job\"}"
echo
wait_until 'the job runs' runs $job
wait_until 'a checkpoint' has_checkpoint

stop_job $first
sleep 3
stop_job $second
wait_until 'the first stop has ended' has_ended $first
wait_until 'the second stop has ended' has_ended $second
one=$(rest "/jobs/$job/savepoints/$first")
other=$(rest "/jobs/$job/savepoints/$second")
wait_until 'the job was restarted' was_restarted
wait_until 'the job runs again' runs $job
state=$(rest "/jobs/$job" | grep -o '"state":"[A-Z]*"' | head -n 1)

if ! grep -q failure-cause <<< "$one" || ! grep -q failure-cause <<< "$other" || [ "$state" = '"state":"FINISHED"' ]; then
  printf 'Flink %s: first %.300s\nsecond %.300s\njob %s\n' "$version" "$one" "$other" "$state" >&2
  exit 1
fi
echo "as it was seen: on Flink $version both stops failed, and the job runs on ($state)"
