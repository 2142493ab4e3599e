"""ministack's Runtime API sends headers and body in two segments; Nagle's algorithm then holds the second for 40 ms.

AWS's Runtime API does not. Test: test_runtime_api.py
"""
import socketserver

socketserver.StreamRequestHandler.disable_nagle_algorithm = True
