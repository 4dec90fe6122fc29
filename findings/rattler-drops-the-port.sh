#!/bin/sh
# rattler: oci://HOST:PORT/CHANNEL is fetched from port 443 of that host. rattler drops the port without a warning.
#
# Found in py-rattler 0.28.0 (PyPI), the library of conda packages that pixi uses, with its OciMiddleware.
#
# A test registry is nearly always HOST:PORT. rattler accepts this channel and asks https://HOST/v2/… without the port. If a
# server listens there, its responses are used for the channel. If not, the connection is refused, and the error names an
# address that you did not write. docker, podman and oras keep the port. rattler keeps it too if you write https in place of
# oci. The script listens on the port of the channel and sees no connection.
#
# What to do: put the registry, or a proxy in front of it, on port 443 of a name of its own.
#
# Needs python3 with venv. The script uses only loopback, on an address where nothing listens on port 443.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check py-rattler==0.28.0

cat > "$folder/trial.py" <<'PYTHON'
import asyncio, importlib.metadata, socket, sys
from rattler import Channel, Gateway
from rattler.networking import Client, OciMiddleware

ADDRESS = "127.94.3.7"

def nothing_on_443():
    with socket.socket() as trial:
        trial.settimeout(2)
        return trial.connect_ex((ADDRESS, 443)) != 0

async def asked(scheme):
    """The error of a query of the channel, and how many connections came to the port that it names."""
    connections = 0

    async def count(reader, writer):
        nonlocal connections
        connections += 1
        writer.close()

    server = await asyncio.start_server(count, ADDRESS, 0)
    port = server.sockets[0].getsockname()[1]
    gateway = Gateway(client=Client([OciMiddleware()]))
    channel = Channel(f"{scheme}://{ADDRESS}:{port}/channel")
    error = ""
    try:
        await asyncio.wait_for(gateway.query([channel], ["linux-64"], ["python"]), 60)
    except Exception as caught:
        error = str(caught).splitlines()[0]
    server.close()
    return connections, port, error

async def main():
    if not nothing_on_443():
        sys.exit(f"something listens on {ADDRESS}:443 here; the trial needs it to be free")
    print("py-rattler", importlib.metadata.version("py-rattler"))
    to_https, _, _ = await asked("https")
    print(f"https://{ADDRESS}:PORT/channel: {to_https} connections to PORT")
    to_oci, port, error = await asked("oci")
    print(f"oci://{ADDRESS}:{port}/channel: {to_oci} connections to {port}")
    print("  ", error)
    if to_https == 0:
        sys.exit("changed: even https://HOST:PORT does not come to the port")
    if to_oci != 0:
        sys.exit("changed: oci://HOST:PORT comes to the port now")
    if f"https://{ADDRESS}/v2/channel/" not in error or str(port) in error:
        sys.exit("changed: the address that the error names is another one")
    print("as found: the port of oci://HOST:PORT was dropped")

asyncio.run(main())
PYTHON
HOME="$folder" timeout 150 "$folder/venv/bin/python" "$folder/trial.py"
