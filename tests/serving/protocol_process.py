"""A server process of its own: `python protocol_process.py FOLDER`; lets every version pass."""

from __future__ import annotations

import sys

from protocol_server import HANG_S, open_gate

from apps.serving.server import serve

if __name__ == "__main__":
    serve(sys.argv[1], port=0, rest_port=0, grace_s=HANG_S, gate=open_gate)
