"""The emulator, started by scripts/local-aws/start with the identity of its checkout, in its state folder.

It is ministack, and what this project needs of AWS that ministack 1.5.33 lacks. Each module imported below is a patch,
made by importing it; the folder is below 450 lines, tests aside. When ministack gains what a patch adds: delete it.
"""
import os
import signal
import sys
import threading
import time
from pathlib import Path

import alarms, gateway, import_rest_api, recovery, web_acl  # noqa: E401, F401
from ministack.app import main



def end_when_replaced():
    """Ends the emulator and its functions when the state folder no longer names it: nothing else could."""
    pid = Path("pid")
    while pid.is_file() and pid.read_text().strip() == str(os.getpid()):
        time.sleep(1)
    os.killpg(0, signal.SIGKILL)


sys.argv = ["ministack"]
os.setsid()  # one process group with the functions, so that stopping it leaves none of them
threading.Thread(target=end_when_replaced, daemon=True).start()
main()
