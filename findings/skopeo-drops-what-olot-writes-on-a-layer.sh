#!/bin/sh
# skopeo and olot: a push drops the annotations of the layers that olot has added, also the file names.
#
# Found with olot 1.2.1 (PyPI) and skopeo 1.9.3 (Debian 12), with the command that olot itself runs to push:
# skopeo copy --multi-arch all oci:LAYOUT docker://REGISTRY/NAME.
#
# olot puts model files into an OCI layout, each in an uncompressed tar layer. Annotations of the layer say which file it
# has (org.opencontainers.image.title, olot.layer.content.*). During a push to a registry, skopeo compresses uncompressed
# layers. It writes a descriptor with the new digest and media type, and without the old annotations. Layers that were
# compressed before keep theirs. The push succeeds without a warning, and the image runs. A program that looks for a file by
# its layer's annotation finds it in the layout, but not in the registry.
#
# What to do: use skopeo copy --preserve-digests, which keeps the layers unchanged; or compress the layers before.
#
# Needs Debian 12 on amd64 (apt-get download, dpkg), python3 with venv, and file. The script uses only loopback.
set -eu

folder=$(mktemp -d)
registry=
clean() {
    [ -z "$registry" ] || kill "$registry" 2>/dev/null || true
    rm -rf "$folder"
}
trap clean EXIT
trap 'exit 1' INT TERM

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check olot==1.2.1
mkdir "$folder/deb" "$folder/home"
chmod 755 "$folder"
chmod 777 "$folder/deb"
for package in 'skopeo=1.9.3+ds1-1+b10' libgpgme11 libdevmapper1.02.1 libassuan0; do
    (cd "$folder/deb" && apt-get download --quiet=2 "$package")
done
for file in "$folder"/deb/*.deb; do
    dpkg-deb --extract "$file" "$folder/deb/root"
done
skopeo() {
    LD_LIBRARY_PATH="$folder/deb/root/usr/lib/x86_64-linux-gnu:$folder/deb/root/lib/x86_64-linux-gnu" \
        HOME="$folder/home" timeout 60 "$folder/deb/root/usr/bin/skopeo" --insecure-policy "$@"
}

# An image of one small, compressed layer with an annotation, as an OCI layout.
cat > "$folder/image.py" <<'PYTHON'
import gzip, hashlib, io, json, os, sys, tarfile

folder = sys.argv[1]
os.makedirs(folder + "/blobs/sha256")

def put(value, media_type, **more):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{folder}/blobs/sha256/{digest}", "wb") as file:
        file.write(data)
    return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data), **more}

tar = io.BytesIO()
with tarfile.open(fileobj=tar, mode="w") as archive:
    archive.addfile(tarfile.TarInfo("base"))
oci = "application/vnd.oci.image."
layer = put(gzip.compress(tar.getvalue(), mtime=0), oci + "layer.v1.tar+gzip", annotations={"of": "the base"})
config = put({
    "architecture": "amd64", "os": "linux", "config": {},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar.getvalue()).hexdigest()]},
    "history": [{"created_by": "trial"}],
}, oci + "config.v1+json")
manifest = put({
    "schemaVersion": 2, "mediaType": oci + "manifest.v1+json", "config": config, "layers": [layer],
}, oci + "manifest.v1+json", annotations={"org.opencontainers.image.ref.name": "latest"})
with open(folder + "/index.json", "w") as file:
    json.dump({"schemaVersion": 2, "manifests": [manifest]}, file)
with open(folder + "/oci-layout", "w") as file:
    file.write('{"imageLayoutVersion":"1.0.0"}')
PYTHON
python3 "$folder/image.py" "$folder/layout"
echo "the model" > "$folder/model.bin"
"$folder/venv/bin/olot" "$folder/layout" "$folder/model.bin" > "$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }

# A registry that accepts every blob and keeps the manifests.
cat > "$folder/registry.py" <<'PYTHON'
import http.server, os, sys, urllib.parse

folder, blobs = sys.argv[1], set()

class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, **headers):
        self.send_response(status)
        for name, value in {"Content_Length": "0", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def do_GET(self):
        self.answer(200 if self.path == "/v2/" else 404)

    def do_HEAD(self):
        self.answer(200 if self.path.rsplit("/", 1)[1] in blobs else 404)

    def do_POST(self):
        self.body()
        self.answer(202, Location="/v2/upload")

    def do_PATCH(self):
        self.body()
        self.answer(202, Location="/v2/upload")

    def do_PUT(self):
        data = self.body()
        url = urllib.parse.urlsplit(self.path)
        if "/manifests/" in url.path:
            with open(f"{folder}/pushed-{url.path.rsplit('/', 1)[1]}", "wb") as file:
                file.write(data)
        else:
            blobs.add(urllib.parse.parse_qs(url.query)["digest"][0])
        self.answer(201, Location="/v2/there")

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
with open(folder + "/port.new", "w") as file:
    file.write(str(server.server_port))
os.rename(folder + "/port.new", folder + "/port")
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
target="docker://127.0.0.1:$(cat "$folder/port")/model"

skopeo copy --quiet --multi-arch all --dest-tls-verify=false "oci:$folder/layout:latest" "$target:plain"
skopeo copy --quiet --multi-arch all --preserve-digests --dest-tls-verify=false "oci:$folder/layout:latest" "$target:same"

skopeo --version
cat > "$folder/compare.py" <<'PYTHON'
import json, sys

folder = sys.argv[1]
name = json.load(open(folder + "/layout/index.json"))["manifests"][0]["digest"].split(":")[1]
TITLE = "org.opencontainers.image.title"

def layers(path):
    found = json.load(open(path))["layers"]
    return [(layer["mediaType"].rsplit(".", 1)[1], layer.get("annotations", {})) for layer in found]

written = layers(f"{folder}/layout/blobs/sha256/{name}")
plain, same = layers(folder + "/pushed-plain"), layers(folder + "/pushed-same")
for label, of in ("in the layout", written), ("pushed", plain), ("pushed with --preserve-digests", same):
    print(f"{label}:")
    for kind, annotations in of:
        print(f"    {kind:9} {len(annotations)} annotations, title: {annotations.get(TITLE)}")
if written[0] != ("tar+gzip", {"of": "the base"}) or written[1][1].get(TITLE) != "model.bin":
    sys.exit("changed: olot writes another layout")
if same != written:
    sys.exit("changed: --preserve-digests no longer carries the layers as they are")
if plain[0] != written[0]:
    sys.exit("changed: the compressed layer does not arrive as it was")
if plain[1] != ("tar+gzip", {}):
    sys.exit("changed: the layer that was compressed on the way is another one now")
print("as found: the layer that skopeo compressed on the way has lost its annotations")
PYTHON
python3 "$folder/compare.py" "$folder"
