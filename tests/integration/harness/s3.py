"""Object storage with one bucket, that takes nothing whose signature is not right.

The signature is computed here from the specification of AWS's Signature Version 4, not by any library. What a
request looked like is kept in `requests`; what the server does wrong on purpose is queued with fail().
"""
import base64
import datetime
import hashlib
import hmac
import http.server
import re
import socket
import ssl
import struct
import threading

ACCESS_KEY, SECRET_KEY = "AKIATESTKEY", "s3-secret+key/of-the-tests"
BUCKET, REGION = "audit-bucket", "us-east-1"
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/s3/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$")


class Refused(Exception):
    """An error of S3: status and code."""


def signature(secret, day, region, method, path, signed, headers, payload):
    """The signature of a request without a query. headers: lower-case names to values."""
    request = "\n".join([method, path, "", *(f"{name}:{' '.join(headers[name].split())}"
                                             for name in signed), "", ";".join(signed), payload])
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], f"{day}/{region}/s3/aws4_request",
                      hashlib.sha256(request.encode()).hexdigest()])
    key = b"AWS4" + secret.encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def check_signature(method, path, headers, body, region=REGION):
    """Raises Refused unless the request is signed as it must be."""
    match = AUTHORIZATION.match(headers.get("authorization", ""))
    if not match:
        raise Refused(403, "AccessDenied")
    key, day, scope, signed, given = match.groups()
    signed = signed.split(";")
    if key != ACCESS_KEY:
        raise Refused(403, "InvalidAccessKeyId")
    if scope != region:
        raise Refused(400, "AuthorizationHeaderMalformed")
    must = {"host", *(name for name in headers if name.startswith("x-amz-"))}
    if signed != sorted(signed) or not must <= set(signed) or not set(signed) <= set(headers):
        raise Refused(403, "AccessDenied")
    date = headers.get("x-amz-date", "")
    when = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(
        tzinfo=datetime.timezone.utc)
    skew = abs((datetime.datetime.now(datetime.timezone.utc) - when).total_seconds())
    if skew > 900 or day != date[:8]:
        raise Refused(403, "RequestTimeTooSkewed")
    payload = headers.get("x-amz-content-sha256", "")
    expected = signature(SECRET_KEY, day, scope, method, path, signed, headers, payload)
    if not hmac.compare_digest(expected, given):
        raise Refused(403, "SignatureDoesNotMatch")
    if payload != hashlib.sha256(body).hexdigest():
        raise Refused(400, "XAmzContentSHA256Mismatch")
    md5 = headers.get("content-md5")
    if md5 is not None and md5 != base64.b64encode(hashlib.md5(body).digest()).decode():
        raise Refused(400, "BadDigest")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *_):
        pass

    def answer(self, status, fields=(), body=b"", length=None):
        self.send_response_only(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, code):
        self.answer(status, (), f"<Error><Code>{code}</Code></Error>".encode())

    def cut(self):
        """A reset, not an orderly end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def handle_one(self):
        s3 = self.server.s3
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = s3.next_fault(self.command)
        if fault == "cut":
            s3.note(self.command, self.path, headers, None)
            self.rfile.read(min(10, int(headers.get("content-length", "0"))))
            return self.cut()
        body = self.rfile.read(int(headers.get("content-length", "0")))
        s3.note(self.command, self.path, headers, body)
        if fault == "stall":
            s3.stalled.set()
            s3.go_on.wait(30)
            return self.cut()
        if isinstance(fault, tuple):
            return self.error(*fault)
        try:
            check_signature(self.command, self.path, headers, body)
            answer = s3.store if self.command == "PUT" else s3.find
            status, fields, length = answer(self.path, headers, body)
        except Refused as refused:
            return self.error(*refused.args)
        if fault == "cut after":
            return self.cut()
        if fault == "other size":
            length = length + 1
        if fault == "other tag":
            fields = [(name, '"0"' if name == "ETag" else value) for name, value in fields]
        if fault == "other sum":
            fields = [(name, "0" * 64 if name == "x-amz-meta-sha256" else value)
                      for name, value in fields]
        return self.answer(status, fields, length=length)

    do_PUT = do_HEAD = do_GET = handle_one


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that is killed is part of the tests."""


class S3:
    """objects: key to bytes. port: where to listen, 0 for any."""

    def __init__(self, port=0, tls=None):
        self.objects, self.sums, self.requests = {}, {}, []
        self.faults = {"PUT": [], "HEAD": []}
        self.always = {}  # method to a fault
        self.lock = threading.Lock()
        self.stalled, self.go_on = threading.Event(), threading.Event()
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.s3 = self
        self.port = self.server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.url = f"https://localhost:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()

    def fail(self, method, *faults):
        """What becomes of the next requests of this method, one each: (status, code), "cut" (while
        it comes), "cut after" (it was done), "stall", "other size", "other tag", "other sum"."""
        self.faults[method].extend(faults)

    def next_fault(self, method):
        with self.lock:
            waiting = self.faults.get(method)
            return waiting.pop(0) if waiting else self.always.get(method)

    def note(self, method, path, headers, body):
        with self.lock:
            self.requests.append((method, path, headers, body))

    def asked(self, method):
        with self.lock:
            return [request for request in self.requests if request[0] == method]

    @staticmethod
    def key(path):
        bucket, _, key = path[1:].partition("/")
        if bucket != BUCKET:
            raise Refused(404, "NoSuchBucket")
        return key

    def store(self, path, headers, body):
        key = self.key(path)
        with self.lock:
            if headers.get("if-none-match") == "*" and key in self.objects:
                raise Refused(412, "PreconditionFailed")
            self.objects[key] = body
            self.sums[key] = headers.get("x-amz-meta-sha256")
        return 200, [("ETag", f'"{hashlib.md5(body).hexdigest()}"')], 0

    def find(self, path, headers, body):
        del headers, body
        key = self.key(path)
        with self.lock:
            if key not in self.objects:
                raise Refused(404, "NoSuchKey")
            data, given = self.objects[key], self.sums.get(key)
        fields = [("ETag", f'"{hashlib.md5(data).hexdigest()}"')]
        return 200, fields + ([("x-amz-meta-sha256", given)] if given else []), len(data)
