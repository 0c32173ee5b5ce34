"""`worker demo` and `worker watch`: a recorded line played through a real worker, and what an operator sees."""
