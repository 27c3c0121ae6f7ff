"""The little of an API server that kube-proxy asks for: lists and watches of services and endpoint slices.

PUT /control/<plural> with a list of objects replaces them; watchers get the differences. usage: fake_api.py <port>
"""
import json, queue, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

kinds = {"services": ("Service", "v1"), "endpointslices": ("EndpointSlice", "discovery.k8s.io/v1")}
lock = threading.Lock()
version = 1
objects = {plural: {} for plural in kinds}
watchers = {plural: [] for plural in kinds}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, body, code=200):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        plural = path.rsplit("/", 1)[-1]
        if path == "/apis/discovery.k8s.io/v1":
            names = [{"name": "endpointslices", "singularName": "", "namespaced": True, "kind": "EndpointSlice", "verbs": []}]
            return self.answer({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "discovery.k8s.io/v1", "resources": names})
        if plural not in kinds:
            status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "NotFound", "message": "not found", "code": 404}
            return self.answer(status, 404)
        kind, api = kinds[plural]
        if "watch=" not in query:
            with lock:
                items = list(objects[plural].values())
            return self.answer({"kind": kind + "List", "apiVersion": api, "metadata": {"resourceVersion": str(version)}, "items": items})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        mine = queue.Queue()
        with lock:
            watchers[plural].append(mine)
        while True:
            line = json.dumps(mine.get()).encode() + b"\n"
            try:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()
            except OSError:  # the watcher is gone
                self.close_connection = True
                return

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(json.loads(body), 201)

    def do_PUT(self):
        global version
        plural = self.path.rsplit("/", 1)[-1]
        kind, api = kinds[plural]
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with lock:
            old = objects[plural]
            new = {}
            for thing in wanted:
                meta = thing["metadata"]
                meta.setdefault("namespace", "default")
                key = meta["name"]
                before = old.get(key)
                meta["uid"] = "u-" + key
                meta["resourceVersion"] = before["metadata"]["resourceVersion"] if before else ""
                thing.update(kind=kind, apiVersion=api)
                if before != thing:
                    version += 1
                    meta["resourceVersion"] = str(version)
                    event = {"type": "MODIFIED" if before else "ADDED", "object": thing}
                    [watcher.put(event) for watcher in watchers[plural]]
                new[key] = thing
            for key in old.keys() - new.keys():
                version += 1
                old[key]["metadata"]["resourceVersion"] = str(version)
                [watcher.put({"type": "DELETED", "object": old[key]}) for watcher in watchers[plural]]
            objects[plural] = new
        self.answer({})


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
