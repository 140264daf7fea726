#!/usr/bin/env bash
# Flink 2 does not label the ConfigMaps of its Kubernetes high availability with `configmap-type: high-availability` any more.
#
# Versions: Flink 1.20.3 and 2.3.0 (PyPI apache-flink-libraries).
#
# What is done: a JobManager of each version starts with `high-availability.type: kubernetes`. A stand-in for the API server, below, takes
# down the ConfigMap that it creates for its elections.
#
# Expected: both label it `app: <cluster id>`, `type: flink-native-kubernetes` and `configmap-type: high-availability`. The last one says what
# the ConfigMap is for, and it is by that label that clean-up scripts and operators select what a cluster leaves behind
# (`kubectl delete configmap --selector app=<cluster id>,configmap-type=high-availability`).
#
# Seen: 1.20.3 does, 2.3.0 leaves `configmap-type` out. There the same selector matches nothing, and deletes nothing without a word: the
# ConfigMaps pile up, and a cluster that is started again under the same id resumes the jobs that were thought to be cleaned away. What is
# left to select by are `app` and `type`, and the end of the name, `-config-map`.
set -euo pipefail
cd "$(dirname "$0")"
source ./flink.sh

api_port=$(free_port)

start_api_server() {
  cat > "$work/api-server.py" <<'PYTHON'
import http.server, json, sys

created, labels_file = {}, sys.argv[2]

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        name = self.path.split("?")[0].partition("/configmaps/")[2]
        if not name:
            self.reply(200, {"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": "1"}, "items": []})
        elif name in created:
            self.reply(200, created[name])
        else:
            self.reply(404, {"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404})

    def store(self, code):
        sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
        sent["metadata"] |= {"uid": "1", "resourceVersion": "2"}
        if not created:
            with open(labels_file, "w") as file:
                json.dump(sent["metadata"].get("labels"), file, sort_keys=True)
        created[sent["metadata"]["name"]] = sent
        self.reply(code, sent)

    def do_POST(self):
        self.store(201)

    def do_PUT(self):
        self.store(200)

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
PYTHON
  python3 "$work/api-server.py" "$api_port" "$work/labels.json" >> "$work/api-server.log" 2>&1 &
  pid[api-server]=$!
}

# The labels of the ConfigMap that a version of Flink creates, as JSON.
labels_of() {
  rm -rf "$work"/*
  start_flink_folder "$1"
  cat > "$work/kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{ name: none, cluster: { server: "http://127.0.0.1:$api_port" } }]
contexts: [{ name: none, context: { cluster: none, namespace: default } }]
current-context: none
YAML
  cat >> "$work/conf/config.yaml" <<YAML
high-availability.type: kubernetes
high-availability.storageDir: file://$work/high-availability
kubernetes.cluster-id: orders
kubernetes.config.file: $work/kubeconfig
YAML
  start_api_server
  start jobmanager
  wait_until 'the first ConfigMap' test -s "$work/labels.json"
  labels=$(cat "$work/labels.json")
  kill_process jobmanager
  kill_process api-server
  echo "Flink $1: $labels"
}

expect() {
  if [ "$labels" != "$1" ]; then
    echo "not as it was seen: $1" >&2
    exit 1
  fi
}

labels_of 1.20.3
expect '{"app": "orders", "configmap-type": "high-availability", "type": "flink-native-kubernetes"}'
labels_of 2.3.0
expect '{"app": "orders", "type": "flink-native-kubernetes"}'
