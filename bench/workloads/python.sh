# An interpreter's loop: python3 on dictionaries, strings, objects and generators.
work() { python3 -S "$here/interpreter.py"; }
