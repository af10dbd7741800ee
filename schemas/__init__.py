"""The Structs that callers send and receive. They import the standard library and msgspec, nothing else."""
