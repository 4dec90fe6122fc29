"""HOOK_TOKEN=… python3 http-accounts-command.py 8081 COMMAND [ARGUMENT]…
Asks a command as docker_auth's ext_auth does: NAME PASSWORD on stdin; exit 0 yes, 1 no, 2 unknown."""
import hmac, http.server, json, os, subprocess, sys

def answer(question):
    if question["question"] != "login":
        return {"answer": "unavailable", "reason": "the command is asked for nobody without a password"}
    pair = (question["name"] + " " + question["password"]).encode()
    ran = subprocess.run(sys.argv[2:], input=pair, stdout=subprocess.PIPE, timeout=10)
    if ran.returncode == 0:
        labels = json.loads(ran.stdout).get("labels") if ran.stdout.strip() else None
        return {"answer": "yes", "account": {"labels": labels}}
    if ran.returncode in (1, 2):
        return {"answer": "no" if ran.returncode == 1 else "unknown"}
    return {"answer": "unavailable", "reason": f"the command ended with status {ran.returncode}"}

class Service(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        question = self.rfile.read(int(self.headers["Content-Length"]))
        shown, bearer = self.headers.get("Authorization", ""), "Bearer " + os.environ["HOOK_TOKEN"]
        if not hmac.compare_digest(shown.encode(), bearer.encode()):
            return self.send_error(401)
        body = json.dumps(answer(json.loads(question))).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Service)
print("listening on", server.server_port, flush=True)
server.serve_forever()
