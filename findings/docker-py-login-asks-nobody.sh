#!/bin/sh
# docker-py: the second login() with the same name sends no request, and returns a different value.
#
# Found in docker 7.2.0 (PyPI), with a daemon that records its requests.
#
# client.login(NAME, PASSWORD, registry=HOST) keeps its arguments in memory. A later login() with the same name and registry
# sends no request to the daemon. It returns what it kept, a dictionary with "username" and "password" in clear. The first
# login() returns the daemon's {"Status": ...}. A program that reads "Status" fails the second time, and a program that
# logs the value logs the password.
#
# What to do: pass reauth=True, which sends a request each time, and do not log the value that login() returns.
#
# Needs python3 with venv. The script uses only loopback and a temporary folder.
set -eu

folder=$(mktemp -d)
daemon=
clean() {
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
    rm -rf "$folder"
}
trap clean EXIT
trap 'exit 1' INT TERM

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check docker==7.2.0

# A daemon that supports only /auth, and records each request.
cat > "$folder/daemon.py" <<'PYTHON'
import http.server, json, os, sys

class Daemon(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open(sys.argv[1] + "/asked", "a") as file:
            file.write(asked["password"] + "\n")
        body = json.dumps({"Status": "Login Succeeded"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Daemon)
with open(sys.argv[1] + "/port.new", "w") as file:
    file.write(str(server.server_port))
os.rename(sys.argv[1] + "/port.new", sys.argv[1] + "/port")
server.serve_forever()
PYTHON
python3 "$folder/daemon.py" "$folder" &
daemon=$!
waited=0
while [ ! -f "$folder/port" ]; do
    waited=$((waited + 1))
    [ "$waited" -lt 100 ] || { echo "the daemon of this script did not start"; exit 1; }
    sleep 0.1
done

cat > "$folder/client.py" <<'PYTHON'
import sys, docker

folder, port = sys.argv[1], open(sys.argv[1] + "/port").read()
client = docker.DockerClient(base_url="http://127.0.0.1:" + port, version="1.41")

def login(password, **more):
    return client.login("ann", password, registry="registry.example", **more)

first = login("opensesame")
second = login("opensesame")
third = login("opensesame", reauth=True)
asked = open(folder + "/asked").read().splitlines()
print("docker-py", docker.__version__)
print("the first login:           ", first)
print("the second:                ", second)
print("the third, by reauth=True: ", third)
print("the daemon was asked", len(asked), "times")

said = {"Status": "Login Succeeded"}
if first != said:
    sys.exit("changed: the first login is answered in another way")
if not isinstance(second, dict) or second.get("password") != "opensesame":
    sys.exit("changed: the second login no longer answers with what the first was given")
if third != said:
    sys.exit("changed: reauth=True is answered in another way")
if len(asked) != 2:
    sys.exit("changed: the daemon was asked another number of times")
print("as found: the second login asked nobody, and gave back the password")
PYTHON
HOME="$folder" DOCKER_CONFIG="$folder/none" "$folder/venv/bin/python" "$folder/client.py" "$folder"
