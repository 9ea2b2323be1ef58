"""The upstream: one nginx worker that answers `/` with the body of the work, from a string if small, from a file if large."""

from pathlib import Path

from peers import nginx
from process import Process, free_port

LARGE_BYTES = 4096


class Upstream(Process):
    def __init__(self, work, directory):
        directory = Path(directory)
        self.port = free_port()
        if work.body_bytes < LARGE_BYTES:
            location = f'return 200 "{work.body}";'
        else:
            directory.joinpath("body").write_text(work.body)
            location = f"root {directory}; try_files /body =404; open_file_cache max=8 inactive=1h; open_file_cache_valid 1h;"
        super().__init__(nginx.master(directory, self.port, location), directory)
