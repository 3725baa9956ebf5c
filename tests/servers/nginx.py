"""nginx in front of an application."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from tests.servers.process import LOOPBACK, MissingServerError, free_ports, running

MISSING = "nginx is missing: `make test` fetches it, or `apt-get install nginx-light`."
PLACES = os.pathsep.join((str(Path(sys.executable).parent), *os.get_exec_path(), "/usr/sbin"))
CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen {host}:{port};
        location / {{ proxy_pass http://{host}:{behind}; }}
        {location}
    }}
}}
"""


@contextmanager
def run_nginx(folder: Path, behind: int, location: str, *, ready: str) -> Iterator[int]:
    """Run nginx before an application, with one more location, and give its port; `ready` is a path that answers."""
    nginx = shutil.which("nginx", path=PLACES)
    if nginx is None:
        raise MissingServerError(MISSING)
    (port,) = free_ports(1)
    folder.mkdir()
    words = {"folder": folder, "host": LOOPBACK, "port": port, "behind": behind, "location": location}
    (folder / "nginx.conf").write_text(CONFIGURATION.format(**words))

    def is_ready() -> bool:
        with urlopen(f"http://{LOOPBACK}:{port}{ready}", timeout=5) as answer:
            return bool(answer.status == 200)

    command = (nginx, "-c", folder / "nginx.conf", "-p", folder, "-e", folder / "error.log")
    with running(command, folder=folder, ready=is_ready):
        yield port
