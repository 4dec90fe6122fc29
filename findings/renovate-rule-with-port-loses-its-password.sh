#!/bin/sh
# renovate: a host rule for HOST:PORT switches a registry to plain HTTP, and then no longer matches for its password.
#
# Found in renovate 44.121.2 (npm), with one rule for the registry of a Dockerfile's image:
#
#     { hostType: "docker", matchHost: "HOST:PORT", insecureRegistry: true, username: …, password: … }
#
# renovate turns a matchHost with a port into the URL https://HOST:PORT. First it looks up the rules for the registry's
# https URL. This rule matches, insecureRegistry applies, and the URL becomes http. Then it looks up the login for the http
# URL, and the rule does not match. renovate asks the token service without credentials and gets a token that grants
# nothing. The run ends with status 0 and "0 flattened updates found". Only the debug log has the refusal.
#
# What to do: leave the port out of matchHost (renovate compares the bare host name with the host names of both schemes), or
# write two rules: HOST:PORT with insecureRegistry, and http://HOST:PORT with name and password.
#
# The script asks renovate's source of docker images for the releases of one image. A complete renovate has a third of a
# gigabyte, so the script installs only the dependencies of this source, in the versions that renovate pins.
#
# Needs python3, tar and npm; Node.js comes from npm too. The script uses only loopback and a temporary folder.
set -eu

folder=$(mktemp -d)
registry=
clean() {
    [ -z "$registry" ] || kill "$registry" 2>/dev/null || true
    rm -rf "$folder"
}
trap clean EXIT
trap 'exit 1' INT TERM

mkdir "$folder/node" "$folder/home"
quiet="--no-audit --no-fund --silent"
(cd "$folder/node" && echo '{"private":true}' > package.json && npm install $quiet node@24.21.0)
node=$folder/node/node_modules/node/bin/node

cd "$folder"
npm pack --silent renovate@44.121.2 > packed
tar xzf "$(cat packed)"
cat > pins.js <<'JAVASCRIPT'
const pins = require('./package/package.json').dependencies;
const needed = `agentkeepalive async-mutex bunyan cacache deepmerge dequal find-up fs-extra git-url-parse global-agent
  google-auth-library got handlebars ini json5 jsonc-weaver klona luxon minimatch p-queue p-throttle parse-link-header
  safe-stable-stringify shlex toml-eslint-parser upath url-join yaml zod
  @aws-sdk/client-ecr @redis/client @sindresorhus/is`.split(/\s+/);
const wanted = Object.keys(pins).filter((name) => needed.includes(name) || name.startsWith('@opentelemetry/'));
const dependencies = Object.fromEntries(wanted.map((name) => [name, pins[name]]));
require('fs').writeFileSync('package.json', JSON.stringify({ private: true, dependencies }));
JAVASCRIPT
"$node" pins.js
npm install $quiet --ignore-scripts --omit=optional

# A registry with its token service. ann may pull, anonymous may not. It records each request for a token.
cat > "$folder/registry.py" <<'PYTHON'
import base64, http.server, json, os, sys

class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, given = self.path.split("?")[0], self.headers.get("Authorization", "")
        if path == "/token":
            ann = given == "Basic " + base64.b64encode(b"ann:secret").decode()
            with open(sys.argv[1] + "/asked", "a") as file:
                file.write("ann\n" if ann else "nobody\n")
            return self.answer(200, {"token": "for-ann" if ann else "for-nobody"})
        if given != "Bearer for-ann":
            realm = f'Bearer realm="http://{self.headers["Host"]}/token",service="registry"'
            scope = ',scope="repository:app:pull"' if path != "/v2/" else ""
            return self.answer(401, {"errors": [{"code": "UNAUTHORIZED"}]}, realm + scope)
        if path == "/v2/app/tags/list":
            return self.answer(200, {"name": "app", "tags": ["1.0.0", "1.1.0"]})
        self.answer(404, {"errors": [{"code": "MANIFEST_UNKNOWN"}]})

    do_HEAD = do_GET

    def answer(self, status, value, challenge=None):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
with open(sys.argv[1] + "/port.new", "w") as file:
    file.write(str(server.server_port))
os.rename(sys.argv[1] + "/port.new", sys.argv[1] + "/port")
server.serve_forever()
PYTHON
python3 "$folder/registry.py" "$folder" &
registry=$!
waited=0
while [ ! -f "$folder/port" ]; do
    waited=$((waited + 1))
    [ "$waited" -lt 100 ] || { echo "the registry of this script did not start"; exit 1; }
    sleep 0.1
done
port=$(cat "$folder/port")

# Asks renovate for the releases of the image, with the host rules of its arguments.
cat > trial.mjs <<'JAVASCRIPT'
import { DockerDatasource } from './package/dist/modules/datasource/docker/index.js';
import { add } from './package/dist/util/host-rules.js';
import { init } from './package/dist/util/cache/memory/index.js';

const [host, ...rules] = process.argv.slice(2);
init();
for (const rule of rules) add({ hostType: 'docker', ...JSON.parse(rule) });
const image = { packageName: `${host}/app`, registryUrl: 'https://registry.example' };
const found = await new DockerDatasource().getReleases(image).catch((error) => ({ error: error.statusCode }));
console.log(found.error ? `refused with ${found.error}` : found.releases.map(({ version }) => version).join(' '));
JAVASCRIPT

# asked RULE…: the account for which renovate asked for a token, and the releases that it found.
asked() {
    rm -f asked
    found=$(HOME="$folder/home" timeout 40 "$node" trial.mjs "127.0.0.1:$port" "$@" 2> log | tail -1)
    echo "token asked for as $(sort -u asked | tr '\n' ' ')- $found"
}
login='"username":"ann","password":"secret"'
with_port=$(asked "{\"matchHost\":\"127.0.0.1:$port\",\"insecureRegistry\":true,$login}")
without=$(asked "{\"matchHost\":\"127.0.0.1\",\"insecureRegistry\":true,$login}")
two=$(asked "{\"matchHost\":\"127.0.0.1:$port\",\"insecureRegistry\":true}" \
    "{\"matchHost\":\"http://127.0.0.1:$port\",$login}")
echo "renovate $("$node" -p "require('./package/package.json').version")"
echo "one rule, HOST:PORT:                $with_port"
echo "one rule, HOST:                     $without"
echo "two rules, HOST:PORT and http://…:  $two"

if [ "$with_port" != "token asked for as nobody - refused with 401" ]; then
    echo "changed: the rule for HOST:PORT is no longer lost between https and http"
    exit 1
fi
for other in "$without" "$two"; do
    if [ "$other" != "token asked for as ann - 1.0.0 1.1.0" ]; then
        echo "changed: what helped no longer helps"
        exit 1
    fi
done
echo "as found: one rule for HOST:PORT brings plain HTTP, and leaves its name and password behind"
