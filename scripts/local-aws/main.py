"""The local AWS, started by scripts/local-aws/start

It is ministack, and what this project needs of AWS that ministack 1.5.33 lacks. Each module imported below is a patch,
made by importing it; the folder is below 450 lines, tests aside. When ministack gains what a patch adds: delete it.
"""
import os
import sys

import alarms, gateway, import_rest_api, recovery, web_acl  # noqa: E401, F401
from ministack.app import main

sys.argv = ["ministack"]
os.setsid()  # one process group with the functions, so that stopping it leaves none of them
main()
