# Sourced by the findings about Flink: a Flink from PyPI in a temporary folder, its processes on free ports of the loopback.
#
#   start_flink_folder VERSION   downloads that version and builds the job that write_job writes, $work/Job.java: by default one of one task
#   start NAME                   starts a process, jobmanager or taskmanager, with $work/conf/config.yaml; its pid is ${pid[NAME]}
#   kill_process NAME [SIGNAL]   ends it and waits until it is gone
#   wait_until WHAT COMMAND...   waits until the command succeeds, at most 3 minutes
#   rest PATH [CURL OPTION...]   asks the JobManager
#   run_job JSON                 submits the job with the fields of POST /jars/:jarid/run, and prints the response
#
# Needs: bash, curl, Python 3 with pip, a JDK 17 (javac, jar, java). Everything is removed, and every process ended, when the script ends.

work=$(mktemp -d)
declare -A pid=()

finish() {
  local code=$? name
  for name in "${!pid[@]}"; do kill_process "$name" KILL; done
  if [ "$code" != 0 ]; then for log in "$work"/*.log; do printf -- '--- %s\n' "$log"; tail -n 40 "$log" | cut -c1-300; done >&2; fi
  rm -rf "$work"
}
trap finish EXIT

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start_flink_folder() {
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
    --target "$work/python" "apache-flink-libraries==$1"
  lib=$work/python/pyflink/lib
  rest_port=$(free_port)
  mkdir "$work/conf" "$work/classes"
  cat > "$work/conf/config.yaml" <<YAML
jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: "$(free_port)"
jobmanager.bind-host: 127.0.0.1
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: "$rest_port"
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.numberOfTaskSlots: "2"
taskmanager.cpu.cores: "1.0"
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.task.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 64m
taskmanager.memory.task.off-heap.size: "0"
taskmanager.memory.network.min: 32m
taskmanager.memory.network.max: 32m
taskmanager.memory.managed.size: 16m
taskmanager.memory.jvm-metaspace.size: 128m
taskmanager.memory.jvm-overhead.min: 64m
taskmanager.memory.jvm-overhead.max: 64m
io.tmp.dirs: $work
YAML
  cat > "$work/conf/log4j.properties" <<'PROPERTIES'
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %c - %m%n
PROPERTIES
  write_job
  javac -nowarn --release 11 -cp "$lib/*" -d "$work/classes" "$work/Job.java" 2> "$work/javac.log"
  # Flink runs a jar by its name where it would have put an uploaded one.
  mkdir -p "$work/web/flink-web-upload"
  jar --create --file "$work/web/flink-web-upload/job.jar" -C "$work/classes" .
  echo "web.upload.dir: $work/web" >> "$work/conf/config.yaml"
}

# The job of a finding that needs no other; one that does defines this function anew, after this file.
write_job() {
  cat > "$work/Job.java" <<'JAVA'
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;

public class Job {
  public static void main(String[] args) throws Exception {
    StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
    environment.setParallelism(1);
    environment
        .fromSequence(0, Long.MAX_VALUE - 1)
        .map(number -> { Thread.sleep(10); return number; })
        .returns(Long.class)
        .sinkTo(new DiscardingSink<>());
    environment.execute("job");
  }
}
JAVA
}

start() {
  local main=org.apache.flink.runtime.taskexecutor.TaskManagerRunner package
  if [ "$1" = jobmanager ]; then main=org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint; fi
  local opens=()
  for package in lang lang.reflect net io nio text time util util.concurrent util.concurrent.atomic util.concurrent.locks; do
    opens+=("--add-opens=java.base/java.$package=ALL-UNNAMED")
  done
  java -Xmx256m "${opens[@]}" -Dlog4j.configurationFile="file:$work/conf/log4j.properties" -cp "$lib/*" \
    "$main" --configDir "$work/conf" >> "$work/$1.log" 2>&1 &
  pid[$1]=$!
}

kill_process() {
  kill -"${2:-KILL}" "${pid[$1]}" 2> /dev/null || true
  wait "${pid[$1]}" 2> /dev/null || true
  unset "pid[$1]"
}

wait_until() {
  local what=$1 attempt
  shift
  for attempt in $(seq 360); do
    if "$@" > /dev/null 2>&1; then return; fi
    sleep 0.5
  done
  echo "waited in vain: $what" >&2
  exit 2
}

rest() {
  local path=$1
  shift
  curl --silent --show-error --max-time 30 "http://127.0.0.1:$rest_port$path" "$@"
}

run_job() {
  rest /jars/job.jar/run --request POST --header 'content-type: application/json' --data "$1"
}

has_slots() { rest /overview | grep -q "\"slots-available\":$1"; }
runs() { rest "/jobs/$1" | grep -q '"status":"RUNNING"'; }
has_failed() { rest "/jobs/$1" | grep -q '"state":"FAILED"'; }
