"""Makes keys and certificates with openssl and signs tokens with PyJWT, as others do who never saw
this registry. Usage: forge.py FOLDER PART...; writes FOLDER/forged.json."""

import json
import sys
from pathlib import Path

from chains import Chains
from keys import Keys
from oracle import Oracle
from pki import Pki

PARTS = {"chains": Chains, "keys": Keys, "oracle": Oracle}


def main(folder: Path, names: list[str]) -> None:
    pki = Pki(folder)
    forged = {"files": {}, "tokens": {}}
    for part in [PARTS[name](pki) for name in names]:
        forged["files"].update(part.files())
        forged["tokens"].update(part.tokens())
    (folder / "forged.json").write_text(json.dumps(forged))


main(Path(sys.argv[1]), sys.argv[2:])
