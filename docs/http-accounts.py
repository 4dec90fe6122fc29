"""HOOK_TOKEN=… python3 http-accounts.py people.json 8080"""
import hashlib, hmac, http.server, json, os, sys

def answer(question):
    if not (person := json.load(open(sys.argv[1])).get(question.get("name"))):
        return {"answer": "unknown"}
    if question["question"] == "login":
        password, salt = question["password"].encode(), bytes.fromhex(person["salt"])
        hashed = hashlib.scrypt(password, salt=salt, n=2**14, r=8, p=1).hex()
        if not hmac.compare_digest(hashed, person["scrypt"]):
            return {"answer": "no", "reason": "wrong password"}
    if person.get("disabled"):
        return {"answer": "no", "reason": "disabled"}
    version = hashlib.sha256(person["scrypt"].encode()).hexdigest()  # changes with the password
    return {"answer": "yes", "account": {"groups": person["groups"], "version": version}}

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

server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Service)
print("listening on", server.server_port, flush=True)
server.serve_forever()
