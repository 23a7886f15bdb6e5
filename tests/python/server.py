"""Starts `claviger dev` as a user would, and stops it."""

import os
import pathlib
import queue
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

ACCOUNT = "123456789012"
ACCESS_KEY = "AKIACLAVIGERTEST0001"
SECRET_KEY = "thesecretofthetests0000000000000000000000"
REGION = "eu-central-1"


class Server:
    """One `claviger dev` on a free port, with a data folder of its own unless given one."""

    def __init__(self, *options, data=None, credentials=(ACCESS_KEY, SECRET_KEY), listen=None):
        self._own_data = data is None
        self.data = pathlib.Path(data or tempfile.mkdtemp(prefix="claviger-"))
        self.access_key, self.secret_key = credentials or (None, None)
        self.listen = listen or "127.0.0.1:0"
        self.options = list(options)
        if credentials:
            self.options += ["--access-key", self.access_key, "--secret-key", self.secret_key]
        self.lines = []
        self.url = None
        self.exit_code = None
        self._process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        if self._own_data:
            shutil.rmtree(self.data, ignore_errors=True)

    def start(self, timeout=60):
        command = [binary(), "dev", "--listen", self.listen, "--data", str(self.data), *self.options]
        self._log = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        ready = queue.Queue()
        threading.Thread(target=self._read, args=(ready,), daemon=True).start()
        try:
            self.url = ready.get(timeout=timeout)
        except queue.Empty:
            self.url = None
        if self.url is None:
            self.stop(signal.SIGKILL)
            raise AssertionError(f"{command} did not say that it is ready:\n{self.log()}")
        self.listen = self.url.split("//")[1]
        return self

    def _read(self, ready):
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("ready "):
                ready.put(line.split()[1])
        ready.put(None)

    def stop(self, number=signal.SIGTERM, timeout=20):
        """Sends a signal and waits for the end; returns the exit code."""
        if self._process is None:
            return self.exit_code
        process, self._process = self._process, None
        process.send_signal(number)
        try:
            self.exit_code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.exit_code = None
        # Whatever it started is in its process group; nothing may outlive a test.
        try:
            os.killpg(process.pid, signal.SIGKILL)
            self.left_behind = True
        except ProcessLookupError:
            self.left_behind = False
        process.wait()
        return self.exit_code

    @property
    def pid(self):
        return self._process.pid

    def log(self):
        """What it wrote to standard error so far."""
        self._log.seek(0)
        return self._log.read()

    @property
    def address(self):
        host, port = self.listen.rsplit(":", 1)
        return host, int(port)


def binary():
    given = os.environ.get("CLAVIGER_BIN")
    if not given:
        given = pathlib.Path(__file__).parents[2] / "target/debug/claviger"
    return str(given)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
